// What an instance of a stateless app does with calls: which of them run, and
// what becomes of those that don't.
#include "actors/pure/instance_core.hpp"

#include <gtest/gtest.h>

#include <map>

namespace banyan::instance_tests {
namespace {

const app_id app{std::array<std::uint8_t, 32>{7}};

struct instance_core : ::testing::Test {
  instance_core() {
    core.on_host_up(1, now, out);
    core.use(1, now, out);
    take();
  }

  void ask(std::uint64_t call, duration left = 5s,
           const std::string& command = "greet") {
    request_frame f;
    f.group = {app, 0};
    f.kind = request_kind::query;
    f.key = "-";
    f.command = command;
    f.deadline_left = left;
    core.on_request(call, std::move(f), now, out);
    take();
  }
  /// The next `n` turns at the host end well, `each` after the one before.
  void run(std::size_t n, duration each = 0ms) {
    for (; n > 0 && !at_host.empty(); --n) {
      now += each;
      turn_result r;
      r.key = at_host.front().key;
      r.outcome = turn_outcome::ok;
      r.answer = {0xc0};
      at_host.erase(at_host.begin());
      std::vector<turn_result> list;
      list.push_back(std::move(r));
      core.on_results(std::move(list), now, out);
      take();
    }
  }
  void down(turn_suspects died_of) {
    at_host.clear();
    core.on_host_down(1, died_of, now, out);
    take();
  }
  void tick(duration later) {
    now += later;
    core.on_tick(now, out);
    take();
  }
  void take() {
    for (auto& e : out)
      if (auto* t = std::get_if<instance_turns>(&e)) {
        version = t->version;
        for (auto& o : t->orders)
          at_host.push_back(std::move(o));
      } else if (auto* a = std::get_if<instance_answer>(&e)) {
        EXPECT_EQ(answers.count(a->call), 0U) << "answered twice";
        answers[a->call] = a->reply;
      }
    out.clear();
  }
  reply_status status(std::uint64_t call) {
    const auto a = answers.find(call);
    return a == answers.end() ? reply_status::not_leader : a->second.status;
  }
  static constexpr auto open = reply_status::not_leader; ///< no answer yet

  time_point now = time_point{} + 1h;
  seeded_random random{5};
  std::vector<instance_effect> out;
  std::vector<turn_order> at_host;
  std::uint64_t version = 0;
  std::map<std::uint64_t, reply> answers;
  banyan::instance_core core{app, random};
};

TEST_F(instance_core, calls_run_in_order_and_only_so_many_at_once) {
  for (std::uint64_t c = 1; c <= banyan::instance_core::at_host_max + 3; ++c)
    ask(c);
  ASSERT_EQ(at_host.size(), banyan::instance_core::at_host_max);
  EXPECT_EQ(core.waiting(), 3U);
  EXPECT_TRUE(at_host.front().query) << "nothing that changes a state";
  EXPECT_LT(at_host[0].key.number, at_host[1].key.number);
  EXPECT_EQ(version, 1U);
  run(1);
  EXPECT_EQ(status(1), reply_status::ok);
  EXPECT_EQ(answers[1].result, bytes{0xc0});
  EXPECT_EQ(at_host.size(), banyan::instance_core::at_host_max);
  EXPECT_EQ(core.waiting(), 2U);
}

TEST_F(instance_core, what_the_app_says_is_the_answer) {
  const auto end = [&](turn_outcome o, const char* code, const char* message) {
    turn_result r;
    r.key = at_host.back().key;
    r.outcome = o;
    r.code = code;
    r.message = message;
    at_host.pop_back();
    std::vector<turn_result> list;
    list.push_back(std::move(r));
    core.on_results(std::move(list), now, out);
    take();
  };
  ask(1);
  end(turn_outcome::rejected, "nobody", "say whom");
  EXPECT_EQ(status(1), reply_status::rejected);
  EXPECT_EQ(answers[1].code, "nobody");
  ask(2);
  end(turn_outcome::invalid, "", "greet: argument.name: missing");
  EXPECT_EQ(status(2), reply_status::invalid_argument);
  ask(3);
  end(turn_outcome::failed, "", "it threw");
  EXPECT_EQ(status(3), reply_status::app_failed);
  ask(4);
  end(turn_outcome::unknown_command, "", "no such");
  EXPECT_EQ(status(4), reply_status::not_found);
}

TEST_F(instance_core, what_only_durable_apps_have_is_refused) {
  request_frame f;
  f.kind = request_kind::command;
  f.command = "greet";
  core.on_request(1, f, now, out);
  f.kind = request_kind::open_session;
  core.on_request(2, f, now, out);
  take();
  EXPECT_EQ(status(1), reply_status::invalid_argument);
  EXPECT_EQ(status(2), reply_status::invalid_argument);
  ask(3, 5s, "_ls");
  EXPECT_EQ(status(3), reply_status::invalid_argument);
  EXPECT_TRUE(at_host.empty());
}

// [9] Deadlines travel with requests.
TEST_F(instance_core, an_answer_over_the_limit_is_too_large) {
  for (const std::size_t over : {0, 1}) {
    ask(over + 1);
    turn_result r;
    r.key = at_host.front().key;
    r.outcome = turn_outcome::ok;
    r.answer = bytes(result_bytes_max + over);
    at_host.clear();
    std::vector<turn_result> list;
    list.push_back(std::move(r));
    core.on_results(std::move(list), now, out);
    take();
  }
  EXPECT_EQ(status(1), reply_status::ok);
  EXPECT_EQ(status(2), reply_status::too_large);
}

TEST_F(instance_core, what_would_miss_its_deadline_is_refused) {
  ask(1, 0s);
  EXPECT_EQ(status(1), reply_status::deadline);
  for (std::uint64_t c = 10; c < 20; ++c)
    ask(c);
  run(10, 50ms); // so long a turn takes here
  EXPECT_EQ(core.turn_time(), 50ms);
  for (std::uint64_t c = 20; c < 30; ++c)
    ask(c);
  ask(2, 400ms); // ten are before it
  ASSERT_EQ(status(2), reply_status::overloaded);
  EXPECT_EQ(answers[2].retry_after, 500ms);
  ask(3, 600ms);
  EXPECT_EQ(status(3), open);
}

TEST_F(instance_core, a_full_queue_refuses_with_a_pause) {
  const auto all =
      banyan::instance_core::at_host_max + banyan::instance_core::waiting_max;
  for (std::uint64_t c = 1; c <= all; ++c)
    ask(c);
  EXPECT_EQ(status(all), open);
  ask(all + 1);
  ASSERT_EQ(status(all + 1), reply_status::overloaded);
  EXPECT_EQ(answers[all + 1].retry_after,
            banyan::instance_core::retry_after_min);
}

TEST_F(instance_core, late_in_the_queue_is_deadline) {
  for (std::uint64_t c = 1; c <= banyan::instance_core::at_host_max; ++c)
    ask(c);
  ask(100, 1s);
  ask(101, 3s);
  EXPECT_EQ(core.deadline(), now + 1s);
  tick(1s);
  EXPECT_EQ(status(100), reply_status::deadline);
  EXPECT_EQ(status(101), open);
  now += 2s; // no timer came in between: it is seen as its turn comes
  run(banyan::instance_core::at_host_max);
  EXPECT_EQ(status(101), reply_status::deadline);
  EXPECT_TRUE(at_host.empty()) << "late ones never run";
}

// [8] One crash stays one crash.
TEST_F(instance_core, the_call_that_killed_its_host_is_not_run_again) {
  for (std::uint64_t c = 1; c <= 3; ++c)
    ask(c);
  down({true, at_host[1].key});
  EXPECT_EQ(status(1), reply_status::no_such_replica); // others may
  EXPECT_EQ(status(2), reply_status::app_failed);
  EXPECT_EQ(status(3), reply_status::no_such_replica);
}

TEST_F(instance_core, where_nothing_is_known_the_oldest_is_blamed) {
  for (std::uint64_t c = 1; c <= 3; ++c)
    ask(c);
  down({});
  EXPECT_EQ(status(1), reply_status::app_failed);
  EXPECT_EQ(status(2), reply_status::no_such_replica);
  EXPECT_EQ(status(3), reply_status::no_such_replica);
  turn_result late;
  late.key.number = 1;
  core.on_results({late}, now, out);
  take(); // of a turn that was given up: no second answer
}

TEST_F(instance_core, what_waits_outlives_a_restart_of_its_host) {
  down({true, std::nullopt});
  ask(1);
  tick(500ms);
  EXPECT_EQ(status(1), open);
  core.on_host_up(1, now, out);
  take();
  run(1);
  EXPECT_EQ(status(1), reply_status::ok);
  down({true, std::nullopt});
  ask(2);
  tick(banyan::instance_core::host_patience);
  EXPECT_EQ(status(2), reply_status::no_such_replica);
}

TEST_F(instance_core, a_new_version_takes_the_next_calls) {
  ask(1);
  core.on_host_up(2, now, out);
  core.use(2, now, out);
  take();
  ask(2);
  EXPECT_EQ(version, 2U);
  EXPECT_EQ(core.outstanding(1), 1U);
  EXPECT_EQ(core.outstanding(2), 1U);
  run(2);
  EXPECT_EQ(status(1), reply_status::ok);
  EXPECT_EQ(status(2), reply_status::ok);
}

TEST_F(instance_core, turns_of_a_version_that_goes_are_in_nobodys_way) {
  ask(1);
  run(1, 50ms); // so long one takes
  constexpr auto most = banyan::instance_core::at_host_max;
  for (std::uint64_t c = 10; c < 10 + most; ++c)
    ask(c); // and now they hang
  core.on_host_up(2, now, out);
  core.use(2, now, out);
  take();
  ASSERT_EQ(at_host.size(), most);
  ask(2, 100ms);
  EXPECT_EQ(status(2), open) << "none is before it at its host";
  ASSERT_EQ(at_host.size(), most + 1);
  EXPECT_EQ(version, 2U);
  run(most, 1s); // those say nothing of how long one takes from now on
  EXPECT_EQ(core.turn_time(), 50ms);
}

TEST_F(instance_core, told_to_serve_no_more_it_sends_callers_elsewhere) {
  down({true, std::nullopt});
  ask(1);
  core.use(0, now, out);
  take();
  EXPECT_EQ(status(1), reply_status::no_such_replica);
  ask(2);
  EXPECT_EQ(status(2), reply_status::no_such_replica);
  EXPECT_EQ(core.deadline(), never);
}

} // namespace
} // namespace banyan::instance_tests
