#include "net/link/relay_forwarder.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

/// What a frame costs beyond its data; words without data cost it too.
constexpr std::size_t around_data = 64;

} // namespace

void relay_forwarder::on_frame(const node_id& from, const relay_frame& f,
                               time_point now) {
  const auto k =
      f.by_opener ? key{from, f.far, f.stream} : key{f.far, from, f.stream};
  const std::size_t way = f.by_opener ? 0 : 1;
  if (f.word == relay_word::open)
    return open(from, f, k, now);
  const auto i = streams_.find(k);
  if (i == streams_.end()) {
    if (f.word == relay_word::data)
      refuse(from, f, relay_end::unknown);
    return;
  }
  i->second.used = now;
  auto& this_way = i->second.ways[way];
  auto& other_way = i->second.ways[1 - way];
  switch (f.word) {
  case relay_word::open:
    return;
  case relay_word::data:
    return data(i, way, f, now);
  case relay_word::credit:
    // Of bytes that never went there it can't have any.
    if (f.number > other_way.top) {
      ++counters_.overruns;
      return end(i, relay_end::overrun, now);
    }
    if (f.number <= other_way.credited)
      return;
    other_way.credited = f.number;
    if (!pass(i, way, f.word, f.number, {}, now))
      end(i, relay_end::overloaded, now);
    else if (ration_of(k, now).overdrawn())
      end(i, relay_end::overrun, now); // nobody needs so many words
    return;
  case relay_word::close:
    this_way.closing = static_cast<relay_end>(f.number);
    drain(i, way, now);
    return;
  }
}

void relay_forwarder::open(const node_id& from, const relay_frame& f,
                           const key& k, time_point now) {
  if (streams_.count(k) > 0)
    return;
  if (streams_.size() >= limits_.streams_max)
    forget_idle(now);
  if (f.far == from || f.far == self_ || !ask_.may(from) || !ask_.may(f.far))
    return refuse(from, f, relay_end::not_allowed);
  if (!ask_.linked(f.far))
    return refuse(from, f, relay_end::not_linked);
  const auto by = opened_by_.find(from);
  if (streams_.size() >= limits_.streams_max
      || (by != opened_by_.end() && by->second >= limits_.streams_per_opener)
      || ration_of(k, now).overdrawn())
    return refuse(from, f, relay_end::overloaded);
  ++opened_by_[from];
  const auto i = streams_.emplace(k, stream{}).first;
  i->second.used = now;
  ++counters_.opened;
  if (!pass(i, 0, f.word, 0, {}, now))
    end(i, relay_end::overloaded, now);
}

void relay_forwarder::data(iterator i, std::size_t way, const relay_frame& f,
                           time_point now) {
  auto& w = i->second.ways[way];
  const auto upto = f.number + f.data.size();
  // Within the window there are no more bytes than it has room for, unless
  // some come twice: those would fill the queue.
  if (w.closing || upto > w.credited + limits_.window
      || w.queued + f.data.size() > limits_.window
      || w.queue.size() >= limits_.pieces_max) {
    ++counters_.overruns;
    return end(i, relay_end::overrun, now);
  }
  w.top = std::max(w.top, upto);
  const bool waits = !w.queue.empty();
  w.queue.push_back({f.number, f.data.copy()});
  w.queued += f.data.size();
  if (waits)
    ++counters_.held;
  else
    drain(i, way, now);
}

bool relay_forwarder::drain(iterator i, std::size_t way, time_point now) {
  auto& w = i->second.ways[way];
  while (!w.queue.empty()) {
    auto& ration = ration_of(i->first, now); // `pass` may have moved it
    if (!ration.open(now) || !total_of(now).open(now)) {
      due_ = std::min(due_, std::max(ration.opens_at(), total_->opens_at()));
      waiting_.insert(i->first);
      return true;
    }
    const auto p = std::move(w.queue.front());
    w.queue.pop_front();
    w.queued -= p.data.size();
    if (!pass(i, way, relay_word::data, p.at, p.data, now)) {
      end(i, relay_end::overloaded, now);
      return false;
    }
  }
  if (w.closing) {
    ++counters_.ended;
    pass(i, way, relay_word::close, static_cast<std::uint64_t>(*w.closing), {},
         now);
    erase(i);
    return false;
  }
  if (i->second.ways[1 - way].queue.empty())
    waiting_.erase(i->first);
  return true;
}

bool relay_forwarder::pass(iterator i, std::size_t way, relay_word word,
                           std::uint64_t number, const_bytes data,
                           time_point now) {
  ++counters_.frames;
  counters_.bytes += data.size();
  ration_of(i->first, now).take(data.size() + around_data);
  total_of(now).take(data.size() + around_data);
  relay_frame f;
  f.word = word;
  f.forwarded = true;
  f.far = end_of(i->first, way);
  f.stream = i->first.number;
  f.by_opener = way == 0;
  f.number = number;
  f.data = data;
  return ask_.send(end_of(i->first, 1 - way), f);
}

void relay_forwarder::refuse(const node_id& to, const relay_frame& f,
                             relay_end why) {
  ++counters_.refused;
  relay_frame no;
  no.word = relay_word::close;
  no.forwarded = true;
  no.far = f.far;
  no.stream = f.stream;
  no.by_opener = !f.by_opener;
  no.number = static_cast<std::uint64_t>(why);
  ask_.send(to, no);
}

void relay_forwarder::end(iterator i, relay_end why, time_point now) {
  ++counters_.ended;
  for (const std::size_t way : {0U, 1U})
    pass(i, way, relay_word::close, static_cast<std::uint64_t>(why), {}, now);
  erase(i);
}

relay_forwarder::iterator relay_forwarder::erase(iterator i) {
  const auto by = opened_by_.find(i->first.opener);
  BANYAN_ASSERT(by != opened_by_.end() && by->second > 0);
  if (--by->second == 0)
    opened_by_.erase(by);
  waiting_.erase(i->first);
  return streams_.erase(i);
}

void relay_forwarder::link_gone(const node_id& node, time_point now) {
  for (auto i = streams_.begin(); i != streams_.end();) {
    const auto next = std::next(i);
    if (i->first.opener == node || i->first.answerer == node)
      end(i, relay_end::not_linked, now);
    i = next;
  }
}

void relay_forwarder::forget_idle(time_point now) {
  for (auto i = streams_.begin(); i != streams_.end();) {
    const auto next = std::next(i);
    if (i->second.used + limits_.idle <= now)
      end(i, relay_end::unknown, now);
    i = next;
  }
}

relay_ration& relay_forwarder::ration_of(const key& k, time_point now) {
  const auto p = std::minmax(k.opener, k.answerer);
  if (const auto i = pairs_.find({p.first, p.second}); i != pairs_.end())
    return i->second;
  if (pairs_.size() > 2 * limits_.streams_max)
    for (auto i = pairs_.begin(); i != pairs_.end();) {
      i->second.open(now);
      i = i->second.full() ? pairs_.erase(i) : std::next(i);
    }
  return pairs_
      .try_emplace({p.first, p.second}, limits_.pair_bytes_per_second,
                   limits_.pair_burst, now)
      .first->second;
}

relay_ration& relay_forwarder::total_of(time_point now) {
  if (!total_)
    total_.emplace(limits_.total_bytes_per_second, limits_.total_burst, now);
  return *total_;
}

time_point relay_forwarder::deadline() const {
  return waiting_.empty() ? never : due_;
}

void relay_forwarder::on_time(time_point now) {
  if (now < deadline() || waiting_.empty())
    return;
  due_ = never;
  // Whoever was served first comes last now: none starves of the total.
  std::vector<key> order{waiting_.upper_bound(turn_), waiting_.end()};
  order.insert(order.end(), waiting_.begin(), waiting_.upper_bound(turn_));
  turn_ = order.front();
  for (const auto& k : order) {
    for (const std::size_t way : {0U, 1U}) {
      const auto i = streams_.find(k);
      if (i == streams_.end())
        break;
      auto& w = i->second.ways[way];
      if (!w.queue.empty() || w.closing)
        drain(i, way, now);
    }
  }
}

} // namespace banyan::net
