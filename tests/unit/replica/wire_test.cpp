// Frames and entries: what is written is read back, and damage is refused.
#include "actors/pure/replica/entry_codec.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

namespace banyan::replica {
namespace {

template <class T>
void round_trip(const T& value) {
  bytes first;
  encode(value, first);
  T read;
  ASSERT_TRUE(decode(first, read));
  bytes again;
  encode(read, again);
  EXPECT_EQ(first, again);
  seeded_random random{5};
  for (std::size_t n = 0; n < first.size(); ++n) {
    EXPECT_FALSE(decode(const_bytes{first}.first(n), read)) << n;
    auto damaged = first;
    damaged[n] ^= static_cast<std::uint8_t>(1 + random.below(255));
    (void)decode(damaged, read); // whatever it says, it says it
  }
  auto longer = first;
  longer.push_back(0);
  EXPECT_FALSE(decode(longer, read));
}

TEST(replica_wire, frames_round_trip_and_refuse_truncation) {
  request_frame r;
  r.call = 7;
  r.key = "alice";
  r.command = "deposit";
  r.argument = to_bytes("x");
  r.identity = session_request{5, 6, 7};
  r.max_staleness = 10ms;
  r.outstanding = outstanding_at{node_id{}, incarnation{3}};
  round_trip(r);
  r.identity = idempotency_request{"key"};
  round_trip(r);
  reply_frame a;
  a.call = 9;
  a.reply.status = reply_status::not_leader;
  a.reply.leader = replica_ref{};
  a.reply.submitted = true;
  a.reply.retry_after = 50ms;
  round_trip(a);
  group_frame g;
  g.payload = to_bytes("raft");
  round_trip(g);
  stream_frame s;
  s.messages.resize(2);
  s.messages[0].number = 1;
  s.messages[1].on_reply = "done";
  round_trip(s);
}

TEST(replica_wire, entries_round_trip_and_refuse_truncation) {
  turn_entry t;
  t.by = by_stream{{}, {}, 4};
  t.actor = "a";
  t.state = shared_bytes{to_bytes("state")};
  t.rows.push_back({to_bytes("k"), std::nullopt});
  t.sends.emplace_back();
  t.timers.push_back({timer_named("t"), {5s, "append", {}}});
  t.cancelled.push_back(timer_named("u"));
  poison_entry p;
  p.items.push_back({to_bytes("r"), {poison_record{}}});
  for (const entry& e :
       {entry{1s, t}, entry{2s, open_session_entry{{1, 2}}}, entry{3s, p},
        entry{4s, stream_ack_entry{{{{}, 3}}}}, entry{5s, stop_entry{true}}}) {
    const auto b = encode(e);
    entry read;
    ASSERT_TRUE(decode(b, read));
    EXPECT_EQ(encode(read), b);
    for (std::size_t n = 0; n < b.size(); ++n) {
      entry cut;
      EXPECT_FALSE(decode(const_bytes{b}.first(n), cut));
    }
  }
}

TEST(replica_wire, the_shard_of_a_key_is_part_of_the_format) {
  EXPECT_EQ(shard_of("alice", 1), 0u);
  std::vector<int> hits(8);
  for (int i = 0; i < 8000; ++i)
    ++hits[shard_of("key" + std::to_string(i), 8)];
  for (int h : hits)
    EXPECT_NEAR(h, 1000, 150);
}

} // namespace
} // namespace banyan::replica
