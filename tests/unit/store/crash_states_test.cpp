// The real segment and LMDB files: what they wrote is recorded, and everything
// that a power cut could have left of it is opened. DESIGN, section 13.
#include "state_rig.hpp"
#include "store/detail/document_file.hpp"
#include "store/verify.hpp"
#include "write_trace.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::store::test {
namespace {

/// Index and digest of each group, after each commit.
using stand = std::map<group_id, std::pair<std::uint64_t, state_digest>>;

stand stand_of(const std::vector<recovered_state>& found) {
  stand out;
  for (const auto& g : found)
    out[g.group] = {g.meta.index.value(), g.digest};
  return out;
}

TEST(crash_states, of_lmdb_hold_the_last_synced_commit_or_the_next_whole) {
  state_rig r{fast_place()};
  r.options.map_bytes = 8 << 20;
  seeded_random random{23};
  r.open();
  for (std::uint64_t i = 1; i <= 5; ++i)
    ASSERT_TRUE(r.store->commit({commit_of(1, i, {{"a", "first"}})}).ok());
  std::vector<stand> after; // by number of the commit
  after.push_back(
      {{group_number(1), {5, [&] {
                            state_digest d;
                            add(d, row_hash(group_number(1), as_bytes("a"),
                                            log_index{5}, as_bytes("first")));
                            return d;
                          }()}}});
  write_trace trace{r.dir()};
  trace.mark(0);
  const auto note = [&](const std::vector<digest_at>& all) {
    auto next = after.back();
    for (const auto& d : all)
      next[d.group] = {d.index.value(), d.digest};
    after.push_back(std::move(next));
    trace.mark(after.size() - 1);
  };
  for (std::uint64_t i = 6; i <= 24; ++i) {
    std::vector<group_commit> batch;
    for (std::uint8_t g = 1; g <= 2; ++g) {
      std::vector<std::pair<std::string, std::string>> put;
      for (int n = 0; n < 6; ++n)
        put.push_back({"k" + std::to_string(random.below(60)),
                       std::string(random.below(400), 'v')});
      if (i % 6 == 0)
        put.push_back({"large", std::string(6000, 'L')});
      auto c = commit_of(g, i, put);
      c.rows.push_back({to_bytes("k" + std::to_string(random.below(60))),
                        std::nullopt, log_index{i}});
      batch.push_back(std::move(c));
    }
    const auto committed = r.store->commit(batch);
    ASSERT_TRUE(committed.ok());
    note(*committed);
    if (i == 15) { // a snapshot replaces all of a group
      const order_id order{group_number(2), replica_number(1), term{3}, i};
      ASSERT_TRUE(r.store->stage_begin(order).ok());
      ASSERT_TRUE(
          r.store->stage_put(order, commit_of(2, 40, {{"s", "new"}}).rows)
              .ok());
      const auto meta = *commit_of(2, 40, {}).meta;
      const auto switched = r.store->stage_finish(order, meta, std::nullopt);
      ASSERT_TRUE(switched.ok());
      note({*switched});
      while (r.store->clean_some()) {
      }
    }
  }
  trace.end();
  r.store.reset();

  state_rig again{fast_place()};
  again.options.map_bytes = 8 << 20;
  std::size_t ahead = 0;
  const auto states =
      enumerate_crashes(trace, 6, random, [&](const crash_state& s) {
        put_files(again.dir(), s.files);
        const auto report = verify_state(again.dir());
        EXPECT_TRUE(report.ok() && report->spotless())
            << "at event " << s.at_event << ": "
            << (report.ok() && !report->bad.empty() ? report->bad[0] : "");
        again.open();
        const auto got = stand_of(again.found);
        again.store.reset();
        const bool last = got == after[s.answered];
        const bool next =
            s.answered + 1 < after.size() && got == after[s.answered + 1];
        EXPECT_TRUE(last || next) << "at event " << s.at_event;
        ahead += next && !last ? 1 : 0;
        return !testing::Test::HasFailure();
      });
  std::printf("lmdb: %zu writes and syncs, %zu crash states, all whole (%zu of "
              "them one commit ahead of the last answer)\n",
              trace.events().size(), states, ahead);
  EXPECT_GT(states, 1500u);
  EXPECT_GT(ahead, 0u);
}

/// Drives the real log engine on real files, and knows what it answered.
struct real_log {
  scratch_folder folder{fast_place()};
  std::unique_ptr<file_system> files = system_files(folder.path().string());
  seeded_random random{7};
  log_options options;
  log_recovery found;
  std::unique_ptr<log_engine> engine;
  std::uint64_t number = 0;

  void open() {
    engine.reset();
    auto opened = log_engine::open(*files, random, options, found);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    engine = std::move(*opened);
    engine->tidy();
  }
  std::vector<log_done> run(std::deque<log_order> queue) {
    std::vector<log_done> done;
    bool more = false;
    do {
      engine->begin(queue);
      if (engine->has_batch())
        engine->finish(done);
      more = engine->tidy();
    } while (more || !queue.empty());
    return done;
  }
};

/// What each group's log held after each answer.
struct log_stand {
  std::uint64_t last = 0;
  std::uint64_t base = 0;
  std::uint64_t vote = 0; ///< the term of the hard state
  std::vector<std::string> texts;
};

TEST(crash_states, of_log_segments_hold_all_that_was_answered) {
  real_log r;
  r.options.segment_bytes = 32 << 10;
  r.open();
  const auto& root = r.folder.path();
  std::vector<std::map<std::uint8_t, log_stand>> after(1);
  seeded_random random{31};
  write_trace trace{root};
  trace.mark(0);
  for (int round = 0; round < 150; ++round) {
    auto now = after.back();
    std::deque<log_order> queue;
    const auto orders = 1 + random.below(3); // of as many groups
    const auto first = random.below(3);
    for (std::uint64_t i = 0; i < orders; ++i) {
      const auto g = static_cast<std::uint8_t>(1 + (first + i) % 3);
      auto& s = now[g];
      log_write w;
      w.order = {group_number(g), replica_number(1), term{1}, ++r.number};
      if (s.last > s.base && random.below(6) == 0)
        --s.last; // truncates one
      const auto text =
          std::to_string(r.number) + std::string(random.below(1500), 'e');
      w.entries = {entry_at(++s.last, 1, text)};
      s.texts.resize(s.last);
      s.texts.back() = text;
      if (random.below(3) == 0)
        w.hard = hard_state{term{++s.vote}, {}};
      queue.push_back({std::move(w), 0});
      if (s.last > s.base + 8) {
        s.base += 5;
        queue.push_back(
            {log_cut{group_number(g), replica_number(1), log_index{s.base}},
             0});
      }
    }
    for (const auto& d : r.run(std::move(queue)))
      ASSERT_FALSE(d.error);
    after.push_back(std::move(now));
    trace.mark(after.size() - 1);
  }
  const auto [oldest, newest] = r.engine->segments();
  EXPECT_GT(newest, oldest);
  EXPECT_GT(oldest, 1u); // segments were begun, moved and freed
  trace.end();
  r.engine.reset();

  real_log again;
  again.options.segment_bytes = r.options.segment_bytes;
  const auto is = [](const recovered_log& l, const log_stand& s) {
    const auto base = l.base.index.value();
    if (l.hard.term.value() != s.vote || base > s.base
        || base + l.entries.size() != s.last)
      return false;
    return std::all_of(l.entries.begin(), l.entries.end(), [&](const auto& e) {
      return to_text(e.data.view()) == s.texts[e.index.value() - 1];
    });
  };
  // Each group stands where it was answered, or one order further.
  const auto holds = [&](const std::map<std::uint8_t, log_stand>& answered,
                         const std::map<std::uint8_t, log_stand>& next) {
    for (const auto& [g, s] : answered) {
      const recovered_log* l = nullptr;
      for (const auto& one : again.found.logs)
        if (one.group == group_number(g))
          l = &one;
      if (l == nullptr || l->damaged || !(is(*l, s) || is(*l, next.at(g))))
        return false;
    }
    return true;
  };
  const auto states =
      enumerate_crashes(trace, 12, random, [&](const crash_state& s) {
        put_files(again.folder.path(), s.files);
        again.open();
        EXPECT_FALSE(again.found.damaged) << "at event " << s.at_event;
        const auto next =
            std::min<std::size_t>(s.answered + 1, after.size() - 1);
        EXPECT_TRUE(holds(after[s.answered], after[next]))
            << "at event " << s.at_event;
        again.engine.reset();
        return !testing::Test::HasFailure();
      });
  std::printf(
      "log: %zu writes, syncs and names, %zu crash states, none lost an "
      "answered order\n",
      trace.events().size(), states);
  EXPECT_GT(states, 1500u);
}

TEST(crash_states, of_the_documents_hold_all_that_was_answered) {
  const scratch_folder folder{fast_place()};
  const auto files = system_files(folder.path().string());
  seeded_random random{41};
  auto made = document_file::open(*files, random, "documents", "aside");
  ASSERT_TRUE(made.ok());
  std::vector<document_map> after{made->content()};
  write_trace trace{folder.path()};
  trace.mark(0);
  for (int i = 0; i < 60; ++i) { // rewritten when most of it is old
    std::vector<documents::change> changes;
    for (auto n = 1 + random.below(2); n > 0; --n)
      changes.push_back({1, bytes{static_cast<std::uint8_t>(random.below(6))},
                         bytes(random.below(30'000), 'd')});
    if (random.below(5) == 0)
      changes.back().content.reset();
    ASSERT_TRUE(made->append(changes).ok());
    after.push_back(made->content());
    trace.mark(after.size() - 1);
  }
  trace.end();
  const auto renames = std::count_if(
      trace.events().begin(), trace.events().end(), [](const traced_event& e) {
        return e.what == traced_event::kind::rename;
      });
  EXPECT_GT(renames, 0);

  const scratch_folder place{fast_place()};
  const auto there = system_files(place.path().string());
  const auto states =
      enumerate_crashes(trace, 8, random, [&](const crash_state& s) {
        put_files(place.path(), s.files);
        const auto opened =
            document_file::open(*there, random, "documents", "aside");
        EXPECT_TRUE(opened.ok());
        const auto next =
            std::min<std::size_t>(s.answered + 1, after.size() - 1);
        EXPECT_TRUE(opened->content() == after[s.answered]
                    || opened->content() == after[next])
            << "at event " << s.at_event;
        return !testing::Test::HasFailure();
      });
  std::printf("documents: %zu writes, syncs and names, %zu crash states, none "
              "lost an answered change\n",
              trace.events().size(), states);
  EXPECT_GT(states, 500u);
}

} // namespace
} // namespace banyan::store::test
