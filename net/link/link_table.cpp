#include "net/link/link_table.hpp"

#include "net/link/detail/table.hpp"

namespace banyan::net {

link_table::link_table(link_config config, link_limits limits, streams& io,
                       random_source& random, link_events& events)
    : s_{std::make_unique<state>(std::move(config), limits, io, random,
                                 events)} {
  io.set_events(*this);
}

link_table::~link_table() = default;

result<address, stream_end> link_table::listen(const address& at) {
  auto bound = s_->io_.listen(at);
  if (bound) {
    s_->answering_ = true;
    if (s_->config_.listen.empty())
      s_->config_.listen = *bound;
  }
  return bound;
}

void link_table::set_incarnation(incarnation i) {
  s_->config_.incarnation = i;
}

void link_table::set_listen(const address& a) {
  s_->config_.listen = a;
}

void link_table::set_known(const std::vector<address>& members) {
  s_->rations_.set_known(members);
}

void link_table::want(const node_id& node, const address& at, time_point now) {
  if (node == self())
    return;
  target t;
  t.what = {node, at};
  s_->want(std::move(t), now);
  s_->finish(now);
}

void link_table::want(const node_id& node, const address& at,
                      std::vector<node_id> relays, duration wait,
                      time_point now) {
  if (node == self())
    return;
  if (!s_->may_relay_)
    relays.clear();
  if (relays.empty() && at.empty())
    return;
  target t;
  t.what = {node, at};
  t.relays = std::move(relays);
  t.wait = wait;
  s_->want(std::move(t), now);
  s_->finish(now);
}

void link_table::set_relaying(std::function<bool(const node_id&)> may) {
  BANYAN_ASSERT(s_->connections_.empty());
  s_->may_relay_ = std::move(may);
}

void link_table::set_allowed(std::function<bool(const node_id&)> may) {
  s_->allowed_ = std::move(may);
}

void link_table::want(const address& at, const std::optional<node_id>& pinned,
                      time_point now) {
  target t;
  t.what = {pinned.value_or(node_id{}), at};
  t.by_address = true;
  s_->want(std::move(t), now);
  s_->finish(now);
}

void link_table::unwant(const node_id& node) {
  const auto it = s_->by_node_.find(node);
  if (it == s_->by_node_.end())
    return;
  s_->unwant(it->second);
  s_->by_node_.erase(it);
}

void link_table::unwant(const address& at) {
  const auto it = s_->by_address_.find(at);
  if (it == s_->by_address_.end())
    return;
  s_->unwant(it->second);
  s_->by_address_.erase(it);
}

void link_table::hurry(const node_id& node, time_point now) {
  const auto it = s_->by_node_.find(node);
  if (it == s_->by_node_.end())
    return;
  auto& t = it->second;
  t.next_dial = std::min(t.next_dial, now + t.wait);
  s_->dial_due(now);
  s_->finish(now);
}

void link_table::probe(const address& at, std::uint64_t token, time_point now) {
  dial_purpose p;
  p.what = dial_purpose::kind::probe;
  p.at = at;
  p.token = token;
  s_->open_dial(at, std::move(p), now);
}

result<bytes*, send_errc> link_table::begin_frame(const node_id& to,
                                                  channel c) {
  auto* const link = s_->current(to);
  if (link == nullptr)
    return failure{send_errc::not_linked};
  if (c == channel::link
      || (link->role == link_role::client && !client_may_use(c)))
    return failure{send_errc::forbidden};
  BANYAN_ASSERT(s_->open_frame_ == nullptr);
  s_->open_frame_ = link;
  return &link->out->begin(c);
}

result<void, send_errc> link_table::end_frame() {
  auto* const link = std::exchange(s_->open_frame_, nullptr);
  BANYAN_ASSERT(link != nullptr);
  auto queued = link->out->end();
  if (queued) {
    ++s_->counters_.frames_out;
    s_->mark_dirty(*link);
  } else if (queued.error() == send_errc::overloaded) {
    ++s_->counters_.sends_refused;
  }
  return queued;
}

result<void, send_errc> link_table::send(const node_id& to, channel c,
                                         const_bytes payload) {
  if (payload.size() > frame_bytes_max)
    return failure{send_errc::too_large};
  auto room = begin_frame(to, c);
  if (!room)
    return failure{room.error()};
  append(**room, payload);
  return end_frame();
}

void link_table::flush(time_point now) {
  s_->flush(now);
  s_->finish(now);
}

bool link_table::needs_flush() const {
  return !s_->dirty_.empty();
}

std::size_t link_table::queued(const node_id& to, lane l) const {
  const auto* const link = s_->current(to);
  return link == nullptr ? 0 : link->out->queued(l);
}

void link_table::close(const node_id& node, time_point now) {
  if (auto* const link = s_->current(node)) {
    s_->went_down(*link, link_end::local, now);
    s_->drain(*link, now);
    s_->finish(now);
  }
}

void link_table::cut(const node_id& node, time_point now) {
  if (auto* const link = s_->current(node)) {
    s_->went_down(*link, link_end::local, now, true);
    s_->drop(*link, state::ending::reset);
    s_->finish(now);
  }
}

void link_table::stop(time_point now) {
  s_->stop(now);
}

bool link_table::idle() const {
  return std::all_of(s_->connections_.begin(), s_->connections_.end(),
                     [this](const auto& entry) {
                       const auto& c = *entry.second;
                       return c.said_goodbye && c.out->empty()
                              && s_->stream_unsent(c.stream) == 0;
                     });
}

const link_info* link_table::find(const node_id& node) const {
  const auto* const link = s_->current(node);
  return link == nullptr ? nullptr : link->info.get();
}

std::vector<link_info> link_table::links() const {
  std::vector<link_info> out;
  for (const auto& [id, c] : s_->connections_) {
    if (c->phase == phase::up)
      out.push_back(*c->info);
  }
  return out;
}

const link_counters& link_table::counters() const noexcept {
  return s_->counters_;
}

const node_id& link_table::self() const noexcept {
  return s_->config_.key.id();
}

time_point link_table::deadline() const {
  auto due = s_->deadline();
  if (s_->may_relay_)
    due = std::min({due, s_->forwarder_.deadline(), s_->ends_.deadline()});
  return due;
}

void link_table::on_time(time_point now) {
  s_->on_time(now);
  s_->finish(now);
}

void link_table::on_opened(stream_id id, const address& remote, bool inbound,
                           time_point now) {
  s_->opened(id, remote, inbound, now);
  s_->finish(now);
}

void link_table::on_dial_failed(stream_id id, stream_end why, time_point now) {
  auto* const c = s_->find(id);
  if (c == nullptr)
    return;
  const auto error = why == stream_end::refused       ? dial_error::refused
                     : why == stream_end::unreachable ? dial_error::unreachable
                     : why == stream_end::timed_out   ? dial_error::timed_out
                     : why == stream_end::local       ? dial_error::local
                                                      : dial_error::hung_up;
  s_->dial_failed(*c, error, now);
  s_->finish(now);
}

void link_table::on_data(stream_id id, const_bytes data, time_point now) {
  auto* const c = s_->find(id);
  if (c == nullptr)
    return;
  if (c->reader)
    s_->records(*c, data, now);
  else
    s_->shake(*c, data, now);
  s_->finish(now);
}

void link_table::on_drained(stream_id id, time_point now) {
  if (auto* const c = s_->find(id)) {
    s_->pump(*c, now);
    s_->finish(now);
  }
}

void link_table::on_closed(stream_id id, stream_end why, time_point now) {
  if (auto* const c = s_->find(id)) {
    s_->closed(*c, why, now);
    s_->finish(now);
  }
}

} // namespace banyan::net
