// This node is drained: what it hands over, what it waits for, and what the
// others know of it.
#include "actors/node/names.hpp"
#include "actors/node/node.hpp"
#include "actors/node/operator_desk.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration tell_again = 500ms; ///< what changed but a little
constexpr std::size_t named_max = 5;

} // namespace

void operator_desk::load() {
  load_pins();
  note_readmission();
  const auto kept = s_.ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::drained), const_bytes{});
  if (!kept)
    return;
  reader r{kept->view()};
  const bool force = r.boolean();
  drain_.begin(r.done() && force, s_.ctx_.loop.now());
  told_.on = true;
  s_.ctx_.draining[s_.ctx_.self()] = told_;
  s_.ctx_.log(log_level::info,
              "this node is drained: it takes no replicas and hands over what "
              "it has, until `banyan drain NODE --cancel`");
}

operator_answer operator_desk::begin_drain(const operator_order& o) {
  auto& ctx = s_.ctx_;
  operator_answer a;
  if (o.from != ctx.self()) {
    a.status = reply_status::invalid_argument;
    a.message = "that is another node's";
    return a;
  }
  std::vector<std::string> against;
  std::uint32_t leaderships = 0;
  // Not where its own replicas are to go.
  const auto before = ctx.draining.find(ctx.self());
  const bool was = before != ctx.draining.end();
  ctx.draining[ctx.self()].on = true;
  for (const auto& [g, r] : s_.replicas_) {
    leaderships += r.role.now == role_changed::role::leader ? 1 : 0;
    const auto d =
        judge_departure(standing_of(g, ctx.self()), ctx.self(), o.force);
    if (d.what == departure::kind::refuse || d.what == departure::kind::last)
      against.push_back(d.why);
  }
  if (!against.empty()) {
    if (!was)
      ctx.draining.erase(ctx.self());
    a.status = reply_status::conflict;
    for (std::size_t i = 0; i < against.size() && i < named_max; ++i)
      a.message += (i == 0 ? "" : "; ") + against[i];
    if (against.size() > named_max)
      a.message +=
          "; and " + std::to_string(against.size() - named_max) + " more";
    return a;
  }
  drain_.begin(o.force, ctx.loop.now());
  keep_drain();
  tick_drain(ctx.loop.now());
  a.progress = s_.replicas_.empty() ? operator_progress::done
                                    : operator_progress::under_way;
  const auto n = [](std::size_t count, const char* noun) {
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
  };
  a.message = n(leaderships, "leadership") + " and "
              + n(s_.replicas_.size(), "replica")
              + " to hand over, two at a time";
  ctx.log(log_level::info, "an operator drains this node: " + a.message);
  ctx.event(event_kind::drain_began, {}, a.message, std::nullopt, ctx.self());
  return a;
}

void operator_desk::keep_drain() {
  bytes content;
  writer{content}.boolean(drain_.force());
  s_.put_documents({document(document_kind::drained, {}, std::move(content))},
                   nullptr);
}

void operator_desk::cancel_drain() {
  if (!drain_.on())
    return;
  drain_.cancel();
  drain_tokens_.clear();
  drain_asked_.clear();
  s_.put_documents({document(document_kind::drained, {}, std::nullopt)},
                   nullptr);
  if (!evacuated_.on())
    s_.ctx_.draining.erase(s_.ctx_.self());
  const std::string what = "drained no more: it takes replicas again";
  s_.ctx_.log(log_level::info, "this node is " + what);
  s_.ctx_.event(event_kind::drain_ended, {}, what, std::nullopt,
                s_.ctx_.self());
  tell_drain();
}

void operator_desk::tick_drain(time_point now) {
  auto& going = leaving();
  if (!going.on())
    return;
  auto& ctx = s_.ctx_;
  std::vector<drained_replica> here;
  for (const auto& [g, r] : s_.replicas_) {
    const auto app = s_.apps_.find(g.app);
    drained_replica d;
    d.group = g;
    d.name =
        (app == s_.apps_.end() ? short_string(g.app) : app->second.genesis.name)
        + "/" + std::to_string(g.shard);
    d.leads = r.role.now == role_changed::role::leader;
    d.has_heir = d.leads && r.role.serving && heir_of(g).has_value();
    if (const auto* v = ctx.known.view(g)) {
      group_standing up;
      for (const auto& x : v->voters) {
        replica_standing s;
        s.reached = ctx.reaches(x.who.node);
        up.voters.push_back(s);
      }
      d.redundancy = redundancy_of(up);
    }
    here.push_back(std::move(d));
  }
  const auto steps = going.on_tick(here, now);
  for (const auto& g : steps.hand_over) {
    group_order o;
    o.who = heir_of(g);
    if (o.who)
      ctx.tell_replica(g, std::move(o));
  }
  std::vector<std::pair<node_id, operator_order>> asks;
  for (const auto& g : steps.ask) {
    const auto leader = ctx.known.leader(g);
    if (!leader)
      continue;
    auto& token = drain_asked_[g];
    if (token == 0) {
      token = s_.ctx_.random.next();
      drain_tokens_[token] = g;
    }
    operator_order o;
    o.token = token;
    o.what = static_cast<std::uint8_t>(operator_wish::move);
    o.group = g;
    o.from = ctx.self();
    o.force = going.force();
    asks.emplace_back(*leader, o);
  }
  for (const auto& [whom, o] : asks)
    ask(whom, o);
  const auto is = going.notice();
  const bool much = is.on != told_.on || is.done != told_.done;
  if (is == told_ || (!much && now - told_at_ < tell_again))
    return;
  if (is.done && !told_.done) {
    const std::string how = drain_.on() ? "drained" : "evacuated";
    ctx.log(log_level::info,
            "this node is " + how + ": no replica is left here");
    ctx.event(drain_.on() ? event_kind::drain_ended
                          : event_kind::evacuation_ended,
              {}, how + ": no replica is left there", std::nullopt, ctx.self());
  }
  tell_drain();
}

void operator_desk::tell_drain() {
  auto& ctx = s_.ctx_;
  told_ = leaving().notice();
  told_at_ = ctx.loop.now();
  if (told_.on)
    ctx.draining[ctx.self()] = told_;
  ctx.broadcast(net::channel::group, encoded_control(told_));
}

/// In a full mesh everybody hears the notice.
void operator_desk::tick_weight() {
  auto& ctx = s_.ctx_;
  if (ctx.members == nullptr)
    return;
  auto capacity = ctx.members->own().capacity;
  const auto due =
      weight_.on_tick(leaving().on() && !ctx.full_mesh(), capacity.weight);
  if (!due)
    return;
  capacity.weight = *due;
  caf::anon_send(ctx.node,
                 own_hardware_in{std::nullopt, capacity, std::nullopt});
}

void operator_desk::on_peer_up(const node_id& node) const {
  s_.ctx_.send(node, net::channel::group, encoded_control(told_));
  if (!pins_told_.groups.empty())
    s_.ctx_.send(node, net::channel::group, encoded_control(pins_told_));
}

void operator_desk::on_notice(const node_id& from, const drain_notice& n) {
  if (n.on)
    s_.ctx_.draining[from] = n;
  else
    s_.ctx_.draining.erase(from);
}

} // namespace banyan::actors
