// Each rule of the router by name.
#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace banyan::routing_tests {
namespace {

TEST(router, one_answer_per_call) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::query());
  ASSERT_EQ(r.sent.size(), 1U);
  const auto s = r.sent[0];
  EXPECT_EQ(s.to, node(1));
  r.reply_to(s, reply_status::ok);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].token, r.tokens);
  r.reply_to(s, reply_status::ok); // the same again is nobody's
  EXPECT_TRUE(r.answers.empty() && r.sent.empty());
  EXPECT_EQ(r.core.outstanding(), 0U);
  EXPECT_EQ(r.core.deadline(), never);
}

TEST(router, an_answer_counts_only_from_the_node_that_was_asked) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::query());
  auto forged = r.sent[0];
  forged.to = node(5);
  r.reply_to(forged, reply_status::ok);
  EXPECT_TRUE(r.answers.empty());
}

TEST(router, an_unknown_app_is_not_found) {
  router_at_9 r;
  auto c = router_at_9::command();
  c.app = "nothing";
  r.call(c);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::not_found);
  EXPECT_NE(r.answers[0].reply.message.find("nothing"), std::string::npos);
}

TEST(router, a_frame_that_no_peer_would_decode_never_leaves) {
  router_at_9 r;
  auto c = router_at_9::query();
  c.key = std::string(256, 'k');
  r.call(c);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::invalid_argument);
  c = router_at_9::query();
  c.key.clear();
  r.call(c);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::invalid_argument);
  c = router_at_9::query();
  c.argument.resize(argument_bytes_max + 1);
  r.call(c);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::too_large);
  r.call(router_at_9::with_key(std::string(256, 'i')));
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::invalid_argument);
  r.leads(1, 1);
  c = router_at_9::query();
  c.deadline = std::chrono::hours{1000};
  c.max_staleness = std::chrono::hours{1000};
  r.call(c);
  bytes b;
  encode(r.sent.at(0).frame, b);
  request_frame f;
  EXPECT_TRUE(decode(b, f));
}

TEST(router, above_calls_max_it_is_overloaded_with_a_hint) {
  router_at_9 r;
  r.leads(1, 1);
  for (std::size_t i = 0; i < router_core::calls_max; ++i)
    r.call(router_at_9::query());
  EXPECT_TRUE(r.answers.empty());
  r.call(router_at_9::query());
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::overloaded);
  EXPECT_TRUE(r.answers[0].reply.retry_after.has_value());
}

TEST(router, one_session_is_opened_per_group_and_shared) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::command());
  ASSERT_EQ(r.sent.size(), 1U);
  const auto open = r.sent[0];
  EXPECT_EQ(open.frame.kind, request_kind::open_session);
  r.call(router_at_9::command());
  EXPECT_TRUE(r.sent.empty()); // waits for the same session
  r.session_for(open, 77);
  ASSERT_EQ(r.sent.size(), 2U);
  const auto first = r.sent[0];
  const auto second = r.sent[1];
  EXPECT_EQ(session_in(first).session, 77U);
  EXPECT_EQ(session_in(first).number, 1U);
  EXPECT_EQ(session_in(second).number, 2U);
  EXPECT_EQ(session_in(second).floor, 1U);
  r.reply_to(first, reply_status::ok);
  r.call(router_at_9::command());
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(session_in(r.sent[0]).number, 3U);
  EXPECT_EQ(session_in(r.sent[0]).floor, 2U); // 1 has its answer
}

TEST(router, a_full_window_opens_a_further_session) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::command());
  r.session_for(router_send{r.sent.at(0)}, 5);
  const auto stuck = r.sent.at(0);
  for (std::uint64_t n = 2; n <= router_core::session_window; ++n) {
    r.call(router_at_9::command());
    ASSERT_EQ(session_in(r.sent.at(0)).number, n);
    r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  }
  r.call(router_at_9::command());
  ASSERT_EQ(r.sent.at(0).frame.kind, request_kind::open_session);
  r.session_for(router_send{r.sent[0]}, 6);
  EXPECT_EQ(session_in(r.sent.at(0)).session, 6U);
  EXPECT_EQ(session_in(r.sent[0]).number, 1U);
  r.reply_to(stuck, reply_status::ok); // the first one has room again
  r.call(router_at_9::command());
  EXPECT_EQ(session_in(r.sent.at(0)).session, 5U);
}

TEST(router, the_opening_lasts_as_long_as_a_call_waits_for_it) {
  router_at_9 r;
  auto brief = router_at_9::command();
  brief.deadline = 1s;
  r.call(brief);
  auto patient = router_at_9::command();
  patient.deadline = 60s;
  r.call(patient);
  const auto begin = r.now;
  std::map<std::uint64_t, std::pair<reply_status, duration>> ends;
  r.link_down(1, 0);
  while (r.now < begin + 20s) {
    r.tick();
    for (const auto& a : r.answers)
      ends[a.token] = {a.reply.status, r.now - begin};
    if (!r.sent.empty())
      r.not_leader(router_send{r.sent[0]}, 0, false);
  }
  ASSERT_EQ(ends.size(), 1U); // the patient one still waits
  EXPECT_EQ(ends[1].first, reply_status::deadline);
  EXPECT_EQ(ends[1].second, 1s);
  r.leads(2, 2);
  ASSERT_EQ(r.sent.size(), 1U);
  r.session_for(router_send{r.sent[0]}, 8);
  ASSERT_EQ(r.sent.size(), 1U);
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].token, 2U);
}

TEST(router, a_group_that_refuses_a_session_refuses_the_calls) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::command());
  const auto open = r.sent.at(0);
  r.call(router_at_9::command());
  r.reply_to(open, reply_status::disk_full);
  ASSERT_EQ(r.answers.size(), 2U);
  for (const auto& a : r.answers)
    EXPECT_EQ(a.reply.status, reply_status::disk_full);
  EXPECT_EQ(r.core.outstanding(), 0U);
}

TEST(router, an_expired_session_is_reopened_for_what_was_never_submitted) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::command());
  r.session_for(router_send{r.sent.at(0)}, 5);
  r.reply_to(router_send{r.sent.at(0)}, reply_status::expired);
  ASSERT_EQ(r.sent.size(), 1U);
  ASSERT_EQ(r.sent[0].frame.kind, request_kind::open_session);
  r.session_for(router_send{r.sent[0]}, 6);
  EXPECT_EQ(session_in(r.sent.at(0)).session, 6U);
  r.reply_to(router_send{r.sent[0]}, reply_status::ok);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::ok);
}

TEST(router, expired_after_a_submission_is_unknown) {
  for (const bool own : {true, false}) {
    router_at_9 r;
    r.leads(1, 1);
    if (own) {
      r.call(router_at_9::command());
      r.session_for(router_send{r.sent.at(0)}, 5);
    } else {
      auto c = router_at_9::command();
      c.identity = session_request{5, 1, 1}; // a client's
      r.call(c);
    }
    r.link_down(1);
    r.leads(2, 2);
    ASSERT_EQ(r.sent.size(), 1U);
    r.reply_to(router_send{r.sent[0]}, reply_status::expired);
    ASSERT_EQ(r.answers.size(), 1U);
    EXPECT_EQ(r.answers[0].reply.status, reply_status::unknown);
    EXPECT_TRUE(r.sent.empty());
  }
}

TEST(router, a_callers_own_expired_session_is_told) {
  router_at_9 r;
  r.leads(1, 1);
  auto c = router_at_9::command();
  c.identity = session_request{5, 1, 1};
  r.call(c);
  r.reply_to(router_send{r.sent.at(0)}, reply_status::expired);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::expired);
}

TEST(router, a_not_leader_hint_is_followed_at_once) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::query());
  r.not_leader(router_send{r.sent.at(0)}, 3, false);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(3));
}

TEST(router, hints_are_followed_after_a_long_election_too) {
  router_at_9 r;
  r.call(router_at_9::query());
  for (int i = 0; i < 20; ++i) { // pauses are at their longest now
    r.not_leader(router_send{r.sent.at(0)}, 0, false);
    r.tick();
  }
  const std::uint8_t hint = r.sent.at(0).to == node(3) ? 2 : 3;
  r.not_leader(router_send{r.sent[0]}, hint, false);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(hint));
}

TEST(router, two_that_name_each_other_do_not_spin) {
  router_at_9 r;
  r.leads(1, 1);
  const auto begin = r.now;
  r.call(router_at_9::query());
  std::size_t asked = 0;
  while (r.core.outstanding() > 0) {
    if (r.sent.empty()) {
      r.tick();
      continue;
    }
    ++asked;
    const auto s = r.sent[0];
    r.not_leader(s, s.to == node(1) ? 2 : 1, false);
  }
  EXPECT_EQ(r.now - begin, 5s);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::deadline);
  EXPECT_LT(asked, 1000U); // in 5 s; the pauses grow to 50 ms
}

TEST(router, pauses_grow_to_fifty_milliseconds) {
  router_at_9 r;
  r.call(router_at_9::query());
  duration longest{};
  for (int i = 0; i < 20; ++i) {
    r.reply_to(router_send{r.sent.at(0)}, reply_status::no_such_replica);
    ASSERT_TRUE(r.sent.empty());
    const auto pause = r.core.deadline() - r.now;
    EXPECT_GE(pause, 1ms);
    EXPECT_LE(pause, 50ms);
    longest = std::max(longest, pause);
    r.tick();
  }
  EXPECT_GT(longest, 25ms);
  EXPECT_EQ(r.core.retries(), 20U);
}

TEST(router, without_a_leader_every_voter_is_asked_in_turn) {
  router_at_9 r;
  r.call(router_at_9::query());
  std::set<node_id> asked;
  for (int i = 0; i < 3; ++i) {
    asked.insert(r.sent.at(0).to);
    r.not_leader(router_send{r.sent[0]}, 0, false);
    r.tick();
  }
  EXPECT_EQ(asked.size(), 3U);
}

// It says nothing, and no link ends: the call would be there until its end.
TEST(router, who_is_silent_is_not_asked_who_leads) {
  router_at_9 r;
  r.leads(1, 1);
  r.known.set_liveness([](const node_id& n) { return n != node(2); });
  r.call(router_at_9::query());
  r.reply_to(router_send{r.sent.at(0)}, reply_status::no_such_replica);
  std::set<node_id> asked;
  for (int i = 0; i < 10; ++i) {
    r.tick();
    asked.insert(r.sent.at(0).to);
    r.not_leader(router_send{r.sent[0]}, 0, false);
  }
  EXPECT_EQ(asked, (std::set<node_id>{node(1), node(3)}));
  r.known.set_liveness([](const node_id&) { return false; });
  r.tick();
  EXPECT_EQ(r.sent.size(), 1U); // one of them may be back before we hear it
}

TEST(router, a_dead_link_is_named_and_the_same_identity_goes_elsewhere) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  const auto first = r.sent.at(0);
  EXPECT_FALSE(first.frame.outstanding);
  r.link_down(1, 42);
  EXPECT_TRUE(r.answers.empty());
  r.tick();
  ASSERT_EQ(r.sent.size(), 1U);
  const auto again = r.sent[0];
  EXPECT_NE(again.to, node(1));
  EXPECT_EQ(again.frame.call, first.frame.call);
  EXPECT_EQ(std::get<idempotency_request>(again.frame.identity).key, "k1");
  ASSERT_TRUE(again.frame.outstanding);
  EXPECT_EQ(again.frame.outstanding->node, node(1));
  EXPECT_EQ(again.frame.outstanding->incarnation, incarnation{42});
}

TEST(router, silence_is_no_death) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  r.link_down(1, 0);
  r.leads(2, 2);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_FALSE(r.sent[0].frame.outstanding);
}

TEST(router, a_query_has_nothing_outstanding) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::query());
  r.link_down(1);
  r.leads(2, 2);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_FALSE(r.sent[0].frame.outstanding);
  r.reply_to(router_send{r.sent[0]}, reply_status::deadline);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::deadline);
}

TEST(router, a_node_back_in_a_new_incarnation_lost_what_it_was_asked) {
  router_at_9 r;
  r.link_up(1, 4);
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  r.link_up(1, 4); // another link of the same boot
  EXPECT_TRUE(r.sent.empty());
  r.link_up(1, 5);
  while (r.sent.empty())
    r.tick();
  ASSERT_TRUE(r.sent[0].frame.outstanding);
  EXPECT_EQ(r.sent[0].frame.outstanding->incarnation, incarnation{4});
}

TEST(router, a_view_wakes_waiting_calls) {
  router_at_9 r;
  r.call(router_at_9::query());
  r.not_leader(router_send{r.sent.at(0)}, 0, false);
  EXPECT_TRUE(r.sent.empty());
  r.leads(3, 2);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(2));
}

TEST(router, a_view_moves_calls_from_an_old_leader_that_is_silent) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  const auto first = r.sent.at(0);
  r.leads(2, 2);
  ASSERT_EQ(r.sent.size(), 1U);
  EXPECT_EQ(r.sent[0].to, node(2));
  EXPECT_EQ(std::get<idempotency_request>(r.sent[0].frame.identity).key, "k1");
  const auto second = r.sent[0];
  r.reply_to(first, reply_status::ok); // dropped: the second answer counts
  EXPECT_TRUE(r.answers.empty());
  r.reply_to(second, reply_status::deadline); // the first may have run
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::unknown);
}

TEST(router, a_link_that_comes_up_wakes_the_calls_of_its_groups_only) {
  router_at_9 r;
  r.call(router_at_9::query());
  r.not_leader(router_send{r.sent.at(0)}, 0, false);
  r.link_up(8);
  EXPECT_TRUE(r.sent.empty());
  r.link_up(2);
  EXPECT_EQ(r.sent.size(), 1U);
}

TEST(router, a_call_that_no_leader_saw_ends_with_deadline) {
  router_at_9 r;
  r.call(router_at_9::with_key("k1"));
  const auto until = r.now + 5s;
  r.not_leader(router_send{r.sent.at(0)}, 0, false);
  r.tick_until(until);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::deadline);
}

TEST(router, a_call_that_a_leader_may_have_ends_with_unknown) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  r.tick_until(r.now + 5s);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::unknown);

  r.call(router_at_9::with_key("k2"));
  r.not_leader(router_send{r.sent.at(0)}, 0, true);
  r.tick_until(r.now + 5s);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::unknown);
}

TEST(router, no_quorum_is_told_when_a_leader_or_the_view_says_so) {
  router_at_9 r;
  r.leads(1, 1);
  r.call(router_at_9::with_key("k1"));
  r.reply_to(router_send{r.sent.at(0)}, reply_status::no_quorum);
  EXPECT_TRUE(r.answers.empty()); // it may come back in time
  r.tick_until(r.now + 5s);
  EXPECT_EQ(r.answers.at(0).reply.status, reply_status::no_quorum);

  r.call(router_at_9::command()); // also while it waits for a session
  r.reply_to(router_send{r.sent.at(0)}, reply_status::no_quorum);
  const auto until = r.now + 5s;
  r.tick_until(until);
  ASSERT_EQ(r.answers.size(), 1U);
  EXPECT_EQ(r.answers[0].reply.status, reply_status::no_quorum);
}

// All that waited out a failover come at once: what is too much then is not
// what their callers sent.
TEST(router, who_waited_out_a_failover_waits_for_room_too) {
  for (const bool in_time : {true, false}) {
    router_at_9 r;
    r.leads(1, 1);
    r.call(router_at_9::query());
    r.link_down(1);
    r.leads(2, 2);
    reply busy;
    busy.status = reply_status::overloaded;
    busy.retry_after = 300ms;
    r.reply_to(router_send{r.sent.at(0)}, busy);
    EXPECT_TRUE(r.sent.empty() && r.answers.empty());
    EXPECT_GE(r.core.deadline(), r.now + 300ms);
    if (in_time) {
      r.tick();
      ASSERT_EQ(r.sent.size(), 1U);
      r.reply_to(router_send{r.sent[0]}, reply_status::ok);
      EXPECT_EQ(r.answers.at(0).reply.status, reply_status::ok);
      continue;
    }
    std::size_t asked = 0;
    while (r.answers.empty())
      if (r.sent.empty()) {
        r.tick();
      } else {
        ++asked;
        r.reply_to(router_send{r.sent[0]}, busy);
      }
    EXPECT_LT(asked, 17U); // in 5 s
    EXPECT_EQ(r.answers[0].reply.status, reply_status::overloaded);
    EXPECT_TRUE(r.answers[0].reply.retry_after);
  }
}

TEST(router, what_may_have_run_never_ends_as_not_executed) {
  for (const auto s :
       {reply_status::parked, reply_status::stopped, reply_status::disk_full,
        reply_status::deadline, reply_status::overloaded}) {
    router_at_9 r;
    r.leads(1, 1);
    r.call(router_at_9::with_key("k1"));
    r.link_down(1);
    r.leads(2, 2);
    r.reply_to(router_send{r.sent.at(0)}, s);
    while (r.answers.empty()) {
      if (r.sent.empty())
        r.tick();
      else
        r.reply_to(router_send{r.sent[0]}, s);
    }
    EXPECT_EQ(r.answers[0].reply.status, reply_status::unknown) << to_string(s);
  }
}

TEST(router, a_leaders_verdict_is_passed_on) {
  for (const auto s : {reply_status::rejected, reply_status::overloaded,
                       reply_status::conflict, reply_status::poisoned,
                       reply_status::parked, reply_status::too_large}) {
    router_at_9 r;
    r.leads(1, 1);
    r.call(router_at_9::with_key("k1"));
    r.reply_to(router_send{r.sent.at(0)}, s);
    EXPECT_EQ(r.answers.at(0).reply.status, s);
  }
}

TEST(router, a_stale_query_prefers_this_node) {
  router_at_9 r;
  auto app = one_group(2, "near");
  app.born[0].push_back(at(9));
  r.known.put_app(app);
  r.g = {routing_tests::app(2), 0};
  auto v = view_of(r.g, 1, 1);
  v.voters.push_back({at(9), 0, 1000});
  r.known.put_view(v);
  auto q = router_at_9::query();
  q.app = "near";
  r.call(q);
  EXPECT_EQ(r.sent.at(0).to, node(1)); // linearizable: the leader
  q.max_staleness = 10s;
  r.call(q);
  EXPECT_EQ(r.sent.at(0).to, node(9));
  r.not_leader(router_send{r.sent[0]}, 1, false); // too stale here
  EXPECT_EQ(r.sent.at(0).to, node(1));
}

TEST(router, a_removed_app_ends_its_calls) {
  router_at_9 r;
  r.call(router_at_9::query()); // waits
  r.not_leader(router_send{r.sent.at(0)}, 0, false);
  r.call(router_at_9::command());      // waits for a session
  r.call(router_at_9::with_key("k1")); // may have run
  r.input([&](auto& c, auto& out) { c.on_app_removed(app(1), r.now, out); });
  std::map<std::uint64_t, reply_status> ends;
  for (const auto& a : r.answers)
    ends[a.token] = a.reply.status;
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_EQ(ends[1], reply_status::not_found);
  EXPECT_EQ(ends[2], reply_status::not_found);
  EXPECT_EQ(ends[3], reply_status::unknown);
  EXPECT_EQ(r.core.outstanding(), 0U);
  EXPECT_EQ(r.core.deadline(), never);
}

// One alarm per call under way, none of calls that are over: else a busy peer
// would keep those of seconds, and wake for each.
TEST(router, a_million_calls_leave_nothing_behind) {
  router_at_9 r;
  r.leads(1, 1);
  std::vector<router_effect> out;
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < 1'000'000; ++i) {
    auto c = router_at_9::with_key("k");
    c.token = i;
    c.deadline = 600s;
    r.core.call(std::move(c), r.now, out);
    const auto s = std::get<router_send>(out.at(0));
    out.clear();
    r.core.on_reply(s.to, reply_frame{s.frame.call, {}}, r.now, out);
    out.clear();
    r.now += 1us;
  }
  RecordProperty(
      "ns_per_call",
      std::to_string((std::chrono::steady_clock::now() - begin).count()
                     / 1'000'000));
  EXPECT_EQ(r.core.outstanding(), 0U);
  EXPECT_EQ(r.core.deadline(), never);
}

} // namespace
} // namespace banyan::routing_tests
