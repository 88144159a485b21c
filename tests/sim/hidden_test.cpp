// Machines that nobody can dial, among whole nodes: they vote and they are
// doors, through neighbours that forward what they can't read.
#include "sim/drained_world.hpp"

#include <algorithm>

namespace banyan::sim {
namespace {

struct hidden : ::testing::TestWithParam<std::uint64_t> {
  /// Behind their doors.
  static constexpr std::size_t one = 3;
  static constexpr std::size_t two = 4;

  const net::link_info* link(std::size_t from, std::size_t to) {
    return d.context(from).links->find(d.w.at(to).id());
  }
  std::size_t number_of(const node_id& id) {
    for (std::size_t n = 0; n < drained_world::machines; ++n)
      if (d.w.at(n).id() == id)
        return n;
    return drained_world::machines;
  }
  /// Writes until each counter was acknowledged once more.
  bool all_acknowledged(duration limit) {
    const auto before = d.acknowledged;
    const auto end = d.w.now() + limit;
    while (d.w.now() < end) {
      d.write();
      d.w.run_for(100ms);
      if (std::all_of(d.acknowledged.begin(), d.acknowledged.end(),
                      [&](const auto& a) {
                        const auto i = before.find(a.first);
                        return i != before.end() && a.second > i->second;
                      }))
        return true;
    }
    return false;
  }

  drained_world d{7300 + GetParam()};
};

TEST_P(hidden, voters_commit_and_go_on_through_another_relay) {
  d.w.net.hide(d.w.at(one).host());
  d.w.net.hide(d.w.at(two).host());
  d.begin();
  // Every group votes on both and on one that can be dialled.
  d.drain(0);
  d.drain(1);
  ASSERT_TRUE(d.w.run_until(
      [&] {
        d.write();
        d.w.run_for(100ms);
        return d.gone(d.w.at(0).id()) && d.gone(d.w.at(1).id());
      },
      90s));
  ASSERT_TRUE(d.w.run_until([&] { return link(one, two) != nullptr; }, 10s));
  ASSERT_TRUE(link(one, two)->relayed());
  ASSERT_TRUE(all_acknowledged(10s));
  const auto relay = number_of(link(one, two)->via);
  ASSERT_LT(relay, one);
  EXPECT_GT(d.context(relay).links->counters().relay.bytes, 0U);

  // The third voter and the relay at once: what is left of each group is two
  // voters that hear each other through a neighbour only.
  for (const std::size_t n : {std::size_t{2}, relay}) {
    if (!d.w.at(n).up())
      continue;
    fault f;
    f.kind = fault_kind::kill;
    f.a = n;
    f.lasts = 30s;
    static_cast<void>(d.h.begin(f));
  }
  EXPECT_TRUE(all_acknowledged(10s));
  ASSERT_NE(link(one, two), nullptr);
  EXPECT_TRUE(link(one, two)->relayed());
  EXPECT_NE(number_of(link(one, two)->via), relay);
  for (const auto n : {one, two})
    EXPECT_EQ(d.context(n).members->state_of(d.w.at(n == one ? two : one).id()),
              net::member_state::alive);
  d.h.heal();
  d.w.run_for(5s);
  EXPECT_TRUE(all_acknowledged(10s));
  d.judge();
}

INSTANTIATE_TEST_SUITE_P(seeds, hidden, ::testing::Range<std::uint64_t>(0, 3));

} // namespace
} // namespace banyan::sim
