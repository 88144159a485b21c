#include "net/link/detail/hello.hpp"

#include "base/codec.hpp"

namespace banyan::net {
namespace {

enum key : std::uint64_t {
  key_node = 0,
  key_signature = 1,
  key_role = 2,
  key_incarnation = 3,
  key_boot = 4,
  key_features = 5,
  key_minor = 6,
  key_listen = 7,
  key_seen = 8,
  key_dial = 9,
  key_knows = 10,
};

/// What the signature covers, besides what every signature does.
bytes signed_part(const hello& h, const_bytes handshake_hash,
                  const noise::dh_public& static_key) {
  bytes out;
  writer w{out};
  w.array(4).blob(handshake_hash).blob(static_key);
  w.uint(static_cast<std::uint64_t>(h.role)).id(h.incarnation);
  return out;
}

} // namespace

void read_address(reader& r, address& out) {
  const auto text = r.text(address::host_bytes_max + 8);
  if (text.empty())
    return;
  if (auto a = parse_address(text))
    out = std::move(*a);
  else
    r.fail();
}

bytes encode_hello(const hello& h, const identity& key, const mesh_id& mesh,
                   const_bytes handshake_hash,
                   const noise::dh_public& static_key) {
  BANYAN_ASSERT(h.node == key.id());
  const auto by = key.sign(sign_kind::link, mesh,
                           signed_part(h, handshake_hash, static_key));
  bytes out;
  out.reserve(hello_bytes);
  writer w{out};
  w.map(11);
  w.uint(key_node).id(h.node);
  w.uint(key_signature).id(by);
  w.uint(key_role).uint(static_cast<std::uint64_t>(h.role));
  w.uint(key_incarnation).id(h.incarnation);
  w.uint(key_boot).id(h.boot);
  w.uint(key_features).uint(h.features);
  w.uint(key_minor).uint(h.minor);
  w.uint(key_listen).text(to_string(h.listen));
  w.uint(key_seen).text(to_string(h.seen));
  w.uint(key_dial).uint(h.dial);
  w.uint(key_knows).uint(h.knows);
  BANYAN_ASSERT(out.size() <= hello_bytes);
  out.resize(hello_bytes);
  return out;
}

bool decode_hello(const_bytes in, const mesh_id& mesh,
                  const_bytes handshake_hash,
                  const noise::dh_public& static_key, hello& out) {
  if (in.size() != hello_bytes)
    return false;
  reader r{in};
  hello h;
  signature by;
  std::uint64_t seen_keys = 0;
  std::int64_t k = -1;
  for (auto n = r.map(64); n > 0 && r.ok(); --n) {
    k = r.key(k);
    if (k >= 0 && k < 64)
      seen_keys |= std::uint64_t{1} << k;
    switch (k) {
    case key_node:
      r.id(h.node);
      break;
    case key_signature:
      r.id(by);
      break;
    case key_role:
      h.role = static_cast<link_role>(r.uint(2));
      break;
    case key_incarnation:
      r.id(h.incarnation);
      break;
    case key_boot:
      r.id(h.boot);
      break;
    case key_features:
      h.features = r.uint();
      break;
    case key_minor:
      h.minor = r.uint();
      break;
    case key_listen:
      read_address(r, h.listen);
      break;
    case key_seen:
      read_address(r, h.seen);
      break;
    case key_dial:
      h.dial = r.uint();
      break;
    case key_knows:
      h.knows = r.uint();
      break;
    default:
      r.skip();
    }
  }
  constexpr std::uint64_t needed = 0b11111; // node to boot
  const auto padding = in.from(in.size() - r.left());
  const bool fits =
      r.ok() && (seen_keys & needed) == needed
      && (h.role == link_role::peer || h.role == link_role::client)
      && std::all_of(padding.begin(), padding.end(),
                     [](auto b) { return b == 0; });
  if (!fits
      || !verify(h.node, sign_kind::link, mesh,
                 signed_part(h, handshake_hash, static_key), by))
    return false;
  out = std::move(h);
  return true;
}

} // namespace banyan::net
