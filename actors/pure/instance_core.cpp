#include "actors/pure/instance_core.hpp"

#include <algorithm>
#include <utility>

namespace banyan {
namespace {

constexpr duration memory = std::chrono::seconds{1}; ///< of the turn time

std::string cut(std::string text) {
  if (text.size() > message_text_bytes_max)
    text.resize(message_text_bytes_max);
  return text;
}

reply reply_of(turn_result r) {
  reply a;
  switch (r.outcome) {
  case turn_outcome::ok:
    if (r.answer.size() > result_bytes_max) {
      a.status = reply_status::too_large;
      a.message = "the answer is over 1 MiB";
      return a;
    }
    a.result = std::move(r.answer);
    return a;
  case turn_outcome::rejected:
    a.status = reply_status::rejected;
    a.code = cut(std::move(r.code));
    break;
  case turn_outcome::invalid:
    a.status = reply_status::invalid_argument;
    break;
  case turn_outcome::unknown_command:
    a.status = reply_status::not_found;
    break;
  case turn_outcome::needs_rows:
    a.status = reply_status::app_failed;
    a.message = "a stateless app has no tables";
    return a;
  case turn_outcome::failed:
  case turn_outcome::newer_state:
    a.status = reply_status::app_failed;
    break;
  }
  a.message = cut(std::move(r.message));
  return a;
}

} // namespace

instance_core::instance_core(const app_id& app, random_source& random)
    : app_{app}, random_{random}, next_{random.next() >> 16} {
}

bool instance_core::host_up() const {
  const auto h = hosts_.find(use_);
  return h != hosts_.end() && h->second.up;
}

std::size_t instance_core::ahead() const {
  return waiting_.size() + outstanding(use_);
}

duration instance_core::expected(std::size_t ahead) const {
  return turn_time_ * static_cast<std::int64_t>(ahead);
}

void instance_core::answer(std::uint64_t call, reply_status s, std::string why,
                           effects& out) const {
  instance_answer a;
  a.call = call;
  a.reply.status = s;
  a.reply.message = std::move(why);
  if (s == reply_status::overloaded)
    a.reply.retry_after =
        std::clamp(expected(ahead()), retry_after_min, retry_after_max);
  out.emplace_back(std::move(a));
}

void instance_core::on_request(std::uint64_t call, request_frame f,
                               time_point now, effects& out) {
  if (f.kind != request_kind::query)
    return answer(call, reply_status::invalid_argument,
                  "this app is stateless: it has no actors, its commands are "
                  "called by /call/COMMAND",
                  out);
  if (f.command.empty() || f.command.size() > name_bytes_max
      || f.command[0] == '_' || f.key.size() > actor_key_bytes_max
      || f.argument.size() > argument_bytes_max)
    return answer(call, reply_status::invalid_argument,
                  "a stateless app has no such command", out);
  if (use_ == 0)
    return answer(call, reply_status::no_such_replica,
                  "no instance of the app serves here", out);
  if (f.deadline_left <= duration{})
    return answer(call, reply_status::deadline, "it came too late; not run",
                  out);
  if (waiting_.size() >= waiting_max || expected(ahead() + 1) > f.deadline_left)
    return answer(call, reply_status::overloaded,
                  std::to_string(ahead()) + " calls are before it here", out);
  asked a;
  a.call = call;
  a.until = now + f.deadline_left;
  a.since = now;
  a.order.key.group = {app_, 0};
  a.order.actor = f.key.empty() ? "-" : std::move(f.key);
  a.order.command = std::move(f.command);
  a.order.argument = std::move(f.argument);
  a.order.query = true; // a handler that changes a state isn't for such an app
  waiting_.push_back(std::move(a));
  pump(now, out);
}

void instance_core::pump(time_point now, effects& out) {
  if (!host_up())
    return;
  auto& at = hosts_.at(use_);
  instance_turns batch;
  batch.version = use_;
  // A version that ends has turns of its own, which are in nobody's way.
  while (!waiting_.empty() && at.running < at_host_max) {
    auto a = std::move(waiting_.front());
    waiting_.pop_front();
    if (a.until <= now) {
      answer(a.call, reply_status::deadline, "it waited too long; not run",
             out);
      continue;
    }
    if (at.running++ == 0)
      at.busy_since = now;
    a.order.key.number = ++next_;
    a.order.seed = random_.next();
    at_host_.emplace(next_, running{a.call, use_});
    batch.orders.push_back(std::move(a.order));
  }
  if (!batch.orders.empty())
    out.emplace_back(std::move(batch));
}

/// A host runs one turn at a time: its turns took the time since the last ones
/// ended, or since it had any.
void instance_core::note(host& h, std::size_t ended, time_point now) {
  const auto took = now - h.busy_since;
  h.busy_since = now;
  const auto each = took / static_cast<std::int64_t>(ended);
  if (turn_time_ == duration{}) {
    turn_time_ = each;
    return;
  }
  const double weight = static_cast<double>(took.count())
                        / static_cast<double>((took + memory).count());
  const auto change = static_cast<double>((each - turn_time_).count());
  turn_time_ += duration{static_cast<duration::rep>(change * weight)};
}

void instance_core::on_results(std::vector<turn_result> results, time_point now,
                               effects& out) {
  std::map<std::uint64_t, std::size_t> ended;
  for (auto& r : results) {
    const auto at = at_host_.find(r.key.number);
    if (at == at_host_.end())
      continue; // given up meanwhile
    const auto [call, version] = at->second;
    at_host_.erase(at);
    --hosts_.at(version).running;
    ++ended[version];
    if (!r.log.empty())
      out.emplace_back(instance_log{std::move(r.log)});
    out.emplace_back(instance_answer{call, reply_of(std::move(r))});
  }
  // Those of a version that goes say nothing of what comes next.
  if (const auto n = ended.find(use_); n != ended.end())
    note(hosts_.at(use_), n->second, now);
  pump(now, out);
}

void instance_core::on_host_up(std::uint64_t version, time_point now,
                               effects& out) {
  hosts_[version].up = true;
  pump(now, out);
}

// Of a host that died the turn that it ran is known, mostly: that one is not
// run anywhere again. Where nothing is known it was the oldest: turns run in
// order.
void instance_core::on_host_down(std::uint64_t version,
                                 const turn_suspects& died_of, time_point now,
                                 effects& out) {
  hosts_.erase(version);
  bool blamed = died_of.known;
  for (auto t = at_host_.begin(); t != at_host_.end();) {
    if (t->second.version != version) {
      ++t;
      continue;
    }
    turn_key key;
    key.group = {app_, 0};
    key.number = t->first;
    const bool guilty = died_of.known ? died_of.suspects(key) : !blamed;
    blamed = true;
    if (guilty)
      answer(t->second.call, reply_status::app_failed,
             "its host ended while it ran: it is not run again", out);
    else
      answer(t->second.call, reply_status::no_such_replica,
             "the app's host ended here", out);
    t = at_host_.erase(t);
  }
  if (version == use_)
    for (auto& a : waiting_)
      a.since = now;
  pump(now, out);
}

void instance_core::use(std::uint64_t version, time_point now, effects& out) {
  use_ = version;
  if (version == 0) {
    for (const auto& a : std::exchange(waiting_, {}))
      answer(a.call, reply_status::no_such_replica,
             "no instance of the app is here any more", out);
    return;
  }
  pump(now, out);
}

void instance_core::on_tick(time_point now, effects& out) {
  const bool hosted = host_up();
  for (auto a = waiting_.begin(); a != waiting_.end();) {
    const bool late = a->until <= now;
    if (!late && (hosted || now - a->since < host_patience)) {
      ++a;
      continue;
    }
    if (late)
      answer(a->call, reply_status::deadline, "it waited too long; not run",
             out);
    else
      answer(a->call, reply_status::no_such_replica,
             "the app's host does not come up here", out);
    a = waiting_.erase(a);
  }
  pump(now, out);
}

time_point instance_core::deadline() const {
  auto next = never;
  const bool hosted = host_up();
  for (const auto& a : waiting_) {
    next = std::min(next, a.until);
    if (!hosted)
      next = std::min(next, a.since + host_patience);
  }
  return next;
}

std::size_t instance_core::outstanding(std::uint64_t version) const {
  const auto h = hosts_.find(version);
  return h == hosts_.end() ? 0 : h->second.running;
}

} // namespace banyan
