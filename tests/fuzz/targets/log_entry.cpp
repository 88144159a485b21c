// What entries of the log hold, and the values of a group's own rows.
#include "actors/pure/replica/entry_codec.hpp"
#include "actors/pure/replica/tables.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

using namespace replica;

template <class T>
bool canonical(const_bytes in) {
  T value{};
  if (!decode(in, value))
    return false;
  BANYAN_ASSERT(const_bytes{encode(value)} == in);
  return true;
}

// What every replica does with a committed entry: the same rows, and tables
// that take them.
void applied(const entry& e) {
  group_tables t;
  const log_index index{41};
  std::vector<store::row_change> rows;
  derive(e, index, t, rows);
  for (const auto& r : rows) {
    BANYAN_ASSERT(!r.key.empty());
    if (t.apply(r.key, r.value, index) && r.value) {
      const auto kind = kind_of(r.key);
      BANYAN_ASSERT(kind == row_kind::actor || kind == row_kind::table
                    || t.get(r.key));
    }
  }
  std::vector<store::row_change> again;
  derive(e, index, t, again);
  (void)touched_actor(e);
}

// A row as a snapshot or the disk gives it.
void row(input& i) {
  const auto key = i.piece();
  const std::optional<shared_bytes> value{shared_bytes{i.rest().copy()}};
  group_tables t;
  if (!t.apply(key, value, log_index{7}))
    return;
  const auto kept = t.get(key);
  const auto kind = kind_of(key);
  if (kind == row_kind::actor || kind == row_kind::table) {
    BANYAN_ASSERT(!kept);
  } else if (kept && kind != row_kind::group) {
    BANYAN_ASSERT(kept->value.view() == value->view());
    BANYAN_ASSERT(kept->index == log_index{7});
  }
  BANYAN_ASSERT(t.apply(key, std::nullopt, log_index{8}));
  BANYAN_ASSERT(!t.get(key));
}

void run(const_bytes in) {
  input i{in};
  switch (i.u8() % 6) {
  case 0: {
    entry e;
    if (canonical<entry>(i.rest()) && decode(i.rest(), e))
      applied(e);
    break;
  }
  case 1:
    canonical<answer>(i.rest());
    break;
  case 2:
    canonical<timer_value>(i.rest());
    break;
  case 3:
    canonical<std::vector<poison_record>>(i.rest());
    break;
  case 4:
    canonical<meta_opaque>(i.rest());
    break;
  default:
    row(i);
  }
}

bytes row_seed(const_bytes key, const_bytes value) {
  bytes out{5, static_cast<std::uint8_t>(key.size())};
  append(out, key);
  append(out, value);
  return out;
}

std::vector<bytes> seeds() {
  turn_entry t;
  t.by = by_stream{{}, {}, 4};
  t.actor = "alice";
  t.answer.result = bytes{5};
  t.state = shared_bytes{to_bytes("state")};
  t.rows.push_back({to_bytes("k"), std::nullopt});
  t.rows.push_back({to_bytes("l"), shared_bytes{to_bytes("v")}});
  t.sends.emplace_back();
  t.sends[0].message.number = 1;
  t.sends[0].message.to_key = "bob";
  t.timers.push_back({timer_named("t"), {5s, "append", {}}});
  t.timers.push_back({{}, {1s, "later", bytes{1}}});
  t.cancelled.push_back(timer_named("u"));
  turn_entry s;
  s.by = by_session{3, 4, 2};
  s.actor = "bob";
  s.removed = true;
  turn_entry k;
  k.by = by_idempotency{};
  k.actor = "bob";
  k.answer.status = reply_status::rejected;
  k.answer.code = "no";
  k.idempotency_floor = log_index{3};
  turn_entry timed;
  timed.by = by_timer{timer_named("t"), log_index{5}};
  timed.actor = "a";
  poison_entry p;
  p.items.push_back({to_bytes("r"), {poison_record{}}});
  version_entry v;
  v.versions.now = {3, 2, to_bytes("spec 3")};
  v.versions.former = app_edition{1, 1, to_bytes("spec 1")};
  v.versions.refused = 2;
  v.versions.why = "it throws";
  v.written = true;
  timed.first_of_state_version = 2;
  std::vector<bytes> out;
  for (const entry& e :
       {entry{1s, t}, entry{2s, s}, entry{2s, k}, entry{2s, timed},
        entry{2s, open_session_entry{{1, 2}}},
        entry{2s, close_sessions_entry{{1}}}, entry{3s, p},
        entry{4s, stream_ack_entry{{{{}, 3}}}}, entry{5s, stop_entry{true}},
        entry{6s, checkpoint_entry{}},
        entry{7s, features_entry{feature::versions}}, entry{8s, v}})
    out.push_back(tagged(0, encode(e)));
  out.push_back(tagged(1, encode(k.answer)));
  out.push_back(tagged(2, encode(t.timers[0].value)));
  out.push_back(tagged(3, encode(p.items[0].records)));
  out.push_back(tagged(4, encode(meta_opaque{7s})));
  std::vector<store::row_change> rows;
  group_tables none;
  for (const entry& e :
       {entry{1s, t}, entry{2s, s}, entry{2s, k}, entry{3s, p},
        entry{5s, stop_entry{true}}, entry{2s, open_session_entry{}},
        entry{7s, features_entry{feature::versions}}, entry{8s, v}})
    derive(e, log_index{9}, none, rows);
  for (const auto& r : rows)
    if (r.value)
      out.push_back(row_seed(r.key, r.value->view()));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(log_entry)
