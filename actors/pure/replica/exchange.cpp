// Streams between groups: what goes out once it is committed, what comes in
// exactly once and in order.
#include "actors/pure/replica/impl.hpp"
#include "base/planted.hpp"

namespace banyan {
namespace {

constexpr std::size_t in_flows_max = 10'000;
constexpr std::size_t buffered_max = 1024;

} // namespace

void replica_core::impl::on_stream(const stream_frame& frame, time_point now) {
  if (!raft_ || failed_ || !leading_ || config_.closed)
    return; // the sender tries again, at the leader
  if (frame.is_ack) {
    if (frame.from != config_.group || frame.lineage != stream_lineage())
      return;
    if (sender_.acknowledged(tables_.streams, frame.to, frame.acknowledged, now)
        && ack_entry_at_ == never)
      ack_entry_at_ = now + 50ms;
    return;
  }
  if (frame.to == config_.group)
    take_messages(frame, false);
}

void replica_core::impl::on_answers(const stream_frame& frame) {
  if (!raft_ || failed_ || !leading_ || config_.closed)
    return; // the next leader makes its calls anew
  if (frame.to == config_.group && frame.lineage == stream_lineage())
    take_messages(frame, true);
}

void replica_core::impl::take_messages(const stream_frame& frame, bool gaps) {
  const replica::stream_table::source from{frame.from, frame.lineage};
  const auto* in = tables_.streams.in(from);
  const auto applied = in ? in->applied : 0;
  if (in_flows_.size() >= in_flows_max && in_flows_.count(from) == 0)
    return; // it repeats, and there may be room
  auto& flow = in_flows_[from];
  flow.gaps = gaps;
  for (const auto& m : frame.messages) {
    if (m.number <= applied) {
      acks_due_.insert(from); // its acknowledgement was lost
      continue;
    }
    const bool fits = gaps ? flow.buffer.size() < buffered_max
                           : m.number - applied <= buffered_max;
    if (fits && !m.to_key.empty() && !m.command.empty())
      flow.buffer.emplace(m.number, m);
  }
  pump_source(from);
}

/// One message of a stream at a time: the next begins once this one has its
/// entry, not its commit.
void replica_core::impl::pump_source(
    const replica::stream_table::source& from) {
  auto& flow = in_flows_[from];
  if (flow.running || tables_.stopped || waiting_ >= config_.waiting_turns_max)
    return;
  const auto* in = tables_.streams.in(from);
  const auto applied = in ? in->applied : 0;
  flow.buffer.erase(flow.buffer.begin(), flow.buffer.upper_bound(applied));
  const auto next =
      flow.gaps ? flow.buffer.begin() : flow.buffer.find(applied + 1);
  if (next == flow.buffer.end())
    return;
  auto m = std::move(next->second);
  flow.buffer.erase(next);
  flow.running = true;
  pending p;
  p.by = replica::by_stream{from.first, from.second, m.number};
  p.request = replica::request_key(p.by, m.to_key);
  p.actor = m.to_key;
  p.command = m.command;
  p.argument = std::move(m.argument);
  p.origin = m.what == stream_message::kind::reply ? turn_origin::reply
                                                   : turn_origin::send;
  p.caller_name = m.from_app + "/" + m.from_key;
  m.argument = {};
  p.message = std::move(m);
  p.alone = is_suspect(p.request);
  enqueue(add_pending(std::move(p)), false);
}

/// An operator stopped the app: the message is the first to go on.
void replica_core::impl::put_back(pending& p, const replica::by_stream& by) {
  auto m = std::move(*p.message);
  m.argument = std::move(p.argument);
  auto& flow = in_flows_[{by.from, by.lineage}];
  flow.buffer.emplace(m.number, std::move(m));
  flow.running = false;
  drop_pending(p.id);
}

/// A message has its entry: the stream goes on.
void replica_core::impl::took(const replica::turn_by& by, log_index) {
  const auto* s = std::get_if<replica::by_stream>(&by);
  if (!s)
    return;
  const replica::stream_table::source from{s->from, s->lineage};
  in_flows_[from].running = false;
  pump_source(from);
}

void replica_core::impl::pump_streams(time_point now) {
  if (!released_ || config_.closed)
    return;
  std::vector<stream_frame> frames;
  sender_.pump(tables_.streams,
               planted(planted_bug::send_before_commit) ? overlay_.last()
                                                        : committed_,
               now, config_.group, stream_lineage(), frames);
  for (auto& f : frames) {
    if (f.to == config_.group)
      own_frames_.push_back(std::move(f));
    else
      out_.emplace_back(send_stream{std::move(f)});
  }
  // To actors of this very group: the same way, without leaving the node.
  while (!own_frames_.empty()) {
    const auto f = std::move(own_frames_.front());
    own_frames_.pop_front();
    on_stream(f, now);
  }
}

void replica_core::impl::send_acks() {
  if (!leading_ || !released_)
    return;
  for (const auto& from : acks_due_) {
    const auto& flow = in_flows_[from];
    auto n = flow.committed;
    const auto* in = tables_.streams.in(from);
    if (in && in->row_index <= committed_)
      n = std::max(n, in->applied);
    if (n == 0)
      continue;
    stream_frame ack;
    ack.from = from.first;
    ack.lineage = from.second;
    ack.to = config_.group;
    ack.is_ack = true;
    ack.acknowledged = n;
    if (ack.from == config_.group)
      own_frames_.push_back(std::move(ack));
    else
      out_.emplace_back(send_stream{std::move(ack)});
  }
  acks_due_.clear();
}

/// What receivers acknowledged leaves the outbox by an entry: now and then, for
/// many messages at once.
void replica_core::impl::propose_acks(time_point now) {
  if (ack_entry_at_ > now)
    return;
  if (raft_->transferring()) {
    ack_entry_at_ = now + 50ms;
    return;
  }
  ack_entry_at_ = never;
  auto items = sender_.unrecorded(tables_.streams);
  if (!items.empty())
    propose(replica::stream_ack_entry{std::move(items)}, now);
}

} // namespace banyan
