// Drains and moves while machines die and links break, on virtual machines: a
// drain comes to its end, no group loses a voter for it, nothing acknowledged
// is lost (DESIGN sections 8 and 12).
#include "sim/drained_world.hpp"

namespace banyan::sim {
namespace {

constexpr auto machines = drained_world::machines;

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
