#include "store/detail/row_codec.hpp"

#include "base/codec.hpp"
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
static_assert(scan_prefix_max + 1 + 32 > row_key_plain_max,
              "a hashed key can't equal a plain one");

namespace detail {
namespace {
constexpr std::size_t number_bytes = 8;
constexpr std::size_t row_head = sizeof(checksum) + 9;
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

bytes encode_row(const_bytes db_key, const row_change& change) {
  bytes out(row_head);
  put_le<8>(out.data() + sizeof(checksum), change.index.value());
  if (change.key.size() > row_key_plain_max) {
    out[row_head - 1] = has_key;
    out.resize(row_head + 4);
    put_le<4>(out.data() + row_head, change.key.size());
    append(out, change.key);
  }
  append(out, change.value->view());
  seal(db_key, out);
  return out;
}

std::optional<row> decode_row(const_bytes db_key, const_bytes value) {
  if (db_key.size() < number_bytes || value.size() < row_head
      || !is_whole(db_key, value))
    return std::nullopt;
  row out;
  out.index = log_index{get_le<8>(value.data() + sizeof(checksum))};
  const auto flags = value[row_head - 1];
  auto rest = value.from(row_head);
  if ((flags & has_key) != 0) {
    if (rest.size() < 4)
      return std::nullopt;
    const auto size = static_cast<std::size_t>(get_le<4>(rest.data()));
    if (size > rest.size() - 4)
      return std::nullopt;
    out.key = rest.from(4).first(size).copy();
    rest = rest.from(4 + size);
  } else {
    out.key = db_key.from(number_bytes).copy();
  }
  out.value = shared_bytes{rest.copy()};
  return out;
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
  w.array(7).uint(meta.number).id(meta.replica).id(a.index).id(a.term);
  w.id(a.hash).blob(a.configuration).blob(a.opaque);
  seal(db_key, out);
  return out;
}

std::optional<group_meta> decode_meta(const_bytes db_key, const_bytes value) {
  if (!is_whole(db_key, value))
    return std::nullopt;
  reader r{value.from(sizeof(checksum))};
  group_meta out;
  auto& a = out.applied;
  r.require(r.array(7) == 7);
  out.number = r.uint();
  r.id(out.replica);
  r.id(a.index);
  r.id(a.term);
  r.id(a.hash);
  a.configuration = r.blob(meta_blob_max).copy();
  a.opaque = r.blob(meta_blob_max).copy();
  if (!r.done())
    return std::nullopt;
  return out;
}

} // namespace detail
} // namespace banyan::store
