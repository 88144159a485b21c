#pragma once
#include "disk_rig.hpp"
#include "log_rig.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace banyan::store::test {

/// Both kinds of disk behind one face.
template <class Disk>
class contract : public testing::Test {
protected:
  Disk rig;
  std::vector<log_done> done;
  std::uint64_t number = 0;

  log& l() { return *rig.use().log; }
  state& s() { return *rig.use().state; }
  documents& d() { return *rig.use().documents; }

  void listen() {
    l().on_done([this](const std::vector<log_done>& more) {
      done.insert(done.end(), more.begin(), more.end());
    });
  }
  log_write order(std::uint8_t group, std::vector<log_entry> entries) {
    log_write w;
    w.order = {group_number(group), replica_number(1), term{1}, ++number};
    w.entries = std::move(entries);
    return w;
  }
  void wait_for(std::size_t n) {
    rig.run_until([&] { return done.size() >= n; });
  }
  group_commit rows(std::uint8_t group, std::uint64_t index,
                    std::vector<std::pair<std::string, std::string>> put,
                    std::vector<std::string> erase = {}) {
    group_commit c;
    c.order = {group_number(group), replica_number(1), term{1}, ++number};
    for (auto& [k, v] : put)
      c.rows.push_back(
          {to_bytes(k), shared_bytes{to_bytes(v)}, log_index{index}});
    for (auto& k : erase)
      c.rows.push_back({to_bytes(k), std::nullopt, log_index{index}});
    applied_meta m;
    m.index = log_index{index};
    m.term = term{3};
    m.opaque = to_bytes("meta");
    c.meta = m;
    return c;
  }
  using outcome = result<void, state_error>;
  outcome wait(const std::function<void(state::done)>& start) {
    std::optional<outcome> got;
    start([&](outcome r) { got = std::move(r); });
    EXPECT_FALSE(got); // never inside the call
    rig.run_until([&] { return got.has_value(); });
    return *got;
  }
  /// Runs until `start`'s callback came, never inside the call.
  template <class Result>
  Result wait_for_result(
      const std::function<void(std::function<void(Result)>)>& start) {
    std::optional<Result> got;
    start([&](Result r) { got = std::move(r); });
    EXPECT_FALSE(got);
    rig.run_until([&] { return got.has_value(); });
    return *got;
  }
  using digests = result<std::vector<digest_at>, state_error>;
  state::commit_results commit_each(std::vector<group_commit> batch) {
    return wait_for_result<state::commit_results>(
        [&](auto f) { s().commit(std::move(batch), f); });
  }
  /// Of a batch that is stored or refused as a whole.
  digests commit(std::vector<group_commit> batch) {
    std::vector<digest_at> out;
    for (const auto& one : commit_each(std::move(batch)))
      if (one)
        out.push_back(*one);
      else
        return failure{one.error()};
    return out;
  }
  using finished = result<digest_at, state_error>;
  finished finish(const order_id& order, const applied_meta& meta,
                  std::optional<state_digest> expected = {}) {
    return wait_for_result<finished>(
        [&](auto f) { s().stage_finish(order, meta, expected, f); });
  }
  result<std::optional<row>, state_error> read(std::uint8_t group,
                                               const std::string& key) {
    std::optional<result<std::optional<row>, state_error>> got;
    s().read(group_number(group), to_bytes(key),
             [&](auto r) { got = std::move(r); });
    rig.run_until([&] { return got.has_value(); });
    return *got;
  }
  std::string text(std::uint8_t group, const std::string& key) {
    auto r = read(group, key);
    if (!r)
      return "error";
    return *r ? to_text((*r)->value.view()) : "nothing";
  }
  scrub_page scrub(std::uint8_t group, bytes from, std::size_t bytes_max) {
    const auto got =
        wait_for_result<result<scrub_page, state_error>>([&](auto f) {
          s().scrub(group_number(group), std::move(from), bytes_max, f);
        });
    EXPECT_TRUE(got.ok());
    return *got;
  }
  /// A whole pass; what it says at its end.
  std::optional<bool> scrub_all(std::uint8_t group,
                                std::size_t bytes_max = 1 << 20) {
    scrub_page page;
    do
      page = scrub(group, page.next, bytes_max);
    while (!page.next.empty());
    return page.digest_matches;
  }
  scan_page scan(std::uint8_t group, scan_request request) {
    std::optional<result<scan_page, state_error>> got;
    s().scan(group_number(group), std::move(request),
             [&](auto r) { got = std::move(r); });
    rig.run_until([&] { return got.has_value(); });
    EXPECT_TRUE(got->ok());
    return **got;
  }
};

} // namespace banyan::store::test
