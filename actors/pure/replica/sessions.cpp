#include "actors/pure/replica/sessions.hpp"

#include <algorithm>

namespace banyan::replica {

session_table::checked session_table::check(const by_session& r,
                                            std::size_t open,
                                            std::uint64_t answers_max) const {
  const auto* s = find(r.session);
  if (!s || r.number == 0 || r.number < s->floor)
    return {verdict::expired, nullptr};
  const auto a = s->answers.find(r.number);
  if (a != s->answers.end())
    return {verdict::answered, &a->second};
  if (r.number < r.floor)
    return {verdict::expired, nullptr};
  // What this request itself confirms no longer counts as unconfirmed.
  const auto confirmed = static_cast<std::uint64_t>(
      std::distance(s->answers.begin(), s->answers.lower_bound(r.floor)));
  const auto unconfirmed = s->answers.size() - confirmed + open;
  if (unconfirmed >= answers_max)
    return {verdict::overloaded, nullptr};
  return {verdict::fresh, nullptr};
}

void session_table::put_session(std::uint64_t id, std::uint64_t floor,
                                duration last_used, log_index index) {
  auto& s = sessions_[id];
  live_ += !s.live;
  s.live = true;
  s.floor = floor;
  s.last_used = last_used;
  s.row_index = index;
}
void session_table::erase_session(std::uint64_t id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end() || !it->second.live)
    return;
  it->second.live = false;
  --live_;
  drop_if_empty(id);
}
void session_table::put_answer(std::uint64_t id, std::uint64_t number,
                               kept_answer a) {
  sessions_[id].answers[number] = std::move(a);
}
void session_table::erase_answer(std::uint64_t id, std::uint64_t number) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end())
    return;
  it->second.answers.erase(number);
  drop_if_empty(id);
}
void session_table::drop_if_empty(std::uint64_t id) {
  const auto it = sessions_.find(id);
  if (!it->second.live && it->second.answers.empty())
    sessions_.erase(it);
}
const session_table::session* session_table::find(std::uint64_t id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() || !it->second.live ? nullptr : &it->second;
}

std::vector<std::uint64_t> session_table::idle(duration now,
                                               duration idle) const {
  std::vector<std::uint64_t> out;
  for (const auto& [id, s] : sessions_)
    if (s.live && now - s.last_used >= idle)
      out.push_back(id);
  std::sort(out.begin(), out.end());
  return out;
}
std::vector<std::uint64_t> session_table::longest_idle(std::size_t n) const {
  std::vector<std::pair<duration, std::uint64_t>> all;
  for (const auto& [id, s] : sessions_)
    if (s.live)
      all.emplace_back(s.last_used, id);
  n = std::min(n, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n),
                    all.end());
  std::vector<std::uint64_t> out;
  for (std::size_t i = 0; i < n; ++i)
    out.push_back(all[i].second);
  return out;
}
duration session_table::oldest_use() const {
  auto oldest = duration::max();
  for (const auto& [id, s] : sessions_)
    if (s.live)
      oldest = std::min(oldest, s.last_used);
  return oldest;
}

bytes encode_session(std::uint64_t floor, duration last_used) {
  bytes out;
  writer{out}.array(2).uint(floor).uint(
      static_cast<std::uint64_t>(last_used.count()));
  return out;
}
bool decode_session(const_bytes bytes_in, std::uint64_t& floor,
                    duration& last_used) {
  reader in{bytes_in};
  in.require(in.array(2) == 2);
  floor = in.uint();
  last_used = duration{static_cast<duration::rep>(in.uint(INT64_MAX))};
  return in.done();
}

const idempotency_table::kept*
idempotency_table::find(const hash16& key) const {
  const auto it = kept_.find(key);
  return it == kept_.end() ? nullptr : &it->second;
}
void idempotency_table::put(const hash16& key, kept k) {
  erase(key);
  by_age_[k.index] = key;
  kept_[key] = std::move(k);
}
void idempotency_table::erase(const hash16& key) {
  const auto it = kept_.find(key);
  if (it == kept_.end())
    return;
  const auto age = by_age_.find(it->second.index);
  if (age != by_age_.end() && age->second == key)
    by_age_.erase(age);
  kept_.erase(it);
}
log_index idempotency_table::floor(duration now, std::size_t kept_min,
                                   std::size_t kept_max, duration age_min,
                                   std::size_t step) const {
  log_index floor;
  auto left = kept_.size();
  for (auto it = by_age_.begin(); it != by_age_.end() && step > 0;
       ++it, --step, --left) {
    const auto& k = kept_.at(it->second);
    // One more is about to come: the bound holds after it, too.
    const bool too_many = left >= kept_max;
    const bool old = left >= kept_min && now - k.at >= age_min;
    if (!too_many && !old)
      break;
    floor = it->first;
  }
  return floor;
}
void idempotency_table::up_to(log_index floor, std::vector<hash16>& out) const {
  for (const auto& [index, key] : by_age_) {
    if (index > floor)
      break;
    out.push_back(key);
  }
}

bytes encode_kept(const hash16& body, duration at, const_bytes answer) {
  bytes out;
  writer{out}
      .array(3)
      .blob(body)
      .uint(static_cast<std::uint64_t>(at.count()))
      .blob(answer);
  return out;
}
bool decode_kept(const_bytes bytes_in, idempotency_table::kept& out) {
  reader in{bytes_in};
  in.require(in.array(3) == 3);
  const auto body = in.blob(out.body.size());
  if (in.require(body.size() == out.body.size()))
    std::copy(body.begin(), body.end(), out.body.begin());
  out.at = duration{static_cast<duration::rep>(in.uint(INT64_MAX))};
  out.value = shared_bytes{in.blob(std::size_t{16} << 20).copy()};
  return in.done();
}

} // namespace banyan::replica
