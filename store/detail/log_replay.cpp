#include "store/detail/log_replay.hpp"

#include <algorithm>
#include <set>

namespace banyan::store::detail {
namespace {

/// A hole wider than this is not filled with place holders.
constexpr std::uint64_t hole_max = std::uint64_t{1} << 24;

void note(std::string& damage, const std::string& what) {
  if (damage.empty())
    damage = what;
}

} // namespace

void log_replay::add(std::uint64_t segment, std::uint64_t offset,
                     std::vector<record> records, bool checkpoint) {
  if (checkpoint) {
    // It names all groups: another one was dropped by a record in a gap.
    std::set<group_id> named;
    for (const auto& r : records)
      named.insert(r.group);
    for (auto g = groups_.begin(); g != groups_.end();)
      g = named.count(g->first) == 0 ? groups_.erase(g) : std::next(g);
  }
  for (auto& r : records) {
    if (r.kind == record_kind::drop) {
      groups_.erase(r.group);
      continue;
    }
    const auto [found, fresh] = groups_.try_emplace(r.group);
    auto& g = found->second;
    switch (r.kind) {
    case record_kind::write:
      on_write(g, !fresh, r, segment, offset);
      break;
    case record_kind::cut:
      follow(g, r);
      on_cut(g, r);
      break;
    case record_kind::checkpoint:
      on_checkpoint(g, !fresh, r);
      break;
    case record_kind::move:
      on_move(g, r, segment, offset);
      break;
    case record_kind::drop:
      break;
    }
  }
}

void log_replay::gap() {
  ++gaps_;
  for (auto& [id, g] : groups_)
    g.suspect = true;
}

/// Checks that no record of the group is missing before this one.
void log_replay::follow(group& g, const record& r) {
  if (g.head.replica != r.replica || r.sequence != g.head.sequence + 1)
    note(g.head.damage, "records before number " + std::to_string(r.sequence)
                            + " are missing");
  else
    g.suspect = false;
  g.head.replica = r.replica;
  g.head.sequence = r.sequence;
}

void log_replay::on_write(group& g, bool known, record& r,
                          std::uint64_t segment, std::uint64_t offset) {
  const bool new_life =
      r.sequence == 1 || (r.base && r.hard) || (!known && r.base);
  if (new_life) {
    const auto hard = g.head.hard;
    const bool same = known && g.head.replica == r.replica;
    g = {};
    g.head.replica = r.replica;
    g.head.sequence = r.sequence;
    if (same)
      g.head.hard = hard;
  } else {
    follow(g, r);
  }
  if (r.hard)
    g.head.hard = *r.hard;
  if (r.base) {
    g.head.base = *r.base;
    g.entries.clear();
    g.end = r.base->hash;
  }
  if (r.entries.empty())
    return;
  const auto first = r.entries.front().entry.index;
  const auto base = g.head.base.index;
  if (first <= base || first.value() - base.value() > hole_max) {
    note(g.head.damage,
         "entries before " + std::to_string(first.value()) + " are missing");
    g.head.base = {first.prev(), {}, r.previous};
    g.entries.clear();
  }
  g.entries.resize(first.value() - g.head.base.index.value() - 1);
  auto previous = r.previous;
  for (auto& e : r.entries) {
    const auto hash = chain_hash(previous, e.entry);
    g.entries.push_back({std::move(e.entry), previous, hash, segment,
                         offset + e.offset, e.bytes, true});
    previous = hash;
  }
  g.end = previous;
  if (previous != r.end)
    note(g.head.damage,
         "the hash chain is broken at " + std::to_string(g.last().value()));
}

void log_replay::raise_base(group& g, const log_base& base) {
  while (!g.entries.empty() && g.head.base.index < base.index) {
    g.entries.pop_front();
    g.head.base.index = g.head.base.index.next();
  }
  g.head.base = base;
  if (g.entries.empty())
    g.end = base.hash;
}

void log_replay::on_cut(group& g, const record& r) {
  if (r.base->index > g.head.base.index)
    raise_base(g, *r.base);
}

void log_replay::on_checkpoint(group& g, bool known, const record& r) {
  if (!known || g.head.replica != r.replica
      || r.base->index < g.head.base.index) {
    g = {};
    g.head.base = *r.base;
  } else {
    raise_base(g, *r.base); // also at the same index: ours may be a guess
  }
  g.head.replica = r.replica;
  g.head.sequence = r.sequence;
  g.head.hard = *r.hard;
  g.head.damage = r.damage;
  g.suspect = false;
  g.end = r.end;
  const auto count = r.last.value() - g.head.base.index.value();
  if (r.last < g.head.base.index || count > hole_max)
    note(g.head.damage, "a checkpoint makes no sense");
  else
    g.entries.resize(count);
}

void log_replay::on_move(group& g, record& r, std::uint64_t segment,
                         std::uint64_t offset) {
  follow(g, r);
  auto previous = r.previous;
  for (auto& e : r.entries) {
    const auto hash = chain_hash(previous, e.entry);
    const auto index = e.entry.index;
    if (index > g.head.base.index && index <= g.last()) {
      auto& at = g.entries[index.value() - g.head.base.index.value() - 1];
      at = {std::move(e.entry), previous, hash, segment,
            offset + e.offset,  e.bytes,  true};
    }
    previous = hash;
  }
  if (previous != r.end)
    note(g.head.damage, "the hash chain is broken in moved entries");
}

void log_replay::close() {
  for (auto& [id, g] : groups_) {
    auto previous = g.head.base.hash;
    std::size_t whole = 0;
    for (const auto& e : g.entries) {
      if (!e.present || e.previous != previous)
        break;
      previous = e.hash;
      ++whole;
    }
    if (whole < g.entries.size())
      note(g.head.damage,
           "entry " + std::to_string(g.head.base.index.value() + whole + 1)
               + " and later ones are missing");
    else if (previous != g.end)
      note(g.head.damage, "the end of the log is missing");
    if (g.suspect)
      note(g.head.damage, "its last records may be missing");
    g.entries.resize(whole);
    g.end = previous;
  }
}

} // namespace banyan::store::detail
