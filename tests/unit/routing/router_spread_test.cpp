// Calls that any of several nodes may answer: stateless apps, stale queries.
#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace banyan::routing_tests {
namespace {

/// With the stateless app `hello` on the nodes 1, 2 and 3.
struct spreading_router : router_at_9 {
  explicit spreading_router(std::uint8_t instances = 3) {
    directory::app a;
    a.id = app(2);
    a.name = "hello";
    a.shards = 1;
    a.born.resize(1);
    a.stateless = true;
    known.put_app(std::move(a));
    for (std::uint8_t n = 1; n <= instances; ++n)
      known.put_instance(app(2), node(n), true);
  }
  static call_request greet() {
    call_request c;
    c.app = "hello";
    c.command = "greet";
    return c;
  }
  static call_request stale(duration bound = 10s) {
    auto q = query();
    q.max_staleness = bound;
    return q;
  }
  void instances_told() {
    input([&](auto& c, auto& out) {
      c.on_view(group_id{app(2), 0}, now, out);
    });
  }
  /// Of calls that are answered at once, one after the other.
  std::map<node_id, int> answered_by(int calls, const call_request& c) {
    std::map<node_id, int> by;
    for (int i = 0; i < calls; ++i) {
      call(c);
      if (sent.size() != 1)
        return {};
      const auto s = sent[0];
      now += 1ms;
      reply_to(s, reply_status::ok);
      if (answers.size() != 1 || answers[0].by != s.to)
        return {};
      ++by[s.to];
    }
    return by;
  }
};

TEST(router, a_stale_query_is_spread_over_voters) {
  spreading_router r;
  r.leads(1, 1);
  auto by = r.answered_by(300, spreading_router::stale());
  EXPECT_EQ(by.size(), 3U);
  for (const auto& [n, calls] : by)
    EXPECT_GT(calls, 50);
  // Who doesn't follow is left out, by the leader's word.
  auto v = view_of(r.g, 1, 1, 2);
  v.voters[2].state = static_cast<std::uint8_t>(replica_state::unreachable);
  r.known.put_view(v);
  by = r.answered_by(100, spreading_router::stale());
  EXPECT_EQ(by.size(), 2U);
  EXPECT_EQ(by.count(node(3)), 0U);
  // One that bears next to nothing, and one that bears nothing.
  for (auto q : {spreading_router::stale(49ms), router_at_9::query()}) {
    by = r.answered_by(50, q);
    ASSERT_EQ(by.size(), 1U);
    EXPECT_EQ(by.begin()->first, node(1));
  }
}

TEST(router, a_voter_whose_state_is_too_old_is_left_alone_for_a_moment) {
  spreading_router r;
  r.leads(1, 1);
  const auto to_a_follower = [&] {
    for (int i = 0; i < 200; ++i) {
      r.call(spreading_router::stale());
      if (r.sent.at(0).to == node(2))
        return true;
      r.reply_to(router_send{r.sent[0]}, reply_status::ok);
    }
    return false;
  };
  ASSERT_TRUE(to_a_follower());
  r.not_leader(router_send{r.sent[0]}, 1, false);
  ASSERT_EQ(r.sent.size(), 1U); // at once, to the leader
  EXPECT_EQ(r.sent[0].to, node(1));
  EXPECT_EQ(r.sent[0].frame.max_staleness, duration{10s});
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  EXPECT_EQ(r.answers.at(0).by, node(1));
  EXPECT_FALSE(to_a_follower());
  r.now += 1s;
  EXPECT_TRUE(to_a_follower());
}

TEST(router, a_silent_voter_gets_no_stale_query) {
  spreading_router r;
  r.leads(1, 1);
  r.known.set_liveness([](const node_id& n) { return n != node(2); });
  auto by = r.answered_by(100, spreading_router::stale());
  EXPECT_EQ(by.size(), 2U);
  EXPECT_EQ(by.count(node(2)), 0U);
  // Nor as the second attempt of a call that is late.
  r.known.set_liveness([](const node_id& n) { return n == node(1); });
  r.call(spreading_router::stale());
  EXPECT_EQ(r.sent.at(0).to, node(1));
  r.tick();
  EXPECT_TRUE(r.sent.empty());
  // With nobody heard it waits at the leader, as any other query.
  r.known.set_liveness([](const node_id&) { return false; });
  by = r.answered_by(10, spreading_router::stale());
  EXPECT_EQ(by.size(), 1U);
}

TEST(router, a_late_leader_is_passed_by_who_was_sent_to_it) {
  for (const bool silent : {false, true}) {
    spreading_router r;
    r.leads(1, 1);
    r.call(spreading_router::stale());
    while (r.sent.at(0).to == node(1)) {
      r.reply_to(router_send{r.sent[0]}, reply_status::ok);
      r.call(spreading_router::stale());
    }
    const auto too_old = r.sent.at(0).to;
    const auto third = too_old == node(2) ? node(3) : node(2);
    if (silent)
      r.known.set_liveness([](const node_id& n) { return n != node(1); });
    r.not_leader(router_send{r.sent[0]}, 1, false);
    if (!silent) { // it has just frozen, and nobody knows yet
      ASSERT_EQ(r.sent.size(), 1U);
      EXPECT_EQ(r.sent[0].to, node(1));
      r.tick();
    }
    ASSERT_EQ(r.sent.size(), 1U);
    EXPECT_EQ(r.sent[0].to, third);
    r.reply_to(router_send{r.sent[0]}, reply_status::ok);
    ASSERT_EQ(r.answers.size(), 1U);
    EXPECT_EQ(r.answers[0].by, third);
  }
}

TEST(router, a_late_call_is_made_elsewhere_as_soon_as_somebody_is_there) {
  spreading_router r{1};
  r.call(spreading_router::greet());
  r.tick();
  EXPECT_TRUE(r.sent.empty());
  r.known.put_instance(app(2), node(2), true);
  r.instances_told();
  const auto until = r.now + 200ms;
  while (r.sent.empty() && r.now < until)
    r.tick();
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(2));
  EXPECT_EQ(r.core.hedges(), 1U);
}

TEST(router, a_stateless_call_goes_to_an_instance_as_a_query) {
  spreading_router r;
  auto c = spreading_router::greet();
  c.identity = idempotency_request{"of no use"};
  c.shard = 7;
  c.max_staleness = 0ms;
  r.call(c);
  ASSERT_EQ(r.sent.size(), 1U);
  const auto& f = r.sent[0].frame;
  EXPECT_EQ(f.group, (group_id{app(2), 0}));
  EXPECT_EQ(f.kind, request_kind::query);
  EXPECT_EQ(f.key, "-");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(f.identity));
  EXPECT_FALSE(f.max_staleness);
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  EXPECT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answered_by(100, spreading_router::greet()).size(), 3U);
}

TEST(router, this_nodes_instance_comes_first) {
  spreading_router r;
  r.known.put_instance(app(2), node(9), true);
  const auto by = r.answered_by(100, spreading_router::greet());
  ASSERT_EQ(by.size(), 1U);
  EXPECT_EQ(by.begin()->first, node(9));
}

TEST(router, the_own_region_comes_first) {
  spreading_router r;
  r.known.set_nearness([](const node_id& n) { return n == node(3); });
  const auto by = r.answered_by(100, spreading_router::greet());
  ASSERT_EQ(by.size(), 1U);
  EXPECT_EQ(by.begin()->first, node(3));
}

TEST(router, when_the_own_region_is_loaded_others_answer_too) {
  spreading_router r;
  r.known.set_nearness([](const node_id& n) { return n == node(3); });
  std::map<node_id, int> at; // none of them ends
  for (int i = 0; i < 60; ++i) {
    r.call(spreading_router::greet());
    ++at[r.sent.at(0).to];
  }
  EXPECT_GT(at[node(3)], 20);
  EXPECT_GT(at[node(1)] + at[node(2)], 20);
}

TEST(router, when_the_own_region_is_gone_another_answers) {
  spreading_router r;
  r.known.set_nearness([](const node_id& n) { return n == node(3); });
  r.call(spreading_router::greet());
  EXPECT_EQ(r.sent.at(0).to, node(3));
  r.known.set_liveness([](const node_id& n) { return n != node(3); });
  r.link_down(3, 0);
  ASSERT_EQ(r.sent.size(), 1U); // what was there, too
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  auto by = r.answered_by(100, spreading_router::greet());
  EXPECT_EQ(by.size(), 2U);
  EXPECT_EQ(by.count(node(3)), 0U);
  r.known.set_liveness(nullptr);
  r.link_up(3);
  r.answered_by(1, spreading_router::greet());
  r.now += 10s; // it has started slowly
  by = r.answered_by(100, spreading_router::greet());
  EXPECT_GT(by[node(3)], 90);
}

TEST(router, the_deadline_travels_with_every_attempt) {
  spreading_router r;
  r.leads(1, 1);
  for (auto c : {spreading_router::greet(), router_at_9::query()}) {
    c.deadline = 3s;
    r.call(c);
    EXPECT_EQ(r.sent.at(0).frame.deadline_left, duration{3s});
    const auto until = r.now + 3s;
    for (int i = 0; i < 20; ++i) {
      r.reply_to(router_send{r.sent[0]}, reply_status::no_such_replica);
      if (r.sent.empty())
        r.tick();
      ASSERT_EQ(r.sent.size(), 1U);
      EXPECT_EQ(r.sent[0].frame.deadline_left, until - r.now);
    }
    EXPECT_LT(r.sent[0].frame.deadline_left, duration{3s});
    r.reply_to(router_send{r.sent[0]}, reply_status::ok);
    EXPECT_EQ(r.core.outstanding(), 0U);
  }
}

TEST(router, without_an_instance_a_call_waits_for_one) {
  spreading_router r{0};
  r.call(spreading_router::greet());
  EXPECT_TRUE(r.sent.empty() && r.answers.empty());
  r.known.put_instance(app(2), node(2), true);
  r.instances_told();
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(2));
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::ok);

  spreading_router none{0};
  none.call(spreading_router::greet());
  while (none.answers.empty() && none.core.deadline() != never)
    none.tick();
  ASSERT_EQ(none.answers.size(), 1U);
  EXPECT_EQ(none.answers[0].reply.status, reply_status::no_quorum);
  EXPECT_NE(none.answers[0].reply.message.find("no instance"),
            std::string::npos);
}

TEST(router, what_a_dead_instance_had_goes_to_another) {
  spreading_router r;
  r.call(spreading_router::greet());
  const auto first = r.sent.at(0).to;
  r.reply_to(router_send{r.sent[0]}, reply_status::no_such_replica);
  ASSERT_EQ(r.sent.size(), 1U);
  const auto second = r.sent[0].to;
  EXPECT_NE(second, first);
  for (std::uint8_t n = 1; n <= 3; ++n)
    if (second == node(n))
      r.link_down(n);
  ASSERT_EQ(r.sent.size(), 1U);
  const auto third = r.sent[0];
  EXPECT_TRUE(third.to != first && third.to != second);
  r.reply_to(third, reply_status::no_such_replica);
  EXPECT_TRUE(r.sent.empty() && r.answers.empty()); // all were tried: a pause
  r.tick();
  ASSERT_EQ(r.sent.size(), 1U);
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::ok);
  EXPECT_EQ(r.core.outstanding(), 0U);
}

TEST(router, a_late_call_is_made_a_second_time_and_the_first_answer_counts) {
  for (const bool stale : {false, true}) {
    spreading_router r;
    r.leads(1, 1);
    r.call(stale ? spreading_router::stale() : spreading_router::greet());
    const auto first = r.sent.at(0);
    const auto began = r.now;
    r.tick();
    EXPECT_EQ(r.now - began, 100ms);
    ASSERT_EQ(r.sent.size(), 1U);
    const auto second = r.sent[0];
    EXPECT_NE(second.to, first.to);
    EXPECT_EQ(second.frame.call, first.frame.call);
    EXPECT_LE(second.frame.deadline_left, 4900ms);
    EXPECT_EQ(r.core.hedges(), 1U);
    // Once: what is next is the end.
    EXPECT_EQ(r.core.deadline(), began + 5s);
    r.reply_to(second, reply_status::ok);
    ASSERT_EQ(r.answers.size(), 1U);
    EXPECT_EQ(r.answers[0].by, second.to);
    r.reply_to(first, reply_status::ok);
    EXPECT_TRUE(r.answers.empty());
    // Who was late is the last choice for a while.
    const auto by = r.answered_by(50, stale ? spreading_router::stale()
                                            : spreading_router::greet());
    EXPECT_EQ(by.count(first.to), 0U);
  }
}

TEST(router, either_attempt_may_fail_while_the_other_goes_on) {
  for (const bool first_fails : {true, false}) {
    spreading_router r;
    r.call(spreading_router::greet());
    const auto first = r.sent.at(0);
    r.tick();
    const auto second = r.sent.at(0);
    r.reply_to(first_fails ? first : second, reply_status::no_such_replica);
    EXPECT_TRUE(r.sent.empty() && r.answers.empty());
    r.reply_to(first_fails ? first : second, reply_status::ok); // nobody's
    EXPECT_TRUE(r.sent.empty() && r.answers.empty());
    r.reply_to(first_fails ? second : first, reply_status::ok);
    ASSERT_EQ(r.answers.size(), 1U);
    EXPECT_EQ(r.core.outstanding(), 0U);
    EXPECT_EQ(r.core.deadline(), never);
  }
}

TEST(router, a_command_is_never_at_two_nodes_by_hedging) {
  spreading_router r;
  r.leads(1, 1);
  for (auto c : {router_at_9::with_key("k1"), router_at_9::query()}) {
    r.call(c);
    ASSERT_EQ(r.sent.size(), 1U);
    const auto until = r.now + 5s;
    while (r.now < until) {
      r.tick();
      EXPECT_TRUE(r.sent.empty());
    }
    EXPECT_EQ(r.answers.size(), 1U);
  }
  EXPECT_EQ(r.core.hedges(), 0U);
}

TEST(router, a_stateless_call_that_may_have_run_never_ends_as_not_executed) {
  spreading_router r{1};
  r.call(spreading_router::greet()); // no answer in time
  while (r.answers.empty())
    r.tick();
  EXPECT_EQ(r.answers[0].reply.status, reply_status::unknown);

  spreading_router died{2};
  died.call(spreading_router::greet());
  died.link_down(died.sent.at(0).to == node(1) ? 1 : 2);
  ASSERT_EQ(died.sent.size(), 1U);
  died.reply_to(router_send{died.sent[0]}, reply_status::deadline);
  ASSERT_EQ(died.answers.size(), 1U);
  EXPECT_EQ(died.answers[0].reply.status, reply_status::unknown);

  spreading_router refused{1};
  refused.call(spreading_router::greet());
  refused.reply_to(router_send{refused.sent.at(0)}, reply_status::deadline);
  EXPECT_EQ(refused.answers.at(0).reply.status, reply_status::deadline);
}

TEST(router, an_overloaded_instance_hands_on_and_all_of_them_say_so) {
  spreading_router r{2};
  r.call(spreading_router::greet());
  reply busy;
  busy.status = reply_status::overloaded;
  busy.retry_after = 300ms;
  const auto first = r.sent.at(0);
  r.reply_to(first, busy);
  ASSERT_EQ(r.sent.size(), 1U);
  const auto second = r.sent[0];
  EXPECT_NE(second.to, first.to);
  r.reply_to(second, busy);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::overloaded);
  EXPECT_EQ(r.answers[0].reply.retry_after, duration{300ms});
}

TEST(router, repeats_are_a_tenth_of_the_calls) {
  spreading_router r;
  std::size_t sends = 0;
  for (int i = 0; i < 3000; ++i) {
    r.call(spreading_router::greet());
    while (!r.sent.empty()) {
      ++sends;
      r.reply_to(router_send{r.sent[0]}, reply_status::no_such_replica);
    }
  }
  EXPECT_GE(sends, 3000U);
  EXPECT_LE(sends, 3000U + 300U + 110U);
}

TEST(router, under_a_total_failure_repeats_are_a_tenth_too) {
  spreading_router r;
  std::size_t sends = 0;
  std::size_t ends = 0;
  const auto refuse_all = [&] {
    std::vector<router_send> list = r.sent;
    ends += r.answers.size();
    while (!list.empty()) {
      const auto s = list.back();
      list.pop_back();
      ++sends;
      r.reply_to(s, reply_status::no_such_replica);
      ends += r.answers.size();
      list.insert(list.end(), r.sent.begin(), r.sent.end());
    }
  };
  const auto begin = r.now;
  for (int i = 0; i < 500; ++i) { // a second of calls, each for five
    r.now = begin + 2ms * i;
    r.call(spreading_router::greet());
    refuse_all();
    while (r.core.deadline() < begin + 2ms * (i + 1)) {
      r.tick();
      refuse_all();
    }
  }
  while (r.core.outstanding() > 0) {
    r.tick();
    refuse_all();
  }
  // A tenth, what a quiet router may do at once, and new of that in 6 s.
  EXPECT_GE(sends, 500U);
  EXPECT_LE(sends, 500U + 50U + 100U + 60U);
  EXPECT_EQ(ends, 500U);
}

TEST(router, an_instance_that_is_back_gets_at_once_what_waits) {
  spreading_router r{1};
  std::size_t waiting = 0;
  for (; waiting < 300; ++waiting) { // three times what the budget gives
    r.call(spreading_router::greet());
    for (int i = 0; i < 5 && !r.sent.empty(); ++i) {
      r.reply_to(router_send{r.sent[0]}, reply_status::no_such_replica);
      r.tick();
    }
    EXPECT_TRUE(r.answers.empty());
  }
  r.known.put_instance(app(2), node(1), false);
  r.known.put_instance(app(2), node(1), true);
  r.instances_told();
  EXPECT_GT(r.sent.size(), 200U);
}

// Or a node's death would fail what the budget doesn't cover.
TEST(router, what_dies_with_its_node_is_moved_whatever_the_budget) {
  spreading_router r{2};
  std::map<node_id, std::size_t> at;
  for (int i = 0; i < 600; ++i) {
    r.call(spreading_router::greet());
    ++at[r.sent.at(0).to];
  }
  EXPECT_GT(at[node(1)], 200U);
  r.link_down(1);
  EXPECT_EQ(r.sent.size(), at[node(1)]);
  for (const auto& s : r.sent)
    EXPECT_EQ(s.to, node(2));
}

TEST(router, what_an_instance_left_waits_until_the_others_have_room) {
  spreading_router r{2};
  r.call(spreading_router::greet());
  r.link_down(r.sent.at(0).to == node(1) ? 1 : 2);
  reply busy;
  busy.status = reply_status::overloaded;
  busy.retry_after = 300ms;
  r.reply_to(router_send{r.sent.at(0)}, busy);
  EXPECT_TRUE(r.answers.empty());
  const auto until = r.now + 1s;
  while (r.sent.empty() && r.now < until)
    r.tick();
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_GE(r.now, until - 700ms);
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::ok);
}

TEST(router, an_app_that_goes_takes_its_spread_calls_along) {
  spreading_router r;
  r.call(spreading_router::greet());
  r.call(spreading_router::greet());
  EXPECT_EQ(r.core.looks(app(2), r.now).size(), 3U);
  r.known.remove_app(app(2));
  r.input([&](auto& c, auto& out) { c.on_app_removed(app(2), r.now, out); });
  EXPECT_EQ(r.answers.size(), 2U);
  EXPECT_EQ(r.core.outstanding(), 0U);
  EXPECT_TRUE(r.core.looks(app(2), r.now).empty());
}

} // namespace
} // namespace banyan::routing_tests
