// The three handshake messages, both roles: from strangers, and from a member
// whose payload lies.
#include "net/link/detail/handshake.hpp"

#include "crypto/noise/protocol.hpp"
#include "tests/fuzz/keys.hpp"

namespace banyan::fuzz {
namespace {

using namespace net;

/// One side: identity, X25519 key, and the psks that it takes.
struct side {
  explicit side(std::uint8_t seed)
      : key{identity::from_seed(filled(seed))},
        static_key{noise::dh_keypair::from_secret(filled(seed))},
        psk{derive_psk(filled(1), link_role::peer)} {
    keys.key = &key;
    keys.static_key = &static_key;
    keys.mesh = mesh_id{std::array<std::uint8_t, 32>{1}};
    keys.prologue = make_prologue("garden");
    keys.dial_psk = &psk;
    for (const auto r : {link_role::peer, link_role::client})
      keys.accepted.push_back({derive_psk(filled(1), r), r});
  }
  [[nodiscard]] hello say() const {
    hello h;
    h.node = key.id();
    h.incarnation = incarnation{5};
    h.boot = boot_id{std::array<std::uint8_t, 16>{1, 2, 3}};
    h.listen = {"10.0.0.9", 7600};
    h.seen = {"10.0.0.8", 33'333};
    h.dial = 3;
    return h;
  }
  identity key;
  noise::dh_keypair static_key;
  link_psk psk;
  handshake_keys keys;
};

// The input changes an honest message: 0 = patches of (offset, xor), 1 = the
// message is the input, cut or filled with zeros to the fixed size.
bytes spoiled(bytes honest, input& i) {
  if (i.u8() % 2 == 1) {
    auto raw = i.rest().copy();
    raw.resize(honest.size());
    return raw;
  }
  while (!i.empty()) {
    const auto at = i.u16() % honest.size();
    honest[at] = static_cast<std::uint8_t>(honest[at] ^ i.u8());
  }
  return honest;
}

// A payload is padded with zeros to its size.
void check_said(const hello& said, const side& by) {
  BANYAN_ASSERT(said.role == link_role::peer);
  BANYAN_ASSERT(said.listen.host.size() <= address::host_bytes_max);
  const bytes hash(64, 9);
  if (said.node != by.key.id())
    return;
  hello again;
  BANYAN_ASSERT(decode_hello(
      encode_hello(said, by.key, by.keys.mesh, hash, by.static_key.pub),
      by.keys.mesh, hash, by.static_key.pub, again));
  BANYAN_ASSERT(again.listen == said.listen && again.seen == said.seen);
  BANYAN_ASSERT(again.boot == said.boot && again.knows == said.knows);
}

/// Speaks Noise itself, so that any payload arrives intact.
struct member {
  member(const side& s, bool dials, random_source& random)
      : noise_{noise::link_protocol(), setup(s, dials), random} {}
  static noise::handshake_setup setup(const side& s, bool dials) {
    noise::handshake_setup out;
    out.initiator = dials;
    out.prologue = s.keys.prologue;
    out.local_static = &s.static_key;
    out.psks.push_back(s.psk.clone());
    return out;
  }
  bytes write(const_bytes payload) {
    bytes out;
    BANYAN_ASSERT(noise_.write_message(payload, out).ok());
    return out;
  }
  void read(const_bytes message) {
    bytes ignored;
    BANYAN_ASSERT(noise_.read_message(message, ignored).ok());
  }
  noise::handshake noise_;
};

void run(const_bytes in) {
  static const side a{1};
  static const side b{2};
  seeded_random random{3};
  link_handshake dial{a.keys, random};
  link_handshake answer{b.keys, random};
  input i{in};
  switch (i.u8() % 5) {
  case 0: {
    const auto honest = dial.write_first();
    const auto first = spoiled(honest, i);
    BANYAN_ASSERT(answer.read_first(first).ok() == (first == honest));
    break;
  }
  case 1: {
    BANYAN_ASSERT(answer.read_first(dial.write_first()).ok());
    const auto honest = answer.write_second(b.say());
    const auto second = spoiled(honest, i);
    BANYAN_ASSERT(dial.read_second(second).ok() == (second == honest));
    break;
  }
  case 2: {
    BANYAN_ASSERT(answer.read_first(dial.write_first()).ok());
    BANYAN_ASSERT(dial.read_second(answer.write_second(b.say())).ok());
    const auto honest = dial.write_third(a.say());
    const auto third = spoiled(honest, i);
    BANYAN_ASSERT(answer.read_third(third).ok() == (third == honest));
    break;
  }
  case 3: {
    member m{a, true, random};
    BANYAN_ASSERT(answer.read_first(m.write({})).ok());
    m.read(answer.write_second(b.say()));
    const auto payload =
        spoiled(encode_hello(a.say(), a.key, a.keys.mesh,
                             m.noise_.handshake_hash(), a.static_key.pub),
                i);
    const auto said = answer.read_third(m.write(payload));
    if (said.ok())
      check_said(*said, a);
    break;
  }
  default: {
    member m{b, false, random};
    m.read(dial.write_first());
    const auto payload =
        spoiled(encode_hello(b.say(), b.key, b.keys.mesh,
                             m.noise_.handshake_hash(), b.static_key.pub),
                i);
    const auto said = dial.read_second(m.write(payload));
    if (said.ok())
      check_said(*said, b);
  }
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  for (std::uint8_t which = 0; which < 5; ++which) {
    out.push_back(bytes{which, 0});
    out.push_back(bytes{which, 0, 1, 0, 0x10});
    out.push_back(bytes{which, 0, 200, 0, 1, 40, 0, 7});
    out.push_back(bytes{which, 1, 0x85, 0, 0xc4, 32});
  }
  static const side a{1};
  auto whole = tagged(3, bytes{1});
  append(whole, encode_hello(a.say(), a.key, a.keys.mesh, bytes(64, 1),
                             a.static_key.pub));
  out.push_back(whole);
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(handshake)
