#include "store/detail/log_format.hpp"

namespace banyan::store::detail {
namespace {

constexpr std::string_view segment_magic = "BANYLOG1";
constexpr std::string_view batch_magic = "BTCH";
constexpr std::size_t checked_bytes = sector_bytes - sizeof(checksum);
constexpr std::size_t header_checked_bytes =
    batch_header_bytes - sizeof(checksum);
constexpr std::size_t damage_text_max = 200;

void put(std::uint8_t* out, const_bytes b) {
  std::copy(b.begin(), b.end(), out);
}

void encode_base(writer& w, const log_base& b) {
  w.id(b.index).id(b.term).id(b.hash);
}
log_base decode_base(reader& r) {
  log_base b;
  r.id(b.index);
  r.id(b.term);
  r.id(b.hash);
  return b;
}

void encode_hard(writer& w, const hard_state& h) {
  w.id(h.term);
  if (h.vote)
    w.id(h.vote->node).id(h.vote->replica);
  else
    w.nil().nil();
}
hard_state decode_hard(reader& r) {
  hard_state h;
  r.id(h.term);
  if (r.peek() == reader::kind::nil) {
    r.nil();
    r.nil();
  } else {
    replica_ref vote;
    r.id(vote.node);
    r.id(vote.replica);
    h.vote = vote;
  }
  return h;
}

void decode_entry(reader& r, log_entry& e) {
  r.require(r.array(4) == 4);
  r.id(e.term);
  r.id(e.index);
  const auto kind = r.uint(2);
  e.kind = static_cast<entry_kind>(kind);
  const auto data = r.blob(entry_data_max);
  if (r.ok())
    e.data = shared_bytes{data.copy()};
}

} // namespace

bytes encode(const segment_header& header) {
  bytes out(segment_header_bytes);
  put(out.data(), as_bytes(segment_magic));
  put_le<8>(out.data() + 8, header.number);
  put_le<8>(out.data() + 16, header.previous_length);
  put(out.data() + 24, header.salt);
  const auto sum = checksum_of({const_bytes{out}.first(checked_bytes)});
  put(out.data() + checked_bytes, sum);
  std::copy_n(out.begin(), sector_bytes,
              out.begin() + static_cast<std::ptrdiff_t>(sector_bytes));
  return out;
}

std::optional<segment_header> decode_segment_header(const_bytes two_sectors) {
  for (std::size_t copy = 0; copy < 2; ++copy) {
    if (two_sectors.size() < (copy + 1) * sector_bytes)
      break;
    const auto b = two_sectors.from(copy * sector_bytes).first(sector_bytes);
    const auto sum = checksum_of({b.first(checked_bytes)});
    if (b.first(segment_magic.size()) != as_bytes(segment_magic)
        || b.from(checked_bytes) != const_bytes{sum})
      continue;
    segment_header h;
    h.number = get_le<8>(b.data() + 8);
    h.previous_length = get_le<8>(b.data() + 16);
    std::copy_n(b.data() + 24, h.salt.size(), h.salt.begin());
    return h;
  }
  return std::nullopt;
}

void seal_batch(bytes& buffer, batch_header header, const_bytes salt) {
  const auto sectors = (buffer.size() + sector_bytes - 1) / sector_bytes;
  buffer.resize(sectors * sector_bytes);
  const auto sum = checksum_of({const_bytes{buffer}.from(batch_header_bytes)});
  auto* p = buffer.data();
  put(p, as_bytes(batch_magic));
  put_le<4>(p + 4, sectors);
  put_le<8>(p + 8, header.segment);
  put_le<8>(p + 16, header.offset);
  put_le<8>(p + 24, header.synced_before);
  put_le<4>(p + 32, header.records);
  put_le<4>(p + 36, 0);
  put(p + 40, sum);
  put(p + header_checked_bytes, checksum_of({salt, {p, header_checked_bytes}}));
}

std::optional<batch_header> decode_batch_header(const_bytes b, const_bytes salt,
                                                std::uint64_t segment,
                                                std::uint64_t offset) {
  if (b.size() < batch_header_bytes
      || b.first(batch_magic.size()) != as_bytes(batch_magic))
    return std::nullopt;
  const auto sum = checksum_of({salt, b.first(header_checked_bytes)});
  if (b.from(header_checked_bytes).first(sum.size()) != const_bytes{sum})
    return std::nullopt;
  batch_header h;
  h.bytes = get_le<4>(b.data() + 4) * sector_bytes;
  h.segment = get_le<8>(b.data() + 8);
  h.offset = get_le<8>(b.data() + 16);
  h.synced_before = get_le<8>(b.data() + 24);
  h.records = static_cast<std::uint32_t>(get_le<4>(b.data() + 32));
  std::copy_n(b.data() + 40, h.content.size(), h.content.begin());
  if (h.segment != segment || h.offset != offset || h.bytes == 0)
    return std::nullopt;
  return h;
}

bool looks_like_batch(const_bytes b, std::uint64_t segment,
                      std::uint64_t offset) {
  return b.size() >= batch_header_bytes
         && b.first(batch_magic.size()) == as_bytes(batch_magic)
         && get_le<8>(b.data() + 8) == segment
         && get_le<8>(b.data() + 16) == offset;
}

bool batch_is_whole(const batch_header& header, const_bytes batch) {
  return batch.size() == header.bytes
         && checksum_of({batch.from(batch_header_bytes)}) == header.content;
}

void encode_entry(writer& out, const log_entry& entry) {
  out.array(4)
      .id(entry.term)
      .id(entry.index)
      .uint(static_cast<std::uint64_t>(entry.kind))
      .blob(entry.data.view());
}

bool decode_entry(const_bytes b, log_entry& out) {
  reader r{b};
  decode_entry(r, out);
  return r.done();
}

// write      [1, group.., base?, hard?, previous, end, entries]
// cut        [2, group.., base]
// drop       [3, group..]
// checkpoint [4, group.., base, hard, last, end, damage]
// move       [5, group.., previous, end, entries]
// group..    := app, shard, replica, sequence
// base       := index, term, hash;  hard := term, node or nil, replica or nil
// entries    := array of [term, index, kind, data]
// `?` := false, or true and the value. The kind says what follows, so the outer
// brackets take no byte.
void encode(bytes& out, record& r) {
  writer w{out};
  w.uint(static_cast<std::uint64_t>(r.kind));
  w.id(r.group.app).uint(r.group.shard).id(r.replica).uint(r.sequence);
  switch (r.kind) {
  case record_kind::write:
    w.boolean(r.base.has_value());
    if (r.base)
      encode_base(w, *r.base);
    w.boolean(r.hard.has_value());
    if (r.hard)
      encode_hard(w, *r.hard);
    break;
  case record_kind::cut:
    encode_base(w, *r.base);
    return;
  case record_kind::drop:
    return;
  case record_kind::checkpoint:
    encode_base(w, *r.base);
    encode_hard(w, *r.hard);
    w.id(r.last).id(r.end);
    w.text(std::string_view{r.damage}.substr(0, damage_text_max));
    return;
  case record_kind::move:
    break;
  }
  w.id(r.previous).id(r.end).array(r.entries.size());
  for (auto& e : r.entries) {
    e.offset = out.size();
    encode_entry(w, e.entry);
    e.bytes = out.size() - e.offset;
  }
}

namespace {

void decode_record(reader& r, std::size_t batch_bytes, record& out) {
  out.kind = static_cast<record_kind>(r.uint(5));
  r.id(out.group.app);
  out.group.shard = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  r.id(out.replica);
  out.sequence = r.uint();
  switch (out.kind) {
  case record_kind::write:
    if (r.boolean())
      out.base = decode_base(r);
    if (r.boolean())
      out.hard = decode_hard(r);
    break;
  case record_kind::cut:
    out.base = decode_base(r);
    return;
  case record_kind::drop:
    return;
  case record_kind::checkpoint:
    out.base = decode_base(r);
    out.hard = decode_hard(r);
    r.id(out.last);
    r.id(out.end);
    out.damage = std::string{r.text(damage_text_max)};
    return;
  case record_kind::move:
    break;
  default:
    r.fail();
    return;
  }
  r.id(out.previous);
  r.id(out.end);
  const auto n = r.array(batch_bytes);
  out.entries.reserve(n);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    located_entry e;
    e.offset = batch_bytes - r.left();
    decode_entry(r, e.entry);
    e.bytes = batch_bytes - r.left() - e.offset;
    out.entries.push_back(std::move(e));
  }
}

} // namespace

bool decode_records(const batch_header& header, const_bytes batch,
                    std::vector<record>& out) {
  reader r{batch.from(batch_header_bytes)};
  for (std::uint32_t i = 0; i < header.records && r.ok(); ++i) {
    record one;
    decode_record(r, batch.size(), one);
    if (r.ok())
      out.push_back(std::move(one));
  }
  return r.ok() && r.left() < sector_bytes;
}

} // namespace banyan::store::detail
