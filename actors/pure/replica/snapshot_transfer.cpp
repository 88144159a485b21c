#include "actors/pure/replica/snapshot_transfer.hpp"

#include "crypto/hash.hpp"

namespace banyan::replica {
namespace {

constexpr std::size_t key_max = store::row_key_max;
constexpr std::size_t value_max = std::size_t{16} << 20;
constexpr std::size_t rows_max = 100'000;
constexpr std::size_t opaque_max = 1 << 16;

} // namespace

digest hash_rows(const std::vector<store::row>& rows) {
  hasher h;
  h.part(as_bytes("banyan snapshot chunk"));
  for (const auto& r : rows) {
    bytes index;
    writer{index}.id(r.index);
    h.part(r.key).part(r.value.view()).part(index);
  }
  return h.finish();
}

bytes encode(const snapshot_offer& m) {
  bytes out;
  writer{out}.array(3).uint(m.number).id(m.index).id(m.log_base);
  return out;
}
bool decode(const_bytes bytes_in, snapshot_offer& m) {
  reader in{bytes_in};
  in.require(in.array(3) == 3);
  m.number = in.uint();
  in.id(m.index);
  in.id(m.log_base);
  return in.done();
}

bytes encode(const snapshot_pull& m) {
  bytes out;
  writer{out}
      .array(4)
      .uint(m.number)
      .uint(static_cast<std::uint64_t>(m.what))
      .blob(m.from)
      .id(m.index);
  return out;
}
bool decode(const_bytes bytes_in, snapshot_pull& m) {
  reader in{bytes_in};
  in.require(in.array(4) == 4);
  m.number = in.uint();
  m.what = static_cast<snapshot_pull::part>(in.uint(3));
  m.from = in.blob(key_max).copy();
  in.id(m.index);
  return in.done();
}

bytes encode(const snapshot_chunk& m) {
  bytes out;
  writer w{out};
  w.array(6).uint(m.number).blob(m.from).blob(m.next).id(m.applied);
  w.array(m.rows.size());
  for (const auto& r : m.rows)
    w.array(3).blob(r.key).blob(r.value.view()).id(r.index);
  w.id(m.hash);
  return out;
}
bool decode(const_bytes bytes_in, snapshot_chunk& m) {
  reader in{bytes_in};
  in.require(in.array(6) == 6);
  m.number = in.uint();
  m.from = in.blob(key_max).copy();
  m.next = in.blob(key_max).copy();
  in.id(m.applied);
  m.rows.clear();
  for (auto n = in.array(rows_max); n > 0 && in.ok(); --n) {
    auto& r = m.rows.emplace_back();
    in.require(in.array(3) == 3);
    r.key = in.blob(key_max).copy();
    r.value = shared_bytes{in.blob(value_max).copy()};
    in.id(r.index);
  }
  in.id(m.hash);
  return in.done() && hash_rows(m.rows) == m.hash;
}

bytes encode(const snapshot_entries& m) {
  bytes out;
  writer w{out};
  w.array(4).uint(m.number).array(m.entries.size());
  for (const auto& e : m.entries)
    w.array(4)
        .id(e.term)
        .id(e.index)
        .uint(static_cast<std::uint64_t>(e.kind))
        .blob(e.data.view());
  if (m.meta)
    w.array(5)
        .id(m.meta->index)
        .id(m.meta->term)
        .id(m.meta->hash)
        .blob(m.meta->configuration)
        .blob(m.meta->opaque);
  else
    w.nil();
  if (m.digest)
    w.id(*m.digest);
  else
    w.nil();
  return out;
}
bool decode(const_bytes bytes_in, snapshot_entries& m) {
  reader in{bytes_in};
  in.require(in.array(4) == 4);
  m.number = in.uint();
  m.entries.clear();
  for (auto n = in.array(rows_max); n > 0 && in.ok(); --n) {
    auto& e = m.entries.emplace_back();
    in.require(in.array(4) == 4);
    in.id(e.term);
    in.id(e.index);
    e.kind = static_cast<entry_kind>(in.uint(2));
    e.data = shared_bytes{in.blob(raft::entry_bytes_max).copy()};
  }
  if (in.peek() == reader::kind::nil) {
    in.nil();
    m.meta.reset();
  } else {
    auto& meta = m.meta.emplace();
    in.require(in.array(5) == 5);
    in.id(meta.index);
    in.id(meta.term);
    in.id(meta.hash);
    meta.configuration = in.blob(opaque_max).copy();
    meta.opaque = in.blob(opaque_max).copy();
  }
  if (in.peek() == reader::kind::nil) {
    in.nil();
    m.digest.reset();
  } else {
    in.id(m.digest.emplace());
  }
  return in.done();
}

} // namespace banyan::replica
