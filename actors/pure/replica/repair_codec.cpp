#include "actors/pure/replica/repair_codec.hpp"

#include "actors/pure/replica/rows.hpp"

namespace banyan::replica {
namespace {

constexpr std::size_t value_max = std::size_t{16} << 20;

} // namespace

bytes encode(const state_wanted& m) {
  bytes out;
  writer{out}.array(3).boolean(m.pending).id(m.base).id(m.base_term);
  return out;
}
bool decode(const_bytes bytes_in, state_wanted& m) {
  reader in{bytes_in};
  in.require(in.array(3) == 3);
  m.pending = in.boolean();
  in.id(m.base);
  in.id(m.base_term);
  return in.done();
}

bytes encode(const row_wanted& m) {
  bytes out;
  writer{out}.array(4).uint(m.number).blob(m.key).id(m.at_least).id(m.term);
  return out;
}
bool decode(const_bytes bytes_in, row_wanted& m) {
  reader in{bytes_in};
  in.require(in.array(4) == 4);
  m.number = in.uint();
  m.key = in.blob(store::row_key_plain_max).copy();
  in.id(m.at_least);
  in.id(m.term);
  return in.done();
}

bytes encode(const row_given& m) {
  bytes out;
  writer{out}
      .array(5)
      .uint(m.number)
      .uint(static_cast<std::uint64_t>(m.answer))
      .id(m.applied)
      .blob(m.value.view())
      .id(m.index);
  return out;
}
bool decode(const_bytes bytes_in, row_given& m) {
  reader in{bytes_in};
  in.require(in.array(5) == 5);
  m.number = in.uint();
  m.answer = static_cast<row_given::what>(in.uint(3));
  in.id(m.applied);
  m.value = shared_bytes{in.blob(value_max).copy()};
  in.id(m.index);
  return in.done() && m.index <= m.applied;
}

bytes encode(const checkpoint_report& m) {
  bytes out;
  writer{out}.array(2).id(m.index).id(m.digest);
  return out;
}
bool decode(const_bytes bytes_in, checkpoint_report& m) {
  reader in{bytes_in};
  in.require(in.array(2) == 2);
  in.id(m.index);
  in.id(m.digest);
  return in.done();
}

bytes encode(const checkpoint_verdict& m) {
  bytes out;
  writer{out}
      .array(3)
      .id(m.index)
      .uint(static_cast<std::uint64_t>(m.verdict))
      .id(m.digest);
  return out;
}
bool decode(const_bytes bytes_in, checkpoint_verdict& m) {
  reader in{bytes_in};
  in.require(in.array(3) == 3);
  in.id(m.index);
  m.verdict = static_cast<checkpoint_verdict::what>(in.uint(3));
  in.id(m.digest);
  return in.done();
}

std::string_view actor_of(const_bytes row_key) {
  key_reader k{row_key};
  switch (kind_of(row_key)) {
  case row_kind::actor:
    return as_text(row_key.from(1));
  case row_kind::table:
    return as_text(k.take(k.u8()));
  default:
    return {};
  }
}

} // namespace banyan::replica
