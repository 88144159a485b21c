#include "actors/pure/uptime/archive.hpp"

#include "crypto/hash.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t name_hash_bytes = 8;

std::uint64_t number_of(const digest& d) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < name_hash_bytes; ++i)
    out = out << 8 | d.array()[i];
  return out;
}

} // namespace

bytes day_archive::name_of(const signed_document& d) {
  bytes out;
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(d.version >> shift));
  append(out, d.signer.view());
  append(out, hash(d.encode()).view().first(name_hash_bytes));
  return out;
}

day_archive::outcome day_archive::put(const signed_document& d, observation o) {
  const auto encoded = d.encode();
  const auto id = hash(encoded);
  const auto day = o.day;
  auto& all = days_[day][observer_of(d)];
  const auto same = [&](const kept& k) { return k.hash == id; };
  if (all.size() > 1 || std::any_of(all.begin(), all.end(), same))
    return outcome::known;
  if (size_ >= documents_max) {
    if (all.empty())
      days_[day].erase(observer_of(d));
    return outcome::full;
  }
  all.push_back({d, std::move(o), id, encoded.size()});
  ++size_;
  stale_.insert(day);
  return outcome::kept;
}

std::vector<bytes> day_archive::forget_before(std::uint32_t day) {
  std::vector<bytes> out;
  while (!days_.empty() && days_.begin()->first < day) {
    for (const auto& [observer, all] : days_.begin()->second)
      for (const auto& k : all) {
        out.push_back(name_of(k.document));
        --size_;
      }
    stale_.insert(days_.begin()->first);
    days_.erase(days_.begin());
  }
  return out;
}

day_archive::fingerprints
day_archive::fingerprints_of(const std::optional<node_id>& about) const {
  fingerprints out;
  for (const auto& [day, observers] : days_)
    for (const auto& [observer, all] : observers)
      for (const auto& k : all)
        if (!about || k.content.find(*about) != nullptr)
          out[day] += number_of(k.hash);
  return out;
}

std::vector<signed_document>
day_archive::differing(const std::optional<node_id>& about,
                       const fingerprints& theirs,
                       const std::optional<place>& after,
                       std::size_t bytes_most, bool& more) const {
  std::vector<signed_document> out;
  const auto mine = fingerprints_of(about);
  std::size_t size = 0;
  more = false;
  for (const auto& [day, print] : mine) {
    const auto at = theirs.find(day);
    if (at != theirs.end() && at->second == print)
      continue;
    for (const auto& [observer, all] : days_.at(day)) {
      if (after
          && (day < after->day
              || (day == after->day && !(after->observer < observer))))
        continue;
      std::size_t more_bytes = 0; // both of two that contradict each other
      std::vector<const kept*> these;
      for (const auto& k : all)
        if (!about || k.content.find(*about) != nullptr) {
          more_bytes += k.bytes;
          these.push_back(&k);
        }
      if (out.size() + these.size() > answer_documents_max
          || (!out.empty() && size + more_bytes > bytes_most)) {
        more = true;
        return out;
      }
      size += more_bytes;
      for (const auto* k : these)
        out.push_back(k->document);
    }
  }
  return out;
}

bool day_pages::goes_on(const day_archive::place& end) {
  const bool behind =
      !after_ || after_->day < end.day
      || (after_->day == end.day && after_->observer < end.observer);
  if (!behind || ++pages_ >= pages_max)
    return false;
  after_ = end;
  return true;
}

std::optional<node_id>
day_questions::on_look(day_time now, const std::vector<node_id>& linked,
                       random_source& random, time_point at) {
  const bool began = std::exchange(last_minute_, now.minute) != now.minute;
  if (asked_ && at < asked_->until)
    return std::nullopt;
  asked_.reset();
  if (began && now.minute % ask_every == 0 && !linked.empty())
    to_ask_.insert(linked[random.below(linked.size())]);
  if (to_ask_.empty())
    return std::nullopt;
  asked_ = question{*to_ask_.begin(), at + answer_within, {}};
  to_ask_.erase(to_ask_.begin());
  return asked_->whom;
}

bool day_questions::on_page(const node_id& from, bool more,
                            const std::optional<day_archive::place>& end,
                            time_point at) {
  if (!asked_ || asked_->whom != from)
    return false;
  if (!more || !end || !asked_->pages.goes_on(*end)) {
    asked_.reset();
    return false;
  }
  asked_->until = at + answer_within;
  return true;
}

std::optional<day_archive::place> day_questions::after() const {
  return asked_ ? asked_->pages.after() : std::nullopt;
}

void day_archive::recount() {
  results_.clear();
  for (const auto& [day, observers] : days_)
    stale_.insert(day);
}

void day_archive::refresh(const counts& who) {
  for (const auto day : std::exchange(stale_, {})) {
    for (auto& [node, days] : results_)
      days.erase(day);
    const auto at = days_.find(day);
    if (at == days_.end())
      continue;
    std::map<node_id, std::vector<day_word>> words;
    for (const auto& [observer, all] : at->second) {
      if (all.size() != 1)
        continue;
      for (const auto& s : all.front().content.subjects)
        if (who(observer, s.node))
          words[s.node].push_back({observer, s.seen});
    }
    for (auto& [subject, list] : words)
      results_[subject][day] = count_day(std::move(list));
  }
  for (auto i = results_.begin(); i != results_.end();)
    i = i->second.empty() ? results_.erase(i) : std::next(i);
}

const day_results* day_archive::results(const node_id& node) const {
  const auto at = results_.find(node);
  return at == results_.end() ? nullptr : &at->second;
}

std::set<node_id> day_archive::two_faced() const {
  std::set<node_id> out;
  for (const auto& [day, observers] : days_)
    for (const auto& [observer, all] : observers)
      if (all.size() > 1)
        out.insert(observer);
  return out;
}

bool day_archive::holds(const signed_document& d) const {
  const auto day = days_.find(static_cast<std::uint32_t>(d.version));
  if (day == days_.end() || d.version > UINT32_MAX)
    return false;
  const auto at = day->second.find(observer_of(d));
  return at != day->second.end()
         && std::any_of(at->second.begin(), at->second.end(),
                        [&](const kept& k) { return k.document == d; });
}

day_results results_from(const std::vector<observation>& days,
                         const std::vector<node_id>& observers,
                         const node_id& subject) {
  BANYAN_ASSERT(days.size() == observers.size());
  std::map<std::uint32_t, std::map<node_id, std::vector<seen_day>>> words;
  for (std::size_t i = 0; i < days.size(); ++i)
    if (const auto* seen = days[i].find(subject))
      words[days[i].day][observers[i]].push_back(*seen);
  day_results out;
  for (const auto& [day, by] : words) {
    std::vector<day_word> list;
    for (const auto& [observer, seen] : by)
      if (seen.size() == 1)
        list.push_back({observer, seen.front()});
    if (!list.empty())
      out[day] = count_day(std::move(list));
  }
  return out;
}

} // namespace banyan
