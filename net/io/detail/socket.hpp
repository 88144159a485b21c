#pragma once
#include "base/descriptor.hpp"
#include "base/result.hpp"
#include "net/io/net_error.hpp"
#include "net/link/address.hpp"

#include <sys/socket.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// The system calls of sockets, once. Every descriptor is non-blocking and
/// close-on-exec from birth: an inherited socket would hide a peer's death.
namespace banyan::io::detail {

using banyan::descriptor;

/// An address as the system takes it.
struct endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
};

/// An IPv4 or IPv6 literal; empty for a name.
std::optional<endpoint> literal(const std::string& host, std::uint16_t port);
/// Blocks for names, which makes it a job for a worker; a literal costs
/// nothing. @returns `no_address`.
result<std::vector<endpoint>, net_error> resolve(const std::string& host,
                                                 std::uint16_t port);
/// IPv4 addresses inside IPv6 come out as IPv4.
net::address to_address(const endpoint& e);
std::string host_port(const std::string& host, std::uint16_t port);
bool is_loopback(const endpoint& e) noexcept;
std::optional<endpoint> local_end(int fd);
std::optional<endpoint> remote_end(int fd);

/// @returns `in_use`, `not_allowed`, `no_address` or `system`, in words that
/// name the port and the next step (`flag`: what sets it, e.g. `--listen`).
result<descriptor, net_error> listen_tcp(const net::address& at,
                                         const char* flag);
/// A socket file of mode 0600. One left by a dead process is replaced; one
/// that answers is `in_use`; any other file is `not_allowed`.
result<descriptor, net_error> listen_unix(const std::filesystem::path& path);
/// Starts to connect; `EINPROGRESS` is success. Otherwise errno.
result<descriptor, int> start_connect(const endpoint& to);
/// Paths longer than the system's 107 bytes work as well.
result<descriptor, int> connect_unix(const std::filesystem::path& path);
/// The next waiting connection; invalid with errno set when there is none.
descriptor accept_one(int listener, endpoint* from);
/// What connecting came to, once the descriptor is writable: 0 or an errno.
int connect_outcome(int fd) noexcept;
/// No Nagle; about 64 KiB unsent in the kernel at most.
void tune_tcp(int fd) noexcept;
/// Closing it will tear the connection down instead of ending it.
void tear_down_on_close(int fd) noexcept;
std::string errno_text(int e);

} // namespace banyan::io::detail
