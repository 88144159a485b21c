#include "store/detail/row_codec.hpp"

#include "base/codec.hpp"
#include "base/planted.hpp"
#include "crypto/hash.hpp"

namespace banyan::store {

bytes scan_key(const_bytes key) {
  if (key.size() <= row_key_plain_max)
    return key.copy();
  auto out = key.first(scan_prefix_max).copy();
  out.push_back(0xff);
  append(out, hash(key).view());
  return out;
}
namespace {

using lanes = std::array<std::uint64_t, 4>;
template <class Id>
lanes lanes_of(const Id& id) {
  lanes out{};
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = detail::get_le<8>(id.array().data() + 8 * i);
  return out;
}
state_digest digest_of(const lanes& sum) {
  std::array<std::uint8_t, state_digest::size> out{};
  for (std::size_t i = 0; i < sum.size(); ++i)
    detail::put_le<8>(out.data() + 8 * i, sum[i]);
  return state_digest{out};
}

} // namespace

digest row_hash(const group_id& group, const_bytes key, log_index index,
                const_bytes value) {
  std::array<std::uint8_t, app_id::size + 20> head{};
  std::copy(group.app.view().begin(), group.app.view().end(), head.begin());
  detail::put_le<4>(head.data() + app_id::size, group.shard);
  detail::put_le<8>(head.data() + app_id::size + 4, index.value());
  detail::put_le<8>(head.data() + app_id::size + 12, key.size());
  hasher h;
  h.update(head).update(key).update(value);
  return h.finish();
}

void add(state_digest& sum, const digest& row_hash) {
  auto out = lanes_of(sum);
  const auto more = lanes_of(row_hash);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] += more[i];
  sum = digest_of(out);
}

void subtract(state_digest& sum, const digest& row_hash) {
  auto out = lanes_of(sum);
  const auto less = lanes_of(row_hash);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] -= less[i];
  sum = digest_of(out);
}

static_assert(scan_prefix_max + 1 + 32 > row_key_plain_max,
              "a hashed key can't equal a plain one");

namespace detail {
namespace {
constexpr std::size_t number_bytes = 8;
constexpr std::size_t seal_bytes = digest::size;
constexpr std::size_t key_check_bytes = 4;
constexpr std::size_t index_at = seal_bytes + key_check_bytes;
constexpr std::size_t row_head = index_at + 9;
constexpr std::uint8_t has_key = 1;
constexpr std::size_t meta_blob_max = std::size_t{64} << 20;

void seal(const_bytes db_key, bytes& value) {
  const auto sum =
      checksum_of({db_key, const_bytes{value}.from(sizeof(checksum))});
  std::copy(sum.begin(), sum.end(), value.begin());
}
bool is_whole(const_bytes db_key, const_bytes value) {
  if (value.size() < sizeof(checksum))
    return false;
  const auto sum = checksum_of({db_key, value.from(sizeof(checksum))});
  return value.first(sum.size()) == const_bytes{sum};
}
} // namespace

bytes row_db_key(std::uint64_t number, const_bytes scan_key) {
  bytes out;
  out.reserve(number_bytes + scan_key.size());
  for (int shift = 56; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(number >> shift));
  append(out, scan_key);
  return out;
}

std::uint64_t number_of(const_bytes db_key) {
  std::uint64_t n = 0;
  for (std::size_t i = 0; i < number_bytes && i < db_key.size(); ++i)
    n = n << 8 | db_key[i];
  return n;
}

namespace {

/// FNV-1a of the database key, folded: whether a row that is damaged still
/// stands under its own key.
std::uint32_t key_check(const_bytes db_key) {
  std::uint64_t h = 0xcbf29ce484222325;
  for (const auto b : db_key)
    h = (h ^ b) * 0x100000001b3;
  return static_cast<std::uint32_t>(h ^ (h >> 32));
}

void mask(std::uint8_t* seal, std::uint64_t number) {
  put_le<8>(seal, get_le<8>(seal) ^ number);
}

/// A row's parts where they lie.
struct row_view {
  const_bytes key;
  const_bytes value;
  log_index index;
};

std::optional<row_view> parse_row(const_bytes db_key, const_bytes value) {
  if (db_key.size() < number_bytes || value.size() < row_head)
    return std::nullopt;
  row_view out;
  out.index = log_index{get_le<8>(value.data() + index_at)};
  const auto flags = value[row_head - 1];
  auto rest = value.from(row_head);
  const auto name = db_key.from(number_bytes);
  if (flags == 0) {
    out.key = name;
  } else {
    if (flags != has_key || rest.size() < 4)
      return std::nullopt;
    const auto size = static_cast<std::size_t>(get_le<4>(rest.data()));
    if (size > rest.size() - 4 || size <= row_key_plain_max)
      return std::nullopt;
    out.key = rest.from(4).first(size);
    if (const_bytes{scan_key(out.key)} != name)
      return std::nullopt;
    rest = rest.from(4 + size);
  }
  out.value = rest;
  return out;
}

bool key_checks(const_bytes db_key, const_bytes value) {
  return value.size() >= index_at
         && get_le<key_check_bytes>(value.data() + seal_bytes)
                == key_check(db_key);
}

bool is_sealed(const group_id& group, const_bytes db_key, const_bytes value,
               const row_view& row) {
  return key_checks(db_key, value)
         && row_hash(group, row.key, row.index, row.value)
                == sealed_hash(db_key, value);
}

} // namespace

bytes encode_row(const_bytes db_key, const row_change& change,
                 const digest& hash) {
  bytes out;
  out.reserve(row_head + change.value->size());
  append(out, hash.view());
  mask(out.data(), number_of(db_key));
  out.resize(row_head);
  put_le<key_check_bytes>(out.data() + seal_bytes, key_check(db_key));
  put_le<8>(out.data() + index_at, change.index.value());
  if (change.key.size() > row_key_plain_max) {
    out[row_head - 1] = has_key;
    out.resize(row_head + 4);
    put_le<4>(out.data() + row_head, change.key.size());
    append(out, change.key);
  }
  append(out, change.value->view());
  return out;
}

digest sealed_hash(const_bytes db_key, const_bytes value) {
  std::array<std::uint8_t, seal_bytes> out{};
  if (value.size() >= seal_bytes) {
    std::copy_n(value.begin(), seal_bytes, out.begin());
    mask(out.data(), number_of(db_key));
  }
  return digest{out};
}

std::optional<digest> content_hash(const group_id& group, const_bytes db_key,
                                   const_bytes value) {
  const auto row = parse_row(db_key, value);
  if (!row)
    return std::nullopt;
  return row_hash(group, row->key, row->index, row->value);
}

bool key_is_whole(const group_id& group, const_bytes db_key,
                  const_bytes value) {
  return key_checks(db_key, value)
         || content_hash(group, db_key, value) == sealed_hash(db_key, value);
}

std::optional<digest> check_row(const group_id& group, const_bytes db_key,
                                const_bytes value) {
  const auto row = parse_row(db_key, value);
  if (!row || !is_sealed(group, db_key, value, *row))
    return std::nullopt;
  return sealed_hash(db_key, value);
}

std::optional<row> decode_row(const group_id& group, const_bytes db_key,
                              const_bytes value) {
  const auto found = parse_row(db_key, value);
  if (!found
      || (!is_sealed(group, db_key, value, *found)
          && !planted(planted_bug::serve_a_bad_row)))
    return std::nullopt;
  return row{found->key.copy(), shared_bytes{found->value.copy()},
             found->index};
}

bytes meta_db_key(const group_id& group) {
  auto out = group.app.view().copy();
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(group.shard >> shift));
  return out;
}

bool decode_meta_key(const_bytes db_key, group_id& out) {
  if (db_key.size() != app_id::size + 4
      || !app_id::from(db_key.first(app_id::size), out.app))
    return false;
  out.shard = 0;
  for (const auto b : db_key.from(app_id::size))
    out.shard = out.shard << 8 | b;
  return true;
}

bytes encode_meta(const_bytes db_key, const group_meta& meta) {
  bytes out(sizeof(checksum));
  writer w{out};
  const auto& a = meta.applied;
  w.array(8).uint(meta.number).id(meta.replica).id(a.index).id(a.term);
  w.id(a.hash).blob(a.configuration).blob(a.opaque).id(meta.rows);
  seal(db_key, out);
  return out;
}

std::optional<group_meta> decode_meta(const_bytes db_key, const_bytes value) {
  if (!is_whole(db_key, value))
    return std::nullopt;
  reader r{value.from(sizeof(checksum))};
  group_meta out;
  auto& a = out.applied;
  r.require(r.array(8) == 8);
  out.number = r.uint();
  r.id(out.replica);
  r.id(a.index);
  r.id(a.term);
  r.id(a.hash);
  a.configuration = r.blob(meta_blob_max).copy();
  a.opaque = r.blob(meta_blob_max).copy();
  r.id(out.rows);
  if (!r.done())
    return std::nullopt;
  return out;
}

bytes encode_info(std::string_view key, std::string_view text) {
  bytes out(sizeof(checksum));
  append(out, as_bytes(text));
  seal(as_bytes(key), out);
  return out;
}

std::string decode_info(std::string_view key, const_bytes value) {
  if (!is_whole(as_bytes(key), value))
    return {};
  return to_text(value.from(sizeof(checksum)));
}

} // namespace detail
} // namespace banyan::store
