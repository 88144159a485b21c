// Client frames and group views: what is decoded is what was encoded, and
// every other sequence of bytes is refused or is itself a canonical frame.
#include "actors/pure/client_wire.hpp"
#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::routing_tests {
namespace {

client_call_frame call_frame() {
  client_call_frame f;
  f.call = 1234567;
  f.app = "ledger";
  f.key = "alice";
  f.command = "deposit";
  f.argument = to_bytes("\x81\xa5"
                        "cents\x05");
  f.identity = session_request{7, 8, 9};
  f.deadline = 1500ms;
  f.max_staleness = 10s;
  return f;
}

TEST(client_wire, a_call_survives_the_wire) {
  const auto f = call_frame();
  client_call_frame out;
  ASSERT_TRUE(decode(encoded(f), out));
  EXPECT_EQ(out.call, f.call);
  EXPECT_EQ(out.app, f.app);
  EXPECT_EQ(out.key, f.key);
  EXPECT_EQ(out.command, f.command);
  EXPECT_EQ(out.argument, f.argument);
  EXPECT_EQ(std::get<session_request>(out.identity).number, 8U);
  EXPECT_EQ(out.deadline, f.deadline);
  EXPECT_EQ(out.max_staleness, f.max_staleness);
  survives_damage(f);
}

TEST(client_wire, every_kind_and_identity) {
  for (int k = 0; k <= static_cast<int>(client_call_kind::lookup); ++k)
    for (const request_identity& id :
         {request_identity{}, request_identity{idempotency_request{"abc"}},
          request_identity{session_request{1, 2, 1}}}) {
      auto f = call_frame();
      f.kind = static_cast<client_call_kind>(k);
      f.identity = id;
      f.max_staleness.reset();
      client_call_frame out;
      ASSERT_TRUE(decode(encoded(f), out));
      EXPECT_EQ(out.kind, f.kind);
      EXPECT_EQ(out.identity.index(), id.index());
      EXPECT_FALSE(out.max_staleness);
    }
}

TEST(client_wire, times_are_rounded_up_and_bounded) {
  auto f = call_frame();
  f.deadline = 1us;
  f.max_staleness = std::chrono::hours{100'000};
  client_call_frame out;
  ASSERT_TRUE(decode(encoded(f), out));
  EXPECT_EQ(out.deadline, 1ms);
  EXPECT_EQ(out.max_staleness, std::chrono::hours{24});
  f.deadline = -5s;
  ASSERT_TRUE(decode(encoded(f), out));
  EXPECT_EQ(out.deadline, 0ms);
}

TEST(client_wire, what_is_over_a_bound_is_refused) {
  client_call_frame out;
  auto f = call_frame();
  f.key = std::string(actor_key_bytes_max + 1, 'k');
  EXPECT_FALSE(decode(encoded(f), out));
  f = call_frame();
  f.argument = bytes(argument_bytes_max + 1);
  EXPECT_FALSE(decode(encoded(f), out));
  f = call_frame();
  f.identity =
      idempotency_request{std::string(idempotency_key_bytes_max + 1, 'i')};
  EXPECT_FALSE(decode(encoded(f), out));
}

TEST(client_wire, a_size_that_the_bytes_do_not_hold_allocates_nothing) {
  // nine fields, call, kind, then a text of 4 GiB
  const bytes huge{0x99, 0x01, 0x00, 0xdb, 0xff, 0xff, 0xff, 0xff, 'a'};
  client_call_frame out;
  EXPECT_FALSE(decode(huge, out));
  const bytes blob{0x92, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x00};
  client_reply_frame reply_out;
  EXPECT_FALSE(decode(blob, reply_out));
}

TEST(client_wire, a_reply_survives_the_wire) {
  client_reply_frame f;
  f.call = 99;
  f.shards = 8;
  f.reply.status = reply_status::rejected;
  f.reply.code = "insufficient_funds";
  f.reply.message = "no";
  f.reply.term = term{4};
  f.reply.index = log_index{17};
  f.reply.leader = at(2);
  f.reply.retry_after = 50ms;
  client_reply_frame out;
  ASSERT_TRUE(decode(encoded(f), out));
  EXPECT_EQ(out.call, 99U);
  EXPECT_EQ(out.shards, 8U);
  EXPECT_EQ(out.reply.code, f.reply.code);
  EXPECT_EQ(out.reply.index, f.reply.index);
  survives_damage(f);
}

TEST(group_view, survives_the_wire) {
  auto v = view_of({app(1), 3}, 9, 2, 5);
  v.learners.push_back({at(4), 1, 250});
  v.committed = log_index{1000};
  v.health = group_health::degraded;
  group_view out;
  ASSERT_TRUE(decode(encoded(v), out));
  EXPECT_EQ(out.group, v.group);
  EXPECT_EQ(out.leader, v.leader);
  EXPECT_EQ(out.voters.size(), 3U);
  EXPECT_EQ(out.learners.at(0).permille, 250);
  EXPECT_EQ(out.health, group_health::degraded);
  EXPECT_EQ(out.number, 5U);
  survives_damage(v);
}

TEST(group_view, too_many_replicas_are_refused) {
  auto v = view_of({app(1), 0}, 1, 1);
  v.voters.assign(1, {at(1), 0, 1000});
  bytes one;
  writer{one}.array(1);
  auto b = encoded(v);
  group_view out;
  ASSERT_TRUE(decode(b, out));
  // The head of the voters' list, a one, becomes 17 and 2^32-1.
  bytes voter;
  writer{voter}.array(4).id(at(1).node).id(at(1).replica).uint(0).uint(1000);
  const auto where =
      std::search(b.begin(), b.end(), voter.begin(), voter.end());
  ASSERT_NE(where, b.end());
  ASSERT_EQ(*(where - 1), one[0]);
  bytes many(b.begin(), where - 1);
  writer{many}.array(17);
  for (int i = 0; i < 17; ++i)
    append(many, voter);
  many.insert(many.end(), where + static_cast<std::ptrdiff_t>(voter.size()),
              b.end());
  EXPECT_FALSE(decode(many, out));
  bytes huge(b.begin(), where - 1);
  writer{huge}.array(UINT32_MAX);
  huge.insert(huge.end(), where, b.end());
  EXPECT_FALSE(decode(huge, out));
}

} // namespace
} // namespace banyan::routing_tests
