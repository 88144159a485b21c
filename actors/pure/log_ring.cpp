#include "actors/pure/log_ring.hpp"

#include "actors/pure/event_log.hpp"

#include <algorithm>

namespace banyan {

const char* to_string(log_source s) noexcept {
  switch (s) {
  case log_source::out:
    return "out";
  case log_source::log:
    return "log";
  }
  return "out";
}

void log_ring::add(log_source s, std::string_view actor, std::string_view text,
                   std::int64_t unix_ms) {
  log_line l;
  const auto by_clock =
      static_cast<std::uint64_t>(std::max<std::int64_t>(unix_ms, 0))
      * event_log::numbers_per_ms;
  l.number = newest_ = std::max(newest_ + 1, by_clock);
  l.at_unix_ms = unix_ms;
  l.source = s;
  l.actor = actor.substr(0, log_line::actor_bytes_max);
  l.text = text.substr(0, log_line::text_bytes_max);
  bytes_ += size_of(l);
  lines_.push_back(std::move(l));
  while (bytes_ > bytes_max) {
    bytes_ -= size_of(lines_.front());
    lines_.pop_front();
  }
}

std::deque<log_line>::const_iterator
log_ring::first_after(std::uint64_t after) const {
  if (after > newest_)
    return lines_.begin();
  return std::upper_bound(
      lines_.begin(), lines_.end(), after,
      [](std::uint64_t n, const log_line& l) { return n < l.number; });
}

} // namespace banyan
