// Operators' orders at the peer that was asked: who has to hear of them, until
// they have an end.
#include "actors/node/operator_desk.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration ask_again = 1s;      ///< of moves
constexpr duration first_answer = 5s;   ///< of moves, else nobody knows
constexpr duration silence_max = 60s;   ///< of a group's leaders, in a move
constexpr std::size_t reports_max = 64; ///< of moves, kept to be looked at

operate_answer refused(reply_status s, std::string why) {
  operate_answer a;
  a.status = s;
  a.message = std::move(why);
  return a;
}

} // namespace

void operator_desk::operate(operate_in& m) {
  switch (m.what) {
  case operator_wish::stop:
  case operator_wish::start:
    return stop_or_start(m);
  case operator_wish::move: {
    const auto app = m.app;
    return s_.when_known(app, [this, m = std::move(m)]() mutable { move(m); });
  }
  case operator_wish::drain:
  case operator_wish::keep:
    return drain_node(m);
  }
}

void operator_desk::ask(const node_id& whom, const operator_order& o) {
  if (whom == s_.ctx_.self())
    carry_out(whom, o);
  else
    s_.ctx_.send(whom, net::channel::group, encoded_control(o));
}

void operator_desk::on_tick(time_point now) {
  tick_app_orders(now);
  tick_moves(now);
  tick_node_orders(now);
  tick_evacuation(now);
  tick_drain(now);
  tick_weight();
  tick_pins(now);
  tick_evictions(now);
  tick_homing(now);
}

void operator_desk::on_answer(const node_id& from, const operator_answer& a) {
  const auto now = s_.ctx_.loop.now();
  if (const auto shard = shard_tokens_.find(a.token);
      shard != shard_tokens_.end()) {
    const auto [number, index] = shard->second;
    if (const auto at = app_orders_.find(number); at != app_orders_.end())
      static_cast<void>(at->second.orders.on_answer(index, a));
  } else if (const auto at = moves_.find(a.token); at != moves_.end()) {
    on_move_answer(at->second, a);
  } else if (const auto node = node_orders_.find(a.token);
             node != node_orders_.end() && node->second.order.from == from) {
    const auto done = std::move(node->second.done);
    node_orders_.erase(node);
    operate_answer out;
    out.message = a.message;
    out.drained = a.progress == operator_progress::done;
    if (a.progress == operator_progress::refused)
      out.status =
          a.status == reply_status::ok ? reply_status::conflict : a.status;
    done(out);
  } else if (const auto g = drain_tokens_.find(a.token);
             g != drain_tokens_.end()) {
    leaving().on_answer(g->second, a, now);
  }
}

// ---- stop, start

void operator_desk::stop_or_start(operate_in& m) {
  const auto* app = s_.ctx_.known.find_app(m.app);
  if (app == nullptr)
    return m.done(refused(reply_status::not_found,
                          "no app named '" + m.app
                              + "'; `banyan apps` lists what there is"));
  const auto number = ++s_.next_number_;
  app_order a{m.what,
              app->id,
              group_orders{app->shards, s_.ctx_.loop.now() + m.deadline},
              {},
              std::move(m.done)};
  for (std::uint32_t s = 0; s < app->shards; ++s) {
    a.tokens.push_back(s_.ctx_.random.next()); // nobody else can answer
    shard_tokens_[a.tokens.back()] = {number, s};
  }
  app_orders_.emplace(number, std::move(a));
  tick_app_orders(s_.ctx_.loop.now());
}

/// As it is known here; asks who it is if that isn't known or is gone.
std::optional<node_id> operator_desk::leader_of(const group_id& g) const {
  auto& ctx = s_.ctx_;
  const auto leader = ctx.known.leader(g);
  if (!leader || !ctx.reaches(*leader))
    ctx.ask_view(g, leader.has_value());
  return leader;
}

void operator_desk::tick_app_orders(time_point now) {
  std::vector<std::pair<node_id, operator_order>> asks;
  std::vector<std::pair<app_order, bool>> ended;
  for (auto& [number, a] : app_orders_)
    for (const auto shard : a.orders.on_tick(now)) {
      operator_order o;
      o.token = a.tokens[shard];
      o.what = static_cast<std::uint8_t>(a.what);
      o.group = {a.app, shard};
      if (const auto leader = leader_of(o.group))
        asks.emplace_back(*leader, o);
    }
  for (const auto& [whom, o] : asks)
    ask(whom, o);
  for (auto i = app_orders_.begin(); i != app_orders_.end();) {
    if (!i->second.orders.over(now)) {
      ++i;
      continue;
    }
    auto a = std::move(i->second);
    i = app_orders_.erase(i);
    for (const auto t : a.tokens)
      shard_tokens_.erase(t);
    operate_answer out;
    std::size_t silent = 0;
    for (const auto& s : a.orders.shards()) {
      out.shards.push_back({s.answered, s.done, s.why});
      silent += s.answered ? 0 : 1;
      if (s.answered && !s.done) {
        out.status = reply_status::conflict;
        out.message = s.why;
      }
    }
    if (silent > 0 && out.status == reply_status::ok) {
      out.status = reply_status::unknown;
      out.message = std::to_string(silent) + " of "
                    + std::to_string(out.shards.size())
                    + " groups didn't answer in time; asking again is safe. "
                      "`banyan apps` shows which have no leader";
    }
    a.done(out);
  }
}

// ---- moves

void operator_desk::move(operate_in& m) {
  auto& ctx = s_.ctx_;
  const auto bad = [&](reply_status s, std::string why) {
    m.done(refused(s, std::move(why)));
  };
  const auto* app = ctx.known.find_app(m.app);
  if (app == nullptr)
    return bad(reply_status::not_found,
               "no app named '" + m.app
                   + "'; `banyan apps` lists what there is");
  if (m.shard >= app->shards)
    return bad(reply_status::not_found, m.app + " has "
                                            + std::to_string(app->shards)
                                            + " shards, numbered from 0");
  if (m.from == m.to)
    return bad(reply_status::invalid_argument, "FROM and TO are the same node");
  if (const auto* v = ctx.known.view({app->id, m.shard})) {
    const auto name = m.app + "/" + std::to_string(m.shard);
    const auto on = [&](const node_id& n) {
      return std::any_of(v->voters.begin(), v->voters.end(),
                         [&](const auto& r) { return r.who.node == n; });
    };
    if (!on(m.from))
      return bad(reply_status::conflict,
                 name + " has no voter on node " + short_string(m.from)
                     + "; `banyan apps " + m.app + "` shows where they are");
    if (on(m.to))
      return bad(reply_status::conflict, name + " has a voter on node "
                                             + short_string(m.to) + " already");
  }
  move_order o;
  o.order.token = s_.ctx_.random.next();
  o.order.what = static_cast<std::uint8_t>(operator_wish::move);
  o.order.group = {app->id, m.shard};
  o.order.from = m.from;
  o.order.to = m.to;
  o.order.force = m.force;
  o.heard = ctx.loop.now();
  o.done = std::move(m.done);
  move_report r;
  r.number = o.order.token;
  r.app = m.app;
  r.group = o.order.group;
  r.from = m.from;
  r.to = m.to;
  ctx.moves.push_back(std::move(r));
  if (ctx.moves.size() > reports_max)
    ctx.moves.pop_front();
  moves_.emplace(o.order.token, std::move(o));
  tick_moves(ctx.loop.now());
}

move_report* operator_desk::report_of(std::uint64_t token) const {
  for (auto& r : s_.ctx_.moves)
    if (r.number == token)
      return &r;
  return nullptr;
}

void operator_desk::on_move_answer(move_order& m, const operator_answer& a) {
  const auto token = m.order.token;
  m.heard = s_.ctx_.loop.now();
  auto* report = report_of(token);
  if (report != nullptr) {
    report->progress = a.progress;
    report->permille = a.permille;
    report->message = a.message;
    report->over = a.progress == operator_progress::done
                   || a.progress == operator_progress::refused;
  }
  // A leader that comes after this one waits for whom it missed meanwhile.
  if (a.progress == operator_progress::under_way)
    m.order.force = true;
  if (a.progress == operator_progress::later) {
    m.next = m.heard + 200ms;
    return;
  }
  operate_answer out;
  out.number = token;
  out.message = a.message;
  out.drained = a.progress == operator_progress::done;
  if (a.progress == operator_progress::refused)
    out.status =
        a.status == reply_status::ok ? reply_status::conflict : a.status;
  const auto done = std::exchange(m.done, nullptr);
  if (a.progress != operator_progress::under_way)
    moves_.erase(token);
  if (done)
    done(out);
}

void operator_desk::tick_moves(time_point now) {
  std::vector<std::pair<node_id, operator_order>> asks;
  std::vector<std::uint64_t> silent;
  for (auto& [token, m] : moves_) {
    if (now - m.heard >= (m.done ? first_answer : silence_max)) {
      silent.push_back(token);
      continue;
    }
    if (m.next > now)
      continue;
    m.next = now + ask_again;
    if (const auto leader = leader_of(m.order.group))
      asks.emplace_back(*leader, m.order);
  }
  for (const auto token : silent) {
    const auto m = std::move(moves_.at(token));
    moves_.erase(token);
    const std::string why = "no leader of the group answers; `banyan apps` "
                            "shows how it stands";
    if (auto* report = report_of(token)) {
      report->over = true;
      report->progress = operator_progress::refused;
      report->message = why;
    }
    if (m.done)
      m.done(refused(reply_status::unknown, why));
  }
  for (const auto& [whom, o] : asks)
    ask(whom, o);
}

// ---- drains of nodes

void operator_desk::drain_node(operate_in& m) {
  auto& ctx = s_.ctx_;
  node_order o;
  o.order.token = s_.ctx_.random.next();
  o.order.what = static_cast<std::uint8_t>(m.what);
  o.order.from = m.from;
  o.order.force = m.force;
  o.until = ctx.loop.now() + m.deadline;
  if (!ctx.reaches(m.from))
    return m.done(refused(
        reply_status::conflict,
        "node " + short_string(m.from)
            + " can't be reached: only it hands over what it has. Start it, or "
              "wait: its voters are replaced after their app's replace_after"));
  o.done = std::move(m.done);
  node_orders_.emplace(o.order.token, std::move(o));
  tick_node_orders(ctx.loop.now());
}

void operator_desk::tick_node_orders(time_point now) {
  std::vector<operator_order> asks;
  std::vector<std::function<void(const operate_answer&)>> silent;
  for (auto i = node_orders_.begin(); i != node_orders_.end();) {
    auto& n = i->second;
    if (now >= n.until) {
      silent.push_back(std::move(n.done));
      i = node_orders_.erase(i);
      continue;
    }
    if (n.next <= now) {
      n.next = now + ask_again;
      asks.push_back(n.order);
    }
    ++i;
  }
  for (const auto& o : asks)
    ask(o.from, o);
  for (const auto& done : silent)
    done(refused(reply_status::unknown,
                 "the node didn't answer in time; asking again is safe"));
}

} // namespace banyan::actors
