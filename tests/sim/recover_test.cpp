// A majority of a group's voters is lost for good, on whole nodes (DESIGN
// section 8): what a recovery keeps, that its report says exactly that, and
// what becomes of two recoveries that don't know of each other.
#include "sim/counters.hpp"

namespace banyan::sim {
namespace {

struct recoveries : counters {
  /// Its disk is gone, and whoever starts there is a new member.
  void lose(std::size_t n) {
    w().at(n).kill(machine::end::power);
    w().at(n).wipe();
  }
  bool conflict_everywhere() {
    for (const auto n : up())
      if (context(n).lineage_conflicts.count(group) == 0)
        return false;
    return true;
  }
  bool conflict_anywhere() {
    for (const auto n : up())
      if (context(n).lineage_conflicts.count(group) != 0)
        return true;
    return false;
  }
  /// Of two recoveries, one after the other: the first one's group is lost,
  /// too. The machine that the second went on from, and both documents.
  struct chain {
    std::size_t survivor = 0;
    app_recovery first, second;
    std::vector<std::size_t> of_birth; ///< old voters that are down
  };
  chain recover_twice() {
    chain c;
    const auto v = voters();
    c.of_birth = {v[1], v[2]};
    w().accept_loss(group);
    for (const auto n : c.of_birth)
      w().at(n).kill(machine::end::power);
    c.first = recover(v[0]);
    EXPECT_TRUE(w().run_until([&] { return whole(); }, 60s));
    const auto now = voters();
    c.survivor = now[0] == v[0] ? now[1] : now[0];
    for (const auto n : now)
      if (n != c.survivor)
        w().at(n).kill(machine::end::power);
    c.second = recover(c.survivor);
    EXPECT_EQ(c.second.parent, c.first.lineage);
    return c;
  }
  /// In which line that machine's replica goes on after a start.
  std::optional<lineage_id> noted(std::size_t n) {
    lineage_id l;
    for (const auto& [name, value] : documents(n, document_kind::recovered))
      if (lineage_id::from(value.view(), l))
        return l;
    return std::nullopt;
  }
  bool has_no_replica(std::size_t n) {
    return context(n).replicas.empty()
           && documents(n, document_kind::replica).empty();
  }
};

// Both that had the last writes are lost, and come back as new members who
// learn of the recovery before they learn of the app.
TEST_F(recoveries, go_on_from_one_that_was_behind_and_say_what_they_kept) {
  begin(3);
  EXPECT_EQ(plan(0).status, reply_status::conflict);
  EXPECT_NE(plan(0).message.find("nothing is lost"), std::string::npos);
  const auto v = voters();
  const auto survivor = v[2];
  std::map<log_index, std::int64_t> at;
  std::int64_t sum = 0;
  for (int i = 0; i < 7; ++i)
    at[add(v[0])] = ++sum;
  w().run_for(500ms);
  apart({survivor}, {v[0], v[1]});
  for (int i = 0; i < 5; ++i)
    at[add(v[0])] = ++sum;
  const auto self = ref(survivor);
  const std::vector<replica_ref> gone{ref(v[0]), ref(v[1])};
  w().accept_loss(group);
  lose(v[0]);
  lose(v[1]);
  heal();
  const auto kept = recover(survivor);
  EXPECT_EQ(kept.survivor, self);
  EXPECT_EQ(kept.asked, std::vector{self});
  EXPECT_EQ(kept.silent.size(), 2U);
  for (const auto& r : gone)
    EXPECT_EQ(std::count(kept.silent.begin(), kept.silent.end(), r), 1);
  EXPECT_LE(kept.committed, kept.last);
  const auto must = std::prev(at.upper_bound(kept.last))->second;
  EXPECT_EQ(must, 7) << "the cut came after the seventh";
  ASSERT_TRUE(w().run_until([&] { return value(survivor) == must; }, 10s));
  add(survivor);
  EXPECT_EQ(events(survivor, event_kind::recovered), 1U);
  for (const auto n : {v[0], v[1]})
    w().at(n).boot();
  ASSERT_TRUE(w().run_until([&] { return all_met() && whole(); }, 60s));
  expect_everywhere(must + 1);
  // From now on it is a group like any other.
  w().at(voters()[0]).kill(machine::end::power);
  w().run_for(1s);
  add(up()[0]);
  expect_everywhere(must + 2);
}

// A command that no majority had, and that nobody was answered for.
TEST_F(recoveries, keep_what_only_the_survivor_had_and_count_it) {
  begin(3);
  const auto v = voters();
  log_index last;
  for (int i = 0; i < 3; ++i)
    last = add(v[0]);
  w().run_for(500ms);
  apart({v[0]}, {v[1], v[2]});
  w().accept_loss(group);
  EXPECT_NE(call(v[0], "add", 10).status, reply_status::ok);
  lose(v[1]);
  lose(v[2]);
  const auto kept = recover(v[0]);
  EXPECT_GT(kept.last, last);
  ASSERT_TRUE(w().run_until([&] { return value(v[0]) == 13; }, 10s));
}

// They believe in what they knew; what they hear says better.
TEST_F(recoveries, end_those_that_come_back_after_all) {
  begin(5);
  const auto v = voters();
  for (int i = 0; i < 4; ++i)
    add(v[0]);
  w().run_for(500ms);
  w().accept_loss(group);
  w().at(v[0]).kill(machine::end::power);
  w().at(v[1]).kill(machine::end::power);
  recover(v[2]);
  ASSERT_TRUE(w().run_until([&] { return whole(); }, 60s));
  add(v[2], 10);
  for (const auto n : {v[0], v[1]})
    w().at(n).boot();
  ASSERT_TRUE(w().run_until(
      [&] { return has_no_replica(v[0]) && has_no_replica(v[1]); }, 20s));
  for (const auto n : {v[0], v[1]})
    reboot(n);
  ASSERT_TRUE(w().run_until([&] { return all_met() && whole(); }, 20s));
  expect_everywhere(14);
  EXPECT_TRUE(has_no_replica(v[0]) && has_no_replica(v[1]));
}

// ---- however they arrive ---------------------------------------------------

TEST_F(recoveries, that_arrive_the_wrong_way_round_end_the_same_replicas) {
  begin(5);
  add(0, 5);
  w().run_for(500ms);
  const auto c = recover_twice();
  for (const bool newest_first : {true, false}) {
    const auto n = c.of_birth[newest_first ? 0 : 1];
    w().at(n).boot();
    apart({n}, up());
    w().run_for(1s);
    ASSERT_EQ(context(n).replicas.size(), 1U);
    const auto& one = newest_first ? c.second : c.first;
    const auto& two = newest_first ? c.first : c.second;
    for (const auto* r : {&one, &two, &one}) {
      tell(n, c.survivor, recovery_told{sign(*r)});
      w().run_for(200ms);
    }
    EXPECT_TRUE(has_no_replica(n));
    reboot(n);
    w().run_for(1s);
    EXPECT_TRUE(has_no_replica(n)) << "it speaks again after a restart";
  }
  heal();
  ASSERT_TRUE(w().run_until([&] { return all_met() && whole(); }, 60s));
  expect_everywhere(5);
}

// One that the survivor has, and one that leads nowhere.
TEST_F(recoveries, that_change_nothing_leave_the_group_as_it_is) {
  begin(5);
  add(0, 5);
  w().run_for(500ms);
  const auto c = recover_twice();
  for (const auto n : c.of_birth)
    w().at(n).boot();
  ASSERT_TRUE(w().run_until([&] { return whole(); }, 60s));
  const auto term = view(c.survivor)->term;
  auto nowhere = c.first;
  nowhere.lineage = lineage_id{w().random.array<16>()};
  nowhere.survivor = ref(c.survivor);
  for (const auto& r : {c.second, c.first, nowhere})
    for (const auto n : up())
      tell(n, c.survivor, recovery_told{sign(r)});
  w().run_for(5s);
  EXPECT_FALSE(conflict_anywhere()) << "the first one was decided for";
  EXPECT_TRUE(whole());
  EXPECT_EQ(view(c.survivor)->term, term);
  expect_everywhere(5);
}

TEST_F(recoveries, signed_by_a_stranger_are_refused_and_not_passed_on) {
  begin(3);
  const auto v = voters();
  w().accept_loss(group);
  lose(v[1]);
  lose(v[2]);
  actors::recover_answer planned;
  ASSERT_TRUE(w().run_until(
      [&] {
        planned = plan(v[0]);
        return planned.shards.size() == 1;
      },
      30s));
  const auto stranger = identity::generate(w().random);
  const auto forged =
      signed_document::make(stranger, sign_kind::recovery, owner().mesh, 1,
                            planned.shards[0].encode());
  actors::recover_in m;
  m.documents = {forged};
  const auto a = answered<actors::recover_answer>(v[0], std::move(m));
  EXPECT_EQ(a.status, reply_status::forbidden);
  EXPECT_NE(a.message.find("only the app's owner"), std::string::npos);
  tell(v[0], v[1], recovery_told{forged}); // nor from another peer
  w().run_for(2s);
  EXPECT_TRUE(documents(v[0], document_kind::recovery).empty());
  EXPECT_EQ(value(v[0]), -1);
}

// ---- two of them -----------------------------------------------------------

TEST_F(recoveries,
       made_on_both_sides_of_a_cut_conflict_until_the_owner_decides) {
  begin(5);
  const auto v = voters();
  std::vector<std::size_t> others;
  for (std::size_t n = 0; n < 5; ++n)
    if (std::find(v.begin(), v.end(), n) == v.end())
      others.push_back(n);
  add(v[0], 100);
  w().run_for(500ms);
  w().accept_loss(group);
  lose(v[2]);
  const std::vector<std::size_t> left{v[0], others[0]};
  const std::vector<std::size_t> right{v[1], others[1]};
  apart(left, right);
  const auto one = recover(left[0]);
  const auto two = recover(right[0]);
  EXPECT_EQ(one.parent, two.parent);
  ASSERT_TRUE(w().run_until([&] { return value(left[1]) == 100; }, 10s));
  ASSERT_TRUE(w().run_until([&] { return value(right[1]) == 100; }, 10s));
  add(left[0], 1);
  add(right[0], 2);
  heal();
  ASSERT_TRUE(w().run_until([&] { return conflict_everywhere(); }, 20s));
  for (const auto n : up())
    EXPECT_EQ(events(n, event_kind::conflict), 1U) << n;
  for (int round = 0; round < 2; ++round) {
    w().run_for(5s);
    EXPECT_TRUE(conflict_everywhere());
    for (const auto n : up()) {
      EXPECT_EQ(call(n, "add", 1000).status, reply_status::parked) << n;
      EXPECT_EQ(value(n), -1) << n;
    }
    for (const auto n : up()) // nobody forgets it, nor the line that it is in
      reboot(n);
    ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
  }
  const auto decided = recover(others[1]);
  const auto sum = decided.parent == one.lineage ? 101 : 102;
  EXPECT_TRUE(decided.parent == one.lineage || decided.parent == two.lineage);
  ASSERT_TRUE(w().run_until([&] { return !conflict_anywhere(); }, 20s));
  ASSERT_TRUE(w().run_until([&] { return all_met() && whole(); }, 60s));
  expect_everywhere(sum);
  add(left[1], 10);
  expect_everywhere(sum + 10);
}

// The line that both come from was a recovery's, too: nobody goes back to it.
TEST_F(recoveries, that_conflict_in_a_recovered_group_leave_each_in_its_line) {
  begin(5);
  auto v = voters();
  add(v[0], 100);
  w().run_for(500ms);
  w().accept_loss(group);
  for (const auto n : {v[1], v[2]})
    w().at(n).kill(machine::end::power);
  recover(v[0]);
  ASSERT_TRUE(w().run_until([&] { return whole(); }, 60s));
  for (const auto n : {v[1], v[2]})
    w().at(n).boot();
  ASSERT_TRUE(w().run_until([&] { return all_met() && whole(); }, 60s));
  v = voters();
  std::vector<std::size_t> others;
  for (std::size_t n = 0; n < 5; ++n)
    if (std::find(v.begin(), v.end(), n) == v.end())
      others.push_back(n);
  lose(v[2]);
  const std::vector<std::size_t> left{v[0], others[0]};
  const std::vector<std::size_t> right{v[1], others[1]};
  apart(left, right);
  const auto one = recover(left[0]);
  const auto two = recover(right[0]);
  EXPECT_EQ(one.parent, two.parent);
  ASSERT_TRUE(w().run_until([&] { return value(left[1]) == 100; }, 10s));
  ASSERT_TRUE(w().run_until([&] { return value(right[1]) == 100; }, 10s));
  heal();
  ASSERT_TRUE(w().run_until([&] { return conflict_everywhere(); }, 20s));
  for (int round = 0; round < 2; ++round) {
    w().run_for(5s);
    EXPECT_EQ(noted(left[0]), one.lineage) << "it is in another line now";
    EXPECT_EQ(noted(right[0]), two.lineage) << "it is in another line now";
    for (const auto n : up())
      reboot(n);
    ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
  }
}

// ---- older peers -----------------------------------------------------------

// It can't say what it has, so it would count as lost; and it would go on in
// the lineage that was given up.
TEST_F(recoveries, wait_for_peers_that_are_older) {
  begin(5, {}, {4});
  const auto v = voters();
  w().accept_loss(group);
  std::size_t lost = 0;
  for (const auto n : v)
    if (n != 4 && lost < 2) {
      lose(n);
      ++lost;
    }
  const auto by = up()[0] == 4 ? up()[1] : up()[0];
  ASSERT_TRUE(w().run_until([&] { return view(by) != nullptr; }, 5s));
  w().run_for(5s);
  const auto no = plan(by);
  EXPECT_EQ(no.status, reply_status::conflict);
  EXPECT_EQ(no.message, "node " + short_string(w().at(4).id())
                            + " does not know of recoveries: update "
                              "banyan-peer there first");
  w().at(4).kill(machine::end::process);
  w().at(4).set_features(features_known);
  w().at(4).boot();
  ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
  recover(by);
  EXPECT_TRUE(w().run_until([&] { return value(by) == 0; }, 10s));
}

} // namespace
} // namespace banyan::sim
