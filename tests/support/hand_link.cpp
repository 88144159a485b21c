#include "tests/support/hand_link.hpp"

#include "crypto/system_random.hpp"
#include "net/link/detail/handshake.hpp"
#include "net/link/detail/lanes.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <stdexcept>

namespace banyan::test {

raw_socket::raw_socket(std::uint16_t port)
    : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(port);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) {
    close(fd_);
    throw std::runtime_error{"nobody listens at port " + std::to_string(port)};
  }
}

raw_socket::~raw_socket() {
  close(fd_);
}

bool raw_socket::write(const_bytes data) {
  for (std::size_t done = 0; done < data.size();) {
    const auto n =
        ::send(fd_, data.data() + done, data.size() - done, MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

bytes raw_socket::read(std::size_t size, duration limit) {
  bytes out;
  const auto due = now() + limit;
  while (out.size() < size) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(due - now());
    pollfd p{fd_, POLLIN, 0};
    if (left.count() <= 0 || poll(&p, 1, static_cast<int>(left.count())) <= 0)
      break;
    std::uint8_t data[4096];
    const auto n =
        ::recv(fd_, data, std::min(sizeof data, size - out.size()), 0);
    if (n <= 0)
      break;
    out.insert(out.end(), data, data + n);
  }
  return out;
}

bool raw_socket::ends(duration limit) {
  const auto due = now() + limit;
  while (now() < due)
    if (read(1, due - now()).empty())
      return now() < due;
  return false;
}

struct hand_link::state {
  state(std::uint16_t port, const hand_link_as& as)
      : role{as.role}, key{identity::generate(random)},
        static_key{noise::dh_keypair::generate(random)},
        psk{derive_psk(as.key, as.role)}, socket{port} {
    keys.key = &key;
    keys.static_key = &static_key;
    keys.mesh = as.mesh;
    keys.prologue = net::make_prologue(as.mesh_name);
    keys.dial_psk = &psk;
    shake.emplace(keys, random);
  }

  bool link() {
    socket.write(shake->write_first());
    const auto second = socket.read(net::message_2_bytes, 5s);
    if (second.size() < net::message_2_bytes
        || !shake->read_second(second).ok())
      return false;
    net::hello mine;
    mine.node = key.id();
    mine.role = role;
    mine.incarnation = incarnation{1};
    mine.boot = net::boot_id{random.array<16>()};
    mine.listen = {"127.0.0.1", 1};
    mine.dial = 1;
    socket.write(shake->write_third(mine));
    hash = shake->hash().copy();
    auto split = shake->split();
    sealer.emplace(std::move(split.send));
    return true;
  }

  link_role role;
  system_random random;
  identity key;
  noise::dh_keypair static_key;
  link_psk psk;
  net::handshake_keys keys;
  raw_socket socket;
  std::optional<net::link_handshake> shake;
  std::optional<record_sealer> sealer;
  bytes hash;
  bool up = false;
};

hand_link::hand_link(std::uint16_t port, const hand_link_as& as)
    : s_{std::make_unique<state>(port, as)} {
  s_->up = s_->link();
}

hand_link::~hand_link() = default;

bool hand_link::up() const {
  return s_->up;
}

const node_id& hand_link::self() const {
  return s_->key.id();
}

const_bytes hand_link::handshake_hash() const {
  return s_->hash;
}

void hand_link::send(net::channel c, const_bytes payload) {
  net::lanes lanes{net::link_limits{}};
  append(lanes.begin(c), payload);
  static_cast<void>(lanes.end());
  bytes plain, record;
  lanes.take(plain, record_plaintext_max);
  static_cast<void>(s_->sealer->seal(plain, record));
  s_->socket.write(record);
}

bool hand_link::ends(duration limit) {
  return s_->socket.ends(limit);
}

} // namespace banyan::test
