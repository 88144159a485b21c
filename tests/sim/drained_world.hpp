#pragma once
#include "actors/testing/sim/harm.hpp"
#include "base/codec.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>

namespace banyan::sim {

/// Five machines with one app, `counter`, whose replicas move by orders alone.
class drained_world {
public:
  static constexpr std::size_t machines = 5;
  explicit drained_world(std::uint64_t seed, std::uint32_t shard_count = 3)
      : drained_world{of_seed(seed), shard_count} {}
  /// `how` for that many machines.
  drained_world(world_options how, std::uint32_t shard_count)
      : shards{shard_count}, w{std::move(how)}, h{w}, dice{w.seed} {}
  static world_options of_seed(std::uint64_t seed) {
    world_options o;
    o.seed = seed;
    o.machines = machines;
    return o;
  }

  actors::node_context& context(std::size_t n) {
    return w.at(n).peer().context();
  }
  void begin() {
    add_apps(w.catalog);
    for (const auto& m : w.machines)
      m->boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
    actors::deploy_in d;
    d.spec.name = d.spec.module = "counter";
    d.spec.shards = shards;
    d.spec.replace_after = replace_after;
    if (w.how.regions.size() > 1)
      d.spec.spread = app_spread::regions;
    d.spec.isolation = app_isolation::none;
    bool done = false;
    d.done = [&](const actors::deploy_answer& a) {
      done = true;
      ASSERT_EQ(a.status, reply_status::ok) << a.message;
      app = a.app;
      for (std::uint32_t s = 0; s < shards; ++s)
        w.logs.born({a.app, s}, a.voters[s]);
    };
    caf::anon_send(context(0).supervisor, std::move(d));
    ASSERT_TRUE(w.run_until([&] { return done; }, 10s));
    w.run_for(1s);
  }
  bool all_met() {
    for (const auto& m : w.machines)
      for (const auto& other : w.machines)
        if (other->id() != m->id()
            && (!m->up() || !m->peer().context().members->hears(other->id())))
          return false;
    return true;
  }
  actors::operate_answer operate(std::size_t by, actors::operate_in in) {
    actors::operate_answer out;
    bool done = false;
    in.done = [&](const actors::operate_answer& a) {
      out = a;
      done = true;
    };
    caf::anon_send(context(by).supervisor, std::move(in));
    EXPECT_TRUE(w.run_until([&] { return done; }, 10s));
    return out;
  }
  void drain(std::size_t n, bool keep = false) {
    actors::operate_in in;
    in.what = keep ? operator_wish::keep : operator_wish::drain;
    in.from = w.at(n).id();
    const auto a = operate((n + 1) % machines, std::move(in));
    EXPECT_EQ(a.status, reply_status::ok) << a.message;
  }
  bool votes(std::uint32_t shard, const node_id& who) const {
    const auto* c = w.logs.configuration({app, shard});
    return c != nullptr
           && std::any_of(c->voters.begin(), c->voters.end(),
                          [&](const auto& v) { return v.node == who; });
  }
  /// Every group has three voters, none of them there.
  bool gone(const node_id& who) const {
    for (std::uint32_t s = 0; s < shards; ++s) {
      const auto* c = w.logs.configuration({app, s});
      if (c == nullptr || c->joint() || c->voters.size() != 3 || votes(s, who))
        return false;
    }
    return true;
  }
  bool holds_nothing(std::size_t n) {
    return w.at(n).up() && context(n).replicas.empty();
  }
  /// One command to each of some actors; counts those that were acknowledged.
  void write() {
    for (int key = 0; key < 6; ++key) {
      const auto by = dice.below(machines);
      if (!w.at(by).up() || w.at(by).paused())
        continue;
      call_request r;
      r.app = "counter";
      r.key = "c" + std::to_string(key);
      r.command = "add";
      writer{r.argument}.map(1).text("n").sint(1);
      ++asked[r.key];
      w.at(by).peer().call(std::move(r), [this, k = "c" + std::to_string(key)](
                                             const reply& a, std::uint32_t) {
        acknowledged[k] += a.status == reply_status::ok;
      });
    }
  }
  std::int64_t count(const std::string& key) {
    call_request r;
    r.app = "counter";
    r.key = key;
    r.command = "get";
    r.kind = request_kind::query;
    std::optional<std::int64_t> got;
    w.at(0).peer().call(std::move(r), [&](const reply& a, std::uint32_t) {
      EXPECT_EQ(a.status, reply_status::ok) << a.message;
      reader in{a.result};
      got = in.sint();
    });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(-1);
  }
  void judge() {
    w.run_for(6s); // calls come to their end
    for (const auto& [key, n] : asked) {
      const auto is = count(key);
      EXPECT_GE(is, acknowledged[key]) << key;
      EXPECT_LE(is, n) << key;
    }
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }

  const std::uint32_t shards;
  duration replace_after = 1h; ///< only what is ordered moves
  world w;
  harm h;
  seeded_random dice;
  app_id app;
  std::map<std::string, std::int64_t> asked;
  std::map<std::string, std::int64_t> acknowledged;
};

} // namespace banyan::sim
