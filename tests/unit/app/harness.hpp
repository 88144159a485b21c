#pragma once
#include "actors/host/json.hpp"
#include "actors/host/module.hpp"

#include <banyan/app.hpp>
#include <gtest/gtest.h>

#include <map>

namespace banyan::test {

/// Runs turns of an app that is linked in, as a host does, and keeps state and
/// rows between them, as a replica does.
template <class App>
class actor {
public:
  actor() {
    host_catalog catalog;
    catalog.add(module_table<App>());
    const auto module = catalog.find(module_table<App>().name);
    EXPECT_TRUE(module.ok());
    auto opened = module_runner::open(*module, {});
    EXPECT_TRUE(opened.ok());
    runner_.emplace(std::move(opened).value());
  }

  /// One turn with a JSON argument; effects of an ok turn are kept.
  turn_result call(const std::string& command, const std::string& json = "") {
    turn_order o;
    o.argument = json_to_msgpack(json).value();
    return call(command, std::move(o));
  }
  turn_result call(const std::string& command, turn_order o) {
    o.actor = "alice";
    o.command = command;
    o.state = state;
    turn_result r = runner_->run(o);
    while (r.outcome == turn_outcome::needs_rows) {
      ++rounds;
      answer(r, o);
      ++o.round;
      r = runner_->run(o);
    }
    if (r.outcome == turn_outcome::ok)
      keep(r);
    return r;
  }
  /// `result` JSON, or `outcome[ code]: message`.
  std::string say(const std::string& command, const std::string& json = "") {
    return said(call(command, json));
  }
  static std::string said(const turn_result& r) {
    if (r.outcome == turn_outcome::ok)
      return msgpack_to_json(r.answer).value();
    return std::string{to_string(r.outcome)} + (r.code.empty() ? "" : " ")
           + r.code + ": " + r.message;
  }
  turn_result run(const turn_order& o) { return runner_->run(o); }

  shared_bytes state;
  std::map<bytes, shared_bytes> rows;
  unsigned rounds = 0;     ///< of needs_rows
  std::size_t limit = 100; ///< rows per range, as a replica's byte limit

private:
  void answer(const turn_result& r, turn_order& o) {
    for (const auto& key : r.rows_needed) {
      const auto at = rows.find(key);
      o.rows.push_back(
          {key, at == rows.end() ? std::nullopt : std::optional{at->second}});
    }
    for (const auto& range : r.ranges_needed) {
      turn_range_rows found{range, {}, true};
      for (auto at = rows.lower_bound(range.from);
           at != rows.end() && at->first < range.until; ++at) {
        if (found.rows.size() == std::min<std::size_t>(range.limit, limit)) {
          found.complete = false;
          break;
        }
        found.rows.push_back({at->first, at->second});
      }
      o.ranges.push_back(std::move(found));
    }
  }
  void keep(const turn_result& r) {
    if (r.state)
      state = shared_bytes{*r.state};
    if (r.removed) {
      state = {};
      rows.clear();
    }
    for (const auto& row : r.rows) {
      if (row.value)
        rows[row.key] = *row.value;
      else
        rows.erase(row.key);
    }
  }

  std::optional<module_runner> runner_;
};

} // namespace banyan::test
