#include "net/link/relay_ends.hpp"

#include <algorithm>

namespace banyan::net {

stream_id relay_ends::add(key k) {
  const stream_id id{relayed_bit | ++last_id_};
  end e;
  e.k = k;
  ends_.emplace(id, std::move(e));
  by_key_.emplace(k, id);
  return id;
}

stream_id relay_ends::open(const node_id& via, const node_id& far) {
  BANYAN_ASSERT(begun());
  const auto id = add({via, far, number_++, true});
  const auto i = ends_.find(id);
  if (!say(i->second, relay_word::open, 0)) {
    ended(i, relay_end::overloaded);
    return id;
  }
  // What is written before the far end answers waits there, or is refused.
  event e;
  e.id = id;
  e.via = via;
  events_.push_back(std::move(e));
  return id;
}

bool relay_ends::say(const end& e, relay_word word, std::uint64_t number,
                     const_bytes data) {
  relay_frame f;
  f.word = word;
  f.far = e.k.far;
  f.stream = e.k.number;
  f.by_opener = e.k.ours;
  f.number = number;
  f.data = data;
  return send_(e.k.via, f);
}

void relay_ends::write(stream_id id, const_bytes data) {
  const auto i = ends_.find(id);
  if (i == ends_.end() || i->second.close_by != never)
    return;
  append(i->second.pending, data);
  pump(i);
}

void relay_ends::pump(iterator i) {
  auto& e = i->second;
  std::size_t done = 0;
  while (done < e.pending.size()) {
    const auto room = e.credited + limits_.window - e.sent;
    const auto n = std::min<std::uint64_t>(
        {room, e.pending.size() - done, relay_data_max});
    if (n == 0)
      break;
    if (!say(e, relay_word::data, e.sent,
             const_bytes{e.pending}.from(done).first(n)))
      return ended(i, relay_end::overloaded);
    e.sent += n;
    done += n;
  }
  e.pending.erase(e.pending.begin(),
                  e.pending.begin() + static_cast<std::ptrdiff_t>(done));
  if (e.pending.size() > unsent_low) {
    e.was_above = true;
  } else if (e.was_above) {
    e.was_above = false;
    event drained;
    drained.what = event::kind::drained;
    drained.id = i->first;
    events_.push_back(std::move(drained));
  }
  if (e.close_by != never && e.pending.empty()) {
    say(e, relay_word::close, static_cast<std::uint64_t>(relay_end::closed));
    erase(i);
  }
}

std::size_t relay_ends::unsent(stream_id id) const {
  const auto i = ends_.find(id);
  return i == ends_.end() ? 0 : i->second.pending.size();
}

void relay_ends::close(stream_id id, time_point now) {
  const auto i = ends_.find(id);
  if (i == ends_.end())
    return;
  i->second.close_by = now + limits_.close_patience;
  pump(i);
}

void relay_ends::reset(stream_id id) {
  const auto i = ends_.find(id);
  if (i == ends_.end())
    return;
  say(i->second, relay_word::close,
      static_cast<std::uint64_t>(relay_end::closed));
  erase(i);
}

void relay_ends::erase(iterator i) {
  by_key_.erase(i->second.k);
  answered_ -= i->second.k.ours ? 0 : 1;
  ends_.erase(i);
}

void relay_ends::ended(iterator i, relay_end why) {
  if (i->second.close_by == never) {
    event e;
    e.what = event::kind::closed;
    e.id = i->first;
    e.why = why;
    events_.push_back(std::move(e));
  }
  erase(i);
}

void relay_ends::on_frame(const node_id& via, const relay_frame& f) {
  const key k{via, f.far, f.stream, !f.by_opener};
  const auto known = by_key_.find(k);
  if (f.word == relay_word::open) {
    if (known != by_key_.end())
      return;
    if (answered_ >= limits_.ends_max || f.far == via)
      return say_unknown(via, f);
    ++answered_;
    event e;
    e.id = add(k);
    e.inbound = true;
    e.via = via;
    events_.push_back(std::move(e));
    return;
  }
  if (known == by_key_.end()) {
    if (f.word == relay_word::data)
      say_unknown(via, f);
    return;
  }
  const auto i = ends_.find(known->second);
  auto& e = i->second;
  switch (f.word) {
  case relay_word::open:
    return;
  case relay_word::data:
    return data(i, f);
  case relay_word::credit:
    if (f.number > e.sent) {
      ++counters_.misplaced;
      return ended(i, relay_end::overrun);
    }
    e.credited = std::max(e.credited, f.number);
    return pump(i);
  case relay_word::close:
    return ended(i, static_cast<relay_end>(f.number));
  }
}

void relay_ends::say_unknown(const node_id& via, const relay_frame& f) {
  relay_frame no;
  no.word = relay_word::close;
  no.far = f.far;
  no.stream = f.stream;
  no.by_opener = !f.by_opener;
  no.number = static_cast<std::uint64_t>(relay_end::unknown);
  send_(via, no);
}

void relay_ends::overrun(iterator i) {
  ++counters_.misplaced;
  say(i->second, relay_word::close,
      static_cast<std::uint64_t>(relay_end::overrun));
  ended(i, relay_end::overrun);
}

/// Frames of one stream may overtake each other where one link of the way
/// replaces another: what comes early waits, and what comes twice is dropped.
/// Neither is trusted: the records inside notice any other change.
void relay_ends::data(iterator i, const relay_frame& f) {
  auto& e = i->second;
  if (f.number + f.data.size() > e.came + limits_.window)
    return overrun(i);
  if (f.number < e.came || e.close_by != never)
    return;
  if (f.number > e.came) {
    if (e.early.count(f.number) != 0)
      return;
    if (e.early.size() >= limits_.pieces_max
        || e.early_bytes + f.data.size() > limits_.window)
      return overrun(i);
    e.early_bytes += f.data.size();
    e.early.emplace(f.number, f.data.copy());
    return;
  }
  event now;
  now.what = event::kind::data;
  now.id = i->first;
  now.data = f.data.copy();
  e.came += f.data.size();
  while (!e.early.empty() && e.early.begin()->first <= e.came) {
    const auto next = e.early.begin();
    if (next->first == e.came) {
      append(now.data, next->second);
      e.came += next->second.size();
    }
    e.early_bytes -= next->second.size();
    e.early.erase(next);
  }
  events_.push_back(std::move(now));
  if (e.came - e.told < limits_.window / 4)
    return;
  e.told = e.came;
  if (!say(e, relay_word::credit, e.came))
    ended(i, relay_end::overloaded);
}

void relay_ends::link_gone(const node_id& via) {
  for (auto i = ends_.begin(); i != ends_.end();) {
    const auto next = std::next(i);
    if (i->second.k.via == via)
      ended(i, relay_end::neighbour_gone);
    i = next;
  }
}

std::optional<relay_ends::event> relay_ends::take_event() {
  if (events_.empty())
    return std::nullopt;
  auto e = std::move(events_.front());
  events_.pop_front();
  return e;
}

time_point relay_ends::deadline() const {
  auto due = never;
  for (const auto& [id, e] : ends_)
    due = std::min(due, e.close_by);
  return due;
}

void relay_ends::on_time(time_point now) {
  for (auto i = ends_.begin(); i != ends_.end();) {
    const auto next = std::next(i);
    if (i->second.close_by <= now)
      reset(i->first);
    i = next;
  }
}

} // namespace banyan::net
