#pragma once
#include "actors/pure/replica/entry_codec.hpp"

#include <map>
#include <unordered_map>

namespace banyan::replica {

/// An answer that is kept for a retry: where its entry stands and what it says.
struct kept_answer {
  log_index index;
  shared_bytes value; ///< encoded `answer`
};

/// The sessions of a group and the answers kept for them, as rows (kinds
/// session and answer) say. A mirror in memory: `put_…` and `erase_…` follow
/// the rows, nothing is decided here but what a request is.
class session_table {
public:
  struct session {
    std::uint64_t floor = 1; ///< answers below are confirmed and gone
    duration last_used{};    ///< log time
    log_index row_index;
    std::map<std::uint64_t, kept_answer> answers;
  };
  enum class verdict : std::uint8_t {
    fresh,      ///< not seen: run it
    answered,   ///< `kept` has the answer
    expired,    ///< unknown session or below the floor: never run
    overloaded, ///< too many unconfirmed answers
  };
  struct checked {
    verdict what = verdict::expired;
    const kept_answer* kept = nullptr;
  };

  /// `floor` is what the caller confirms with this very request; `open` is how
  /// many of the session's requests are under way.
  [[nodiscard]] checked check(const by_session& r, std::size_t open,
                              std::uint64_t answers_max) const;

  void put_session(std::uint64_t id, std::uint64_t floor, duration last_used,
                   log_index index);
  void erase_session(std::uint64_t id);
  void put_answer(std::uint64_t id, std::uint64_t number, kept_answer a);
  void erase_answer(std::uint64_t id, std::uint64_t number);
  [[nodiscard]] const session* find(std::uint64_t id) const;
  /// Live sessions (those with a session row).
  [[nodiscard]] std::size_t size() const noexcept { return live_; }

  /// Sessions unused at `now` for `idle`.
  [[nodiscard]] std::vector<std::uint64_t> idle(duration now,
                                                duration idle) const;
  /// The `n` that are idle for longest.
  [[nodiscard]] std::vector<std::uint64_t> longest_idle(std::size_t n) const;
  /// The smallest `last_used`; `duration::max()` without sessions.
  [[nodiscard]] duration oldest_use() const;

private:
  struct slot : session {
    bool live = false; ///< has a session row
  };
  void drop_if_empty(std::uint64_t id);
  std::unordered_map<std::uint64_t, slot> sessions_;
  std::size_t live_ = 0;
};

bytes encode_session(std::uint64_t floor, duration last_used);
bool decode_session(const_bytes in, std::uint64_t& floor, duration& last_used);

/// Idempotency keys and their answers, as rows say; by age for forgetting.
class idempotency_table {
public:
  struct kept {
    hash16 body{};
    duration at{}; ///< log time
    log_index index;
    shared_bytes value; ///< encoded `answer`
  };
  [[nodiscard]] const kept* find(const hash16& key) const;
  void put(const hash16& key, kept k);
  void erase(const hash16& key);
  [[nodiscard]] std::size_t size() const noexcept { return kept_.size(); }
  /// How far forgetting should go now, in steps of at most `step` keys, so
  /// that no entry has much to erase. Zero: nothing to forget.
  [[nodiscard]] log_index floor(duration now, std::size_t kept_min,
                                std::size_t kept_max, duration age_min,
                                std::size_t step) const;
  /// Keys of entries up to `floor`.
  void up_to(log_index floor, std::vector<hash16>& out) const;

private:
  struct hash_of_key {
    std::size_t operator()(const hash16& k) const noexcept {
      std::size_t h;
      std::memcpy(&h, k.data(), sizeof h);
      return h;
    }
  };
  std::unordered_map<hash16, kept, hash_of_key> kept_;
  std::map<log_index, hash16> by_age_; ///< one entry writes one key
};

bytes encode_kept(const hash16& body, duration at, const_bytes answer);
bool decode_kept(const_bytes in, idempotency_table::kept& out);

} // namespace banyan::replica
