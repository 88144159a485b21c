// Apps that are removed, and what they leave (DESIGN sections 11 and 12): kept
// for its time, brought back by `undelete`, gone after that; deletions and
// updates that meet on their way.
#include "sim/counters.hpp"

namespace banyan::sim {
namespace {

constexpr duration kept = 4min; ///< in place of 7 days

struct removals : counters {
  bool deleted_everywhere() {
    for (const auto n : up())
      if (context(n).known.find_app("counter") != nullptr)
        return false;
    return true;
  }
  bool there_everywhere() {
    for (const auto n : up())
      if (context(n).known.find_app("counter") == nullptr)
        return false;
    return true;
  }
  /// Neither replica, nor rows, nor log.
  bool is_empty(std::size_t n) {
    return context(n).replicas.empty()
           && documents(n, document_kind::replica).empty()
           && !w().at(n).disk().log_synced(group) && context(n).removed.empty();
  }
  void bring_back(std::size_t by) {
    const auto a = undelete(by);
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
    ASSERT_TRUE(
        w().run_until([&] { return there_everywhere() && whole(); }, 20s));
  }
};

TEST_F(removals, are_taken_back_with_everything_and_each_has_its_own_time) {
  begin(3, retention{kept});
  add(0, 42);
  for (int round = 0; round < 3; ++round) { // more than `kept` in all
    remove(1);
    ASSERT_TRUE(w().run_until([&] { return deleted_everywhere(); }, 5s));
    EXPECT_EQ(call(2, "get").status, reply_status::not_found);
    EXPECT_GE(events(0, event_kind::removed), 1U);
    w().run_for(kept / 2);
    if (round == 1) // what was counted so far outlasts a restart
      for (const auto n : up())
        reboot(n);
    w().run_for(kept / 4);
    for (const auto n : up()) {
      ASSERT_EQ(context(n).removed.count("counter"), 1U) << n;
      EXPECT_LE(context(n).removed.at("counter").left, kept / 2);
    }
    bring_back(2);
    EXPECT_GE(events(0, event_kind::undeleted), 1U);
    expect_everywhere(42 + round);
    add(0);
  }
}

TEST_F(removals, leave_nothing_after_their_time_and_undelete_says_so) {
  begin(3, retention{kept});
  add(0, 42);
  remove(0);
  w().at(2).kill(machine::end::power); // its running time stands still
  w().run_for(kept);
  EXPECT_FALSE(is_empty(0));
  EXPECT_FALSE(is_empty(1));
  ASSERT_TRUE(w().run_until([&] { return is_empty(0) && is_empty(1); }, 40s));
  const auto late = undelete(0);
  EXPECT_EQ(late.status, reply_status::expired);
  EXPECT_NE(late.message.find("is gone; restore a backup"), std::string::npos)
      << late.message;
  EXPECT_EQ(call(1, "get").status, reply_status::not_found);
  w().at(2).boot();
  w().run_for(kept);
  EXPECT_FALSE(is_empty(2));
  ASSERT_TRUE(w().run_until([&] { return is_empty(2); }, 60s));
  for (const auto n : up()) // and a restart finds nothing to go on with
    reboot(n);
  w().run_for(2s);
  for (const auto n : up())
    EXPECT_TRUE(is_empty(n)) << n;
  // The name is free.
  actors::deploy_in d;
  d.spec.name = d.spec.module = "counter";
  d.spec.shards = 1;
  d.spec.isolation = app_isolation::none;
  const auto a = answered<actors::deploy_answer>(0, std::move(d));
  EXPECT_EQ(a.status, reply_status::ok) << a.message;
  ASSERT_TRUE(w().run_until([&] { return there_everywhere(); }, 5s));
  EXPECT_EQ(value(1), 0);
}

// While the first is being stored the second comes, on one peer or on two.
TEST_F(removals, and_updates_that_cross_are_both_kept) {
  for (int way = 0; way < 4; ++way) {
    begin(3);
    add(0, 42);
    const auto old = record(0);
    auto spec = old.version.spec;
    spec.replace_after = 2h;
    const auto updated =
        sign_update(owner().key, owner().mesh, old, spec, old.number + 1);
    const auto removed = sign_removal(owner().key, owner().mesh, old);
    const std::size_t other = way < 2 ? 0 : 1;
    if (other == 0) // nobody tells it what it should have kept
      apart({0}, {1, 2});
    for (const auto n : {std::size_t{0}, other})
      w().at(n).disk().set_sync_delay(20ms);
    tell(0, 2, way % 2 == 0 ? updated : removed);
    tell(other, 2, way % 2 == 0 ? removed : updated);
    w().run_for(1s);
    if (other == 0) {
      for (int restarted = 0; restarted < 2; ++restarted) {
        EXPECT_EQ(record(0).number, old.number + 1) << way;
        EXPECT_TRUE(record(0).deleted) << way;
        reboot(0);
        w().run_for(500ms);
      }
      heal();
      ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
      w().run_for(1s);
    }
    for (int restarted = 0; restarted < 2; ++restarted) {
      for (const auto n : up()) {
        EXPECT_EQ(record(n).number, old.number + 1) << way << " at " << n;
        EXPECT_TRUE(record(n).deleted) << way << " at " << n;
      }
      EXPECT_TRUE(deleted_everywhere()) << way;
      for (const auto n : up())
        reboot(n);
      ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
    }
    bring_back(1);
    expect_everywhere(42);
    for (const auto n : up())
      EXPECT_EQ(record(n).version.spec.replace_after, duration{2h}) << n;
    TearDown();
  }
}

TEST_F(removals, are_not_taken_back_while_a_peer_is_older) {
  begin(4, {}, {3});
  add(0, 42);
  remove(0);
  ASSERT_TRUE(w().run_until([&] { return deleted_everywhere(); }, 5s));
  const auto a = undelete(0);
  EXPECT_EQ(a.status, reply_status::conflict);
  EXPECT_EQ(a.message, "node " + short_string(w().at(3).id())
                           + " does not know how to take a removal back: "
                             "update banyan-peer there first");
  w().at(3).kill(machine::end::process);
  w().at(3).set_features(features_known);
  w().at(3).boot();
  ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
  bring_back(0);
  expect_everywhere(42);
}

// An older peer would serve what is only half there.
TEST_F(removals, no_restore_begins_while_a_peer_is_older) {
  begin(3, {}, {2});
  auto old = record(0);
  prepared_app where;
  where.nonce = w().random.array<16>();
  where.voters = old.genesis.voters;
  auto spec = old.version.spec;
  spec.name = "again";
  spec.restoring = bytes(16, 7);
  const auto papers =
      sign_birth(owner().key, owner().mesh, spec, where, w().random);
  ASSERT_TRUE(papers.ok());
  const auto a = put(0, *papers);
  EXPECT_EQ(a.status, reply_status::conflict);
  EXPECT_EQ(a.message, "node " + short_string(w().at(2).id())
                           + " does not know of restores, and would serve it "
                             "half restored: update banyan-peer there first");
  EXPECT_EQ(context(0).known.find_app("again"), nullptr);
}

struct names : counters {
  /// The app `twice`, deployed at machine 0 and, cut off from it, at 3.
  void begin_twice() {
    begin(6);
    apart({0, 1, 2}, {3, 4, 5});
    w().run_for(3s);
    for (const std::size_t n : {0, 3}) {
      actors::deploy_in d;
      d.spec.name = called = "twice";
      d.spec.module = "counter";
      d.spec.shards = 1;
      d.spec.isolation = app_isolation::none;
      const auto a = answered<actors::deploy_answer>(n, std::move(d));
      ASSERT_EQ(a.status, reply_status::ok) << a.message;
      w().run_for(1s);
      ids.push_back(context(n).known.find_app("twice")->id);
      add(n, n == 0 ? 10 : 20);
    }
    heal();
    ASSERT_TRUE(w().run_until([&] { return contested(); }, 20s));
  }
  bool contested() {
    for (const auto n : up())
      if (context(n).conflicts.count("twice") == 0)
        return false;
    return true;
  }
  actors::deploy_answer remove_one(std::size_t by, std::string id) {
    actors::remove_in m;
    m.app = "twice";
    m.id = std::move(id);
    return answered<actors::deploy_answer>(by, std::move(m));
  }
  std::vector<app_id> ids; ///< with the sums 10 and 20
};

TEST_F(names, that_two_apps_bear_are_served_by_none_and_both_keep_their_data) {
  begin_twice();
  for (int round = 0; round < 2; ++round) {
    for (const auto n : up()) {
      EXPECT_EQ(call(n, "add", 1).status, reply_status::conflict) << n;
      EXPECT_EQ(value(n), -1) << n;
      EXPECT_EQ(context(n).conflicts.at("twice").size(), 2U) << n;
      EXPECT_EQ(context(n).known.find_app("twice")->id,
                std::min(ids[0], ids[1]))
          << "the same one is shown everywhere";
      const auto no = remove_one(n, {});
      EXPECT_EQ(no.status, reply_status::conflict) << n;
      for (const auto& id : ids)
        EXPECT_NE(no.message.find(short_string(id)), std::string::npos)
            << no.message;
    }
    for (const auto n : up()) // nobody forgets it
      reboot(n);
    ASSERT_TRUE(w().run_until([&] { return all_met() && contested(); }, 20s));
  }
}

TEST_F(names, go_to_the_app_that_its_owner_leaves) {
  for (const std::size_t left : {0, 1}) {
    ids.clear();
    begin_twice();
    const auto a = remove_one(4, short_string(ids[1 - left]));
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
    ASSERT_TRUE(w().run_until(
        [&] {
          for (const auto n : up())
            if (value(n) != (left == 0 ? 10 : 20))
              return false;
          return true;
        },
        30s));
    add(5, 5);
    expect_everywhere(left == 0 ? 15 : 25);
    for (const auto n : up()) {
      EXPECT_TRUE(context(n).conflicts.empty()) << n;
      EXPECT_EQ(context(n).removed.at("twice").id, ids[1 - left]) << n;
    }
  }
}

} // namespace
} // namespace banyan::sim
