#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace banyan {

/// Where a line of an app came from: what its process printed (standard output
/// and error are one pipe, so that their order is kept), or `ctx.log`.
enum class log_source : std::uint8_t { out = 0, log = 1 };
[[nodiscard]] const char* to_string(log_source s) noexcept;

/// One line that an app printed or logged, as it came: whoever shows it makes
/// it harmless first.
struct log_line {
  static constexpr std::size_t text_bytes_max = 4096;
  static constexpr std::size_t actor_bytes_max = 255;

  std::uint64_t number = 0; ///< ascending on its node
  std::int64_t at_unix_ms = 0;
  log_source source = log_source::out;
  std::string actor; ///< its key; empty: not known
  std::string text;  ///< any bytes, cut at `text_bytes_max`
};

/// The newest lines of one app on one node: at most `bytes_max` of memory, the
/// oldest go first. Lost with the process. Numbers are as in `event_log`.
class log_ring {
public:
  static constexpr std::size_t bytes_max = std::size_t{4} << 20;

  void add(log_source s, std::string_view actor, std::string_view text,
           std::int64_t unix_ms);

  /// In order, those with a number above `after` and of `since_ms` or later,
  /// until `f` says false.
  template <class F>
  void each_after(std::uint64_t after, std::int64_t since_ms, F f) const {
    for (auto i = first_after(after); i != lines_.end(); ++i)
      if (i->at_unix_ms >= since_ms && !f(*i))
        return;
  }
  [[nodiscard]] std::uint64_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::size_t size() const noexcept { return lines_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  /// What a line counts for.
  [[nodiscard]] static std::size_t size_of(const log_line& l) noexcept {
    return sizeof(log_line) + l.actor.size() + l.text.size();
  }

private:
  [[nodiscard]] std::deque<log_line>::const_iterator
  first_after(std::uint64_t after) const;

  std::deque<log_line> lines_;
  std::size_t bytes_ = 0;
  std::uint64_t newest_ = 0;
};

} // namespace banyan
