#pragma once
#include "store/detail/log_engine.hpp"
#include "store/detail/memory_files.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace banyan::store::test {

using namespace banyan::store::detail;

inline group_id group_number(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return {app_id{a}, n};
}
inline replica_id replica_number(std::uint8_t n) {
  std::array<std::uint8_t, 16> a{};
  a[15] = n;
  return replica_id{a};
}
inline log_entry entry_at(std::uint64_t index, std::uint64_t in_term,
                          const std::string& text) {
  return {term{in_term}, log_index{index}, entry_kind::command,
          shared_bytes{to_bytes(text)}};
}
inline bool same(const log_entry& a, const log_entry& b) {
  return a.term == b.term && a.index == b.index && a.kind == b.kind
         && a.data == b.data;
}

/// A log engine over files in memory.
struct log_rig {
  explicit log_rig(std::size_t segment_bytes = 64 << 10)
      : files{std::make_unique<memory_files>()} {
    options.segment_bytes = segment_bytes;
  }

  /// (Re)opens; the recovery is in `found`.
  void open() {
    engine.reset();
    auto opened = log_engine::open(*files, random, options, found);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    engine = std::move(*opened);
    engine->tidy();
  }
  log_write order(std::uint8_t group, std::uint8_t replica = 1) {
    log_write w;
    w.order = {group_number(group), replica_number(replica), term{1}, ++number};
    return w;
  }
  void give(log_action action, std::uint64_t failures_seen = 0) {
    queue.push_back({std::move(action), failures_seen});
  }
  void write(std::uint8_t group, std::vector<log_entry> entries,
             std::uint64_t failures_seen = 0) {
    auto w = order(group);
    w.entries = std::move(entries);
    give(std::move(w), failures_seen);
  }
  /// Runs until nothing waits; returns the completions.
  std::vector<log_done> run() {
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
  const recovered_log* log_of(std::uint8_t group) const {
    for (const auto& l : found.logs)
      if (l.group == group_number(group))
        return &l;
    return nullptr;
  }

  std::unique_ptr<memory_files> files;
  seeded_random random{7};
  log_options options;
  log_recovery found;
  std::unique_ptr<log_engine> engine;
  std::deque<log_order> queue;
  std::uint64_t number = 0;
};

inline const char* first_segment = "log/0000000000000001.seg";

} // namespace banyan::store::test
