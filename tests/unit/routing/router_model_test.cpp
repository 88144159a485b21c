// Routers against a model of one group, from seeds: leaders change, nodes die
// and answers are lost. One answer per call; a call keeps its identity; an
// `ok` is only told when the group executed it, once.
#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

namespace banyan::routing_tests {
namespace {

struct world {
  explicit world(std::uint64_t seed) : random{seed} {
    known.put_app(one_group(1, "ledger"));
    directory::app hello;
    hello.id = app(2);
    hello.name = "hello";
    hello.shards = 1;
    hello.born.resize(1);
    hello.stateless = true;
    known.put_app(hello);
    for (std::uint8_t i = 1; i <= 3; ++i)
      known.put_instance(hello.id, node(i), true);
  }

  seeded_random random;
  seeded_random router_random{99};
  directory known;
  router_core core{node(9), known, router_random};
  time_point now{std::chrono::hours{1}};
  group_id g{app(1), 0};

  std::uint8_t leader = 1;
  std::uint64_t term_now = 1;
  bool up[4] = {true, true, true, true};
  std::uint64_t boots[4] = {0, 1, 1, 1};
  std::uint64_t sessions = 100;
  std::set<std::uint64_t> open;
  std::map<std::string, int> executed;              ///< identity → times
  std::map<std::uint64_t, std::set<node_id>> asked; ///< by call
  std::size_t twice = 0; ///< calls that were at two nodes

  struct in_flight {
    node_id from;
    reply_frame f;
  };
  std::deque<in_flight> back;
  std::map<std::uint64_t, std::set<std::string>> given;
  std::map<std::uint64_t, reply_status> answered; ///< token → end
  std::map<std::uint64_t, std::string> ok_body;
  std::vector<router_effect> out;

  static std::string name_of(const request_frame& f) {
    if (const auto* s = std::get_if<session_request>(&f.identity))
      return std::to_string(s->session) + "/" + std::to_string(s->number);
    if (const auto* k = std::get_if<idempotency_request>(&f.identity))
      return k->key;
    return {};
  }

  void answer(const router_send& s, reply r) {
    if (random.chance(0.9))
      back.push_back({s.to, {s.frame.call, std::move(r)}});
  }

  void deliver(const router_send& s) {
    std::uint8_t n = 0;
    for (std::uint8_t i = 1; i <= 3; ++i)
      if (s.to == node(i))
        n = i;
    ASSERT_NE(n, 0);
    reply r;
    if (s.frame.group.app == app(2) || s.frame.max_staleness) {
      ASSERT_EQ(s.frame.kind, request_kind::query);
      twice += asked[s.frame.call].empty() ? 0 : 1;
      asked[s.frame.call].insert(s.to);
    }
    if (!up[n] || random.chance(0.05)) {
      r.status = reply_status::no_such_replica; // as the shell: no link
      back.push_back({s.to, {s.frame.call, std::move(r)}});
      return;
    }
    if (s.frame.group.app == app(2)) {
      if (random.chance(0.1)) // frozen: no answer at all
        return;
      if (random.chance(0.1))
        r.status = random.chance(0.5) ? reply_status::overloaded
                                      : reply_status::deadline;
      return answer(s, std::move(r));
    }
    if (s.frame.max_staleness && random.chance(0.7))
      return answer(s, std::move(r));
    if (n != leader) {
      r.status = reply_status::not_leader;
      if (random.chance(0.5))
        r.leader = at(leader);
      return answer(s, std::move(r));
    }
    if (s.frame.kind == request_kind::open_session) {
      r.session = ++sessions;
      open.insert(r.session);
      return answer(s, std::move(r));
    }
    if (s.frame.kind == request_kind::query)
      return answer(s, std::move(r));
    const auto id = name_of(s.frame);
    ASSERT_FALSE(id.empty()) << "a command without identity was sent";
    auto& call = given[s.frame.call];
    call.insert(id);
    if (const auto* by = std::get_if<session_request>(&s.frame.identity)) {
      ASSERT_LE(by->floor, by->number);
      if (open.count(by->session) == 0) {
        r.status = reply_status::expired;
        return answer(s, std::move(r));
      }
    }
    if (executed.count(id) == 0 && random.chance(0.1)) {
      r.status = reply_status::overloaded;
      return answer(s, std::move(r));
    }
    executed.emplace(id, 0).first->second = 1;
    r.result = to_bytes(id);
    answer(s, std::move(r));
  }

  void drain() {
    while (!out.empty()) {
      const auto list = std::exchange(out, {});
      for (const auto& e : list) {
        if (const auto* s = std::get_if<router_send>(&e)) {
          deliver(*s);
          continue;
        }
        const auto& a = std::get<router_answer>(e);
        ASSERT_TRUE(answered.emplace(a.token, a.reply.status).second)
            << "two answers for call " << a.token;
        if (a.reply.status == reply_status::ok && !a.reply.result.empty())
          ok_body[a.token] = to_text(a.reply.result);
      }
    }
  }

  void one_step(std::uint64_t& tokens) {
    const auto what = random.below(100);
    if (what < 40) {
      call_request c;
      c.token = ++tokens;
      c.app = "ledger";
      c.key = "k" + std::to_string(random.below(5));
      c.command = "go";
      c.deadline = std::chrono::milliseconds{100 + random.below(2000)};
      if (random.chance(0.2))
        c.app = "hello";
      if (random.chance(0.2)) {
        c.kind = request_kind::query;
        if (random.chance(0.5))
          c.max_staleness = 1s;
      } else if (random.chance(0.3)) {
        c.identity = idempotency_request{"key " + std::to_string(tokens)};
      }
      core.call(std::move(c), now, out);
    } else if (what < 80 && !back.empty()) {
      const auto i = random.below(back.size());
      const auto b = back[i];
      back.erase(back.begin() + static_cast<std::ptrdiff_t>(i));
      core.on_reply(b.from, b.f, now, out);
    } else if (what < 84) {
      leader = static_cast<std::uint8_t>(1 + random.below(3));
      ++term_now;
      if (random.chance(0.8)) {
        known.put_view(view_of(g, term_now, leader));
        core.on_view(g, now, out);
      }
    } else if (what < 87) {
      const auto n = static_cast<std::uint8_t>(1 + random.below(3));
      if (std::exchange(up[n], false))
        core.on_link_down(node(n), incarnation{boots[n]}, now, out);
      for (auto i = back.begin(); i != back.end();)
        i = i->from == node(n) ? back.erase(i) : i + 1;
    } else if (what < 92) {
      const auto n = static_cast<std::uint8_t>(1 + random.below(3));
      if (!std::exchange(up[n], true))
        core.on_link_up(node(n), incarnation{++boots[n]}, now, out);
    } else if (what < 93 && random.chance(0.5)) {
      const auto n = node(static_cast<std::uint8_t>(1 + random.below(3)));
      known.put_instance(app(2), n, known.instances(app(2)).count(n) == 0);
      core.on_view(group_id{app(2), 0}, now, out);
    } else if (what < 93 && !open.empty()) {
      open.erase(open.begin()); // the group closes its oldest session
    } else {
      now += std::chrono::milliseconds{random.below(20)};
      core.on_tick(now, out);
    }
    drain();
  }
};

TEST(router_model, one_answer_one_identity_and_no_invented_ok) {
  std::size_t calls = 0;
  std::size_t twice = 0;
  std::map<reply_status, std::size_t> ends;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w{seed};
    std::uint64_t tokens = 0;
    for (int i = 0; i < 3000; ++i) {
      w.one_step(tokens);
      if (testing::Test::HasFatalFailure())
        return;
    }
    for (int i = 0; i < 100'000 && w.core.outstanding() > 0; ++i) {
      w.now = std::max(w.now, w.core.deadline());
      w.core.on_tick(w.now, w.out);
      w.drain();
    }
    ASSERT_EQ(w.core.outstanding(), 0U);
    ASSERT_EQ(w.core.deadline(), never);
    ASSERT_EQ(w.answered.size(), tokens);
    std::set<std::string> used;
    for (const auto& [token, id] : w.ok_body) {
      ASSERT_EQ(w.executed.count(id), 1U) << "an invented ok";
      ASSERT_TRUE(used.insert(id).second) << "one execution for two calls";
    }
    // A call changes its identity only while nothing can have run.
    for (const auto& [call, ids] : w.given) {
      int ran = 0;
      for (const auto& id : ids)
        ran += static_cast<int>(w.executed.count(id));
      ASSERT_LE(ran, 1) << "call " << call << " ran under two identities";
    }
    calls += tokens;
    twice += w.twice;
    for (const auto& [token, s] : w.answered)
      ++ends[s];
  }
  EXPECT_GT(ends[reply_status::ok], calls / 10);
  EXPECT_GT(ends[reply_status::unknown], 0U);
  EXPECT_GT(twice, 0U);
  for (const auto& [s, n] : ends)
    RecordProperty(to_string(s), static_cast<int>(n));
}

} // namespace
} // namespace banyan::routing_tests
