// Segments: rolling to the next, reserving, freeing, moving what is still
// needed out of the oldest.
#include "store/detail/log_engine.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::store::detail {
namespace {
constexpr std::uint64_t tail_reserve_max = std::uint64_t{1} << 20;
/// A disk without room for a whole segment still takes one of a 16th: the log
/// goes on there, and what it leaves behind is free once it was cut.
constexpr std::size_t smallest_share = 16;
} // namespace

/// What a segment's file may take.
std::uint64_t log_engine::bytes_of(file& f) const {
  const auto size = f.size();
  return size.ok() ? std::min<std::uint64_t>(*size, options_.segment_bytes) : 0;
}

std::string log_engine::segment_path(std::uint64_t number) const {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "/%016llx.seg",
                static_cast<unsigned long long>(number));
  return options_.folder + name.data();
}

/// What fits in the newest segment. Without a next one in reserve its end is
/// kept for cuts and drops, which are what frees space.
std::size_t log_engine::room(bool essential) const {
  std::uint64_t kept = 0;
  if (!essential && reserve_bytes_ == 0)
    kept = std::min(tail_reserve_max, capacity_ / 8);
  const auto taken = offset_ + kept;
  return taken < capacity_ ? capacity_ - taken : 0;
}

outcome log_engine::make_room(std::size_t bytes, bool essential) {
  BANYAN_ASSERT(records_ == 0);
  const auto beside = (groups_.size() + 2) * record_bytes_bound;
  if (auto got = get_reserve(2 * bytes + beside); !got)
    return got;
  if (auto rolled = roll(current() + 1); !rolled)
    return rolled;
  if (bytes > room(essential))
    return failure{store_error{store_errc::full, "log segment is too small"}};
  return {};
}

outcome log_engine::make_reserve(std::uint64_t bytes) {
  auto f = files_.open(reserve_path(), true);
  if (!f)
    return failure{f.error()};
  if (auto got = (*f)->allocate(bytes); !got) {
    if (reserve_bytes_ > 0)
      (void)(*f)->truncate(reserve_bytes_);
    else
      (void)files_.remove(reserve_path());
    return got;
  }
  reserve_bytes_ = bytes;
  return {};
}

/// A next segment for `least` bytes, as large as the disk allows.
outcome log_engine::get_reserve(std::uint64_t least) {
  const std::uint64_t whole = options_.segment_bytes;
  least = std::clamp(least, whole / smallest_share, whole);
  if (reserve_bytes_ >= least)
    return {};
  auto made = make_reserve(whole);
  for (auto bytes = whole / 2;
       !made && made.error().code == store_errc::full && bytes >= least;
       bytes /= 2)
    made = make_reserve(bytes);
  return made;
}

/// Begins the next segment in the reserved file. Nothing un-synced is open.
outcome log_engine::roll(std::uint64_t number) {
  const auto path = segment_path(number);
  if (auto moved = files_.rename(reserve_path(), path); !moved)
    return moved;
  const auto bytes = std::exchange(reserve_bytes_, 0);
  reserve_retry_ = 0;
  // Before a byte of it changes: it may be an old segment under a new name.
  if (auto synced = files_.sync_folder(options_.folder); !synced)
    return synced;
  auto f = files_.open(path, false);
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return failure{store_error{store_errc::io, "lost " + path}};
  auto begun = begin_segment(std::move(*f), number);
  if (!begun && begun.error().code == store_errc::full
      && files_.rename(path, reserve_path()).ok())
    reserve_bytes_ = bytes;
  if (begun)
    capacity_ = bytes;
  return begun;
}

outcome log_engine::begin_segment(std::unique_ptr<file> data,
                                  std::uint64_t number) {
  segment_header header;
  header.number = number;
  header.previous_length = offset_;
  header.salt = random_.array<16>();
  bytes batch(batch_header_bytes);
  for (const auto& [id, g] : groups_) {
    record r;
    r.kind = record_kind::checkpoint;
    r.group = id;
    r.replica = g.head.replica;
    r.sequence = g.head.sequence;
    r.base = g.head.base;
    r.hard = g.head.hard;
    r.last = g.last();
    r.end = g.end_hash();
    r.damage = g.head.damage;
    encode(batch, r);
  }
  seal_batch(batch,
             {number,
              segment_header_bytes,
              0,
              static_cast<std::uint32_t>(groups_.size()),
              0,
              {}},
             header.salt);
  auto all = encode(header);
  append(all, batch);
  if (auto written = data->write(0, all); !written)
    return written;
  if (auto synced = data->sync(); !synced)
    return synced;
  if (!segments_.empty())
    segments_.rbegin()->second.length = offset_;
  segments_[number].data = std::move(data);
  segments_[number].salt = header.salt;
  salt_ = header.salt;
  offset_ = all.size();
  synced_.set({number, offset_});
  return {};
}

void log_engine::retire_oldest() {
  while (segments_.size() > 1) {
    const auto& [number, oldest] = *segments_.begin();
    if (oldest.live_bytes > 0 || oldest.pinned)
      return;
    const auto path = segment_path(number);
    const bool spoiled = spoiled_.count(number) != 0;
    const auto bytes = bytes_of(*oldest.data);
    const bool serves = !spoiled && bytes > reserve_bytes_;
    const auto gone = spoiled  ? keep_aside(number)
                      : serves ? files_.rename(path, reserve_path())
                               : files_.remove(path);
    // Oldest first, also after a crash: a hole in the numbers is damage.
    if (!gone || !files_.sync_folder(options_.folder))
      return;
    if (serves)
      reserve_bytes_ = bytes;
    spoiled_.erase(number);
    segments_.erase(segments_.begin());
  }
}

/// Bad bytes in a segment are damage at the next start, for every group that
/// can't be proved whole without them. As long as this process runs, it knows
/// what they were: a newer segment begins with what it knows of each group,
/// and entries that are whole are copied there.
bool log_engine::wants_to_leave() const {
  if (failed_ || spoiled_.empty() || offset_ < leave_retry_)
    return false;
  return current() <= *spoiled_.rbegin() || !leave_listed_
         || !to_leave_.empty();
}

/// Begins a segment that isn't spoiled, with room to copy to.
void log_engine::leave_spoiled() {
  const auto need = options_.segment_bytes / 4 + 2 * record_bytes_bound;
  if (current() > *spoiled_.rbegin() && room(true) >= need)
    return;
  if (make_room(need, true))
    leave_retry_ = 0;
  else // as a full disk allows: once more has been written
    leave_retry_ = offset_ + options_.segment_bytes / 64;
}

/// Copies some of what is whole. What isn't stays until its group gives its
/// log anew, is cut or goes.
void log_engine::leave_some(std::size_t bytes_max) {
  const auto up_to = *spoiled_.rbegin();
  const auto needs = [&](const group_log& g) {
    return std::any_of(g.slots.begin(), g.slots.end(),
                       [&](const auto& s) { return s.segment <= up_to; });
  };
  if (!std::exchange(leave_listed_, true)) {
    to_leave_.clear();
    for (const auto& [id, g] : groups_)
      if (needs(g))
        to_leave_.push_back(id);
    std::sort(to_leave_.begin(), to_leave_.end());
  }
  auto budget = bytes_max;
  while (budget > 0 && !to_leave_.empty()) {
    const auto found = groups_.find(to_leave_.back());
    if (found == groups_.end() || !move_group(found->first, up_to, budget, true)
        || !needs(found->second))
      to_leave_.pop_back();
  }
}

outcome log_engine::keep_aside(std::uint64_t number, std::string* kept_as) {
  auto names = files_.list(options_.aside);
  if (!names)
    return failure{names.error()};
  // A number that no earlier one has, whatever was dropped since.
  const auto path = segment_path(number);
  const auto file = path.substr(options_.folder.size() + 1);
  std::size_t n = names->size();
  std::string kept;
  do
    kept = "log-" + std::to_string(n++) + "-" + file;
  while (std::find(names->begin(), names->end(), kept) != names->end());
  kept = options_.aside + "/" + kept;
  if (auto moved = files_.rename(path, kept); !moved)
    return moved;
  if (kept_as != nullptr)
    *kept_as = files_.describe(kept);
  return files_.sync_folder(options_.aside);
}

/// Groups that write seldom must not keep old segments alive: what they still
/// need is copied forward once it is the small rest of an old segment.
bool log_engine::wants_move() const {
  if (failed_ || segments_.size() < 3)
    return false;
  const auto& oldest = segments_.begin()->second;
  return oldest.live_bytes > 0 && !oldest.pinned
         && spoiled_.count(segments_.begin()->first) == 0
         && oldest.live_bytes <= options_.segment_bytes / 4
         && room(false) > options_.segment_bytes / 4 + 2 * record_bytes_bound;
}

void log_engine::move_some(std::size_t bytes_max) {
  const auto oldest = segments_.begin()->first;
  if (moving_ != oldest) {
    moving_ = oldest;
    to_move_.clear();
    for (const auto& [id, g] : groups_)
      if (std::any_of(g.slots.begin(), g.slots.end(),
                      [&](const auto& s) { return s.segment == oldest; }))
        to_move_.push_back(id);
    // One order on every run of the simulator, whatever the hash map does.
    std::sort(to_move_.begin(), to_move_.end());
  }
  auto budget = bytes_max;
  while (budget > 0 && !to_move_.empty()) {
    if (!move_group(to_move_.back(), oldest, budget)) {
      spoil(oldest);
      to_move_.clear();
      return;
    }
    const auto found = groups_.find(to_move_.back());
    if (found == groups_.end()
        || std::none_of(found->second.slots.begin(), found->second.slots.end(),
                        [&](const auto& s) { return s.segment == oldest; }))
      to_move_.pop_back();
  }
  if (records_ == 0 && to_move_.empty())
    segments_.begin()->second.pinned = true; // nothing found: never retry
}

/// Copies the group's first run of entries in segments up to `up_to`, as far as
/// the budget goes but one at least. False when an entry can't be read back;
/// with `past_bad`: when no entry can be.
bool log_engine::move_group(const group_id& id, std::uint64_t up_to,
                            std::size_t& budget, bool past_bad) {
  const auto found = groups_.find(id);
  if (found == groups_.end())
    return true;
  auto& g = found->second;
  const auto old = [&](const log_slot& s) { return s.segment <= up_to; };
  const auto hash_before = [&](std::size_t n) -> const digest& {
    return n == 0 ? g.head.base.hash : g.slots[n - 1].hash;
  };
  const auto whole = [&](std::size_t n, log_entry& e) {
    return read_entry(g.slots[n], e)
           && chain_hash(hash_before(n), e) == g.slots[n].hash;
  };
  std::size_t first = 0;
  log_entry probe;
  while (first < g.slots.size()
         && !(old(g.slots[first]) && (!past_bad || whole(first, probe))))
    ++first;
  if (first == g.slots.size())
    return !past_bad;
  record r;
  r.kind = record_kind::move;
  r.group = id;
  r.replica = g.head.replica;
  r.previous = hash_before(first);
  r.end = r.previous;
  for (auto i = first; i < g.slots.size() && old(g.slots[i]); ++i) {
    const auto& s = g.slots[i];
    if (i > first && s.bytes > budget)
      break;
    located_entry e;
    if (!whole(i, e.entry)) {
      if (past_bad)
        break;
      return false;
    }
    r.end = s.hash;
    budget -= std::min<std::size_t>(budget, s.bytes + entry_bytes_bound);
    r.entries.push_back(std::move(e));
  }
  remember(id, first);
  r.sequence = ++g.head.sequence;
  add_record(r);
  for (std::size_t i = 0; i < r.entries.size(); ++i) {
    auto& s = g.slots[first + i];
    change_live(s.segment, -static_cast<std::int64_t>(s.bytes));
    s.segment = current();
    s.offset = static_cast<std::uint32_t>(offset_ + r.entries[i].offset);
    s.bytes = static_cast<std::uint32_t>(r.entries[i].bytes);
    change_live(s.segment, s.bytes);
  }
  budget -= std::min(budget, record_bytes_bound);
  return true;
}

bool log_engine::read_entry(const log_slot& s, log_entry& out) {
  const auto found = segments_.find(s.segment);
  if (found == segments_.end())
    return false;
  bytes b(s.bytes);
  auto got = found->second.data->read(s.offset, b.data(), b.size());
  return got.ok() && *got == b.size() && decode_entry(b, out);
}

/// Copies everything out of the segments up to `up_to`: after damage.
outcome log_engine::move_all(std::uint64_t up_to) {
  std::vector<group_id> ids;
  for (const auto& [id, g] : groups_)
    ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  const auto left = [&](const group_id& id) -> const log_slot* {
    for (const auto& s : groups_.at(id).slots)
      if (s.segment <= up_to)
        return &s;
    return nullptr;
  };
  for (const auto& id : ids)
    while (const auto* first = left(id)) {
      auto budget =
          std::max<std::size_t>(options_.segment_bytes / 16, first->bytes);
      const auto need = budget + 2 * (record_bytes_bound + sector_bytes);
      if (need > room(true))
        if (auto made = make_room(need, true); !made)
          return made;
      begin_batch();
      if (!move_group(id, up_to, budget))
        return failure{
            store_error{store_errc::io, "the log changed while it was read"}};
      write_batch();
      std::vector<log_done> none;
      const bool written = has_batch();
      finish(none);
      if (failed_ || !written)
        return failure{
            failed_ ? store_error{store_errc::io,
                                  "can't rewrite a damaged log in "
                                      + files_.describe(options_.folder)
                                      + "; check the disk"}
                    : store_error{store_errc::full,
                                  "no room to rewrite a damaged log in "
                                      + files_.describe(options_.folder)
                                      + "; free some space on this disk"}};
    }
  return {};
}

/// Takes the segments up to `up_to` out of the log: damaged ones are kept under
/// `aside`, whole ones were rewritten and go.
outcome log_engine::set_aside(std::uint64_t up_to,
                              const std::vector<std::uint64_t>& damaged,
                              log_recovery& found) {
  while (!segments_.empty() && segments_.begin()->first <= up_to)
    segments_.erase(segments_.begin());
  auto present = files_.list(options_.folder);
  if (!present)
    return failure{present.error()};
  for (const auto& name : *present) {
    const auto path = options_.folder + "/" + name;
    if (name.size() != 20 || name.substr(16) != ".seg"
        || path > segment_path(up_to))
      continue;
    const auto bad = std::find_if(damaged.begin(), damaged.end(), [&](auto n) {
      return segment_path(n) == path;
    });
    if (bad != damaged.end()) {
      if (auto kept = keep_aside(*bad, &found.set_aside.emplace_back()); !kept)
        return kept;
    } else if (auto gone = files_.remove(path); !gone) {
      return gone;
    }
  }
  if (auto synced = files_.sync_folder(options_.aside); !synced)
    return synced;
  return files_.sync_folder(options_.folder);
}

} // namespace banyan::store::detail
