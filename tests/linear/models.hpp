#pragma once
#include "linear/checker.hpp"

/// What the example apps promise, for linear::check.
namespace banyan::linear {

/// One key of `kv` is one register: a text, or nothing.
struct kv_operation {
  enum class kind : std::uint8_t { get = 1, put, append, cas, erase };
  kind what = kind::get;
  std::string key;
  std::string value;                   ///< of put, append and cas (the new one)
  std::optional<std::string> expected; ///< of cas; none = that there is nothing
  std::optional<std::string> read;     ///< get's answer
  bool swapped = false;                ///< cas's answer

  friend bool operator==(const kv_operation& a, const kv_operation& b);
};

struct kv_model {
  using state = std::optional<std::string>;
  using operation = kv_operation;
  static std::string key(const operation& o) { return o.key; }
  static std::size_t hash(const state& s);
  static bool step(state& s, const operation& o, bool answered);
  static std::string text(const operation& o);
  static std::string text(const state& s);
};

/// `counter`: both kinds answer the value after it.
struct counter_operation {
  enum class kind : std::uint8_t { add = 1, get };
  kind what = kind::get;
  std::string key;
  std::int64_t amount = 1; ///< of add
  std::int64_t value = 0;  ///< the answer

  friend bool operator==(const counter_operation& a,
                         const counter_operation& b);
};

struct counter_model {
  using state = std::int64_t;
  using operation = counter_operation;
  static std::string key(const operation& o) { return o.key; }
  static std::size_t hash(const state& s);
  static bool step(state& s, const operation& o, bool answered);
  static std::string text(const operation& o);
  static std::string text(const state& s);
};

/// A list that elements are appended to, and that is read whole.
struct list_operation {
  enum class kind : std::uint8_t { append = 1, read };
  kind what = kind::read;
  std::string key;
  std::int64_t element = 0; ///< of append
  /// read's answer; append's too if it answers the list with its element in it.
  std::optional<std::vector<std::int64_t>> list;

  friend bool operator==(const list_operation& a, const list_operation& b);
};

struct list_model {
  using state = std::vector<std::int64_t>;
  using operation = list_operation;
  static std::string key(const operation& o) { return o.key; }
  static std::size_t hash(const state& s);
  static bool step(state& s, const operation& o, bool answered);
  static std::string text(const operation& o);
  static std::string text(const state& s);
};

} // namespace banyan::linear
