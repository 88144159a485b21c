// Drains and moves while machines die and links break, on virtual machines: a
// drain comes to its end, no group loses a voter for it, nothing acknowledged
// is lost (DESIGN sections 8 and 12).
#include "actors/testing/sim/harm.hpp"
#include "base/codec.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

constexpr std::uint32_t shards = 3;
constexpr std::size_t machines = 5;

class drained_world {
public:
  explicit drained_world(std::uint64_t seed)
      : w{world_options{seed, machines, {}, {}, {}}}, h{w}, dice{seed} {}

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
    d.spec.replace_after = 1h; // only what is ordered moves
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

  world w;
  harm h;
  seeded_random dice;
  app_id app;
  std::map<std::string, std::int64_t> asked;
  std::map<std::string, std::int64_t> acknowledged;
};

struct drains : ::testing::TestWithParam<std::uint64_t> {};

TEST_P(drains, come_to_their_end_whatever_dies_meanwhile) {
  drained_world d{GetParam()};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const auto victim = d.dice.below(machines);
  const auto id = d.w.at(victim).id();
  d.drain(victim);
  constexpr fault_kind kinds[] = {fault_kind::kill,      fault_kind::quick_kill,
                                  fault_kind::power_cut, fault_kind::pause,
                                  fault_kind::isolate,   fault_kind::reset,
                                  fault_kind::stall,     fault_kind::slow_disk};
  for (int i = 0; i < 4; ++i) {
    d.write();
    d.w.run_for(d.dice.between(1ms, 300ms));
    fault f;
    f.kind = kinds[d.dice.below(std::size(kinds))];
    f.a = d.dice.below(machines); // a leader, the target or the drained one
    f.b = (f.a + 1) % machines;
    f.lasts = d.dice.between(50ms, 800ms);
    f.dice = d.dice.next();
    static_cast<void>(d.h.begin(f));
  }
  for (int i = 0; i < 10; ++i) {
    d.write();
    d.w.run_for(300ms);
  }
  d.h.heal();
  EXPECT_TRUE(
      d.w.run_until([&] { return d.gone(id) && d.holds_nothing(victim); }, 90s))
      << "machine " << victim << " still holds something";
  // Taken back, it is a place like any other.
  d.drain(victim, true);
  EXPECT_FALSE(d.context(victim).is_drained(id));
  d.judge();
}
INSTANTIATE_TEST_SUITE_P(seeds, drains,
                         ::testing::Range(std::uint64_t{1}, std::uint64_t{25}));

struct moves : ::testing::TestWithParam<std::uint64_t> {};

TEST_P(moves, end_or_leave_the_group_as_it_was) {
  drained_world d{1000 + GetParam()};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  std::size_t from = machines;
  std::size_t to = machines;
  for (std::size_t n = 0; n < machines; ++n)
    (d.votes(0, d.w.at(n).id()) ? from : to) = n;
  actors::operate_in in;
  in.what = operator_wish::move;
  in.app = "counter";
  in.from = d.w.at(from).id();
  in.to = d.w.at(to).id();
  const auto by = d.dice.below(machines);
  const auto a = d.operate(by, std::move(in));
  EXPECT_EQ(a.status, reply_status::ok) << a.message;
  d.write();
  fault f;
  f.kind = fault_kind::kill;
  f.a = d.dice.below(machines);
  f.lasts = d.dice.between(50ms, 800ms);
  d.w.run_for(d.dice.between(1ms, 200ms));
  static_cast<void>(d.h.begin(f));
  d.w.run_for(1s);
  d.write();
  d.h.heal();
  // Who was asked repeats it until it is done, but not behind its own end: then
  // the group may stay as it was, without a learner that nobody needs.
  const bool must = f.a != by;
  EXPECT_TRUE(d.w.run_until(
      [&] {
        const auto* c = d.w.logs.configuration({d.app, 0});
        const bool moved = d.votes(0, d.w.at(to).id());
        return !c->joint() && c->voters.size() == 3 && c->learners.empty()
               && moved != d.votes(0, d.w.at(from).id()) && (moved || !must);
      },
      150s));
  d.judge();
}
INSTANTIATE_TEST_SUITE_P(seeds, moves,
                         ::testing::Range(std::uint64_t{1}, std::uint64_t{9}));

TEST(drain, a_mark_outlives_its_process) {
  drained_world d{77};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  const auto id = d.w.at(2).id();
  d.drain(2);
  d.w.run_for(100ms);
  d.w.at(2).kill(machine::end::power);
  d.w.run_for(500ms);
  d.w.at(2).boot();
  EXPECT_TRUE(d.w.run_until(
      [&] {
        return d.w.at(2).up() && d.gone(id) && d.holds_nothing(2)
               && d.context(0).is_drained(id) && d.context(2).is_drained(id);
      },
      60s));
  d.judge();
}

} // namespace
} // namespace banyan::sim
