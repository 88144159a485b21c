#include "actors/pure/backup/cut.hpp"

#include <algorithm>

namespace banyan::backup {
namespace {

using stream = shard_marks::stream;
using mark = shard_marks::mark;

const stream* find(const std::map<std::uint32_t, stream>& in,
                   std::uint32_t shard) {
  const auto at = in.find(shard);
  return at == in.end() ? nullptr : &at->second;
}

/// Numbers follow without gaps: what the first entry behind `index` brings is
/// one more than there was.
std::uint64_t counted_at(const stream* s, log_index index) {
  if (s == nullptr)
    return 0;
  for (const auto& m : s->marks)
    if (m.index > index)
      return m.number - 1;
  return s->last;
}

/// Totals: the last one up to `index`; the first mark is where it began.
std::uint64_t total_at(const stream* s, log_index index) {
  std::uint64_t total = 0;
  if (s != nullptr)
    for (const auto& m : s->marks)
      if (m.index <= index)
        total = std::max(total, m.number);
  return total;
}

/// Before the first entry whose number is above `limit`.
log_index before(const stream& s, std::uint64_t limit) {
  for (const auto& m : s.marks)
    if (m.number > limit)
      return m.index.prev();
  return {};
}

} // namespace

std::uint64_t taken_at(const shard_marks& s, std::uint32_t from,
                       log_index index) {
  return counted_at(find(s.taken, from), index);
}

cut consistent_cut(const std::vector<shard_marks>& shards) {
  cut c;
  for (const auto& s : shards)
    c.at.push_back(s.highest);
  const auto n = static_cast<std::uint32_t>(shards.size());
  const auto lower = [&](std::uint32_t shard, log_index to) {
    c.at[shard] = std::min(c.at[shard], to);
    return !(to < shards[shard].lowest);
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::uint32_t a = 0; a < n; ++a)
      for (std::uint32_t b = 0; b < n; ++b) {
        if (a == b)
          continue; // one log: what is taken was sent before
        const auto* sent = find(shards[a].sent, b);
        const auto* taken = find(shards[b].taken, a);
        const auto* acknowledged = find(shards[a].acknowledged, b);
        const auto has_sent = counted_at(sent, c.at[a]);
        const auto has_taken = counted_at(taken, c.at[b]);
        bool possible = true;
        if (has_taken > has_sent) {
          possible = lower(b, before(*taken, has_sent));
          changed = true;
        } else if (total_at(acknowledged, c.at[a]) > has_taken) {
          possible = lower(a, before(*acknowledged, has_taken));
          changed = true;
        }
        if (possible)
          continue;
        c.impossible = "shards " + std::to_string(a) + " and "
                       + std::to_string(b)
                       + " were copied too far apart: messages between them "
                         "would be lost or doubled; take another backup";
        for (std::uint32_t i = 0; i < n; ++i)
          c.at[i] = shards[i].highest;
        return c;
      }
  }
  return c;
}

} // namespace banyan::backup
