#pragma once
#include "actors/pure/router_core.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace banyan::routing_tests {

template <class Frame>
[[nodiscard]] bytes encoded(const Frame& f) {
  bytes b;
  encode(f, b);
  return b;
}

/// What is decoded is what was encoded; every other sequence of bytes is
/// refused or is itself a frame.
template <class Frame>
void survives_damage(const Frame& f) {
  const auto good = encoded(f);
  Frame out;
  ASSERT_TRUE(decode(good, out));
  ASSERT_EQ(encoded(out), good);
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(decode(const_bytes{good.data(), n}, out)) << n;
  auto longer = good;
  longer.push_back(0);
  EXPECT_FALSE(decode(longer, out));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    Frame other;
    if (decode(bad, other)) {
      Frame again;
      EXPECT_TRUE(decode(encoded(other), again)) << "bit " << bit;
    }
  }
  seeded_random random{3};
  for (int i = 0; i < 2000; ++i) {
    bytes noise(random.below(80));
    random.fill(noise.data(), noise.size());
    Frame other;
    if (decode(noise, other)) {
      EXPECT_EQ(encoded(other), noise);
    }
  }
}

inline node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

inline app_id app(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return app_id{a};
}

inline replica_ref at(std::uint8_t n) {
  replica_ref r;
  r.node = node(n);
  std::array<std::uint8_t, 16> a{};
  a[0] = n;
  r.replica = replica_id{a};
  return r;
}

/// An app of one group with the voters 1, 2 and 3.
inline directory::app one_group(std::uint8_t id, std::string name) {
  return {app(id), std::move(name), 1, {{at(1), at(2), at(3)}}};
}

inline group_view view_of(const group_id& g, std::uint64_t t,
                          std::uint8_t leader, std::uint64_t number = 1) {
  group_view v;
  v.group = g;
  v.term = term{t};
  if (leader != 0)
    v.leader = at(leader);
  for (std::uint8_t n = 1; n <= 3; ++n)
    v.voters.push_back({at(n), 0, 1000});
  v.number = number;
  return v;
}

/// A router at node 9 with the app `ledger`, and what it said last.
struct router_at_9 {
  directory known;
  seeded_random random{7};
  router_core core{node(9), known, random};
  time_point now{std::chrono::hours{1}};
  group_id g{app(1), 0};
  std::vector<router_send> sent;
  std::vector<router_answer> answers;
  std::uint64_t tokens = 0;

  router_at_9() { known.put_app(one_group(1, "ledger")); }

  template <class F>
  void input(F&& f) {
    std::vector<router_effect> out;
    f(core, out);
    sent.clear();
    answers.clear();
    for (auto& e : out)
      if (auto* s = std::get_if<router_send>(&e))
        sent.push_back(std::move(*s));
      else
        answers.push_back(std::move(std::get<router_answer>(e)));
  }
  static call_request command() {
    call_request c;
    c.app = "ledger";
    c.key = "alice";
    c.command = "deposit";
    return c;
  }
  static call_request with_key(std::string key) {
    auto c = command();
    c.identity = idempotency_request{std::move(key)};
    return c;
  }
  static call_request query() {
    auto c = command();
    c.kind = request_kind::query;
    c.command = "balance";
    return c;
  }
  void call(call_request c) {
    c.token = ++tokens;
    input([&](auto& r, auto& out) { r.call(std::move(c), now, out); });
  }
  void reply_to(const router_send& s, reply r) {
    const auto from = s.to;
    reply_frame f{s.frame.call, std::move(r)};
    input(
        [&](auto& c, auto& out) { c.on_reply(from, std::move(f), now, out); });
  }
  void reply_to(const router_send& s, reply_status status) {
    reply r;
    r.status = status;
    reply_to(s, std::move(r));
  }
  void session_for(const router_send& s, std::uint64_t id) {
    reply r;
    r.session = id;
    reply_to(s, std::move(r));
  }
  void not_leader(const router_send& s, std::uint8_t hint, bool submitted) {
    reply r;
    r.status = reply_status::not_leader;
    if (hint != 0)
      r.leader = at(hint);
    r.submitted = submitted;
    reply_to(s, std::move(r));
  }
  void link_down(std::uint8_t n, std::uint64_t incarnation_at = 4) {
    input([&](auto& c, auto& out) {
      c.on_link_down(node(n), incarnation{incarnation_at}, now, out);
    });
  }
  void link_up(std::uint8_t n, std::uint64_t incarnation_at = 4) {
    input([&](auto& c, auto& out) {
      c.on_link_up(node(n), incarnation{incarnation_at}, now, out);
    });
  }
  void leads(std::uint64_t t, std::uint8_t leader) {
    known.put_view(view_of(g, t, leader));
    input([&](auto& c, auto& out) { c.on_view(g, now, out); });
  }
  void tick_until(time_point t) {
    now = t;
    input([&](auto& c, auto& out) { c.on_tick(now, out); });
  }
  /// To the next thing that is due.
  void tick() { tick_until(core.deadline()); }
};

inline session_request session_in(const router_send& s) {
  return std::get<session_request>(s.frame.identity);
}

} // namespace banyan::routing_tests
