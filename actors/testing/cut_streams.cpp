#include "actors/testing/cut_streams.hpp"

namespace banyan::testing::detail {
namespace {

/// As long as a kernel or tcp_streams would try.
constexpr duration dial_timeout = 3s;

} // namespace

void cut_map::put_node(std::size_t node, const net::address& at) {
  const std::lock_guard<std::mutex> g{mutex_};
  nodes_[at] = node;
}

std::optional<std::size_t> cut_map::node_at(const net::address& at) const {
  const std::lock_guard<std::mutex> g{mutex_};
  const auto found = nodes_.find(at);
  if (found == nodes_.end())
    return std::nullopt;
  return found->second;
}

void cut_map::cut(const std::vector<std::vector<std::size_t>>& groups) {
  const std::lock_guard<std::mutex> g{mutex_};
  side_.clear();
  for (std::size_t side = 0; side < groups.size(); ++side)
    for (const auto node : groups[side])
      side_[node] = side;
}

bool cut_map::is_cut(std::size_t a, std::size_t b) const {
  const std::lock_guard<std::mutex> g{mutex_};
  const auto left = side_.find(a);
  const auto right = side_.find(b);
  return left != side_.end() && right != side_.end()
         && left->second != right->second;
}

cut_streams::cut_streams(io::loop& l, std::unique_ptr<net::streams> inner,
                         const cut_map& cuts, std::size_t self)
    : loop_{l}, inner_{std::move(inner)}, cuts_{cuts}, self_{self} {
  inner_->set_events(*this);
}

cut_streams::~cut_streams() = default;

cut_streams::dialled* cut_streams::find(net::stream_id id) {
  const auto at = dialled_.find(id);
  return at == dialled_.end() ? nullptr : &at->second;
}

bool cut_streams::held(net::stream_id id) {
  const auto* d = find(id);
  return d != nullptr && d->cut;
}

void cut_streams::apply() {
  std::vector<net::stream_id> free;
  for (auto& [id, d] : dialled_) {
    const bool now = cuts_.is_cut(self_, d.target);
    if (d.unanswered || now == d.cut)
      continue;
    if (now)
      d.cut = true;
    else
      free.push_back(id);
  }
  for (const auto id : free)
    let_go(id);
}

void cut_streams::let_go(net::stream_id id) {
  auto* d = find(id);
  if (d == nullptr)
    return;
  d->cut = false;
  const auto out = std::exchange(d->out, {});
  const auto in = std::exchange(d->in, {});
  const auto ended = d->ended;
  const auto ours = d->ours;
  if (!out.empty() && !severed_)
    inner_->write(id, out);
  if (ours != dialled::wish::keep) {
    dialled_.erase(id);
    if (!ended)
      ours == dialled::wish::close ? inner_->close(id) : inner_->reset(id);
    return;
  }
  if (!in.empty())
    events_->on_data(id, in, loop_.now());
  if (find(id) == nullptr)
    return; // the data made its owner end it
  if (ended) {
    dialled_.erase(id);
    events_->on_closed(id, *ended, loop_.now());
  } else if (out.size() > unsent_low && inner_->unsent(id) <= unsent_low) {
    events_->on_drained(id, loop_.now());
  }
}

net::stream_id cut_streams::dial(const net::address& to) {
  const auto target = cuts_.node_at(to);
  if (!target || !cuts_.is_cut(self_, *target)) {
    const auto id = inner_->dial(to);
    if (target)
      dialled_[id].target = *target;
    return id;
  }
  const net::stream_id id{next_unanswered_++};
  dialled_[id].target = *target;
  dialled_[id].unanswered = true;
  loop_.after(
      dial_timeout,
      [this, id, alive = std::weak_ptr<bool>{alive_}] {
        if (!alive.expired() && dialled_.erase(id) > 0)
          events_->on_dial_failed(id, net::stream_end::timed_out, loop_.now());
      },
      "cut dial");
  return id;
}

void cut_streams::write(net::stream_id id, const_bytes data) {
  if (severed_)
    return;
  if (auto* d = find(id); d != nullptr && d->cut)
    d->out.insert(d->out.end(), data.begin(), data.end());
  else
    inner_->write(id, data);
}

std::size_t cut_streams::unsent(net::stream_id id) const {
  const auto at = dialled_.find(id);
  return inner_->unsent(id)
         + (at == dialled_.end() ? 0 : at->second.out.size());
}

void cut_streams::close(net::stream_id id) {
  if (severed_)
    return reset(id);
  if (auto* d = find(id); d != nullptr && d->cut) {
    d->ours = dialled::wish::close;
    return;
  }
  dialled_.erase(id);
  inner_->close(id);
}

void cut_streams::reset(net::stream_id id) {
  auto* d = find(id);
  if (d != nullptr && d->cut && !severed_) {
    d->ours = dialled::wish::reset;
    d->in.clear();
    return;
  }
  const bool unanswered = d != nullptr && d->unanswered;
  dialled_.erase(id);
  if (!unanswered)
    inner_->reset(id);
}

void cut_streams::on_opened(net::stream_id id, const net::address& remote,
                            bool inbound, time_point now) {
  events_->on_opened(id, remote, inbound, now);
}

void cut_streams::on_dial_failed(net::stream_id id, net::stream_end why,
                                 time_point now) {
  if (auto* d = find(id);
      d != nullptr && d->cut && d->ours != dialled::wish::keep) {
    dialled_.erase(id);
    return;
  }
  dialled_.erase(id);
  events_->on_dial_failed(id, why, now);
}

void cut_streams::on_data(net::stream_id id, const_bytes data, time_point now) {
  auto* d = find(id);
  if (d == nullptr || !d->cut)
    return events_->on_data(id, data, now);
  if (d->ours == dialled::wish::keep)
    d->in.insert(d->in.end(), data.begin(), data.end());
}

void cut_streams::on_drained(net::stream_id id, time_point now) {
  if (!held(id))
    events_->on_drained(id, now);
}

void cut_streams::on_closed(net::stream_id id, net::stream_end why,
                            time_point now) {
  if (auto* d = find(id); d != nullptr && d->cut) {
    d->ended = why;
    if (d->ours != dialled::wish::keep)
      dialled_.erase(id);
    return;
  }
  dialled_.erase(id);
  events_->on_closed(id, why, now);
}

} // namespace banyan::testing::detail
