#include "sim/clients.hpp"

namespace banyan::sim {
namespace {

using kind = operation::kind;

constexpr kind table[] = {
    kind::add,      kind::add,      kind::get,      kind::deposit,
    kind::transfer, kind::transfer, kind::withdraw, kind::balance,
    kind::put,      kind::extend,   kind::extend,   kind::swap,
    kind::erase,    kind::look,     kind::look,     kind::append,
    kind::append,   kind::read,     kind::forward,  kind::forward};

} // namespace

clients::clients(world& w, std::size_t count, std::vector<deployed> apps)
    : world_{w}, random_{w.seed + 3}, apps_{std::move(apps)} {
  clients_.resize(count);
  for (std::size_t i = 0; i < count; ++i)
    clients_[i].number = i;
}

void clients::start() {
  stopping_ = false;
  for (auto& c : clients_)
    begin(c);
}

bool clients::idle() const {
  for (const auto& c : clients_)
    if (c.busy)
      return false;
  return true;
}

std::string clients::waiting() const {
  std::string out;
  for (const auto& c : clients_)
    if (c.busy)
      out += " " + c.now.id + " on " + c.now.key + " ("
             + std::to_string(c.tries) + " tries)";
  return out;
}

operation clients::draw(client& c) {
  operation o;
  o.what = table[random_.below(std::size(table))];
  const auto pick = [&](const char* prefix, int n) {
    return prefix
           + std::to_string(random_.below(static_cast<std::uint64_t>(n)));
  };
  const auto app = o.app();
  o.key = app == "counter"  ? pick("c", counters)
          : app == "ledger" ? pick("a", accounts)
          : app == "kv"     ? pick("k", texts)
                            : pick("l", lists);
  o.number = 1 + static_cast<std::int64_t>(random_.below(100));
  switch (o.what) {
  case kind::add:
    o.number = 1;
    break;
  case kind::transfer:
    o.to = pick("a", accounts);
    break;
  case kind::put:
  case kind::extend:
  case kind::swap:
    o.text = static_cast<char>('a' + random_.below(26));
    if (o.what == kind::swap && random_.chance(0.7))
      o.expected = std::string(1, static_cast<char>('a' + random_.below(26)));
    break;
  case kind::append:
    o.number = ++last_element_;
    break;
  case kind::forward:
    o.number = ++last_element_;
    o.key = pick("o", boxes);
    o.to = pick("i", boxes);
    break;
  default:
    break;
  }
  if (o.what == kind::get || o.what == kind::balance)
    o.stale = random_.chance(0.2);
  ++c.operations;
  if (!o.query() && (app != "kv" || random_.chance(0.5)))
    o.id = "client " + std::to_string(c.number) + " call "
           + std::to_string(c.operations);
  return o;
}

void clients::begin(client& c) {
  if (stopping_)
    return;
  c.now = draw(c);
  c.invoked = world_.now();
  c.busy = true;
  c.tries = 0;
  send(c);
}

void clients::call(std::size_t n, const operation& o, duration deadline,
                   actors::answer_function answer) {
  world_.at(n).peer().call(request_for(o, deadline), std::move(answer));
}

void clients::send(client& c) {
  const auto attempt = ++c.attempt;
  ++c.tries;
  std::vector<std::size_t> up;
  for (std::size_t n = 0; n < world_.machines.size(); ++n)
    if (world_.at(n).up())
      up.push_back(n);
  if (up.empty())
    return again(c);
  const auto n = up[random_.below(up.size())];
  const auto boot = world_.at(n).boots();
  const auto deadline = random_.between(300ms, 3s);
  call(n, c.now, deadline,
       [this, &c, attempt, n, boot](const reply& r, std::uint32_t shard) {
         // In a turn of that machine: the client is told by the network.
         if (world_.at(n).boots() != boot)
           return;
         world_.after(random_.between(10us, 1ms),
                      [this, &c, attempt, r, shard] {
                        if (c.attempt == attempt)
                          answered(c, r, shard);
                      });
       });
  // A client waits a little longer than it told the peer that it would; when
  // the peer dies it would notice sooner, which its patience stands for.
  world_.after(deadline + 200ms, [this, &c, attempt] {
    if (c.attempt == attempt)
      gave_up(c);
  });
}

void clients::again(client& c) {
  ++retries_;
  const auto attempt = ++c.attempt;
  world_.after(random_.between(5ms, 100ms), [this, &c, attempt] {
    if (c.attempt == attempt)
      send(c);
  });
}

// Nobody knows whether it ran: a call with a key is asked again, a query too.
void clients::gave_up(client& c) {
  if (!c.now.id.empty() || c.now.query())
    return again(c);
  note_kv(c, nullptr);
  finish(c);
}

void clients::finish(client& c) {
  const auto attempt = ++c.attempt;
  c.busy = false;
  world_.after(random_.between(5ms, 250ms), [this, &c, attempt] {
    if (c.attempt == attempt)
      begin(c);
  });
}

void clients::answered(client& c, const reply& r, std::uint32_t shard) {
  const auto& o = c.now;
  const auto what = effect_of(r.status, o.query());
  if (what == effect::wrong)
    world_.problem(o.id + " on " + o.key + " got " + to_string(r.status) + ": "
                   + r.message);
  if (what != effect::took) {
    world_.trace("client " + std::to_string(c.number) + ": "
                 + to_string(r.status));
    if (what == effect::unclear)
      return gave_up(c);
    // It had no effect, and a new request may have another outcome.
    const bool over = r.status == reply_status::app_failed
                      || r.status == reply_status::poisoned;
    if ((o.id.empty() && !o.query()) || over)
      return finish(c);
    return again(c);
  }
  if (r.status == reply_status::rejected) {
    world_.trace("client " + std::to_string(c.number) + ": " + r.code);
    acknowledge(o, shard, r.index);
    return finish(c);
  }
  const auto value = read_answer(o, r.result);
  world_.trace("client " + std::to_string(c.number) + ": call "
               + std::to_string(c.operations) + " on " + o.key + " ok "
               + std::to_string(value ? value->number : -1) + " at "
               + std::to_string(r.index.value()));
  if (!value) {
    world_.problem(o.key + " got an answer that is none");
    return finish(c);
  }
  ++acknowledged_;
  acknowledge(o, shard, r.index);
  note(c, *value);
  finish(c);
}

void clients::acknowledge(const operation& o, std::uint32_t shard,
                          log_index index) {
  const auto name = o.app();
  for (const auto& a : apps_)
    if (a.name == name)
      world_.logs.acknowledged({a.id, shard}, index);
}

// ---- histories -------------------------------------------------------------

void clients::note(const client& c, const answer& a) {
  const auto& o = c.now;
  switch (o.what) {
  case kind::add:
  case kind::get:
    return note_counter(c, a);
  case kind::deposit:
    money_ += o.number;
    break;
  case kind::withdraw:
    money_ -= o.number;
    break;
  case kind::transfer:
  case kind::balance:
    break;
  case kind::forward:
    forwarded_[o.to][o.number] = o.key;
    break;
  case kind::append:
  case kind::read:
    return note_list(c, a);
  default:
    return note_kv(c, &a);
  }
  if (a.number < 0)
    world_.problem(o.key + " is below zero");
}

void clients::note_counter(const client& c, const answer& a) {
  const counter_history::event e{c.invoked, world_.now(), a.number,
                                 c.now.stale, age_max};
  if (c.now.what == kind::add)
    counters_[c.now.key].added(e);
  else
    counters_[c.now.key].read(e);
  if (c.now.stale)
    return;
  linear::counter_operation o;
  o.what = c.now.what == kind::add ? linear::counter_operation::kind::add
                                   : linear::counter_operation::kind::get;
  o.key = c.now.key;
  o.value = a.number;
  counter_calls_.push_back(
      {std::move(o), c.invoked.time_since_epoch().count(), tick()});
}

void clients::note_kv(const client& c, const answer* a) {
  using lk = linear::kv_operation::kind;
  linear::kv_operation o;
  switch (c.now.what) {
  case kind::put:
    o.what = lk::put;
    break;
  case kind::extend:
    o.what = lk::append;
    break;
  case kind::swap:
    o.what = lk::cas;
    break;
  case kind::erase:
    o.what = lk::erase;
    break;
  default:
    o.what = lk::get;
  }
  o.key = c.now.key;
  o.value = c.now.text;
  o.expected = c.now.expected;
  if (a != nullptr) {
    o.read = a->text;
    o.swapped = a->yes;
  }
  kv_calls_.push_back({std::move(o), c.invoked.time_since_epoch().count(),
                       a != nullptr ? tick() : linear::unknown});
}

void clients::note_list(const client& c, const answer& a) {
  linear::list_operation o;
  o.what = c.now.what == kind::append ? linear::list_operation::kind::append
                                      : linear::list_operation::kind::read;
  o.key = c.now.key;
  o.element = c.now.number;
  o.list = a.list;
  list_calls_.push_back(
      {std::move(o), c.invoked.time_since_epoch().count(), tick()});
}

void clients::check() {
  for (const auto& [key, history] : counters_)
    for (const auto& wrong : history.check())
      world_.problem(key + ": " + wrong);
  const auto judge = [&](const linear::finding& f) {
    checked_ += f.operations;
    if (!f.ok())
      world_.problem(f.key + ": not linearizable: " + f.why);
  };
  judge(linear::check<linear::counter_model>(counter_calls_));
  judge(linear::check<linear::kv_model>(kv_calls_));
  judge(linear::check<linear::list_model>(list_calls_));
}

} // namespace banyan::sim
