#include "actors/pure/replica/streams.hpp"

#include <algorithm>

namespace banyan::replica {

void stream_table::put_message(const group_id& to, waiting m) {
  const auto number = m.message.number;
  outs_[to].messages[number] = std::move(m);
}
void stream_table::erase_message(const group_id& to, std::uint64_t number) {
  const auto it = outs_.find(to);
  if (it == outs_.end())
    return;
  it->second.messages.erase(number);
  drop_if_empty(to);
}
void stream_table::put_out(const group_id& to, std::uint64_t next,
                           std::uint64_t acknowledged, log_index index) {
  auto& s = outs_[to];
  s.next = next;
  s.acknowledged = acknowledged;
  s.row_index = index;
  s.has_row = true;
}
void stream_table::erase_out(const group_id& to) {
  const auto it = outs_.find(to);
  if (it == outs_.end())
    return;
  it->second.has_row = false;
  it->second.next = 1;
  it->second.acknowledged = 0;
  drop_if_empty(to);
}
void stream_table::drop_if_empty(const group_id& to) {
  const auto it = outs_.find(to);
  if (!it->second.has_row && it->second.messages.empty())
    outs_.erase(it);
}
void stream_table::put_in(const source& from, std::uint64_t applied,
                          log_index index) {
  ins_[from] = {applied, index};
}
void stream_table::erase_in(const source& from) {
  ins_.erase(from);
}

const stream_table::out_stream* stream_table::out(const group_id& to) const {
  const auto it = outs_.find(to);
  return it == outs_.end() ? nullptr : &it->second;
}
const stream_table::in_stream* stream_table::in(const source& from) const {
  const auto it = ins_.find(from);
  return it == ins_.end() ? nullptr : &it->second;
}

bytes encode_out(std::uint64_t next, std::uint64_t acknowledged) {
  bytes out;
  writer{out}.array(2).uint(next).uint(acknowledged);
  return out;
}
bool decode_out(const_bytes bytes_in, std::uint64_t& next,
                std::uint64_t& acknowledged) {
  reader in{bytes_in};
  in.require(in.array(2) == 2);
  next = in.uint();
  acknowledged = in.uint();
  return in.done();
}
bytes encode_in(std::uint64_t applied) {
  bytes out;
  writer{out}.uint(applied);
  return out;
}
bool decode_in(const_bytes bytes_in, std::uint64_t& applied) {
  reader in{bytes_in};
  applied = in.uint();
  return in.done();
}

void stream_sender::pump(const stream_table& table, log_index committed,
                         time_point now, const group_id& self,
                         const lineage_id& lineage,
                         std::vector<stream_frame>& out) {
  for (const auto& [to, rows] : table.outs()) {
    if (rows.messages.empty())
      continue;
    auto& s = streams_[to];
    s.acknowledged = std::max(s.acknowledged, rows.acknowledged);
    s.sent = std::max(s.sent, s.acknowledged);
    if (s.sent > s.acknowledged && now >= s.resend_at) {
      s.sent = s.acknowledged; // everything again: the receiver drops doubles
      s.backoff = std::min(s.backoff * 2, limits_.resend_max);
    }
    const auto end = s.acknowledged + limits_.window;
    stream_frame frame;
    std::size_t size = 0;
    for (auto it = rows.messages.upper_bound(s.sent);
         it != rows.messages.end() && it->first <= end
         && it->second.index <= committed;
         ++it) {
      if (!frame.messages.empty()
          && size + it->second.size > limits_.frame_bytes) {
        out.push_back(std::exchange(frame, {}));
        size = 0;
      }
      if (frame.messages.empty()) {
        frame.from = self;
        frame.lineage = lineage;
        frame.to = to;
        frame.acknowledged = s.acknowledged;
      }
      frame.messages.push_back(it->second.message);
      size += it->second.size;
      s.sent = it->first;
    }
    if (!frame.messages.empty())
      out.push_back(std::move(frame));
    if (s.sent > s.acknowledged) {
      if (s.backoff == duration{})
        s.backoff = limits_.resend_min;
      if (s.resend_at == never || s.resend_at <= now)
        s.resend_at = now + s.backoff;
    } else {
      s.resend_at = never;
    }
  }
}

bool stream_sender::acknowledged(const stream_table& table, const group_id& by,
                                 std::uint64_t number, time_point now) {
  const auto* rows = table.out(by);
  if (!rows || number >= rows->next || number <= rows->acknowledged)
    return false; // foreign: nobody can acknowledge what was never sent
  auto& s = streams_[by];
  if (number <= s.acknowledged)
    return false;
  s.acknowledged = number;
  s.sent = std::max(s.sent, number); // an earlier leader may have sent it
  s.backoff = limits_.resend_min;
  s.resend_at = s.sent > number ? now + s.backoff : never;
  return true;
}

std::vector<stream_ack_entry::item>
stream_sender::unrecorded(const stream_table& table) const {
  std::vector<stream_ack_entry::item> out;
  for (const auto& [to, s] : streams_) {
    const auto* rows = table.out(to);
    if (rows && s.acknowledged > rows->acknowledged)
      out.push_back({to, s.acknowledged});
  }
  return out;
}

time_point stream_sender::deadline() const {
  auto at = never;
  for (const auto& [to, s] : streams_)
    at = std::min(at, s.resend_at);
  return at;
}

} // namespace banyan::replica
