#pragma once
#include "actors/pure/replica/rows.hpp"

#include <deque>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

namespace banyan::replica {

/// A row's value as some entry left it; no value: the row is gone.
struct row_version {
  log_index index;
  std::optional<shared_bytes> value;
};

/// Values of actor and table rows that the state holds and memory still knows,
/// bounded by bytes, least recently used out first. "There is no such row" is
/// known, too. Only rows that the overlay does not hold are looked up here.
class row_cache {
public:
  explicit row_cache(std::size_t bytes_max) : bytes_max_{bytes_max} {}
  /// Valid until the next call.
  [[nodiscard]] const row_version* find(const_bytes key);
  void put(const_bytes key, row_version v);
  void clear();
  [[nodiscard]] std::size_t bytes_used() const noexcept { return bytes_; }

private:
  struct item {
    std::string key;
    row_version version;
  };
  static std::size_t cost(const item& i) {
    return 96 + i.key.size() + (i.version.value ? i.version.value->size() : 0);
  }
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<item> items_; ///< most recently used first
  std::unordered_map<std::string_view, std::list<item>::iterator> by_key_;
};

/// What the entries behind the applied state did, entry by entry: key → latest
/// (index, value), with what is needed to undo the uncommitted end and to hand
/// the committed front to the state. Indexes are consecutive. Not a decider:
/// the replica says what is committed and what the state has taken.
class overlay {
public:
  /// What is undone by `roll_back`, newest first.
  struct undo_row {
    bytes key;
    std::optional<shared_bytes> value;
    log_index index;
  };
  struct step {
    log_index index;
    banyan::term term;
    duration log_time{};
    std::optional<bytes> configuration; ///< encoded; a configuration entry's
    std::string touched; ///< actor whose state or tables it wrote
    bool checkpoint = false;
    std::vector<store::row_change> rows;
    std::vector<undo_row> undo; ///< small rows before; empty once committed
  };

  /// Begins anew: the next step is `applied` + 1.
  void reset(log_index applied);
  void push(step s);
  /// Drops all steps behind `index`; their undo rows are appended to `out`,
  /// newest first.
  void roll_back(log_index index, std::vector<undo_row>& out);
  /// Undo rows up to `index` are needed no more.
  void committed(log_index index);
  /// The rows that steps up to `index` leave behind: each key once, as its last
  /// of these steps left it.
  [[nodiscard]] std::vector<store::row_change> batch(log_index index) const;
  /// Whether `batch(index)` has this key. Looks at all of it.
  [[nodiscard]] bool writes(log_index index, const_bytes key) const;
  /// The state holds everything up to `index`: actor and table rows move on to
  /// the cache.
  void release(log_index index, row_cache& cache);

  /// The latest version of a row; null: not here. Valid until the next change.
  [[nodiscard]] const store::row_change* find(const_bytes key) const;
  /// The last step here that touched the actor; zero: none.
  [[nodiscard]] log_index touched(std::string_view actor) const;
  /// Table rows with from <= key < until (empty: no end), as they are now.
  void range(const_bytes from, const_bytes until,
             std::vector<const store::row_change*>& out) const;

  /// The latest version of each actor row that is here: `f(change, index)`.
  template <class F>
  void each_actor(F f) const {
    for (const auto& [key, at] : latest_)
      if (!key.empty()
          && static_cast<row_kind>(static_cast<std::uint8_t>(key[0]))
                 == row_kind::actor)
        f(get(at.index)->rows[at.row], log_index{at.index});
  }

  [[nodiscard]] const step* at(log_index index) const;
  [[nodiscard]] log_index first() const noexcept { return first_; }
  [[nodiscard]] log_index last() const noexcept {
    return log_index{first_.value() + steps_.size() - 1};
  }
  [[nodiscard]] bool empty() const noexcept { return steps_.empty(); }
  [[nodiscard]] std::size_t bytes_used() const noexcept { return bytes_; }

private:
  struct place {
    std::uint64_t index = 0;
    std::uint32_t row = 0;
  };
  struct link {
    place before;                 ///< index 0: none
    std::uint64_t superseded = 0; ///< by this step; 0: the latest
  };
  struct held : step {
    std::vector<link> links; ///< one per row
    std::uint64_t touched_before = 0;
  };
  struct bytes_less {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const {
      return a < b;
    }
  };
  [[nodiscard]] held* get(std::uint64_t index);
  [[nodiscard]] const held* get(std::uint64_t index) const;
  template <class F>
  void in_map(const_bytes key, F f);

  std::deque<held> steps_;
  log_index first_{1};
  std::size_t bytes_ = 0;
  /// Keys borrow the bytes of the row that they name.
  std::unordered_map<std::string_view, place> latest_;
  std::map<std::string_view, place> latest_table_; ///< table rows, in order
  std::unordered_map<std::string, std::uint64_t> touched_;
};

} // namespace banyan::replica
