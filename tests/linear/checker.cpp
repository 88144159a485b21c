#include "linear/checker.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace banyan::linear {

const char* to_string(verdict v) noexcept {
  switch (v) {
  case verdict::linearizable:
    return "linearizable";
  case verdict::not_linearizable:
    return "not linearizable";
  case verdict::gave_up:
    return "gave up";
  }
  return "?";
}

namespace detail {
namespace {

using words = std::vector<std::uint64_t>;

/// Configurations that were seen: open addressing over one arena of words.
class configuration_set {
public:
  /// False if it is in already.
  bool insert(const words& w) {
    if ((count_ + 1) * 2 > table_.size())
      grow();
    const auto at = find(w.data(), w.size());
    if (table_[at] != 0)
      return false;
    table_[at] = arena_.size() + 1;
    arena_.push_back(w.size());
    arena_.insert(arena_.end(), w.begin(), w.end());
    ++count_;
    return true;
  }
  [[nodiscard]] std::size_t count() const { return count_; }
  /// What the next insertion may have to copy is counted, too.
  [[nodiscard]] std::size_t bytes() const {
    return (arena_.capacity() + table_.size()) * sizeof(std::uint64_t);
  }

private:
  [[nodiscard]] std::size_t find(const std::uint64_t* w, std::size_t n) const {
    std::uint64_t h = n;
    for (std::size_t i = 0; i < n; ++i) {
      h = (h ^ w[i]) * 0x9E3779B97F4A7C15ULL;
      h ^= h >> 29U;
    }
    auto at = h & (table_.size() - 1);
    while (table_[at] != 0 && !equal(table_[at] - 1, w, n))
      at = (at + 1) & (table_.size() - 1);
    return at;
  }
  [[nodiscard]] bool equal(std::size_t offset, const std::uint64_t* w,
                           std::size_t n) const {
    return arena_[offset] == n && std::equal(w, w + n, &arena_[offset] + 1);
  }
  void grow() {
    table_.assign(std::max<std::size_t>(1024, table_.size() * 2), 0);
    for (std::size_t i = 0; i < arena_.size(); i += arena_[i] + 1)
      table_[find(&arena_[i] + 1, arena_[i])] = i + 1;
  }
  words arena_;
  words table_;
  std::size_t count_ = 0;
};

/// Which calls stand in the order so far. Nearly always a beginning of the
/// history and a few more, so that only the words between are written down.
class taken_set {
public:
  explicit taken_set(std::size_t n) : bits_(n / 64 + 1) {}
  void take(std::size_t i) {
    bits_[i / 64] |= bit(i);
    end_ = std::max(end_, i / 64 + 1);
    while (first_ < end_ && bits_[first_] == ~std::uint64_t{0})
      ++first_;
  }
  void give_back(std::size_t i) {
    bits_[i / 64] &= ~bit(i);
    first_ = std::min(first_, i / 64);
    while (end_ > first_ && bits_[end_ - 1] == 0)
      --end_;
  }
  [[nodiscard]] bool has(std::size_t i) const {
    return (bits_[i / 64] & bit(i)) != 0;
  }
  void write(words& out) const {
    out.push_back(first_);
    out.push_back(end_);
    for (auto i = first_; i < end_; ++i)
      out.push_back(bits_[i]);
  }

private:
  static std::uint64_t bit(std::size_t i) { return std::uint64_t{1} << i % 64; }
  words bits_;
  std::size_t first_ = 0; ///< all words before are full
  std::size_t end_ = 0;   ///< this word and all after are empty
};

/// The search of one key. Answered calls and their answers stand in one list by
/// time; taking a call into the order lifts both out of it. What may come next
/// is each call before the first answer in the list, and each open call that
/// began before it: these are tried last, since mostly they aren't needed.
class searcher {
public:
  searcher(const std::vector<interval>& calls, object& o, const limits& l)
      : calls_{calls}, object_{o}, limits_{l},
        place_(calls.size()), answered_{calls.size()}, open_{calls.size()} {
    order_events();
    find_twins();
  }

  search_result run();

private:
  static constexpr auto none = static_cast<std::size_t>(-1);
  struct event {
    std::size_t call = none;
    bool answer = false;
    std::size_t pair = none; ///< the call's answer, the answer's call
    std::size_t previous = 0;
    std::size_t next = 0;
  };
  struct open_call {
    std::size_t call = none;
    std::size_t twin = none; ///< the one before that equals it
  };
  struct step {
    bool open = false;
    std::size_t at = 0; ///< in events_ or open_calls_
    std::uint32_t before = 0;
  };

  void order_events();
  void find_twins();
  bool take(std::size_t call, bool answered);
  bool take_answered(std::size_t e);
  bool take_open(std::size_t n);
  step give_back();
  void block(search_result& out, std::size_t e);
  [[nodiscard]] std::size_t first_answer() const;
  void lift(std::size_t e) {
    events_[events_[e].previous].next = events_[e].next;
    events_[events_[e].next].previous = events_[e].previous;
  }
  void put_back(std::size_t e) {
    events_[events_[e].previous].next = e;
    events_[events_[e].next].previous = e;
  }

  const std::vector<interval>& calls_;
  object& object_;
  limits limits_;
  std::vector<event> events_; ///< 0 is the head, the last is the end
  std::vector<open_call> open_calls_;
  std::vector<std::size_t> place_; ///< of a call in its set
  taken_set answered_;
  taken_set open_;
  configuration_set seen_;
  std::vector<step> path_;
  std::uint32_t state_ = 0;
  std::size_t left_ = 0; ///< answered calls that aren't in the order
  words scratch_;
};

void searcher::order_events() {
  struct moment {
    tick at;
    bool answer;
    std::size_t call;
  };
  std::vector<moment> all;
  std::vector<moment> open;
  for (std::size_t c = 0; c < calls_.size(); ++c) {
    BANYAN_ASSERT(calls_[c].invoked <= calls_[c].answered);
    if (calls_[c].answered == unknown) {
      open.push_back({calls_[c].invoked, false, c});
      continue;
    }
    all.push_back({calls_[c].invoked, false, c});
    all.push_back({calls_[c].answered, true, c});
    ++left_;
  }
  // At one tick calls come first: then they are concurrent with what ends.
  const auto earlier = [](const moment& a, const moment& b) {
    return a.at != b.at ? a.at < b.at : a.answer < b.answer;
  };
  std::stable_sort(all.begin(), all.end(), earlier);
  std::stable_sort(open.begin(), open.end(), earlier);
  for (const auto& m : open) {
    place_[m.call] = open_calls_.size();
    open_calls_.push_back({m.call, none});
  }
  events_.resize(all.size() + 2);
  std::vector<std::size_t> begun(calls_.size());
  std::size_t calls = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& e = events_[i + 1];
    e.call = all[i].call;
    e.answer = all[i].answer;
    if (e.answer) {
      e.pair = begun[e.call];
      events_[e.pair].pair = i + 1;
    } else {
      begun[e.call] = i + 1;
      place_[e.call] = calls++;
    }
  }
  for (std::size_t i = 0; i + 1 < events_.size(); ++i) {
    events_[i].next = i + 1;
    events_[i + 1].previous = i;
  }
}

/// Of equal open calls the earlier one may stand for any later one: only the
/// first that is left is tried.
void searcher::find_twins() {
  for (std::size_t n = 0; n < open_calls_.size(); ++n)
    for (std::size_t before = n; before-- > 0;)
      if (object_.same(open_calls_[before].call, open_calls_[n].call)) {
        open_calls_[n].twin = before;
        break;
      }
}

/// Puts `call` next into the order, if the object allows it and if that leads
/// to a configuration that is new.
bool searcher::take(std::size_t call, bool answered) {
  const auto after = object_.step(state_, call, answered);
  if (!after || (!answered && *after == state_))
    return false;
  auto& set = answered ? answered_ : open_;
  set.take(place_[call]);
  scratch_.clear();
  scratch_.push_back(*after);
  answered_.write(scratch_);
  open_.write(scratch_);
  if (!seen_.insert(scratch_)) {
    set.give_back(place_[call]);
    return false;
  }
  state_ = *after;
  return true;
}

bool searcher::take_answered(std::size_t e) {
  const auto before = state_;
  if (!take(events_[e].call, true))
    return false;
  path_.push_back({false, e, before});
  lift(e);
  lift(events_[e].pair);
  --left_;
  return true;
}

bool searcher::take_open(std::size_t n) {
  const auto before = state_;
  const auto [call, twin] = open_calls_[n];
  if (open_.has(n) || (twin != none && !open_.has(twin)) || !take(call, false))
    return false;
  path_.push_back({true, n, before});
  return true;
}

searcher::step searcher::give_back() {
  const auto last = path_.back();
  path_.pop_back();
  if (last.open) {
    open_.give_back(last.at);
  } else {
    answered_.give_back(place_[events_[last.at].call]);
    put_back(events_[last.at].pair);
    put_back(last.at);
    ++left_;
  }
  state_ = last.before;
  return last;
}

/// The call of the answer `e` had to come next, and nothing may.
void searcher::block(search_result& out, std::size_t e) {
  if (out.ordered > path_.size())
    return;
  out.ordered = path_.size();
  out.blocked = events_[e].call;
  out.state = state_;
}

/// There is one as long as any call is left.
std::size_t searcher::first_answer() const {
  auto at = events_[0].next;
  while (!events_[at].answer)
    at = events_[at].next;
  return at;
}

search_result searcher::run() {
  search_result out;
  auto at = events_[0].next;
  std::size_t open_at = 0;
  while (left_ > 0) {
    // A state costs more than its number; what it costs the model knows.
    if (seen_.bytes() + object_.states() * 128 > limits_.cache_bytes) {
      block(out, first_answer());
      out.what = verdict::gave_up;
      break;
    }
    bool taken = false;
    for (; !taken && !events_[at].answer; at = events_[at].next)
      taken = take_answered(at);
    for (; !taken && open_at < open_calls_.size()
           && calls_[open_calls_[open_at].call].invoked
                  <= calls_[events_[at].call].answered;
         ++open_at)
      taken = take_open(open_at);
    if (taken) {
      at = events_[0].next;
      open_at = 0;
      continue;
    }
    block(out, at);
    if (path_.empty()) {
      out.what = verdict::not_linearizable;
      break;
    }
    const auto last = give_back();
    at = last.open ? first_answer() : events_[last.at].next;
    open_at = last.open ? last.at + 1 : 0;
  }
  out.configurations = seen_.count();
  return out;
}

} // namespace

search_result search(const std::vector<interval>& calls, object& o,
                     const limits& l) {
  return searcher{calls, o, l}.run();
}

} // namespace detail
} // namespace banyan::linear
