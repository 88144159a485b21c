// Actors on the loop: the same actor code under real and virtual time.
#include "actors/loop/coordinator.hpp"
#include "actors/loop/virtual_loop.hpp"
#include "net/io/asio_loop.hpp"

#include <caf/all.hpp>
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

namespace banyan::actors {
namespace {

using tick = caf::atom_constant<caf::atom("tick")>;
using get = caf::atom_constant<caf::atom("get")>;

caf::behavior adder(caf::event_based_actor* self) {
  quiet(self);
  return {[](int a, int b) { return a + b; },
          [](const std::string&) -> int {
            throw std::runtime_error{"on purpose"};
          }};
}

caf::behavior asker(caf::event_based_actor* self, caf::actor server,
                    std::promise<int>* answer) {
  quiet(self);
  self->request(server, caf::infinite, 20, 22).then([=](int sum) {
    answer->set_value(sum);
  });
  return {[](tick) {}};
}

TEST(Coordinator, ActorsAnswerOnAnAsioLoop) {
  io::asio_loop l;
  auto s = make_system(l);
  std::promise<int> answer;
  const auto server = s->get().spawn(adder);
  const auto client = s->get().spawn(asker, server, &answer);
  EXPECT_EQ(answer.get_future().get(), 42);
  EXPECT_EQ(s->shut_down({server, client}), 0u);
}

TEST(Coordinator, ActorsAnswerOnALoopInTheCallersThread) {
  io::asio_loop l{io::asio_loop::thread::caller};
  auto s = make_system(l);
  std::promise<int> answer;
  const auto server = s->get().spawn(adder);
  const auto client = s->get().spawn(asker, server, &answer);
  l.after(1ms, [&] { l.stop(); });
  l.run();
  EXPECT_EQ(answer.get_future().get(), 42);
  EXPECT_EQ(s->shut_down({server, client}), 0u);
}

TEST(Coordinator, ActorsAnswerInVirtualTime) {
  virtual_loop l;
  auto s = make_system(l);
  std::promise<int> answer;
  const auto server = s->get().spawn(adder);
  const auto client = s->get().spawn(asker, server, &answer);
  l.drain();
  EXPECT_EQ(answer.get_future().get(), 42);
  EXPECT_EQ(s->shut_down({server, client}), 0u);
}

TEST(Coordinator, AScopedActorOfAnotherThreadReachesTheLoop) {
  io::asio_loop l;
  auto s = make_system(l);
  const auto server = s->get().spawn(adder);
  {
    caf::scoped_actor self{s->get()};
    int sum = 0;
    self->request(server, std::chrono::seconds(10), 1, 2)
        .receive([&](int x) { sum = x; }, [](caf::error&) { FAIL(); });
    EXPECT_EQ(sum, 3);
  }
  EXPECT_EQ(s->shut_down({server}), 0u);
}

TEST(Coordinator, DelayedMessagesAndRequestTimeoutsFollowVirtualTime) {
  virtual_loop l;
  auto s = make_system(l);
  const auto start = l.now();
  std::vector<double> ticks;
  double timed_out_at = 0;
  const auto silent = s->get().spawn([](caf::event_based_actor* self) {
    quiet(self);
    return caf::behavior{[self](get) { return self->make_response_promise(); }};
  });
  const auto a = s->get().spawn([&](caf::event_based_actor* self) {
    quiet(self);
    self->delayed_send(self, 100ms, tick::value);
    self->request(silent, 250ms, get::value)
        .then([](int) { ADD_FAILURE(); },
              [&](caf::error& e) {
                EXPECT_EQ(e, caf::sec::request_timeout);
                timed_out_at = to_ms(l.now() - start);
              });
    return caf::behavior{[&, self](tick) {
      ticks.push_back(to_ms(l.now() - start));
      if (ticks.size() < 3)
        self->delayed_send(self, 100ms, tick::value);
    }};
  });
  l.run_for(1s);
  EXPECT_EQ(ticks, (std::vector<double>{100, 200, 300}));
  EXPECT_EQ(timed_out_at, 250);
  EXPECT_EQ(s->shut_down({a, silent}), 0u);
}

TEST(Coordinator, WhatNobodyHandlesIsCountedNotPrinted) {
  virtual_loop l;
  auto s = make_system(l);
  const auto a = s->get().spawn(adder);
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  caf::anon_send(a, tick::value);
  caf::anon_send(a, caf::make_error(caf::sec::runtime_error));
  l.drain();
  EXPECT_EQ(s->counters().dropped_messages, 1u);
  EXPECT_EQ(s->counters().dropped_errors, 1u);
  EXPECT_EQ(s->running(), 1u);
  caf::anon_send(a, std::string{"throw"});
  l.drain();
  EXPECT_EQ(s->counters().exceptions, 1u);
  EXPECT_EQ(s->running(), 0u);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

TEST(Coordinator, AoutWritesAtOnceWithoutAThread) {
  virtual_loop l;
  auto s = make_system(l);
  testing::internal::CaptureStdout();
  const auto a = s->get().spawn([](caf::event_based_actor* self) {
    caf::aout(self) << "said at once" << std::endl;
  });
  l.drain();
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "said at once\n");
  EXPECT_EQ(s->shut_down({a}), 0u);
}

TEST(Coordinator, MonitorsAndLinksWork) {
  virtual_loop l;
  auto s = make_system(l);
  caf::error why;
  const auto victim = s->get().spawn(adder);
  const auto watcher = s->get().spawn([&](caf::event_based_actor* self) {
    quiet(self);
    self->monitor(victim);
    self->set_down_handler([&](caf::down_msg& d) { why = d.reason; });
    return caf::behavior{[](tick) {}};
  });
  const auto linked = s->get().spawn([&](caf::event_based_actor* self) {
    quiet(self);
    self->link_to(victim);
    return caf::behavior{[](tick) {}};
  });
  l.drain();
  EXPECT_EQ(s->running(), 3u);
  caf::anon_send_exit(victim, caf::exit_reason::kill);
  l.drain();
  EXPECT_EQ(why, caf::exit_reason::kill);
  EXPECT_EQ(s->running(), 1u);
  EXPECT_EQ(s->shut_down({watcher}), 0u);
}

TEST(Coordinator, TheWatchdogNamesTheActor) {
  struct state {
    const char* name = "slow_actor";
  };
  virtual_loop l;
  auto s = make_system(l);
  std::vector<std::string> names;
  l.watch(5ms, [&](const io::stall& x) { names.emplace_back(x.what); });
  const auto a = s->get().spawn([](caf::stateful_actor<state>* self) {
    quiet(self);
    return caf::behavior{[](tick) {
      const auto end = std::chrono::steady_clock::now() + 8ms;
      while (std::chrono::steady_clock::now() < end) {
      }
    }};
  });
  caf::anon_send(a, tick::value);
  l.drain();
  ASSERT_FALSE(names.empty());
  EXPECT_EQ(names.back(), "slow_actor");
  EXPECT_EQ(s->shut_down({a}), 0u);
}

TEST(Coordinator, SystemsOnOneLoopComeAndGo) {
  virtual_loop l;
  auto lasting = make_system(l);
  const auto server = lasting->get().spawn(adder);
  for (int i = 0; i < 300; ++i) {
    auto s = make_system(l);
    std::promise<int> answer;
    const auto a = s->get().spawn(adder);
    const auto b = s->get().spawn(asker, a, &answer);
    caf::anon_send(a, tick::value); // and a timer that is never reached
    s->get().spawn([](caf::event_based_actor* self) {
      self->delayed_send(self, 1h, tick::value);
    });
    l.drain();
    ASSERT_EQ(answer.get_future().get(), 42);
    ASSERT_EQ(s->shut_down({a, b}), 0u);
  }
  EXPECT_EQ(lasting->running(), 1u);
  EXPECT_EQ(lasting->shut_down({server}), 0u);
}

TEST(Coordinator, SystemsOnARunningAsioLoopComeAndGo) {
  io::asio_loop l;
  for (int i = 0; i < 300; ++i) {
    auto s = make_system(l);
    std::promise<int> answer;
    const auto a = s->get().spawn(adder);
    const auto b = s->get().spawn(asker, a, &answer);
    ASSERT_EQ(answer.get_future().get(), 42);
    ASSERT_EQ(s->shut_down({a, b}), 0u);
  }
}

/// Nodes that beat at each other over a virtual network with random delays;
/// between them only (node, message) travels.
struct world {
  explicit world(std::uint64_t seed, bool shuffle)
      : loop{shuffle ? seed : 0}, random{seed} {}

  void send(std::size_t to, int what) {
    loop.after(random.between(100us, 5ms),
               [this, to, what] { caf::anon_send(nodes[to], what); });
  }

  virtual_loop loop;
  seeded_random random;
  std::vector<caf::actor> nodes;
};

caf::behavior node(caf::event_based_actor* self, world* w, std::size_t me) {
  quiet(self);
  self->delayed_send(self, w->random.between(0ns, 50ms), tick::value);
  return {[=](tick) {
            for (std::size_t i = 0; i < 3; ++i)
              if (i != me)
                w->send(i, static_cast<int>(me));
            self->delayed_send(self, 50ms, tick::value);
          },
          [=](int from) { w->loop.trace(me, from); }};
}

std::uint64_t simulate(std::uint64_t seed, bool shuffle) {
  world w{seed, shuffle};
  std::vector<std::unique_ptr<loop_system>> systems;
  for (std::size_t i = 0; i < 3; ++i) {
    systems.push_back(make_system(w.loop));
    w.nodes.push_back(systems.back()->get().spawn(node, &w, i));
  }
  w.loop.run_for(10s);
  EXPECT_GT(w.loop.traced(), 1000u);
  w.loop.clear_timers();
  const auto nodes = std::exchange(w.nodes, {});
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(systems[i]->shut_down({nodes[i]}), 0u);
  return w.loop.trace_hash();
}

TEST(Coordinator, TheSameSeedGivesTheSameTrace) {
  const auto plain = simulate(1, false);
  EXPECT_EQ(plain, simulate(1, false));
  EXPECT_NE(plain, simulate(2, false));
  EXPECT_EQ(simulate(1, true), simulate(1, true));
  EXPECT_EQ(simulate(7, true), simulate(7, true));
  EXPECT_NE(simulate(1, true), simulate(7, true));
}

TEST(CoordinatorDeathTest, ASystemWithALivingActorDoesNotEndSilently) {
  EXPECT_DEATH(
      {
        virtual_loop l;
        auto s = make_system(l);
        const auto a = s->get().spawn(adder);
        s.reset();
      },
      "running\\(\\) == 0");
}

} // namespace
} // namespace banyan::actors
