#include "actors/pure/sent_calls.hpp"

#include "actors/host/turn.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace banyan {
namespace {

/// Beyond what turns of the app may take: for its way, and a queue there.
constexpr duration on_its_way = 5s;

/// It says nothing of the message: another time it may be taken.
bool passes(reply_status s) {
  switch (s) {
  case reply_status::ok:
  case reply_status::rejected:
  case reply_status::invalid_argument:
  case reply_status::not_found:
  case reply_status::app_failed:
  case reply_status::poisoned:
  case reply_status::too_large:
  case reply_status::unauthorized:
  case reply_status::forbidden:
    return false;
  default:
    return true;
  }
}

bytes answer_of(const stream_message& m, const reply& r) {
  turn_send was;
  was.app = m.to_app;
  was.key = m.to_key;
  was.command = m.command;
  was.argument = m.argument;
  was.on_reply = m.on_reply;
  const std::string code = r.status == reply_status::ok ? std::string{}
                           : r.status == reply_status::rejected
                               ? r.code
                               : to_string(r.status);
  auto b = reply_argument(was, r.result, code, r.message);
  if (b.size() <= argument_bytes_max)
    return b;
  was.argument = {}; // what was sent and its answer are too much together
  return reply_argument(was, {}, to_string(reply_status::too_large),
                        "the answer is over 1 MiB");
}

} // namespace

void sent_calls::on_messages(const stream_frame& f, effects& out) {
  const stream_id id{f.from, f.lineage, f.to};
  auto& s = streams_[id];
  if (f.acknowledged > s.done) { // by another leader, elsewhere
    s.done = f.acknowledged;
    s.messages.erase(s.messages.begin(), s.messages.upper_bound(s.done));
  }
  bool again = false;
  for (const auto& m : f.messages) {
    if (m.number <= s.done) {
      again = true;
      continue;
    }
    const auto [at, fresh] = s.messages.try_emplace(m.number);
    if (fresh)
      at->second.message = m;
    else if (at->second.done)
      again = true;
    else if (at->second.token == 0)
      at->second.due = true;
  }
  start(id, s, out);
  if (again)
    settle(id, s, true, out);
}

void sent_calls::on_taken(const stream_frame& ack, effects& out) {
  const stream_id id{ack.to, ack.lineage, ack.from};
  const auto at = streams_.find(id);
  if (at == streams_.end())
    return;
  auto& s = at->second;
  s.taken = std::max(s.taken, ack.acknowledged);
  if (s.taken >= s.offered)
    s.offered = 0;
  settle(id, s, false, out);
}

void sent_calls::on_reply(std::uint64_t token, reply r, effects& out) {
  const auto call = calls_.find(token);
  if (call == calls_.end())
    return;
  const auto [id, number] = std::exchange(call->second, {});
  calls_.erase(call);
  const auto at = streams_.find(id);
  if (at == streams_.end())
    return;
  auto& s = at->second;
  const auto m = s.messages.find(number);
  if (m == s.messages.end() || m->second.token != token)
    return;
  auto& x = m->second;
  x.token = 0;
  if (!passes(r.status)) {
    x.done = true;
    if (!x.message.on_reply.empty())
      x.answer = answer_of(x.message, r);
    x.message.argument = {};
    settle(id, s, false, out);
  }
  start(id, s, out);
}

std::optional<reply> sent_calls::refusal(const sent_call& c,
                                         const called_app& app) {
  reply r;
  if (app.contested) {
    r.status = reply_status::conflict;
    return r;
  }
  if (app.is == c.to)
    return std::nullopt;
  r.status = reply_status::not_found;
  r.message = "the app was removed";
  return r;
}

duration sent_calls::patience(const called_app& app) {
  return std::min<duration>(1h, at_once_max * app.turn_time_max + on_its_way);
}

void sent_calls::forget(const group_id& sender) {
  for (auto s = streams_.begin(); s != streams_.end();)
    s = std::get<0>(s->first) == sender ? streams_.erase(s) : std::next(s);
  for (auto c = calls_.begin(); c != calls_.end();)
    c = std::get<0>(c->second.first) == sender ? calls_.erase(c) : std::next(c);
}

void sent_calls::start(const stream_id& id, stream& s, effects& out) {
  std::size_t open = 0;
  for (const auto& [number, x] : s.messages)
    open += x.token != 0 ? 1 : 0;
  // From this actor to that key: one at a time, in order.
  std::set<std::pair<std::string_view, std::string_view>> busy;
  auto next = s.done;
  for (auto& [number, x] : s.messages) {
    if (number != ++next || open >= at_once_max)
      return; // what lacks comes again
    if (x.done || !busy.emplace(x.message.from_key, x.message.to_key).second
        || x.token != 0 || !x.due)
      continue;
    ++open;
    x.due = false;
    x.token = ++next_;
    calls_[x.token] = {id, number};
    sent_call c;
    c.token = x.token;
    c.to = std::get<2>(id).app;
    c.app = x.message.to_app;
    c.key = x.message.to_key;
    c.command = x.message.command;
    c.argument = x.message.argument;
    out.emplace_back(std::move(c));
  }
}

/// Tells the group what is done and offers it the answers that it lacks, each
/// once; `again`: what it was told may be lost.
void sent_calls::settle(const stream_id& id, stream& s, bool again,
                        effects& out) {
  const auto& [from, lineage, to] = id;
  bool told = again && s.done > 0;
  for (auto m = s.messages.find(s.done + 1);
       m != s.messages.end() && m->first == s.done + 1 && m->second.done
       && (m->second.message.on_reply.empty() || m->first <= s.taken);
       m = s.messages.erase(m)) {
    ++s.done;
    told = true;
  }
  if (told) {
    sent_done d;
    d.ack.from = from;
    d.ack.lineage = lineage;
    d.ack.to = to;
    d.ack.is_ack = true;
    d.ack.acknowledged = s.done;
    out.emplace_back(std::move(d));
  }
  if (s.offered != 0 && !again)
    return;
  sent_answers a;
  a.frame.from = to;
  a.frame.lineage = lineage;
  a.frame.to = from;
  std::size_t size = 0;
  auto next = s.done;
  for (const auto& [number, x] : s.messages) {
    if (number != ++next || !x.done || size >= answers_bytes)
      break;
    if (x.message.on_reply.empty() || number <= s.taken)
      continue;
    stream_message m;
    m.number = number;
    m.what = stream_message::kind::reply;
    m.from_app = x.message.to_app;
    m.from_key = x.message.to_key;
    m.to_app = x.message.from_app;
    m.to_key = x.message.from_key;
    m.command = x.message.on_reply;
    m.argument = x.answer;
    size += x.answer.size();
    a.frame.messages.push_back(std::move(m));
  }
  if (a.frame.messages.empty())
    return;
  s.offered = a.frame.messages.back().number;
  out.emplace_back(std::move(a));
}

} // namespace banyan
