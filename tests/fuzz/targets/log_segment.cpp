// Log segments with rot, misdirected writes and cuts in them. What recovery
// calls whole is what was written; the rest is damage, and stays it.
#include "store/detail/log_engine.hpp"
#include "store/detail/memory_files.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <map>
#include <string>

namespace banyan::fuzz {
namespace {

using namespace store;
using namespace store::detail;

const char* const first_path = "log/0000000000000001.seg";
const char* const mark_path = "log/synced";

group_id group(std::uint8_t n) {
  return {app_id{std::array<std::uint8_t, 32>{n}}, n};
}
log_entry entry_at(std::uint64_t index, std::uint64_t in_term,
                   std::size_t size) {
  return {term{in_term}, log_index{index}, entry_kind::command,
          shared_bytes{bytes(size, static_cast<std::uint8_t>(index))}};
}

/// What a group's log says, as bytes to compare.
bytes told(const recovered_log& l) {
  bytes out;
  writer w{out};
  w.array(7).id(l.replica).id(l.hard.term).boolean(l.hard.vote.has_value());
  w.id(l.base.index).id(l.base.term).id(l.end_hash);
  w.array(l.entries.size());
  for (const auto& e : l.entries) {
    w.array(4).id(e.term).id(e.index);
    w.uint(static_cast<std::uint64_t>(e.kind)).blob(e.data.view());
  }
  return out;
}

/// A log over files in memory.
struct rig {
  explicit rig(std::unique_ptr<memory_files> f) : files{std::move(f)} {
    options.segment_bytes = 16 << 10;
  }
  void open() {
    engine.reset();
    auto opened = log_engine::open(*files, random, options, found);
    BANYAN_ASSERT(opened.ok());
    engine = std::move(*opened);
    engine->tidy();
  }
  void give(log_action action) { queue.push_back({std::move(action), 0}); }
  log_write order(std::uint8_t n) {
    log_write w;
    w.order = {group(n), replica_id{std::array<std::uint8_t, 16>{n}}, term{1},
               ++number};
    return w;
  }
  bool run_all() {
    std::vector<log_done> done;
    bool more = false;
    do {
      engine->begin(queue);
      if (engine->has_batch())
        engine->finish(done);
      more = engine->tidy();
    } while (more || !queue.empty());
    return std::all_of(done.begin(), done.end(),
                       [](const log_done& d) { return !d.error; });
  }
  std::unique_ptr<memory_files> files;
  seeded_random random{7};
  log_options options;
  log_recovery found;
  std::unique_ptr<log_engine> engine;
  std::deque<log_order> queue;
  std::uint64_t number = 0;
};

/// A history over more than one segment, and what each group's log said after
/// each batch of it.
struct history {
  std::unique_ptr<memory_files> files;
  std::vector<std::string> segments; ///< paths, in order
  std::map<group_id, std::vector<bytes>> states;
  std::map<std::pair<group_id, log_index>, std::vector<bytes>> entries;

  history() {
    rig r{std::make_unique<memory_files>()};
    r.open();
    for (std::uint64_t step = 1; step <= 24; ++step) {
      auto a = r.order(1);
      a.hard = hard_state{term{1 + step / 8}, {}};
      a.entries.push_back(entry_at(step, 1 + step / 8, 700));
      auto b = r.order(2);
      if (step == 9) // a new leader's entries truncate
        b.entries = {entry_at(5, 2, 40), entry_at(6, 2, 40)};
      else if (step < 9)
        b.entries = {entry_at(step, 1, 40)};
      else
        b.hard = hard_state{term{step}, replica_ref{}};
      note(a);
      note(b);
      r.give(std::move(a));
      r.give(std::move(b));
      if (step == 12)
        r.give(log_cut{group(1), replica_id{std::array<std::uint8_t, 16>{1}},
                       log_index{4}});
      BANYAN_ASSERT(r.run_all());
      rig look{r.files->copy()};
      look.open();
      BANYAN_ASSERT(!look.found.damaged);
      for (const auto& l : look.found.logs)
        states[l.group].push_back(told(l));
    }
    files = r.files->copy();
    const auto names = files->list("log");
    BANYAN_ASSERT(names.ok());
    for (const auto& name : *names)
      if (name.size() > 4 && name.substr(name.size() - 4) == ".seg")
        segments.push_back("log/" + name);
    BANYAN_ASSERT(segments.size() >= 2);
  }
  /// The mark, or one of the segments.
  [[nodiscard]] std::string path(std::uint8_t which) const {
    return which % 4 == 3 ? mark_path : segments[which % segments.size()];
  }
  void note(const log_write& w) {
    for (const auto& e : w.entries)
      entries[{w.order.group, e.index}].push_back(e.data.view().copy());
  }
};

// Changes bytes as the input says. True when the mark of what is synced is
// among them: without it a lost end looks like a torn tail.
bool rot(const history& was, memory_files& files, input& i) {
  bool mark = false;
  while (!i.empty()) {
    const auto what = i.u8();
    auto* const c = files.content(was.path(what));
    const auto at = i.u16();
    const auto size = std::size_t{i.u8()} + 1;
    const auto with = i.u8();
    if (c == nullptr || c->empty())
      continue;
    mark = mark || what % 4 == 3;
    const auto from = std::min<std::size_t>(at, c->size() - 1);
    const auto end = std::min(c->size(), from + size);
    const auto* const other = files.content(was.path(with));
    switch (what / 4 % 4) {
    case 0:
      (*c)[from] = static_cast<std::uint8_t>((*c)[from] ^ with);
      break;
    case 1:
      std::fill(c->begin() + static_cast<std::ptrdiff_t>(from),
                c->begin() + static_cast<std::ptrdiff_t>(end), with);
      break;
    case 2: { // sectors of elsewhere
      const auto sector = from / sector_bytes * sector_bytes;
      const auto source = size * sector_bytes;
      if (other != nullptr && source + sector_bytes <= other->size()
          && sector + sector_bytes <= c->size()) {
        const auto copy =
            const_bytes{*other}.from(source).first(sector_bytes).copy();
        std::copy(copy.begin(), copy.end(),
                  c->begin() + static_cast<std::ptrdiff_t>(sector));
      }
      break;
    }
    default: // cut; the file keeps its size
      std::fill(c->begin() + static_cast<std::ptrdiff_t>(from), c->end(),
                std::uint8_t{0});
    }
  }
  return mark;
}

void check(const history& was, rig& r, bool mark_changed) {
  std::map<group_id, bytes> said;
  for (const auto& l : r.found.logs) {
    const auto states = was.states.find(l.group);
    BANYAN_ASSERT(states != was.states.end());
    auto next = l.base.index;
    for (const auto& e : l.entries) {
      next = next.next();
      BANYAN_ASSERT(e.index == next);
      const auto& known = was.entries.at({l.group, e.index});
      BANYAN_ASSERT(std::find(known.begin(), known.end(), e.data.view().copy())
                    != known.end());
    }
    said[l.group] = told(l);
    if (l.damaged) {
      BANYAN_ASSERT(!l.damage.empty());
      continue;
    }
    const auto& all = states->second;
    if (mark_changed)
      BANYAN_ASSERT(std::find(all.begin(), all.end(), told(l)) != all.end());
    else
      BANYAN_ASSERT(told(l) == all.back());
  }
  // A second open says the same: damage does not heal by looking away.
  const auto before = r.found.logs;
  r.open();
  BANYAN_ASSERT(r.found.logs.size() == before.size());
  for (std::size_t n = 0; n < before.size(); ++n) {
    BANYAN_ASSERT(r.found.logs[n].damaged == before[n].damaged);
    BANYAN_ASSERT(told(r.found.logs[n]) == said[before[n].group]);
  }
  // And it goes on from there.
  auto w = r.order(9);
  w.entries.push_back(entry_at(1, 5, 10));
  r.give(std::move(w));
  BANYAN_ASSERT(r.run_all());
}

void rotten(input& i) {
  static const history was;
  rig r{was.files->copy()};
  const bool mark = rot(was, *r.files, i);
  r.open();
  check(was, r, mark);
}

// A whole segment of foreign bytes.
void foreign(const_bytes in) {
  rig r{std::make_unique<memory_files>()};
  r.open();
  r.engine.reset();
  *r.files->content(first_path) = in.copy();
  r.open();
  r.open();
}

// Records with the right checksum around them.
void records(input& i) {
  batch_header h;
  h.records = i.u8();
  h.bytes = batch_header_bytes + i.rest().size();
  bytes batch(batch_header_bytes);
  append(batch, i.rest());
  std::vector<record> out;
  if (!decode_records(h, batch, out))
    return;
  BANYAN_ASSERT(out.size() == h.records);
  for (const auto& r : out)
    for (const auto& e : r.entries)
      BANYAN_ASSERT(e.offset + e.bytes <= batch.size());
}

void run(const_bytes in) {
  input i{in};
  switch (i.u8() % 4) {
  case 0:
  case 1:
    rotten(i);
    break;
  case 2:
    foreign(i.rest());
    break;
  default:
    records(i);
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out{bytes{0},
                         bytes{0, 0, 0, 8, 0, 1},
                         bytes{0, 1, 0, 4, 0, 1},
                         bytes{0, 8, 0, 8, 3, 1},
                         bytes{0, 12, 0, 12, 0, 0, 15, 0, 0, 0, 0},
                         bytes{0, 4, 0, 10, 255, 0xff}};
  log_entry e = entry_at(3, 2, 20);
  record r;
  r.group = group(1);
  r.sequence = 4;
  r.hard = hard_state{term{2}, replica_ref{}};
  r.entries.push_back({e, 0, 0});
  record c;
  c.kind = record_kind::checkpoint;
  c.group = group(2);
  c.base = log_base{};
  c.hard = hard_state{};
  c.last = log_index{7};
  bytes batch{3, 2};
  encode(batch, r);
  encode(batch, c);
  out.push_back(batch);
  static const history was;
  const auto& segment = *was.files->content(was.segments[0]);
  auto whole = tagged(2, const_bytes{segment}.first(6 * sector_bytes));
  out.push_back(whole);
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(log_segment)
