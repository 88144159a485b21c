// A link after its handshake: sealed records, fragments, frames.
#include "net/link/detail/record_reader.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <utility>

namespace banyan::fuzz {
namespace {

using namespace net;

noise::cipher_state key() {
  secret_bytes<32> k;
  std::fill(k.data(), k.data() + 32, std::uint8_t{7});
  return {noise::chacha_poly, std::move(k)};
}

using frames = std::vector<std::pair<channel, bytes>>;

// Feeds `wire` in pieces of `step` bytes. False at the first error.
bool read(const_bytes wire, std::size_t step, link_role role, frames& out) {
  record_reader r{key(), role};
  frame_batch batch;
  while (!wire.empty()) {
    const auto piece = wire.first(std::min(step, wire.size()));
    wire = wire.from(piece.size());
    batch.reset(piece.size() + record_plaintext_max);
    const auto fed = r.feed(piece, batch);
    for (const auto& f : batch.frames()) {
      BANYAN_ASSERT(f.payload.size() <= frame_bytes_max);
      BANYAN_ASSERT(role == link_role::peer || f.channel == channel::link
                    || client_may_use(f.channel));
      out.emplace_back(f.channel, f.payload.copy());
    }
    if (!fed)
      return false;
  }
  return true;
}

// Plaintext that a far side which lies has sealed, cut into records: the way
// it arrives must not matter.
void sealed(input& i) {
  const auto role = i.u8() % 2 == 0 ? link_role::peer : link_role::client;
  const std::size_t cut = 1 + i.u8() * std::size_t{16};
  record_sealer sealer{key()};
  bytes wire;
  for (auto left = i.rest(); !left.empty();) {
    const auto piece = left.first(std::min(cut, left.size()));
    left = left.from(piece.size());
    BANYAN_ASSERT(sealer.seal(piece, wire).ok());
  }
  frames whole;
  frames pieces;
  const bool good = read(wire, wire.size(), role, whole);
  BANYAN_ASSERT(read(wire, 7, role, pieces) == good);
  BANYAN_ASSERT(whole == pieces);
}

// Without the key nothing is ever a frame.
void forged(const_bytes in) {
  frames got;
  (void)read(in, 5, link_role::peer, got);
  BANYAN_ASSERT(got.empty());
}

void run(const_bytes in) {
  input i{in};
  if (i.u8() % 2 == 0)
    sealed(i);
  else
    forged(i.rest());
}

void fragment(bytes& out, channel c, bool more, std::size_t size) {
  out.push_back(static_cast<std::uint8_t>(c));
  out.push_back(more ? fragment_more : 0);
  out.push_back(static_cast<std::uint8_t>(size >> 8));
  out.push_back(static_cast<std::uint8_t>(size));
  out.resize(out.size() + size, 0x2a);
}

std::vector<bytes> seeds() {
  bytes one{0, 0, 255};
  fragment(one, channel::raft, false, 3);
  fragment(one, channel::request, true, 5);
  fragment(one, channel::membership, false, 0);
  fragment(one, channel::request, false, 2);
  bytes client{0, 1, 1};
  fragment(client, channel::request, true, 20);
  fragment(client, channel::request, false, 1);
  fragment(client, channel::link, false, 1);
  bytes unknown{0, 0, 2};
  fragment(unknown, channel{9}, true, 4);
  fragment(unknown, channel{9}, false, 4);
  fragment(unknown, channel::bulk, false, 300);
  bytes mixed{0, 0, 40};
  fragment(mixed, channel::raft, true, 4);
  fragment(mixed, channel::group, false, 4);
  return {one, client, unknown, mixed,
          bytes{1, 0, 40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(records)
