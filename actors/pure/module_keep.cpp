#include "actors/pure/module_keep.hpp"

namespace banyan {

void module_keep::name(std::set<digest> modules, time_point now) {
  for (const auto& hash : named_)
    if (modules.count(hash) == 0)
      unnamed_since_[hash] = now;
  for (const auto& hash : modules) {
    uploads_.erase(hash);
    unnamed_since_.erase(hash);
  }
  named_ = std::move(modules);
}

bool module_keep::is_upload(const digest& hash, time_point now) const {
  const auto at = uploads_.find(hash);
  return at != uploads_.end() && now - at->second.last < config_.upload_grace;
}

module_keep::verdict module_keep::upload(const digest& hash, std::uint64_t size,
                                         time_point now) {
  if (named(hash))
    return verdict::take;
  for (auto i = uploads_.begin(); i != uploads_.end();)
    i = is_upload(i->first, now) ? std::next(i) : uploads_.erase(i);
  std::uint64_t sum = size;
  std::size_t others = 0;
  for (const auto& [other, u] : uploads_)
    if (other != hash) {
      sum += u.size;
      ++others;
    }
  if (others >= config_.uploads_max || sum > config_.uploads_bytes_max)
    return verdict::too_many;
  uploads_[hash] = {size, now};
  return verdict::take;
}

bool module_keep::may_serve(const digest& hash, time_point now) const {
  return named(hash) || is_upload(hash, now);
}

std::vector<digest> module_keep::useless(const std::set<digest>& on_disk,
                                         time_point now) {
  std::vector<digest> out;
  for (auto i = unnamed_since_.begin(); i != unnamed_since_.end();)
    i = on_disk.count(i->first) == 0 ? unnamed_since_.erase(i) : std::next(i);
  for (const auto& hash : on_disk) {
    if (named(hash) || is_upload(hash, now))
      continue;
    uploads_.erase(hash);
    const auto since = unnamed_since_.try_emplace(hash, now).first->second;
    if (now - since >= config_.named_grace)
      out.push_back(hash);
  }
  return out;
}

} // namespace banyan
