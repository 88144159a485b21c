// Rows and metas as they lie in LMDB: any byte may have rotted, and bytes with
// the right checksum may be of a version that is not ours.
#include "store/detail/row_codec.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

using namespace store;
using namespace store::detail;

const group_id group{app_id{std::array<std::uint8_t, 32>{1}}, 2};

// What is taken for a row is the row of this key, and has this one form.
bool row_of(const_bytes db_key, const_bytes value) {
  const auto r = decode_row(group, db_key, value);
  const auto hash = check_row(group, db_key, value);
  BANYAN_ASSERT(r.has_value() == hash.has_value());
  if (!r)
    return false;
  BANYAN_ASSERT(*hash == sealed_hash(db_key, value));
  BANYAN_ASSERT(*hash == row_hash(group, r->key, r->index, r->value.view()));
  const auto number = number_of(db_key);
  BANYAN_ASSERT(const_bytes{row_db_key(number, scan_key(r->key))} == db_key);
  const auto again = encode_row(db_key, {r->key, r->value, r->index}, *hash);
  BANYAN_ASSERT(const_bytes{again} == value);
  return true;
}

void meta_of(const_bytes db_key, const_bytes value) {
  group_id g;
  if (decode_meta_key(db_key, g))
    BANYAN_ASSERT(const_bytes{meta_db_key(g)} == db_key);
  if (const auto m = decode_meta(db_key, value))
    BANYAN_ASSERT(const_bytes{encode_meta(db_key, *m)} == value);
}

// A row that the input fills; then one bit of key or value has rotted.
void made_row(input& i) {
  const auto number = std::uint64_t{i.u8()};
  const auto bit = i.u16();
  const log_index index{i.u16()};
  auto key = i.piece().copy();
  key.resize(key.size() + std::size_t{i.u8()} * 3, 'k'); // also a long one
  const auto value = shared_bytes{i.rest().copy()};
  auto db_key = row_db_key(number, scan_key(key));
  auto stored = encode_row(db_key, {key, value, index},
                           row_hash(group, key, index, value.view()));
  BANYAN_ASSERT(row_of(db_key, stored));
  const group_id other{group.app, 3};
  BANYAN_ASSERT(!decode_row(other, db_key, stored));
  const auto at = bit / 8 % (db_key.size() + stored.size());
  auto& victim = at < db_key.size() ? db_key[at] : stored[at - db_key.size()];
  victim = static_cast<std::uint8_t>(victim ^ 1U << bit % 8);
  BANYAN_ASSERT(!row_of(db_key, stored));
}

void run(const_bytes in) {
  input i{in};
  const auto which = i.u8() % 3;
  if (which == 0)
    return made_row(i);
  const auto key = i.piece();
  row_of(key, i.rest());
  meta_of(key, i.rest());
  (void)decode_info(as_text(key), i.rest());
  // The same with the checksum that it should have.
  bytes value(sizeof(checksum));
  append(value, i.rest());
  const auto sum = checksum_of({key, i.rest()});
  std::copy(sum.begin(), sum.end(), value.begin());
  meta_of(key, value);
  value[in.size() % value.size()] ^= std::uint8_t{1};
  BANYAN_ASSERT(!decode_meta(key, value));
}

bytes keyed(const_bytes key, const_bytes rest) {
  bytes out{1, static_cast<std::uint8_t>(key.size())};
  append(out, key);
  append(out, rest);
  return out;
}

std::vector<bytes> seeds() {
  const auto key = to_bytes("alice");
  const shared_bytes state{to_bytes("state")};
  const auto hash = row_hash(group, key, log_index{9}, state.view());
  const auto meta_key = meta_db_key(group);
  group_meta meta;
  meta.number = 3;
  meta.applied.index = log_index{9};
  meta.applied.configuration = bytes{1};
  add(meta.rows, hash);
  const auto sealed = encode_meta(meta_key, meta);
  return {
      bytes{0, 3, 40, 0, 9, 0, 2, 'k', 'l', 0, 'v'},
      bytes{0, 3, 40, 4, 9, 0, 2, 'k', 'l', 200, 'v'},
      keyed(row_db_key(3, key),
            encode_row(row_db_key(3, key), {key, state, log_index{9}}, hash)),
      keyed(meta_key, sealed),
      keyed(meta_key, const_bytes{sealed}.from(sizeof(checksum))),
      keyed(as_bytes(format_key), encode_info(format_key, format_text))};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(state_rows)
