#pragma once
// The rows of an actor's tables that came with a turn, and those that it finds
// it also needs: then the turn ends, and runs again with them.
#include <banyan/detail/codec.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace banyan::detail {

/// Leaves the handler when a row isn't here. Not a std::exception, so that a
/// handler's own catch blocks rarely meet it; one that swallows it changes
/// nothing, as the source remembers.
struct rows_needed {};

class row_source {
public:
  struct range {
    std::string from;
    std::string until; ///< exclusive; empty: no end
    std::uint32_t limit = 0;
  };

  /// No value: known to be absent. Values are borrowed from the turn's bytes.
  void add(std::string key, std::optional<view> value) {
    rows_.insert_or_assign(std::move(key), value);
  }
  /// All rows of [from, end) have been added.
  void add_covered(std::string from, std::string end) {
    covered_.push_back({std::move(from), std::move(end), 0});
  }

  /// The row, or that there is none; throws `rows_needed` if that isn't known.
  std::optional<view> get(const std::string& key) {
    if (const auto at = rows_.find(key); at != rows_.end())
      return at->second;
    if (const range* r = covering(key); r == nullptr)
      need({key});
    return std::nullopt;
  }

  /// Asks for the unknown ones among `keys`, all in one go.
  void need(const std::vector<std::string>& keys) {
    const std::size_t before = rows_wanted_.size();
    for (const auto& key : keys)
      if (rows_.count(key) == 0 && covering(key) == nullptr
          && std::find(rows_wanted_.begin(), rows_wanted_.end(), key)
                 == rows_wanted_.end())
        rows_wanted_.push_back(key);
    if (rows_wanted_.size() > before)
      throw rows_needed{};
  }

  /// Calls f(key, value) for the known rows at or behind `from` and before
  /// `until`, ascending; returns where the knowledge ends. Throws `rows_needed`
  /// when nothing is known at `from`.
  template <class F>
  std::string each(const std::string& from, const std::string& until,
                   std::uint32_t limit, F&& f) {
    const range* r = covering(from);
    if (r == nullptr) {
      ranges_wanted_.push_back({from, until, limit});
      throw rows_needed{};
    }
    const std::string end =
        r->until.empty() || r->until > until ? until : r->until;
    for (auto at = rows_.lower_bound(from);
         at != rows_.end() && at->first < end; ++at)
      if (at->second)
        f(at->first, *at->second);
    return end;
  }

  [[nodiscard]] bool missing() const noexcept {
    return !rows_wanted_.empty() || !ranges_wanted_.empty();
  }
  [[nodiscard]] const std::vector<std::string>& rows_wanted() const noexcept {
    return rows_wanted_;
  }
  [[nodiscard]] const std::vector<range>& ranges_wanted() const noexcept {
    return ranges_wanted_;
  }

private:
  [[nodiscard]] const range* covering(const std::string& key) const {
    for (const auto& r : covered_)
      if (r.from <= key && (r.until.empty() || key < r.until))
        return &r;
    return nullptr;
  }

  std::map<std::string, std::optional<view>> rows_;
  std::vector<range> covered_;
  std::vector<std::string> rows_wanted_;
  std::vector<range> ranges_wanted_;
};

/// What a turn changes in the tables: absolute values.
struct row_write {
  std::string key;
  std::optional<buffer> value; ///< none: erased
};

} // namespace banyan::detail
