// The log view, a peer's progress, ranks and limits, each alone.
#include "network.hpp"
#include "store/raft/quorum.hpp"

#include <gtest/gtest.h>

namespace banyan::raft_test {
namespace {

using namespace raft;

log_entry entry(std::uint64_t index, std::uint64_t in_term,
                const char* data = "") {
  return {term{in_term}, log_index{index}, entry_kind::command,
          shared_bytes{to_bytes(data)}};
}

TEST(raft_log_view, a_write_vouches_only_for_what_was_not_truncated_since) {
  log_view log{{}, {}};
  log.push(entry(1, 1));
  log.push(entry(2, 1));
  log.ordered(1);
  log.truncate(log_index{2});
  log.push(entry(2, 2));
  log.ordered(2);
  log.synced(1);
  EXPECT_EQ(log.persisted(), log_index{1});
  log.synced(2);
  EXPECT_EQ(log.persisted(), log_index{2});
}

TEST(raft_log_view, trim_keeps_the_term_of_the_base) {
  log_view log{{}, {entry(1, 1), entry(2, 3), entry(3, 3)}};
  log.trim(log_index{2});
  EXPECT_EQ(log.base().index, log_index{2});
  EXPECT_EQ(log.term_at(log_index{2}), term{3});
  EXPECT_FALSE(log.knows(log_index{1}));
  EXPECT_EQ(log.last_index(), log_index{3});
  log.check_invariants();
}

TEST(raft_log_view, the_hint_skips_whole_terms) {
  log_view log{{}, {entry(1, 1), entry(2, 4), entry(3, 4), entry(4, 6)}};
  EXPECT_EQ(log.last_with_term_at_most(log_index{9}, term{5}), log_index{3});
  EXPECT_EQ(log.last_with_term_at_most(log_index{3}, term{3}), log_index{1});
  EXPECT_EQ(log.last_with_term_at_most(log_index{3}, term{0}), log_index{0});
}

TEST(raft_log_view, a_slice_has_a_bound_and_at_least_one_entry) {
  log_view log{{}, {entry(1, 1, "aaaa"), entry(2, 1, "b"), entry(3, 1, "c")}};
  EXPECT_EQ(log.slice(log_index{1}, 9, 2).size(), 1u);
  EXPECT_EQ(log.slice(log_index{1}, 9, 5).size(), 2u);
  EXPECT_EQ(log.slice(log_index{2}, 1, 99).size(), 1u);
  EXPECT_TRUE(log.slice(log_index{4}, 9, 9).empty());
}

TEST(raft_progress, the_window_bounds_appends_and_bytes) {
  flow_limits limits;
  limits.window_appends = 2;
  limits.window_bytes = 10;
  progress p;
  p.next = log_index{1};
  EXPECT_TRUE(p.may_send(limits));
  p.sent(log_index{1}, 1);
  EXPECT_FALSE(p.may_send(limits)); // one probe at a time
  p.acknowledged(log_index{1});
  p.become_replicate();
  p.sent(log_index{2}, 1);
  EXPECT_TRUE(p.may_send(limits));
  p.sent(log_index{3}, 1);
  EXPECT_FALSE(p.may_send(limits)); // two appends
  p.acknowledged(log_index{2});
  EXPECT_TRUE(p.may_send(limits));
  p.sent(log_index{4}, 20);
  p.acknowledged(log_index{3});
  EXPECT_FALSE(p.may_send(limits)); // twenty bytes
  p.acknowledged(log_index{4});
  EXPECT_TRUE(p.may_send(limits));
  EXPECT_EQ(p.next, log_index{5});
}

TEST(raft_quorum, committed_is_the_largest_number_of_a_majority) {
  seeded_random random{3};
  for (int i = 0; i < 2000; ++i) {
    replica_set voters;
    const auto n = 1 + random.below(7);
    std::map<replica_ref, std::uint64_t> reached;
    for (unsigned v = 1; v <= n; ++v) {
      voters.insert(replica(v));
      reached[replica(v)] = random.below(9);
    }
    const auto index =
        quorum::committed(voters, [&](const auto& r) { return reached.at(r); });
    std::size_t at = 0;
    std::size_t above = 0;
    for (const auto& [r, value] : reached) {
      at += value >= index ? 1 : 0;
      above += value > index ? 1 : 0;
    }
    EXPECT_GE(at, n / 2 + 1);
    EXPECT_LT(above, n / 2 + 1);
  }
}

TEST(raft_election_rank, the_region_of_the_lost_leader_comes_first) {
  configuration c;
  for (unsigned n = 1; n <= 5; ++n)
    c.voters.insert(replica(n));
  const auto lost = replica(1).node;
  const auto same_region = [&](const node_id& n) {
    return n == replica(4).node || n == replica(5).node;
  };
  for (std::uint64_t t = 1; t < 20; ++t) {
    std::set<unsigned> ranks;
    for (unsigned n = 2; n <= 5; ++n) {
      const auto rank =
          election_rank(c, replica(n), lost, term{t}, same_region);
      EXPECT_EQ(rank < 2, same_region(replica(n).node));
      ranks.insert(rank);
    }
    EXPECT_EQ(ranks.size(), 4u) << "each voter its own rank";
  }
  EXPECT_EQ(election_rank(c, replica(9), lost, term{1}, same_region), 5u);
}

TEST(raft_election_rank, the_order_turns_with_the_term) {
  configuration c;
  for (unsigned n = 1; n <= 3; ++n)
    c.voters.insert(replica(n));
  std::set<unsigned> seen;
  for (std::uint64_t t = 1; t < 20; ++t)
    seen.insert(election_rank(c, replica(2), replica(1).node, term{t},
                              [](const node_id&) { return false; }));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(raft_configuration, bytes_of_a_contradiction_are_refused) {
  configuration good;
  good.voters = {replica(1), replica(2)};
  good.learners = {replica(3)};
  const auto refuse = [](configuration c) {
    configuration out;
    EXPECT_FALSE(decode(encode(c), out));
  };
  configuration out;
  EXPECT_TRUE(decode(encode(good), out));
  EXPECT_EQ(out, good);
  auto c = good;
  c.voters = {};
  refuse(c);
  c = good;
  c.learners.insert(replica(1)); // voter and learner
  refuse(c);
  c = good;
  c.auto_leave = true; // not joint
  refuse(c);
  c = good;
  c.learners_next.insert(replica(2)); // not on the way out
  refuse(c);
}

/// A leader with nobody else, as the replica would drive it.
struct alone {
  seeded_random random{1};
  time_point now{std::chrono::hours{1}};
  std::unique_ptr<core> c;
  std::vector<effect> out;

  alone() {
    configuration conf;
    conf.voters = {replica(1)};
    c = std::make_unique<core>(replica(1), options{}, random,
                               restart_state{{}, {}, conf, {}, {}}, now);
    c->tick(now);
    settle();
  }
  void settle() {
    for (bool more = true; more;) {
      out.clear();
      c->flush(now, out);
      more = false;
      for (const auto& e : out)
        if (const auto* p = std::get_if<persist>(&e)) {
          c->persisted(now, p->number);
          more = true;
        }
    }
  }
};

TEST(raft_core, many_proposals_are_one_write) {
  alone a;
  ASSERT_TRUE(a.c->leads_committed());
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(a.c->propose(a.now, shared_bytes{to_bytes("x")}).ok());
  a.out.clear();
  a.c->flush(a.now, a.out);
  ASSERT_EQ(a.out.size(), 1u);
  EXPECT_EQ(std::get<persist>(a.out.front()).entries.size(), 1000u);
}

TEST(raft_core, an_entry_over_the_limit_is_refused) {
  alone a;
  const auto r = a.c->propose(a.now, shared_bytes{bytes(entry_bytes_max + 1)});
  ASSERT_FALSE(r.ok());
  EXPECT_EQ(r.error(), propose_errc::too_large);
}

TEST(raft_core, a_pin_holds_the_log) {
  alone a;
  for (int i = 0; i < 4; ++i)
    (void)a.c->propose(a.now, shared_bytes{to_bytes("x")});
  a.settle();
  ASSERT_EQ(a.c->committed_index(), log_index{5});
  const auto pin = a.c->pin(log_index{2});
  EXPECT_EQ(a.c->trim(log_index{5}), log_index{2});
  a.c->unpin(pin);
  EXPECT_EQ(a.c->trim(log_index{5}), log_index{5});
  a.c->check_invariants();
}

TEST(raft_core, a_replica_that_may_not_lead_never_stands) {
  alone a;
  configuration conf;
  conf.voters = {replica(1), replica(2)};
  core c{replica(1), {}, a.random, {{}, {}, conf, {}, {}}, a.now};
  c.set_may_lead(a.now, false);
  for (int i = 0; i < 10; ++i) {
    c.tick(a.now = std::max(a.now, c.deadline()));
    c.flush(a.now, a.out);
  }
  EXPECT_EQ(c.role(), role::follower);
  EXPECT_EQ(c.term(), term{0});
}

// Seed 912898 of raft_simulation: an append and a snapshot in one batch.
TEST(raft_core, an_install_leaves_nothing_older_to_apply) {
  alone a;
  configuration conf;
  conf.voters = {replica(1), replica(2)};
  core c{replica(1), {}, a.random, {{}, {}, conf, {}, {}}, a.now};
  const std::vector<log_entry> entries{entry(1, 1), entry(2, 1), entry(3, 1)};
  c.step(a.now, {replica(2), replica(1), term{1},
                 raft::append{{}, {}, log_index{2}, entries}});
  ASSERT_TRUE(c.install(a.now, {log_index{3}, term{1}, {}}, conf));
  a.out.clear();
  c.flush(a.now, a.out);
  for (const auto& e : a.out)
    EXPECT_FALSE(std::holds_alternative<committed>(e));
  EXPECT_EQ(c.committed_index(), log_index{3});
  EXPECT_EQ(c.log().last_index(), log_index{3});
  c.check_invariants();
}

TEST(raft_core, the_oldest_open_write_is_known) {
  alone a;
  EXPECT_EQ(a.c->oldest_write(), never);
  (void)a.c->propose(a.now, {});
  a.c->flush(a.now, a.out);
  const auto ordered = a.now;
  a.now += 5ms;
  EXPECT_EQ(a.c->oldest_write(), ordered);
}

} // namespace
} // namespace banyan::raft_test
