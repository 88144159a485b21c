// What is re-read when, and the account of what that finds.
#include "actors/pure/scrub_core.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan {
namespace {

using namespace std::chrono_literals;

group_id group(std::uint8_t n) {
  return {app_id{{n}}, n};
}
replica_id id(std::uint8_t n) {
  return replica_id{{n}};
}

class scrub : public ::testing::Test {
protected:
  static scrub_config slow() {
    scrub_config c;
    c.bytes_per_second = 1000;
    return c;
  }

  void tick() {
    now = std::max(now, core.deadline());
    core.on_tick(groups, now, out);
    look();
  }
  /// Answers what the core wants to know of the replicas.
  void look() {
    for (const auto& e : out)
      if (const auto* l = std::get_if<scrub_look>(&e))
        for (const auto& g : l->groups)
          core.on_replica(g,
                          replicas.count(g) != 0 ? std::optional{replicas[g]}
                                                 : std::nullopt,
                          now);
  }
  template <class T>
  std::vector<T> take() {
    std::vector<T> found;
    for (auto i = out.begin(); i != out.end();) {
      if (auto* t = std::get_if<T>(&*i)) {
        found.push_back(*t);
        i = out.erase(i);
      } else {
        ++i;
      }
    }
    return found;
  }
  /// Answers pieces until all is read; `change` may spoil what a group gives.
  void read_all(const std::function<void(const group_id&, store::scrub_page&)>&
                    change = nullptr,
                const store::log_scrub& log = {}) {
    for (int i = 0; i < 100; ++i) {
      if (core.report().now == scrub_report::phase::mending
          || core.report().now == scrub_report::phase::done)
        return;
      for (const auto& p : take<scrub_state_piece>()) {
        store::scrub_page page;
        page.rows = 3;
        page.bytes_read = 100;
        page.digest_matches = true;
        if (change)
          change(p.group, page);
        core.on_state_piece(p.number, page, now, out);
      }
      for (const auto& p : take<scrub_log_piece>())
        core.on_log_piece(p.number, log, now, out);
      if (compares)
        for (const auto& c : take<scrub_compare>())
          replicas[c.group].checkpoint = log_index{50};
      tick();
    }
    FAIL() << "the pass has no end";
  }
  void watch_until_done() {
    for (int i = 0; i < 1000; ++i) {
      if (core.report().now == scrub_report::phase::done)
        return;
      tick();
      take<scrub_look>();
    }
    FAIL() << "it waits for ever";
  }

  const scrub_config config = slow();
  time_point now = time_point{} + 1h;
  std::vector<group_id> groups{group(1), group(2)};
  std::map<group_id, scrubbed_replica> replicas{
      {group(1), {id(1), true, 0, 0, 0, {}}},
      {group(2), {id(2), true, 0, 0, 0, {}}}};
  scrub_core core{config, now};
  scrub_effects out;
  bool compares = true; ///< groups have leaders that hear the wish
};

TEST_F(scrub, one_pass_a_day_of_its_own_accord) {
  EXPECT_EQ(core.deadline(), now + 24h);
  core.on_tick(groups, now + 1h, out);
  EXPECT_TRUE(out.empty());
  const auto began = core.deadline();
  tick();
  read_all();
  watch_until_done();
  EXPECT_EQ(core.report().pass, 1U);
  EXPECT_EQ(core.deadline(), began + 24h);
}

TEST_F(scrub, nodes_that_started_at_once_dont_read_at_once) {
  std::set<time_point> passes;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const scrub_core other{config, now, seed * 0x9e3779b97f4a7c15U};
    EXPECT_GE(other.deadline(), now + 24h);
    EXPECT_LE(other.deadline(), now + 27h);
    passes.insert(other.deadline());
  }
  EXPECT_EQ(passes.size(), 5U);
}

TEST_F(scrub, nothing_is_waited_for_that_cant_come) {
  compares = false;
  core.ask(now);
  tick();
  read_all();
  // The wish for a comparison was lost with its leader: it is told again.
  EXPECT_EQ(take<scrub_compare>().size(), 2U);
  for (int i = 0; i < 25; ++i)
    tick();
  EXPECT_GE(take<scrub_compare>().size(), 2U);
  EXPECT_EQ(core.report().now, scrub_report::phase::mending);
  // One group went from this node, the other has no leader.
  replicas.erase(group(1));
  const auto began = now;
  watch_until_done();
  EXPECT_LE(now - began, config.compare_patience);
  EXPECT_EQ(core.report().open(), 0U);
  EXPECT_EQ(core.report().digests_compared, 0U);
  replicas.erase(group(2));
  core.ask(now);
  tick();
  read_all();
  const auto last = now;
  watch_until_done();
  EXPECT_LE(now - last, 2 * config.look_interval) << "nothing is here";
}

TEST_F(scrub, reads_every_group_and_the_log_and_has_states_compared) {
  core.ask(now);
  tick();
  read_all();
  watch_until_done();
  const auto& r = core.report();
  EXPECT_EQ(r.groups_read, 2U);
  EXPECT_EQ(r.rows, 6U);
  EXPECT_EQ(r.state_bytes, 200U);
  EXPECT_EQ(r.digests_compared, 2U);
  EXPECT_EQ(r.open(), 0U);
  EXPECT_TRUE(r.findings.empty());
}

TEST_F(scrub, keeps_to_its_rate) {
  core.ask(now);
  tick();
  const auto piece = take<scrub_state_piece>();
  ASSERT_EQ(piece.size(), 1U);
  store::scrub_page page;
  page.bytes_read = 500; // half a second's worth
  page.next = {1};
  core.on_state_piece(piece[0].number, page, now, out);
  EXPECT_EQ(core.deadline(), now + 500ms);
  core.on_tick(groups, now + 499ms, out);
  EXPECT_TRUE(take<scrub_state_piece>().empty());
}

TEST_F(scrub, asking_again_joins_the_pass_that_runs) {
  core.ask(now);
  tick();
  core.ask(now);
  read_all();
  watch_until_done();
  EXPECT_EQ(core.report().pass, 1U);
  core.ask(now);
  tick();
  EXPECT_EQ(core.report().pass, 2U);
}

TEST_F(scrub, a_damaged_row_is_open_until_its_replica_has_mended_it) {
  core.ask(now);
  tick();
  read_all([&](const group_id& g, store::scrub_page& p) {
    if (g == group(1)) {
      p.damaged = {{1, 2, 3}};
      p.digest_matches.reset();
      replicas[g].rows_damaged = 1;
    }
  });
  const auto told = take<scrub_row_damaged>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].key, (bytes{1, 2, 3}));
  for (int i = 0; i < 5; ++i)
    tick();
  EXPECT_EQ(core.report().now, scrub_report::phase::mending);
  EXPECT_EQ(core.report().open(), 1U);
  replicas[group(1)].rows_damaged = 0;
  watch_until_done();
  EXPECT_EQ(core.report().rows_mended, 1U);
  EXPECT_EQ(core.report().open(), 0U);
}

TEST_F(scrub, what_is_never_mended_is_told) {
  core.ask(now);
  tick();
  replicas[group(1)].rows_damaged = 1;
  read_all([&](const group_id& g, store::scrub_page& p) {
    if (g == group(1))
      p.damaged = {{1}};
  });
  const auto began = now;
  watch_until_done();
  EXPECT_GE(now - began, config.mend_patience);
  EXPECT_EQ(core.report().open(), 1U);
}

TEST_F(scrub, rows_that_dont_add_up_are_open_until_the_state_is_rebuilt) {
  core.ask(now);
  tick();
  read_all([&](const group_id& g, store::scrub_page& p) {
    if (g == group(2))
      p.digest_matches = false;
  });
  ASSERT_EQ(take<scrub_state_wrong>().size(), 1U);
  tick();
  EXPECT_EQ(core.report().open(), 1U) << "compared isn't rebuilt";
  replicas[group(2)].lost = 1;
  replicas[group(2)].whole = false;
  tick();
  EXPECT_EQ(core.report().open(), 1U);
  replicas[group(2)].rebuilt = 1;
  replicas[group(2)].whole = true;
  watch_until_done();
  EXPECT_EQ(core.report().states_rebuilt, 1U);
  EXPECT_EQ(core.report().states_wrong, 1U);
}

TEST_F(scrub, a_state_whose_pages_are_damaged_is_open_until_it_is_rebuilt) {
  core.ask(now);
  tick();
  const auto piece = take<scrub_state_piece>();
  ASSERT_EQ(piece.size(), 1U);
  core.on_state_piece(piece[0].number, failure{store::store_errc::damaged}, now,
                      out);
  const auto told = take<scrub_state_wrong>();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].group, group(1));
  tick();
  read_all();
  EXPECT_EQ(core.report().states_wrong, 1U);
  EXPECT_EQ(core.report().open(), 1U);
  EXPECT_EQ(core.report().groups_read, 2U)
      << "the others are read all the same";
  replicas[group(1)].lost = 1;
  replicas[group(1)].rebuilt = 1;
  replicas[group(1)].checkpoint = log_index{50};
  watch_until_done();
  EXPECT_EQ(core.report().open(), 0U);
}

TEST_F(scrub, a_state_that_a_majority_called_wrong_counts_as_found) {
  core.ask(now);
  tick();
  read_all([&](const group_id& g, store::scrub_page&) {
    if (g == group(2)) {
      replicas[g].lost = 1;
      replicas[g].rebuilt = 1;
    }
  });
  watch_until_done();
  EXPECT_EQ(core.report().states_wrong, 1U);
  EXPECT_EQ(core.report().open(), 0U);
}

TEST_F(scrub, a_damaged_log_is_open_until_another_replica_is_there) {
  core.ask(now);
  tick();
  store::log_scrub log;
  log.bytes_read = 10;
  log.damage = {"segment 1 at 4096"};
  log.groups = {group(1)};
  read_all(nullptr, log);
  auto told = take<scrub_log_damaged>();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told[0].id, id(1));
  tick();
  EXPECT_FALSE(take<scrub_log_damaged>().empty()) << "again: it had to wait";
  replicas.erase(group(1));
  tick();
  EXPECT_EQ(core.report().open(), 1U);
  replicas[group(1)] = {id(9), true, 0, 0, 0, log_index{60}};
  watch_until_done();
  EXPECT_EQ(core.report().logs_replaced, 1U);
  EXPECT_EQ(core.report().open(), 0U);
}

TEST_F(scrub, an_answer_to_another_piece_counts_for_nothing) {
  core.ask(now);
  tick();
  store::scrub_page page;
  page.rows = 3;
  core.on_state_piece(77, page, now, out);
  EXPECT_EQ(core.report().rows, 0U);
}

} // namespace
} // namespace banyan
