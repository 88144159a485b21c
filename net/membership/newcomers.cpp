#include "net/membership/newcomers.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// Of the eight places on the rings.
constexpr std::size_t places_to_prove = 5;

const node_id& sponsor_of(const newcomer& n) {
  return n.document->admitted->sponsor;
}

} // namespace

bool proved_by_vouchers(const newcomer& n, const rings::of_all& places) {
  std::size_t held = 0;
  std::set<node_id> sayers;
  for (const auto& observer : places)
    if (std::any_of(n.vouchers.begin(), n.vouchers.end(),
                    [&](const auto& r) { return r->observer == observer; })) {
      ++held;
      sayers.insert(observer);
    }
  return held >= places_to_prove && sayers.size() >= 2;
}

bool proved_by_names(const newcomer& n,
                     const std::vector<node_id>& neighbours) {
  const auto named =
      std::count_if(neighbours.begin(), neighbours.end(),
                    [&](const auto& by) { return n.named_by.count(by) > 0; });
  return named >= 2 && 2 * std::size_t(named) > neighbours.size();
}

std::vector<node_id> newcomers::take_dropped() {
  return std::exchange(dropped_, {});
}

newcomer* newcomers::find(const node_id& node) {
  const auto i = all_.find(node);
  return i == all_.end() ? nullptr : &i->second;
}

const newcomer* newcomers::find(const node_id& node) const {
  const auto i = all_.find(node);
  return i == all_.end() ? nullptr : &i->second;
}

shared_document newcomers::document(const node_id& node) const {
  const auto* n = find(node);
  return n != nullptr ? n->document : nullptr;
}

bool newcomers::refused(const node_id& node, time_point now) const {
  const auto i = refused_.find(node);
  return i != refused_.end() && now < i->second;
}

void newcomers::drop(std::map<node_id, newcomer>::iterator i) {
  if (i->second.document)
    dropped_.push_back(i->first);
  all_.erase(i);
}

/// Of those for which `which` holds.
template <class If>
void newcomers::make_room(std::size_t max, If which) {
  std::size_t n = 0;
  auto oldest = all_.end();
  for (auto i = all_.begin(); i != all_.end(); ++i) {
    if (!which(i->second))
      continue;
    ++n;
    if (oldest == all_.end() || i->second.since < oldest->second.since)
      oldest = i;
  }
  if (n >= max)
    drop(oldest);
}

newcomer& newcomers::open(const node_id& node, time_point now) {
  auto [i, fresh] = all_.try_emplace(node);
  if (fresh) {
    i->second.since = now;
    ask_from(i->second, now + limits_.ask_after);
  }
  return i->second;
}

void newcomers::ask_from(newcomer& n, time_point at) {
  n.ask_wait = limits_.ask_after;
  n.ask_at = at;
  ask_due_ = std::min(ask_due_, at);
}

newcomer& newcomers::wait(shared_document d, time_point now) {
  const auto& node = d->record.node;
  auto* held = find(node);
  if (held == nullptr || !held->document) {
    std::map<node_id, std::size_t> shares;
    std::size_t n = 0;
    for (const auto& [other, w] : all_)
      if (w.document) {
        ++n;
        ++shares[sponsor_of(w)];
      }
    if (n >= limits_.waiting_max) {
      const auto most = std::max_element(
          shares.begin(), shares.end(),
          [](const auto& a, const auto& b) { return a.second < b.second; });
      make_room(most->second, [&](const newcomer& w) {
        return w.document && sponsor_of(w) == most->first;
      });
    }
    held = &open(node, now);
    held->since = now;
    // Somebody has it as a member already: others probably too.
    ask_from(*held, held->named_by.empty() ? now + limits_.ask_after : now);
  }
  held->renewed_at = now;
  held->document = std::move(d);
  return *held;
}

newcomer& newcomers::spoken_of(const node_id& node, time_point now) {
  if (auto* n = find(node))
    return *n;
  make_room(limits_.named_max,
            [](const newcomer& n) { return !n.document && !n.in; });
  return open(node, now);
}

newcomer& newcomers::came_in(const node_id& node, time_point now) {
  if (find(node) == nullptr)
    make_room(limits_.recent_max, [](const newcomer& n) { return n.in; });
  auto& n = open(node, now);
  n.in = true;
  n.since = now;
  n.document = nullptr;
  n.dialled = false;
  n.named_by.clear();
  refused_.erase(node);
  return n;
}

void newcomers::expire(time_point now) {
  for (auto i = refused_.begin(); i != refused_.end();)
    i = i->second <= now ? refused_.erase(i) : std::next(i);
  for (auto i = all_.begin(); i != all_.end();) {
    const auto at = i++;
    if (now < at->second.since + limits_.patience)
      continue;
    if (at->second.document && refused_.size() < limits_.refused_max)
      refused_[at->first] = now + limits_.refused_for;
    drop(at);
  }
}

bool newcomers::may_dial(const newcomer& n) const {
  return std::size_t(std::count_if(all_.begin(), all_.end(),
                                   [&](const auto& w) {
                                     return w.second.document
                                            && w.second.dialled
                                            && sponsor_of(w.second)
                                                   == sponsor_of(n);
                                   }))
         < limits_.dialled_max;
}

std::vector<node_id> newcomers::end_dials(time_point now) {
  std::map<node_id, std::size_t> shares;
  for (const auto& [node, n] : all_)
    if (n.document && n.dialled)
      ++shares[sponsor_of(n)];
  std::vector<node_id> ended;
  for (auto& [node, n] : all_)
    if (n.document && n.dialled && n.dialled_at + limits_.dialled_for <= now
        && shares[sponsor_of(n)] >= limits_.dialled_max) {
      n.dialled = false;
      ended.push_back(node);
    }
  return ended;
}

newcomers::questions newcomers::ask(time_point now) {
  questions due;
  if (now < ask_due_)
    return due;
  ask_due_ = never;
  for (auto& [node, n] : all_) {
    if (n.in)
      continue;
    if (n.ask_at <= now) {
      const bool vouched = n.vouchers.size() >= 2;
      if (n.document)
        due.names.push_back(node);
      else if (vouched)
        due.records.push_back(node);
      n.ask_at = now + n.ask_wait;
      if (n.document || vouched)
        n.ask_wait *= 2;
    }
    ask_due_ = std::min(ask_due_, n.ask_at);
  }
  return due;
}

std::vector<node_id> newcomers::waiting() const {
  std::vector<node_id> out;
  for (const auto& [node, n] : all_)
    if (n.document)
      out.push_back(node);
  std::stable_sort(out.begin(), out.end(),
                   [this](const auto& a, const auto& b) {
                     return all_.at(a).dialled_at < all_.at(b).dialled_at;
                   });
  return out;
}

std::vector<node_id> newcomers::recent() const {
  std::vector<node_id> out;
  for (const auto& [node, n] : all_)
    if (n.in)
      out.push_back(node);
  return out;
}

} // namespace banyan::net
