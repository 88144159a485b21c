#pragma once
#include "base/bytes.hpp"
#include "crypto/mesh_key.hpp"
#include "net/link/wire.hpp"
#include "tests/support/process_mesh.hpp"

#include <memory>
#include <string>

namespace banyan::test {

/// Who a hand-made link claims to be.
struct hand_link_as {
  std::string mesh_name = std::string{local_mesh_name};
  mesh_id mesh = local_mesh_id();
  mesh_key key = local_mesh_key();
  link_role role = link_role::peer;
};

/// A link spoken by hand over a blocking socket: a far side that may say what
/// no peer would. One thread.
class hand_link {
public:
  /// Dials and shakes hands. `up()` says with what success.
  hand_link(std::uint16_t port, const hand_link_as& as);
  ~hand_link();
  hand_link(hand_link&&) = delete;

  [[nodiscard]] bool up() const;
  [[nodiscard]] const node_id& self() const;
  /// 64 bytes, once up.
  [[nodiscard]] const_bytes handshake_hash() const;
  void send(net::channel c, const_bytes payload);
  /// Waits until the far side closes; whatever it says meanwhile is dropped.
  bool ends(duration limit);

private:
  struct state;
  std::unique_ptr<state> s_;
};

/// A plain connection to 127.0.0.1:`port`.
class raw_socket {
public:
  explicit raw_socket(std::uint16_t port);
  ~raw_socket();
  raw_socket(raw_socket&&) = delete;
  /// False: the far side is gone.
  bool write(const_bytes data);
  /// Exactly `size` bytes; fewer at the end of the stream or of `limit`.
  bytes read(std::size_t size, duration limit);
  /// Reads on until the far side closes.
  bool ends(duration limit);

private:
  int fd_ = -1;
};

} // namespace banyan::test
