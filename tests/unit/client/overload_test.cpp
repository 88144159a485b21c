// Several clients that together ask for three times what one peer can do.
#include "tests/unit/client/client_world.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

namespace banyan::test {
namespace {

/// A peer that works on one call after another, late ones as well.
struct slow_peer {
  duration each = 1ms; ///< a call
  duration refusing = 100us;
  std::size_t queue_max = 1'000'000;
  struct job {
    std::size_t client;
    client_send what;
    time_point came;
  };
  std::deque<job> queue;
  time_point busy_until{};
};

struct overload_world {
  static constexpr std::size_t clients = 4;
  slow_peer server;
  std::vector<std::unique_ptr<client_world>> users;
  time_point now{1s};
  std::uint64_t token = 0;
  std::map<std::uint64_t, time_point> asked;
  std::size_t good = 0, late = 0, refused = 0;
  std::vector<duration> took;

  overload_world() {
    for (std::size_t n = 0; n < clients; ++n) {
      users.push_back(std::make_unique<client_world>());
      users.back()->up(1);
    }
  }

  void collect(std::size_t n) {
    auto& u = *users[n];
    for (auto& a : u.answers) {
      const auto since = asked.at(a.token);
      asked.erase(a.token);
      if (a.reply.status == reply_status::ok) {
        ++good;
        took.push_back(now - since);
      } else if (a.reply.status == reply_status::overloaded) {
        ++refused;
      } else {
        ++late;
      }
    }
    u.answers.clear();
    for (auto& s : u.sent)
      if (server.queue.size() < server.queue_max) {
        server.queue.push_back({n, std::move(s), now});
      } else { // refusing takes its time as well
        server.busy_until = std::max(server.busy_until, now) + server.refusing;
        refusals.push_back({n, std::move(s), now});
      }
    u.sent.clear();
  }
  std::deque<slow_peer::job> refusals;

  void serve() {
    while (!refusals.empty()) {
      const auto r = std::move(refusals.front());
      refusals.pop_front();
      users[r.client]->now = now;
      users[r.client]->overloaded(r.what, server.each * 100);
      collect(r.client);
    }
    while (server.busy_until <= now && !server.queue.empty()) {
      const auto j = std::move(server.queue.front());
      server.queue.pop_front();
      server.busy_until = std::max(server.busy_until, now - 1ms) + server.each;
      users[j.client]->now = now;
      users[j.client]->answer(j.what, reply_status::ok, 0, 1);
      collect(j.client);
    }
  }
  /// `rate` calls a millisecond, each with one second.
  void run(duration span, double rate) {
    good = late = refused = 0;
    took.clear();
    double due = 0;
    for (const auto end = now + span; now < end; now += 100us) {
      for (due += rate / 10; due >= 1; due -= 1) {
        const auto n = ++token % clients;
        asked.emplace(token, now);
        users[n]->now = now;
        users[n]->ask(token, "counter", 1s);
        collect(n);
      }
      serve();
      for (std::size_t n = 0; n < clients; ++n)
        if (users[n]->core.deadline() <= now) {
          users[n]->now = now;
          users[n]->core.on_tick(now, users[n]->out);
          users[n]->take();
          collect(n);
        }
    }
  }
};

/// In ms; of the answers to the last `run`.
double p99(overload_world& w) {
  std::sort(w.took.begin(), w.took.end());
  return w.took.empty() ? 0 : to_ms(w.took[w.took.size() * 99 / 100]);
}

void expect_no_collapse(overload_world& w, double p99_max) {
  w.run(3s, 0.8);
  const auto quiet = w.good;
  EXPECT_GE(quiet, 2300U);
  EXPECT_EQ(w.refused + w.late, 0U);
  w.run(2s, 3); // begins
  w.run(10s, 3);
  EXPECT_GE(w.good, 9000U) << w.refused << " refused, " << w.late << " late";
  EXPECT_LE(p99(w), p99_max);
  EXPECT_LE(w.late, 100U);
  w.run(2s, 0.8); // is over
  w.run(3s, 0.8);
  EXPECT_GE(w.good, 2300U);
  EXPECT_EQ(w.refused + w.late, 0U);
  EXPECT_LE(p99(w), 100);
}

TEST(client_overload, three_times_the_load_is_served_as_well_as_once) {
  overload_world w; // by a peer that refuses nothing
  expect_no_collapse(w, 850);
}

TEST(client_overload, a_peer_that_refuses_is_asked_for_what_it_can_do) {
  overload_world w;
  w.server.queue_max = 50;
  expect_no_collapse(w, 1050); // some were refused, and asked again in time
}

} // namespace
} // namespace banyan::test
