#pragma once
#include "base/result.hpp"
#include "net/io/net_error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

/// A non-blocking connection in the clear or under TLS, for HTTP alone.
namespace banyan::io::detail {

enum class io_state : std::uint8_t {
  ok,         ///< `n` bytes went through.
  want_read,  ///< Nothing now: again when readable.
  want_write, ///< Nothing now: again when writable.
  end,        ///< The far side finished, in order.
  broken
};
struct io_step {
  io_state state;
  std::size_t n = 0;
};

class transport {
public:
  virtual ~transport() = default;
  virtual io_step read(char* to, std::size_t size) = 0;
  virtual io_step write(std::string_view data) = 0;
  /// No more will be written.
  virtual void finish() = 0;
};

/// Keys and trust of one side; shared by its connections.
class tls_context {
public:
  /// @returns `bad_key` naming the file.
  static result<std::shared_ptr<tls_context>, net_error>
  server(const std::filesystem::path& cert, const std::filesystem::path& key);
  /// Trusts the system's authorities and, with `authority`, those in that PEM
  /// file as well (a self-signed certificate is its own authority).
  static result<std::shared_ptr<tls_context>, net_error>
  client(const std::filesystem::path& authority);
  ~tls_context();

  struct parts;
  explicit tls_context(std::unique_ptr<parts> p);
  [[nodiscard]] parts& get() noexcept { return *parts_; }

private:
  std::unique_ptr<parts> parts_;
};

/// `fd` is borrowed.
std::unique_ptr<transport> plain_transport(int fd);
/// The handshake happens inside the first reads and writes.
std::unique_ptr<transport> tls_server(const std::shared_ptr<tls_context>& c,
                                      int fd);
std::unique_ptr<transport> tls_client(const std::shared_ptr<tls_context>& c,
                                      int fd, const std::string& host);

} // namespace banyan::io::detail
