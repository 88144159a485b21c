#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

/// Is a history linearizable: could every call have taken effect at one moment
/// between its invocation and its answer?
///
/// Wing and Gong's search with Lowe's cache of configurations (G. Lowe,
/// "Testing for linearizability", 2017), key by key, since a history is
/// linearizable if and only if the part of each object is (Horn and Kroening,
/// "Faster linearizability checking via P-compositionality", 2015).
///
/// A model says what an object does. It is a struct with
///   using state = …;      // ==; starts as state{}
///   using operation = …;  // ==; what was asked and what was answered
///   static std::string key(const operation&);
///   static std::size_t hash(const state&);
///   // Whether `o`, with the answer that it got, may happen in `s`; changes
///   it.
///   // `answered` is false if nobody knows the answer: then whatever the
///   // object does is right.
///   static bool step(state& s, const operation& o, bool answered);
///   static std::string text(const operation&), text(const state&);
/// linear/models.hpp has those of our example apps.
namespace banyan::linear {

/// Any clock, as long as all calls are of the same.
using tick = std::int64_t;

/// For `call::answered`: the call may have taken effect any time later, or
/// never.
inline constexpr tick unknown = std::numeric_limits<tick>::max();

/// A call that surely had no effect is left out of a history. A call that ends
/// at the tick at which another begins counts as concurrent with it.
template <class Operation>
struct call {
  Operation op;
  tick invoked = 0;
  tick answered = unknown;
};

enum class verdict : std::uint8_t {
  linearizable = 1,
  not_linearizable,
  gave_up, ///< The memory that it may use was too small to tell.
};
const char* to_string(verdict v) noexcept;

struct limits {
  std::size_t cache_bytes = std::size_t{256} << 20; ///< for one key
};

struct finding {
  verdict what = verdict::linearizable;
  std::string key; ///< of which that is said; empty if all is well
  std::string why; ///< for a person: how far the best order came, and what
                   ///< has no place in it
  std::size_t operations = 0;
  std::size_t configurations = 0; ///< looked at

  [[nodiscard]] bool ok() const { return what == verdict::linearizable; }
};

namespace detail {

struct interval {
  tick invoked = 0;
  tick answered = 0;
};

/// A model and its operations, with numbers for the states; 0 is the first.
class object {
public:
  object() = default;
  object(const object&) = delete;
  object& operator=(const object&) = delete;
  virtual ~object() = default;
  virtual std::optional<std::uint32_t> step(std::uint32_t from, std::size_t op,
                                            bool answered) = 0;
  [[nodiscard]] virtual bool same(std::size_t a, std::size_t b) const = 0;
  [[nodiscard]] virtual std::size_t states() const = 0;
};

struct search_result {
  verdict what = verdict::linearizable;
  std::size_t configurations = 0;
  std::size_t ordered = 0; ///< calls in the longest order that was found
  std::size_t blocked = 0; ///< the call that has no place in it
  std::uint32_t state = 0; ///< then
};
search_result search(const std::vector<interval>& calls, object& o,
                     const limits& l);

template <class Model>
class object_of final : public object {
public:
  using operation = typename Model::operation;
  using state = typename Model::state;

  explicit object_of(std::vector<const operation*> ops) : ops_{std::move(ops)} {
    number({});
  }
  std::optional<std::uint32_t> step(std::uint32_t from, std::size_t op,
                                    bool answered) override {
    state s = *by_number_[from];
    if (!Model::step(s, *ops_[op], answered))
      return std::nullopt;
    return number(std::move(s));
  }
  [[nodiscard]] bool same(std::size_t a, std::size_t b) const override {
    return *ops_[a] == *ops_[b];
  }
  [[nodiscard]] std::size_t states() const override {
    return by_number_.size();
  }
  [[nodiscard]] std::string text(const search_result& r) const {
    return "after " + std::to_string(r.ordered) + " of "
           + std::to_string(ops_.size()) + " operations, with "
           + Model::text(*by_number_[r.state]) + ", there is no place for "
           + Model::text(*ops_[r.blocked]);
  }

private:
  struct hasher {
    std::size_t operator()(const state& s) const { return Model::hash(s); }
  };
  std::uint32_t number(state s) {
    const auto [at, fresh] = numbers_.try_emplace(
        std::move(s), static_cast<std::uint32_t>(by_number_.size()));
    if (fresh)
      by_number_.push_back(&at->first);
    return at->second;
  }
  std::vector<const operation*> ops_;
  std::unordered_map<state, std::uint32_t, hasher> numbers_;
  std::vector<const state*> by_number_;
};

} // namespace detail

/// Checks key after key and stops at the first whose part isn't linearizable.
template <class Model>
finding check(const std::vector<call<typename Model::operation>>& history,
              const limits& l = {}) {
  std::map<std::string, std::vector<std::size_t>> keys;
  for (std::size_t i = 0; i < history.size(); ++i)
    keys[Model::key(history[i].op)].push_back(i);
  finding out;
  out.operations = history.size();
  for (const auto& [key, indexes] : keys) {
    std::vector<detail::interval> calls;
    std::vector<const typename Model::operation*> ops;
    for (const auto i : indexes) {
      calls.push_back({history[i].invoked, history[i].answered});
      ops.push_back(&history[i].op);
    }
    detail::object_of<Model> object{std::move(ops)};
    const auto r = detail::search(calls, object, l);
    out.configurations += r.configurations;
    if (r.what == verdict::linearizable)
      continue;
    out.what = r.what;
    out.key = key;
    out.why = (r.what == verdict::gave_up ? "gave up: " : "") + object.text(r);
    if (r.what == verdict::not_linearizable)
      return out;
  }
  return out;
}

} // namespace banyan::linear
