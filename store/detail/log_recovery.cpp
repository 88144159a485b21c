// Opening a log: reads every segment, tells a torn tail from damage, and makes
// the engine that goes on behind it.
#include "store/detail/log_engine.hpp"
#include "store/detail/log_replay.hpp"

#include <algorithm>
#include <charconv>

namespace banyan::store::detail {
namespace {

/// Reads a file through a window, so that small batches don't cost a system
/// call each.
class window {
public:
  explicit window(file& f) : file_{f} {
    if (const auto size = f.size(); size.ok()) // small ones need less
      bytes_ =
          static_cast<std::size_t>(std::min<std::uint64_t>(bytes_max, *size));
  }
  /// Up to `n` bytes at `offset`; fewer at the end of the file.
  result<const_bytes, store_error> at(std::uint64_t offset, std::size_t n) {
    if (offset < start_ || offset + n > start_ + buffer_.size()) {
      buffer_.resize(std::max(n, bytes_));
      auto got = file_.read(offset, buffer_.data(), buffer_.size());
      if (!got)
        return failure{got.error()};
      buffer_.resize(*got);
      start_ = offset;
    }
    const auto from = static_cast<std::size_t>(offset - start_);
    const auto left = buffer_.size() > from ? buffer_.size() - from : 0;
    return const_bytes{buffer_.data() + from, std::min(n, left)};
  }

private:
  static constexpr std::size_t bytes_max = std::size_t{1} << 20;
  file& file_;
  std::size_t bytes_ = bytes_max;
  bytes buffer_;
  std::uint64_t start_ = 0;
};

} // namespace

/// One pass over the segments.
class log_reader {
public:
  log_reader(file_system& files, const log_options& options,
             watermark::mark synced)
      : files_{files}, options_{options}, synced_{synced} {}

  outcome read_all_segments(log_engine& engine);

  log_replay replay;
  std::vector<std::uint64_t> damaged; ///< segments with bad bytes
  std::uint64_t torn_bytes = 0;
  std::uint64_t end = 0; ///< where the newest segment goes on
  std::array<std::uint8_t, 16> salt{};
  std::optional<std::uint64_t> unbegun; ///< a newest segment never begun

private:
  struct one {
    std::uint64_t number = 0;
    std::unique_ptr<file> data;
    std::optional<segment_header> header;
  };
  result<std::vector<one>, store_error> open_all();
  outcome read_segment(one& s, std::uint64_t synced, bool newest);
  result<bool, store_error> add_batch(window& w, const batch_header& h,
                                      std::uint64_t offset);
  result<std::uint64_t, store_error>
  find_batch(window& w, const one& s, std::uint64_t from,
             std::optional<batch_header>& found);
  result<bool, store_error> has_traces(one& s);
  void bad(std::uint64_t number) {
    replay.gap();
    if (damaged.empty() || damaged.back() != number)
      damaged.push_back(number);
  }

  file_system& files_;
  const log_options& options_;
  watermark::mark synced_;
};

result<std::vector<log_reader::one>, store_error> log_reader::open_all() {
  auto names = files_.list(options_.folder);
  if (!names)
    return failure{names.error()};
  std::vector<one> out;
  for (const auto& name : *names) {
    one s;
    const auto* digits_end = name.data() + 16;
    if (name.size() != 20 || name.substr(16) != ".seg"
        || std::from_chars(name.data(), digits_end, s.number, 16).ptr
               != digits_end)
      continue;
    auto f = files_.open(options_.folder + "/" + name, false);
    if (!f)
      return failure{f.error()};
    s.data = std::move(*f);
    bytes head(segment_header_bytes);
    auto got = s.data->read(0, head.data(), head.size());
    if (!got)
      return failure{got.error()};
    head.resize(*got);
    s.header = decode_segment_header(head);
    if (s.header && s.header->number != s.number)
      s.header.reset();
    out.push_back(std::move(s));
  }
  return out;
}

outcome log_reader::read_all_segments(log_engine& engine) {
  auto all = open_all();
  if (!all)
    return failure{all.error()};
  // The newest may have been cut short while it was begun: then nothing of it
  // was ever acknowledged.
  while (!all->empty() && all->back().number > synced_.number) {
    auto& newest = all->back();
    bool begun = false;
    if (!newest.header) {
      auto traces = has_traces(newest);
      if (!traces)
        return failure{traces.error()};
      begun = *traces;
    } else {
      window w{*newest.data};
      std::optional<batch_header> first;
      auto at = find_batch(w, newest, segment_header_bytes, first);
      if (!at)
        return failure{at.error()};
      if (first) {
        auto batch = w.at(*at, static_cast<std::size_t>(first->bytes));
        if (!batch)
          return failure{batch.error()};
        // A later batch proves that the first one was synced.
        begun = *at > segment_header_bytes || batch_is_whole(*first, *batch);
      }
    }
    if (begun || unbegun)
      break;
    unbegun = newest.number;
    all->pop_back();
  }
  std::uint64_t expected = all->empty() ? 0 : all->front().number;
  for (std::size_t i = 0; i < all->size(); ++i) {
    auto& s = (*all)[i];
    const bool newest = i + 1 == all->size();
    if (s.number != expected)
      replay.gap(); // segments in between are gone
    expected = s.number + 1;
    std::uint64_t synced =
        synced_.number == s.number ? synced_.length : std::uint64_t{0};
    if (!newest && (*all)[i + 1].header && (*all)[i + 1].number == s.number + 1)
      synced = std::max(synced, (*all)[i + 1].header->previous_length);
    if (auto read = read_segment(s, synced, newest); !read)
      return read;
    auto& into = engine.segments_[s.number];
    into.data = std::move(s.data);
    into.length = end;
    into.salt = salt;
  }
  if (synced_.number >= expected && synced_.number > 0)
    replay.gap(); // the newest ones are gone
  replay.close();
  return {};
}

outcome log_reader::read_segment(one& s, std::uint64_t synced, bool newest) {
  end = 0;
  if (!s.header) {
    bad(s.number);
    return {};
  }
  salt = s.header->salt;
  window w{*s.data};
  std::uint64_t offset = segment_header_bytes;
  for (;;) {
    auto head = w.at(offset, batch_header_bytes);
    if (!head)
      return failure{head.error()};
    const auto h = decode_batch_header(*head, salt, s.number, offset);
    if (h) {
      auto whole = add_batch(w, *h, offset);
      if (!whole)
        return failure{whole.error()};
      if (*whole) {
        offset += h->bytes;
        continue;
      }
    }
    // The end, a torn tail or damage: a later batch tells that everything
    // before it was synced.
    std::optional<batch_header> later;
    auto at = find_batch(w, s, offset + sector_bytes, later);
    if (!at)
      return failure{at.error()};
    if (later && later->synced_before > offset) {
      bad(s.number);
      offset = *at;
      continue;
    }
    if (offset < synced)
      bad(s.number);
    else if (h && newest)
      torn_bytes = h->bytes;
    end = offset;
    return {};
  }
}

/// False when its bytes are bad.
result<bool, store_error>
log_reader::add_batch(window& w, const batch_header& h, std::uint64_t offset) {
  auto batch = w.at(offset, static_cast<std::size_t>(h.bytes));
  if (!batch)
    return failure{batch.error()};
  std::vector<record> records;
  if (!batch_is_whole(h, *batch) || !decode_records(h, *batch, records))
    return false;
  replay.add(h.segment, offset, std::move(records),
             offset == segment_header_bytes);
  return true;
}

/// The place of the next batch header at or after `from`.
result<std::uint64_t, store_error>
log_reader::find_batch(window& w, const one& s, std::uint64_t from,
                       std::optional<batch_header>& found) {
  for (auto at = from;; at += sector_bytes) {
    auto head = w.at(at, batch_header_bytes);
    if (!head)
      return failure{head.error()};
    if (head->size() < batch_header_bytes)
      return at;
    found = decode_batch_header(*head, s.header->salt, s.number, at);
    if (found)
      return at;
  }
}

/// Without a header nothing can be verified; but what looks like a batch behind
/// the first one says that the segment had been in use.
result<bool, store_error> log_reader::has_traces(one& s) {
  window w{*s.data};
  for (std::uint64_t at = segment_header_bytes + sector_bytes;;
       at += sector_bytes) {
    auto head = w.at(at, batch_header_bytes);
    if (!head)
      return failure{head.error()};
    if (head->size() < batch_header_bytes)
      return false;
    if (looks_like_batch(*head, s.number, at))
      return true;
  }
}

result<std::unique_ptr<log_engine>, store_error>
log_engine::open(file_system& files, random_source& random, log_options options,
                 log_recovery& found) {
  BANYAN_ASSERT(options.segment_bytes <= UINT32_MAX);
  for (const auto& folder : {options.folder, options.aside})
    if (auto made = files.make_folder(folder); !made)
      return failure{made.error()};
  auto mark = watermark::open(files, options.folder + "/synced",
                              watermark::room::required);
  if (!mark)
    return failure{mark.error()};
  const auto synced = mark->last();
  std::unique_ptr<log_engine> engine{
      new log_engine{files, random, std::move(options), std::move(*mark)}};
  auto& e = *engine;
  log_reader reader{files, e.options_, synced};
  if (auto read = reader.read_all_segments(e); !read)
    return failure{read.error()};
  if (auto ready = e.resume(reader, synced, found); !ready)
    return failure{ready.error()};
  return engine;
}

/// Takes over what was read; the log is whole and open for writing afterwards.
outcome log_engine::resume(log_reader& reader, watermark::mark synced,
                           log_recovery& found) {
  found = {};
  found.damaged = reader.replay.damaged();
  found.torn_bytes = reader.torn_bytes;
  for (auto& [id, g] : reader.replay.groups()) {
    recovered_log out{
        id,    g.head.replica,         g.head.hard,  g.head.base, {},
        g.end, !g.head.damage.empty(), g.head.damage};
    auto& into = groups_[id];
    into.head = g.head;
    for (auto& e : g.entries) {
      into.slots.push_back({e.hash, e.data.term, e.segment,
                            static_cast<std::uint32_t>(e.offset),
                            static_cast<std::uint32_t>(e.bytes)});
      segments_.at(e.segment).live_bytes += e.bytes;
      out.entries.push_back(std::move(e.data));
    }
    found.logs.push_back(std::move(out));
  }
  // Left over from a start of a segment that was cut short: serves again.
  if (reader.unbegun) {
    if (auto moved =
            files_.rename(segment_path(*reader.unbegun), reserve_path());
        !moved)
      return moved;
  }
  auto reserve = files_.open(reserve_path(), false);
  if (!reserve)
    return failure{reserve.error()};
  if (*reserve != nullptr)
    reserve_bytes_ = bytes_of(**reserve);
  const bool fresh = segments_.empty();
  if (!fresh && !found.damaged) {
    salt_ = reader.salt;
    offset_ = reader.end;
    capacity_ = bytes_of(*segments_.rbegin()->second.data);
    // A batch that was written but not synced counts from now on.
    if (auto done = segments_.rbegin()->second.data->sync(); !done)
      return done;
    synced_.set({current(), offset_});
    return {};
  }
  const auto last = std::max(fresh ? 0 : current(), synced.number);
  if (auto got = get_reserve((groups_.size() + 2) * record_bytes_bound); !got)
    return got;
  if (auto begun = roll(last + 1); !begun)
    return begun;
  if (!found.damaged)
    return {};
  if (auto moved = move_all(last); !moved)
    return moved;
  return set_aside(last, reader.damaged, found);
}

} // namespace banyan::store::detail
