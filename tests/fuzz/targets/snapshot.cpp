// What snapshots travel in: offers, pulls, chunks of rows, entries.
#include "actors/pure/replica/snapshot_transfer.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

using namespace replica;

template <class T>
bool canonical(const_bytes in) {
  T value;
  if (!decode(in, value))
    return false;
  BANYAN_ASSERT(const_bytes{encode(value)} == in);
  return true;
}

// A chunk that the input fills, with the right hash: accepted as it is, and
// refused after any change.
void made_chunk(input& i) {
  snapshot_chunk c;
  c.number = i.u8();
  c.from = i.piece().copy();
  c.next = i.piece().copy();
  c.applied = log_index{i.u16()};
  while (!i.empty() && c.rows.size() < 64) {
    store::row r;
    r.key = i.piece().copy();
    r.value = shared_bytes{i.piece().copy()};
    r.index = log_index{i.u8()};
    c.rows.push_back(std::move(r));
  }
  c.hash = hash_rows(c.rows);
  const auto b = encode(c);
  snapshot_chunk read;
  if (!decode(b, read))
    return; // over a bound: a row without key, say
  BANYAN_ASSERT(encode(read) == b);
  BANYAN_ASSERT(read.rows.size() == c.rows.size());
  if (c.rows.empty())
    return;
  auto& victim = c.rows[c.number % c.rows.size()];
  victim.index = victim.index.next();
  BANYAN_ASSERT(!decode(encode(c), read));
}

void run(const_bytes in) {
  input i{in};
  switch (i.u8() % 5) {
  case 0:
    canonical<snapshot_offer>(i.rest());
    break;
  case 1:
    canonical<snapshot_pull>(i.rest());
    break;
  case 2:
    canonical<snapshot_chunk>(i.rest());
    break;
  case 3:
    canonical<snapshot_entries>(i.rest());
    break;
  default:
    made_chunk(i);
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  out.push_back(
      tagged(0, encode(snapshot_offer{3, log_index{9}, log_index{4}})));
  snapshot_pull p;
  p.number = 3;
  p.from = to_bytes("key");
  out.push_back(tagged(1, encode(p)));
  p.what = snapshot_pull::part::entries;
  p.index = log_index{5};
  out.push_back(tagged(1, encode(p)));
  snapshot_chunk c;
  c.number = 3;
  c.from = to_bytes("a");
  c.next = to_bytes("m");
  c.applied = log_index{9};
  c.rows.push_back(
      {actor_row("alice"), shared_bytes{bytes{1, 2}}, log_index{8}});
  c.rows.push_back(
      {table_row("alice", bytes{5}), shared_bytes{bytes{3}}, log_index{9}});
  c.hash = hash_rows(c.rows);
  out.push_back(tagged(2, encode(c)));
  snapshot_entries e;
  e.number = 3;
  e.entries.push_back({term{2}, log_index{10}, entry_kind::command,
                       shared_bytes{to_bytes("effects")}});
  out.push_back(tagged(3, encode(e)));
  e.meta.emplace();
  e.meta->index = log_index{10};
  e.meta->term = term{2};
  e.meta->configuration = bytes{1};
  out.push_back(tagged(3, encode(e)));
  out.push_back(bytes{4, 1, 1, 'a', 1, 'b', 9, 0, 2, 1, 'x', 1, 'y', 3});
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(snapshot)
