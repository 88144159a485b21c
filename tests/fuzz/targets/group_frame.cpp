// The envelope between replicas, and the announcements of leaders.
#include "actors/pure/directory.hpp"
#include "actors/pure/replica_wire.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  group_id peeked;
  const bool has_group = peek_group(in, peeked);
  group_frame f;
  if (decode(in, f)) {
    BANYAN_ASSERT(has_group && peeked == f.group);
    BANYAN_ASSERT(const_bytes{encoded(f)} == in);
  }
  group_view v;
  if (decode(in, v)) {
    BANYAN_ASSERT(v.voters.size() + v.learners.size()
                  <= 2 * group_replicas_max);
    BANYAN_ASSERT(const_bytes{encoded(v)} == in);
    directory known;
    BANYAN_ASSERT(known.put_view(v));
    BANYAN_ASSERT(!known.put_view(v)); // the same again is no news
    BANYAN_ASSERT(known.view(v.group) != nullptr);
    (void)known.candidates(v.group);
    (void)known.leader(v.group);
    (void)known.majority_alive(v.group);
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  group_frame f;
  f.group.shard = 3;
  f.payload = to_bytes("a raft message");
  for (int kind = 1; kind <= 14; ++kind) {
    f.kind = static_cast<group_frame_kind>(kind);
    out.push_back(encoded(f));
  }
  group_view v;
  v.term = term{4};
  v.leader.node = node_id{std::array<std::uint8_t, 32>{1}};
  for (std::uint8_t n = 1; n <= 3; ++n) {
    replica_view r;
    r.who.node = node_id{std::array<std::uint8_t, 32>{n}};
    r.who.replica = replica_id{std::array<std::uint8_t, 16>{n}};
    r.state = n % 3;
    r.permille = 500;
    v.voters.push_back(r);
  }
  v.learners.push_back(v.voters[2]);
  v.committed = log_index{12};
  v.health = group_health::degraded;
  v.number = 2;
  out.push_back(encoded(v));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(group_frame)
