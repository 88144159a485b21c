// Re-reading what was synced, and what of the log is synced.
#include "store/detail/log_engine.hpp"

#include <algorithm>
#include <set>

namespace banyan::store::detail {

log_scrub log_engine::scrub(log_place from, std::size_t bytes_max) {
  BANYAN_ASSERT(!has_batch());
  log_scrub out;
  auto at = segments_.lower_bound(from.segment);
  auto offset = from.offset;
  while (at != segments_.end()) {
    const auto& [number, s] = *at;
    if (number != from.segment)
      offset = 0; // that one was freed
    const auto end = number == current() ? offset_ : s.length;
    if (offset < segment_header_bytes) {
      if (!scrub_header(number, s)) {
        out.damage.push_back(segment_path(number) + ": header");
        spoil(number);
      }
      out.bytes_read += segment_header_bytes;
      offset = segment_header_bytes;
    }
    while (offset < end) {
      if (out.bytes_read >= bytes_max) {
        out.next = log_place{number, offset};
        return out;
      }
      offset = scrub_batch(number, s, offset, end, out);
    }
    ++at;
    if (at != segments_.end() && out.bytes_read >= bytes_max) {
      out.next = log_place{at->first, 0};
      return out;
    }
    offset = 0;
    if (at != segments_.end())
      from = {at->first, 0};
  }
  return out;
}

/// Both copies have to be whole: one is left when the other goes too.
bool log_engine::scrub_header(std::uint64_t number, const segment& s) {
  bytes head(segment_header_bytes);
  const auto got = s.data->read(0, head.data(), head.size());
  if (!got.ok() || *got != head.size())
    return false;
  const const_bytes all{head};
  const auto header = decode_segment_header(all);
  return header && header->number == number && header->salt == s.salt
         && all.first(sector_bytes) == all.from(sector_bytes);
}

/// Returns where the next batch begins.
std::uint64_t log_engine::scrub_batch(std::uint64_t number, const segment& s,
                                      std::uint64_t offset, std::uint64_t end,
                                      log_scrub& out) {
  const auto header_at = [&](std::uint64_t place) {
    std::array<std::uint8_t, batch_header_bytes> head{};
    const auto got = s.data->read(place, head.data(), head.size());
    return got.ok() && *got == head.size()
               ? decode_batch_header(head, s.salt, number, place)
               : std::nullopt;
  };
  const auto h = header_at(offset);
  auto next = offset;
  bool whole = false;
  if (h && h->bytes <= end - offset) {
    next += h->bytes;
    bytes batch(static_cast<std::size_t>(h->bytes));
    const auto got = s.data->read(offset, batch.data(), batch.size());
    std::vector<record> records;
    whole = got.ok() && *got == batch.size() && batch_is_whole(*h, batch)
            && decode_records(*h, batch, records)
            && entries_match(number, offset, records);
  } else {
    do
      next += sector_bytes;
    while (next < end && !header_at(next));
  }
  next = std::min(next, end);
  out.bytes_read += next - offset;
  if (!whole) {
    out.damage.push_back(segment_path(number) + ": bytes "
                         + std::to_string(offset) + " to "
                         + std::to_string(next));
    blame(number, offset, next, out);
    spoil(number);
  }
  return next;
}

/// Whether the entries that the log still counts on are those that lie here.
bool log_engine::entries_match(std::uint64_t number, std::uint64_t offset,
                               const std::vector<record>& records) const {
  for (const auto& r : records) {
    const auto found = groups_.find(r.group);
    if (found == groups_.end() || found->second.head.replica != r.replica)
      continue;
    const auto& g = found->second;
    auto hash = r.previous;
    for (const auto& e : r.entries) {
      hash = chain_hash(hash, e.entry);
      const auto index = e.entry.index;
      if (index <= g.head.base.index || index > g.last())
        continue;
      const auto& slot = g.slots[index.value() - g.head.base.index.value() - 1];
      if (slot.segment == number && slot.offset == offset + e.offset
          && slot.hash != hash)
        return false;
    }
  }
  return true;
}

/// Names the groups with entries in these bytes.
void log_engine::blame(std::uint64_t number, std::uint64_t from,
                       std::uint64_t to, log_scrub& out) const {
  std::set<group_id> hit{out.groups.begin(), out.groups.end()};
  for (const auto& [id, g] : groups_)
    if (std::any_of(g.slots.begin(), g.slots.end(), [&](const auto& s) {
          return s.segment == number && s.offset >= from && s.offset < to;
        }))
      hit.insert(id);
  out.groups.assign(hit.begin(), hit.end());
}

std::vector<group_id> log_engine::groups() const {
  std::vector<group_id> out;
  for (const auto& [id, g] : groups_)
    out.push_back(id);
  std::sort(out.begin(), out.end());
  return out;
}

void log_engine::spoil(std::uint64_t number) {
  if (spoiled_.insert(number).second) {
    leave_listed_ = false;
    leave_retry_ = 0;
  }
}

std::vector<log_engine::entry_place>
log_engine::entry_places(const group_id& group) const {
  std::vector<entry_place> out;
  if (const auto found = groups_.find(group); found != groups_.end())
    for (const auto& s : found->second.slots)
      out.push_back({segment_path(s.segment), s.offset, s.bytes});
  return out;
}

std::optional<log_engine::synced_end>
log_engine::synced_log(const group_id& group) const {
  // The first change of a batch that isn't synced yet says what was before it.
  for (const auto& u : undo_)
    if (u.group == group) {
      if (!u.existed)
        return std::nullopt;
      return end_before(group, u.head, u.slots_kept + u.removed.size());
    }
  const auto found = groups_.find(group);
  if (found == groups_.end())
    return std::nullopt;
  return end_before(group, found->second.head, found->second.slots.size());
}

log_engine::synced_end log_engine::end_before(const group_id& group,
                                              const group_head& head,
                                              std::size_t slots) const {
  synced_end out{head.replica, head.base, head.base};
  if (slots > 0) {
    const auto& last = slot_before(group, slots - 1);
    out.last = {log_index{head.base.index.value() + slots}, last.term,
                last.hash};
  }
  return out;
}

/// The n-th entry behind the base as it was before the batch.
const log_slot& log_engine::slot_before(const group_id& group,
                                        std::size_t n) const {
  for (const auto& u : undo_)
    if (u.group == group && n >= u.slots_kept)
      return u.removed[n - u.slots_kept];
  return groups_.at(group).slots[n];
}

std::optional<digest> log_engine::synced_hash(const group_id& group,
                                              log_index index) const {
  const auto end = synced_log(group);
  if (!end || index < end->base.index || index > end->last.index)
    return std::nullopt;
  if (index == end->base.index)
    return end->base.hash;
  return slot_before(group, index.value() - end->base.index.value() - 1).hash;
}

} // namespace banyan::store::detail
