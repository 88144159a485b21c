#include "actors/pure/backup/image.hpp"

#include "base/codec.hpp"

namespace banyan::backup {

shard_image::shard_image(group_id group, std::optional<log_index> up_to)
    : group_{group}, up_to_{up_to} {
}

std::string shard_image::add(const_bytes part) {
  if (part.empty())
    return "an empty part";
  if (meta_)
    return "something follows the shard's last entries";
  const auto payload = part.from(1);
  switch (part[0]) {
  case part_rows:
    return add_rows(payload);
  case part_entries:
    return add_entries(payload);
  default:
    return "a part of a kind that this version doesn't know";
  }
}

std::string shard_image::add_rows(const_bytes payload) {
  replica::snapshot_chunk c;
  if (rows_done_ || !replica::decode(payload, c) || c.from != position_)
    return "a range of keys is not the next one, or its hash is wrong";
  for (auto& row : c.rows) {
    if (!tables_.apply(row.key, row.value, row.index))
      return "a row can't be read";
    auto key = row.key;
    rows_.insert_or_assign(std::move(key), std::move(row));
  }
  begin_ = begin_ ? std::min(*begin_, c.applied) : c.applied;
  newest_ = std::max(newest_, c.applied);
  position_ = std::move(c.next);
  rows_done_ = position_.empty();
  if (rows_done_)
    begin_entries();
  return {};
}

/// The streams as the rows have them: where marks count from.
void shard_image::begin_entries() {
  next_entry_ = begin_->next();
  for (const auto& [key, row] : rows_) {
    replica::key_reader k{key};
    if (replica::kind_of(key) == row_kind::stream_in) {
      const auto from = k.group();
      std::uint64_t applied = 0;
      if (from.app == group_.app
          && replica::decode_in(row.value.view(), applied))
        marks_.taken[from.shard].last =
            std::max(marks_.taken[from.shard].last, applied);
    } else if (replica::kind_of(key) == row_kind::stream_out) {
      const auto to = k.group();
      std::uint64_t next = 0;
      std::uint64_t acknowledged = 0;
      if (to.app != group_.app
          || !replica::decode_out(row.value.view(), next, acknowledged))
        continue;
      marks_.sent[to.shard].last = next - 1;
      auto& a = marks_.acknowledged[to.shard];
      a.last = acknowledged;
      a.marks.push_back({newest_, acknowledged});
    }
  }
}

void shard_image::mark(const replica::entry& e, log_index index) {
  const auto note = [&](auto& streams, std::uint32_t shard, std::uint64_t n) {
    auto& s = streams[shard];
    if (index > newest_)
      s.marks.push_back({index, n});
    s.last = std::max(s.last, n);
  };
  if (const auto* turn = std::get_if<replica::turn_entry>(&e.body)) {
    if (const auto* by = std::get_if<replica::by_stream>(&turn->by);
        by != nullptr && by->from.app == group_.app)
      note(marks_.taken, by->from.shard, by->number);
    for (const auto& s : turn->sends)
      if (s.to.app == group_.app)
        note(marks_.sent, s.to.shard, s.message.number);
  } else if (const auto* acks =
                 std::get_if<replica::stream_ack_entry>(&e.body)) {
    for (const auto& i : acks->items)
      if (i.to.app == group_.app)
        note(marks_.acknowledged, i.to.shard, i.acknowledged);
  }
}

std::string shard_image::add_entries(const_bytes payload) {
  replica::snapshot_entries m;
  if (!rows_done_ || !replica::decode(payload, m))
    return "entries that can't be read, or before the last row";
  for (const auto& e : m.entries) {
    if (e.index != next_entry_)
      return "entry " + std::to_string(next_entry_.value()) + " is missing";
    next_entry_ = e.index.next();
    if (e.kind != entry_kind::command || (up_to_ && e.index > *up_to_))
      continue;
    replica::entry decoded;
    if (!replica::decode(e.data.view(), decoded))
      return "entry " + std::to_string(e.index.value())
             + " is of a later version: use that version's `banyan`";
    mark(decoded, e.index);
    log_time_ = std::max(log_time_, decoded.log_time);
    std::vector<store::row_change> changes;
    replica::derive(decoded, e.index, tables_, changes);
    for (auto& c : changes) {
      if (!tables_.apply(c.key, c.value, c.index))
        return "entry " + std::to_string(e.index.value())
               + " makes a row that can't be read";
      if (c.value)
        rows_.insert_or_assign(c.key, store::row{c.key, *c.value, c.index});
      else
        rows_.erase(c.key);
    }
  }
  if (!m.meta)
    return {};
  replica::meta_opaque opaque;
  if (m.meta->index < newest_ || m.meta->index.next() != next_entry_
      || !replica::decode(m.meta->opaque, opaque))
    return "its last entries don't reach the index that it states";
  if (!m.digest)
    return "it states no digest";
  meta_ = std::move(m.meta);
  digest_ = *m.digest;
  if (!up_to_ || log_time_ == duration{})
    log_time_ = opaque.log_time; // the nearest that is known
  return {};
}

std::string shard_image::finish() {
  if (!meta_)
    return "its last entries are missing";
  marks_.lowest = newest_;
  marks_.highest = meta_->index;
  if (up_to_)
    return *up_to_ < newest_ ? "it was copied later than that" : "";
  store::state_digest sum;
  for (const auto& [key, row] : rows_)
    store::add(sum, store::row_hash(group_, key, row.index, row.value.view()));
  if (sum != digest_)
    return "its rows don't add up to the digest that the peer stated";
  return {};
}

std::uint64_t shard_image::actors() const {
  std::uint64_t n = 0;
  for (const auto& [key, row] : rows_)
    n += replica::kind_of(key) == row_kind::actor ? 1 : 0;
  return n;
}

std::uint64_t shard_image::size() const {
  std::uint64_t n = 0;
  for (const auto& [key, row] : rows_)
    n += key.size() + row.value.size();
  return n;
}

} // namespace banyan::backup
