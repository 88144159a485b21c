#include "base/random.hpp"
#include "net/membership/newcomers.hpp"
#include "net/membership/ration.hpp"

#include <gtest/gtest.h>

namespace banyan::net {
namespace {

struct waiting_room : ::testing::Test {
  seeded_random random{5};
  time_point now = time_point{} + 1h;
  newcomers room{newcomers::limits{}};

  node_id somebody() { return node_id{random.array<node_id::size>()}; }
  shared_document record_by(const node_id& sponsor) {
    member_document d;
    d.record.node = somebody();
    d.admitted.emplace().sponsor = sponsor;
    return std::make_shared<const member_document>(std::move(d));
  }
  shared_report voucher_by(const node_id& observer) {
    report r;
    r.observer = observer;
    return std::make_shared<const report>(r);
  }
};

TEST_F(waiting_room, when_full_loses_the_oldest_of_the_greediest_sponsor) {
  const auto modest = somebody();
  const auto greedy = somebody();
  const auto first = record_by(modest);
  room.wait(first, now);
  const auto oldest = record_by(greedy);
  room.wait(oldest, now += 1ms);
  for (std::size_t n = 2; n < room.bounds().waiting_max; ++n)
    room.wait(record_by(greedy), now += 1ms);
  EXPECT_TRUE(room.take_dropped().empty());
  room.wait(record_by(modest), now += 1ms);
  EXPECT_EQ(room.take_dropped(), std::vector{oldest->record.node});
  EXPECT_TRUE(room.document(first->record.node));
  EXPECT_FALSE(room.refused(oldest->record.node, now)); // not its fault
}

TEST_F(waiting_room, drops_and_refuses_for_a_while_whom_nobody_proves) {
  const auto d = record_by(somebody());
  const auto& node = d->record.node;
  room.wait(d, now);
  room.expire(now + room.bounds().patience - 1ms);
  EXPECT_TRUE(room.find(node));
  now += room.bounds().patience;
  room.expire(now);
  EXPECT_FALSE(room.find(node));
  EXPECT_EQ(room.take_dropped(), std::vector{node});
  EXPECT_TRUE(room.refused(node, now));
  EXPECT_FALSE(room.refused(node, now + room.bounds().refused_for));
  room.came_in(node, now); // proved after all
  EXPECT_FALSE(room.refused(node, now));
}

TEST_F(waiting_room, keeps_a_bounded_number_of_names_and_refusals) {
  for (int n = 0; n < 6000; ++n) {
    room.spoken_of(somebody(), now += 1ms);
    room.came_in(somebody(), now);
  }
  EXPECT_LE(room.recent().size(), room.bounds().recent_max);
  const auto last = somebody();
  room.spoken_of(last, now += 1ms);
  EXPECT_TRUE(room.find(last));
  EXPECT_TRUE(room.waiting().empty());
}

TEST_F(waiting_room, dials_a_few_of_each_sponsor_in_turn) {
  const auto sponsor = somebody();
  const auto most = room.bounds().dialled_max;
  for (std::size_t n = 0; n < most; ++n) {
    auto& w = room.wait(record_by(sponsor), now);
    ASSERT_TRUE(room.may_dial(w));
    w.dialled = true;
    w.dialled_at = now;
  }
  const auto next = record_by(sponsor);
  EXPECT_FALSE(room.may_dial(room.wait(next, now)));
  EXPECT_TRUE(room.may_dial(room.wait(record_by(somebody()), now)));
  EXPECT_TRUE(room.end_dials(now + 1s).empty());
  now += room.bounds().dialled_for;
  EXPECT_EQ(room.end_dials(now).size(), most);
  const auto in_turn = room.waiting();
  EXPECT_EQ(in_turn.size(), most + 2);
  EXPECT_TRUE(room.may_dial(*room.find(next->record.node)));
  // Those that were dialled come last.
  EXPECT_EQ(room.find(in_turn[0])->dialled_at, time_point{});
  EXPECT_EQ(room.find(in_turn.back())->dialled_at, now - 5s);
}

TEST_F(waiting_room, asks_others_ever_less_often) {
  room.wait(record_by(somebody()), now);
  std::size_t asked = 0;
  for (int s = 0; s < 60; ++s)
    asked += room.ask(now + s * 1s).names.size();
  EXPECT_EQ(asked, 6U); // after 1, 2, 4, 8, 16 and 32 s
}

TEST_F(waiting_room, asks_for_the_record_of_one_that_two_vouch_for) {
  const auto node = somebody();
  EXPECT_EQ(room.ask_due(), never);
  auto& n = room.spoken_of(node, now);
  EXPECT_EQ(room.ask_due(), now + 1s);
  n.vouchers = {voucher_by(somebody())};
  EXPECT_TRUE(room.ask(now += 1s).records.empty());
  n.vouchers.push_back(voucher_by(somebody()));
  EXPECT_EQ(room.ask(now += 1s).records, std::vector{node});
  EXPECT_TRUE(room.ask(now + 999ms).records.empty());
  const auto due = room.ask_due();
  EXPECT_EQ(room.ask(due).records, std::vector{node});
  room.came_in(node, due);
  EXPECT_TRUE(room.ask(due + 60s).records.empty());
  EXPECT_EQ(room.ask_due(), never);
}

TEST_F(waiting_room, five_places_and_two_observers_prove) {
  const auto a = somebody();
  const auto b = somebody();
  const auto c = somebody();
  rings::of_all places{a, a, a, a, a, a, a, b};
  newcomer n;
  n.vouchers = {voucher_by(a), voucher_by(c)};
  EXPECT_FALSE(proved_by_vouchers(n, places)); // one alone
  n.vouchers.push_back(voucher_by(b));
  EXPECT_TRUE(proved_by_vouchers(n, places));
  places = {a, a, a, b, c, c, c, c};
  n.vouchers = {voucher_by(a), voucher_by(b)};
  EXPECT_FALSE(proved_by_vouchers(n, places)); // four places
}

TEST_F(waiting_room, more_than_half_of_the_neighbours_prove_and_two_at_least) {
  const std::vector<node_id> four{somebody(), somebody(), somebody(),
                                  somebody()};
  newcomer n;
  n.named_by = {four[0], four[1], somebody()};
  EXPECT_FALSE(proved_by_names(n, four));
  n.named_by.insert(four[2]);
  EXPECT_TRUE(proved_by_names(n, four));
  EXPECT_FALSE(proved_by_names(n, {four[0]}));
  EXPECT_FALSE(proved_by_names(n, {}));
}

TEST_F(waiting_room, reports_of_one_observer_are_rationed_by_the_window) {
  report_ration ration{somebody()};
  const auto liar = somebody();
  std::size_t taken = 0;
  for (int i = 0; i < 5000; ++i)
    if (ration.allows(liar, now)) {
      ration.taken(liar);
      ++taken;
    }
  EXPECT_EQ(taken, report_ration::reports_max);
  std::size_t others = 0;
  for (int i = 0; i < 100; ++i)
    others += ration.allows(somebody(), now) ? 1U : 0U;
  EXPECT_GE(others, 98U);
  EXPECT_TRUE(ration.allows(liar, now + report_ration::window));
}

} // namespace
} // namespace banyan::net
