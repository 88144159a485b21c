#include "net/link/detail/rations.hpp"

#include <algorithm>

namespace banyan::net {

bool token_bucket::take(time_point now, double least) {
  const auto passed = std::chrono::duration<double>(now - at_).count();
  at_ = std::max(at_, now);
  tokens_ = std::min(burst_, tokens_ + std::max(passed, 0.0) * per_second_);
  if (tokens_ < std::max(least, 1.0))
    return false;
  tokens_ -= 1;
  return true;
}

void rations::set_known(const std::vector<address>& members) {
  known_.clear();
  for (const auto& m : members)
    known_.insert(m.host);
}

bool rations::admit(const address& from, time_point now) {
  const bool known = is_known(from);
  if (half_open_known_ + half_open_strangers_ >= config_.half_open_max
      || (!known && half_open_strangers_ >= config_.half_open_max / 2))
    return false;
  if (!known && !prefix_allows(from, now))
    return false;
  if (!total_)
    total_.emplace(config_.handshakes_per_second, config_.handshakes_burst,
                   now);
  if (!total_->take(now, known ? 1 : config_.handshakes_burst / 2))
    return false;
  ++(known ? half_open_known_ : half_open_strangers_);
  return true;
}

void rations::release(bool was_known) {
  auto& n = was_known ? half_open_known_ : half_open_strangers_;
  BANYAN_ASSERT(n > 0);
  --n;
}

bool rations::prefix_allows(const address& from, time_point now) {
  const auto prefix = from.prefix();
  auto it = prefixes_.find(prefix);
  if (it == prefixes_.end()) {
    if (prefixes_.size() >= std::max<std::size_t>(config_.prefixes_max, 1)) {
      prefixes_.erase(by_use_.back().prefix);
      by_use_.pop_back();
    }
    const bool here = from.is_loopback();
    by_use_.push_front(
        {prefix,
         {here ? config_.loopback_per_second : config_.prefix_per_second,
          here ? config_.loopback_burst : config_.prefix_burst, now}});
    it = prefixes_.emplace(prefix, by_use_.begin()).first;
  } else {
    by_use_.splice(by_use_.begin(), by_use_, it->second);
  }
  return it->second->bucket.take(now);
}

bool seen_ephemerals::insert(const noise::dh_public& key) {
  std::string k{as_text(key)};
  if (older_.count(k) != 0 || !newer_.insert(std::move(k)).second)
    return false;
  if (newer_.size() >= half_max_) {
    older_ = std::move(newer_);
    newer_.clear();
  }
  return true;
}

} // namespace banyan::net
