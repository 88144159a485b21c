#include "sim/clients.hpp"

#include "base/codec.hpp"

namespace banyan::sim {
namespace {

using actors::peer;

std::optional<std::int64_t> number_in(const_bytes b) {
  reader r{b};
  const auto v = r.sint();
  if (!r.done())
    return std::nullopt;
  return v;
}

bool is_final(reply_status s) {
  switch (s) {
  case reply_status::ok:
  case reply_status::rejected:
  case reply_status::app_failed: // a typed error: nothing took effect
  case reply_status::poisoned:
    return true;
  default:
    return false;
  }
}

bool is_wrong(reply_status s) {
  switch (s) {
  case reply_status::invalid_argument:
  case reply_status::too_large:
  case reply_status::conflict:
  case reply_status::expired:
  case reply_status::unauthorized:
  case reply_status::forbidden:
    return true;
  default:
    return false;
  }
}

} // namespace

clients::clients(world& w, std::size_t count) : world_{w}, random_{w.seed + 3} {
  clients_.resize(count);
  for (std::size_t i = 0; i < count; ++i)
    clients_[i].number = i;
}

void clients::start() {
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

void clients::begin(client& c) {
  if (stopping_)
    return;
  using kind = operation::kind;
  static constexpr kind table[] = {
      kind::add,      kind::add,      kind::add,      kind::add,
      kind::get,      kind::get,      kind::deposit,  kind::transfer,
      kind::transfer, kind::transfer, kind::withdraw, kind::balance};
  operation o;
  o.what = table[random_.below(std::size(table))];
  const bool counts = o.what == kind::add || o.what == kind::get;
  const auto pick = [&](int n) {
    return std::to_string(random_.below(static_cast<std::uint64_t>(n)));
  };
  o.key = counts ? "c" + pick(counters) : "a" + pick(accounts);
  o.cents = 1 + static_cast<std::int64_t>(random_.below(100));
  if (o.what == kind::transfer)
    o.to = "a" + pick(accounts);
  ++c.operations;
  if (o.what == kind::get || o.what == kind::balance)
    o.stale = random_.chance(0.2);
  else
    o.id = "client " + std::to_string(c.number) + " call "
           + std::to_string(c.operations);
  o.invoked = world_.now();
  c.now = std::move(o);
  c.busy = true;
  c.tries = 0;
  send(c);
}

void clients::call(std::size_t n, const operation& o, duration deadline,
                   actors::answer_function answer) {
  using kind = operation::kind;
  call_request q;
  q.key = o.key;
  q.deadline = deadline;
  const bool query = o.what == kind::get || o.what == kind::balance;
  q.kind = query ? request_kind::query : request_kind::command;
  if (o.stale)
    q.max_staleness = 2s;
  if (!o.id.empty())
    q.identity = idempotency_request{o.id};
  q.app = o.what == kind::add || o.what == kind::get ? "counter" : "ledger";
  writer w{q.argument};
  switch (o.what) {
  case kind::add:
    q.command = "add";
    w.map(1).text("n").sint(1);
    break;
  case kind::get:
    q.command = "get";
    w.nil();
    break;
  case kind::deposit:
  case kind::withdraw:
    q.command = o.what == kind::deposit ? "deposit" : "withdraw";
    w.map(1).text("cents").sint(o.cents);
    break;
  case kind::transfer:
    q.command = "transfer";
    w.map(2).text("cents").sint(o.cents).text("to").text(o.to);
    break;
  case kind::balance:
    q.command = "balance";
    w.nil();
    break;
  }
  world_.at(n).peer().call(std::move(q), std::move(answer));
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
       [this, &c, attempt, n, boot](const reply& r, std::uint32_t) {
         // In a turn of that machine: the client is told by the network.
         if (world_.at(n).boots() != boot)
           return;
         world_.after(random_.between(10us, 1ms), [this, &c, attempt, r] {
           if (c.attempt == attempt)
             answered(c, r);
         });
       });
  // A client waits a little longer than it told the peer that it would; when
  // the peer dies it would notice sooner, which its patience stands for.
  world_.after(deadline + 200ms, [this, &c, attempt] {
    if (c.attempt == attempt)
      again(c);
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

void clients::answered(client& c, const reply& r) {
  using kind = operation::kind;
  const auto& o = c.now;
  if (is_wrong(r.status))
    world_.problem(o.id + " got " + to_string(r.status) + ": " + r.message);
  if (!is_final(r.status)) {
    world_.trace("client " + std::to_string(c.number) + ": "
                 + to_string(r.status) + ", again");
    return again(c);
  }
  const auto value = number_in(r.result);
  world_.trace("client " + std::to_string(c.number) + ": call "
               + std::to_string(c.operations) + " on " + o.key + " "
               + to_string(r.status) + " "
               + (value ? std::to_string(*value) : r.code) + " at "
               + std::to_string(r.index.value()));
  if (r.status == reply_status::ok && !value)
    world_.problem(o.id + " got an answer that is no number");
  const bool ok = r.status == reply_status::ok && value;
  const counter_history::event e{o.invoked, world_.now(), value.value_or(0),
                                 o.stale};
  if (ok) {
    ++acknowledged_;
    if (o.what == kind::add)
      counters_[o.key].added(e);
    else if (o.what == kind::get)
      counters_[o.key].read(e);
    else if (o.what == kind::deposit)
      money_ += o.cents;
    else if (o.what == kind::withdraw)
      money_ -= o.cents;
    if (*value < 0)
      world_.problem(o.key + " is below zero");
  }
  const auto attempt = ++c.attempt;
  c.busy = false;
  world_.after(random_.between(1ms, 60ms), [this, &c, attempt] {
    if (c.attempt == attempt)
      begin(c);
  });
}

void clients::audit(const std::function<void(bool settled)>& done) {
  struct progress {
    std::size_t open = 0;
    bool failed = false;
    std::vector<std::map<std::string, std::int64_t>> seen;
    std::function<void(bool)> done;
  };
  auto p = std::make_shared<progress>();
  p->seen.resize(world_.machines.size());
  p->done = done;
  const auto finish = [this, p] {
    if (--p->open > 0)
      return;
    bool settled = !p->failed;
    for (const auto& values : p->seen) {
      std::int64_t sum = 0;
      for (const auto& [key, value] : values) {
        if (key[0] == 'a')
          sum += value;
        else
          settled = settled
                    && value
                           == static_cast<std::int64_t>(
                               counters_[key].acknowledged());
      }
      settled = settled && sum == money_;
      if (!p->failed && sum != money_)
        world_.trace("accounts hold " + std::to_string(sum) + ", expected "
                     + std::to_string(money_));
    }
    p->done(settled);
  };
  std::vector<operation> all;
  const auto ask = [&all](operation::kind what, std::string key) {
    operation o;
    o.what = what;
    o.key = std::move(key);
    all.push_back(std::move(o));
  };
  for (int i = 0; i < counters; ++i)
    ask(operation::kind::get, "c" + std::to_string(i));
  for (int i = 0; i < accounts; ++i)
    ask(operation::kind::balance, "a" + std::to_string(i));
  p->open = all.size() * world_.machines.size();
  for (std::size_t n = 0; n < world_.machines.size(); ++n)
    for (const auto& o : all)
      call(n, o, 2s,
           [this, p, n, finish, key = o.key](const reply& r, std::uint32_t) {
             const auto value = number_in(r.result);
             if (r.status != reply_status::ok || !value) {
               world_.trace("audit of " + key + " at " + std::to_string(n)
                            + ": " + to_string(r.status) + " " + r.message);
               p->failed = true;
             } else {
               p->seen[n][key] = *value;
             }
             finish();
           });
}

void clients::check() {
  for (const auto& [key, history] : counters_)
    for (const auto& wrong : history.check())
      world_.problem(key + ": " + wrong);
}

} // namespace banyan::sim
