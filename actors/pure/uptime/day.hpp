#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"
#include "crypto/signing.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

/// One day as one node saw others: what uptime is made of. Plain data with a
/// canonical codec; pure.
namespace banyan {

class reader;
class writer;

inline constexpr std::size_t minutes_a_day = 1440;
/// Days are kept and told for so long.
inline constexpr std::uint32_t days_kept = 30;
/// Nodes in one observation: a full mesh has 16, rings have 8 and whoever is
/// gone between.
inline constexpr std::size_t subjects_max = 64;
inline constexpr std::size_t observation_bytes_max = std::size_t{32} << 10;

/// Where a wall clock stands: days since 1970 (UTC) and the minute of the day.
/// Minutes are shorter in tests.
struct day_time {
  std::uint32_t day = 0;
  std::uint32_t minute = 0;
};
[[nodiscard]] day_time day_time_of(std::int64_t unix_ms, duration minute);

/// `2026-11-23`.
[[nodiscard]] std::string date_text(std::uint32_t day);

/// A bit for each minute of a day.
class minute_bits {
public:
  static constexpr std::size_t words = (minutes_a_day + 63) / 64;

  void set(std::size_t minute);
  [[nodiscard]] bool test(std::size_t minute) const;
  [[nodiscard]] std::uint32_t count() const;
  [[nodiscard]] bool any() const;
  /// Bits `first` up to, not with, `end`.
  void set_range(std::size_t first, std::size_t end);
  [[nodiscard]] std::uint64_t word(std::size_t i) const { return w_[i]; }
  void set_word(std::size_t i, std::uint64_t v);

  /// As the lengths of its runs, zeros first; where these are many, as a blob
  /// of 180 bytes, the first minute in the highest bit of the first.
  void write(writer& w) const;
  void read(reader& r);

  friend bool operator==(const minute_bits& a, const minute_bits& b) {
    return a.w_ == b.w_;
  }
  friend bool operator!=(const minute_bits& a, const minute_bits& b) {
    return !(a == b);
  }
  friend minute_bits operator&(const minute_bits& a, const minute_bits& b);
  friend minute_bits operator^(const minute_bits& a, const minute_bits& b);

private:
  std::array<std::uint64_t, words> w_{};
};

/// What the observer saw of one node: `up` only where `observed`.
struct seen_day {
  minute_bits observed;
  minute_bits up;
};
inline bool operator==(const seen_day& a, const seen_day& b) {
  return a.observed == b.observed && a.up == b.up;
}

/// The body of a document of kind `observation`; its version is the day, its
/// signer the observer.
struct observation {
  struct subject {
    node_id node;
    seen_day seen;
  };
  std::uint32_t day = 0;
  std::vector<subject> subjects; ///< ascending; each with a minute observed

  [[nodiscard]] const seen_day* find(const node_id& node) const;
  [[nodiscard]] bytes encode() const;
  /// False on anything but one canonical observation within the bounds above.
  [[nodiscard]] static bool decode(const_bytes in, observation& out);
};

/// The node that signed it.
[[nodiscard]] node_id observer_of(const signed_document& d);

enum class day_errc : std::uint8_t {
  malformed = 1, ///< no such document, or it speaks of its own signer
  bad_signature,
  future, ///< its day isn't over yet, by this node's clock
  old     ///< more than `days_kept` days old
};
/// Form and signature, and that its day is over and not too old at `now`. A
/// clock that is a quarter of an hour late refuses nothing.
[[nodiscard]] result<observation, day_errc>
open_observation(const signed_document& d, const mesh_id& mesh, day_time now);

} // namespace banyan
