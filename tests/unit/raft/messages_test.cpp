#include "network.hpp"

#include <gtest/gtest.h>

namespace banyan::raft_test {
namespace {

using namespace raft;

std::vector<message> one_of_each() {
  const auto a = replica(1);
  const auto b = replica(2);
  configuration c;
  c.voters = {a, b};
  std::vector<log_entry> entries{
      {term{3}, log_index{8}, entry_kind::no_op, {}},
      {term{4}, log_index{9}, entry_kind::command, shared_bytes{to_bytes("x")}},
      {term{4}, log_index{10}, entry_kind::configuration,
       shared_bytes{encode(c)}}};
  std::vector<message_body> bodies{
      pre_vote{UINT64_MAX, term{5}, log_index{9}, term{4}},
      pre_vote_answer{7, true},
      vote{1, log_index{9}, term{4}},
      vote_answer{2, false},
      raft::append{log_index{7}, term{3}, log_index{6}, entries},
      append_answer{log_index{9}, true, log_index{4}, term{2}},
      beat{log_index{8}},
      beat_answer{},
      round_question{3},
      round_answer{4},
      confirm_question{5},
      confirm_answer{6, log_index{9}},
      timeout_now{},
      stopped_leading{term{4}, true},
      probe{},
      raft::sleep{log_index{9}, incarnation{2}},
      sleep_answer{},
      no_such_replica{b.replica}};
  EXPECT_EQ(bodies.size(), std::variant_size_v<message_body>);
  std::vector<message> out;
  for (auto& body : bodies)
    out.push_back({a, b, term{4}, std::move(body)});
  return out;
}

TEST(raft_messages, each_kind_comes_back_as_it_was) {
  for (const auto& m : one_of_each()) {
    const auto wire = encode(m);
    const auto back = decode_message(wire, m.from.node, m.to.node);
    ASSERT_TRUE(back.ok()) << name_of(m.body);
    EXPECT_EQ(back->from, m.from);
    EXPECT_EQ(back->to, m.to);
    EXPECT_EQ(back->term, m.term);
    EXPECT_EQ(back->body.index(), m.body.index());
    EXPECT_EQ(encode(*back), wire) << name_of(m.body);
  }
}

TEST(raft_messages, entries_get_their_index_from_their_place) {
  const auto m = one_of_each()[4];
  const auto back = decode_message(encode(m), m.from.node, m.to.node);
  ASSERT_TRUE(back.ok());
  const auto& entries = std::get<raft::append>(back->body).entries;
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].index, log_index{8});
  EXPECT_EQ(entries[2].index, log_index{10});
  EXPECT_EQ(as_text(entries[1].data.view()), "x");
}

TEST(raft_messages, a_cut_message_is_malformed) {
  for (const auto& m : one_of_each()) {
    const auto wire = encode(m);
    for (std::size_t n = 0; n < wire.size(); ++n)
      EXPECT_FALSE(
          decode_message(const_bytes{wire}.first(n), m.from.node, m.to.node)
              .ok())
          << name_of(m.body) << " cut at " << n;
    auto longer = wire;
    longer.push_back(0);
    EXPECT_FALSE(decode_message(longer, m.from.node, m.to.node).ok());
  }
}

TEST(raft_messages, an_unknown_field_is_skipped) {
  const auto a = replica(1);
  bytes wire;
  writer w{wire};
  w.array(5).uint(6).id(a.replica).id(a.replica).uint(4);
  w.map(2).uint(0).uint(8).uint(9).text("from a later version");
  const auto back = decode_message(wire, a.node, a.node);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::get<beat>(back->body).committed, log_index{8});
}

TEST(raft_messages, a_missing_field_and_an_unknown_kind_are_malformed) {
  const auto a = replica(1);
  for (const bool kind : {false, true}) {
    bytes wire;
    writer w{wire};
    w.array(5).uint(kind ? 18 : 6).id(a.replica).id(a.replica).uint(4);
    w.map(0);
    EXPECT_FALSE(decode_message(wire, a.node, a.node).ok());
  }
}

TEST(raft_messages, indexes_at_the_end_of_numbers_are_malformed) {
  auto m = one_of_each()[4];
  std::get<raft::append>(m.body).prev_index = log_index{UINT64_MAX};
  EXPECT_FALSE(decode_message(encode(m), m.from.node, m.to.node).ok());
}

/// Flipped bytes, whatever they decode to, never hurt a core.
TEST(raft_messages, damaged_bytes_never_abort_a_core) {
  seeded_random random{5};
  configuration c;
  for (unsigned n = 1; n <= 3; ++n)
    c.voters.insert(replica(n));
  const auto originals = one_of_each();
  std::size_t decoded = 0;
  std::vector<effect> out;
  time_point now{std::chrono::hours{1}};
  for (int round = 0; round < 300; ++round) {
    core victim{replica(2), {}, random, {{}, {}, c, {}, {}}, now};
    for (int i = 0; i < 60; ++i) {
      const auto& m = originals[random.below(originals.size())];
      auto wire = encode(m);
      for (auto flips = random.below(3); flips > 0; --flips)
        wire[random.below(wire.size())] =
            static_cast<std::uint8_t>(random.below(256));
      const auto back = decode_message(wire, m.from.node, m.to.node);
      if (!back.ok())
        continue;
      ++decoded;
      // Sometimes past the codec: fields that no wire can carry.
      auto bad = *back;
      if (auto* b = std::get_if<raft::append>(&bad.body);
          b && !b->entries.empty() && random.chance(0.3))
        b->entries[random.below(b->entries.size())].term =
            term{random.below(9)};
      victim.step(now, bad);
      victim.tick(now += 7ms);
      victim.flush(now, out);
      victim.check_invariants();
      for (const auto& e : out)
        if (const auto* p = std::get_if<persist>(&e))
          victim.persisted(now, p->number);
      out.clear();
    }
  }
  EXPECT_GT(decoded, 1000u);
}

} // namespace
} // namespace banyan::raft_test
