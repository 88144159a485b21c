#include "actors/pure/replica/rows.hpp"

namespace banyan::replica {
namespace {

bytes start(row_kind kind) {
  return {static_cast<std::uint8_t>(kind)};
}

template <class N>
void put(bytes& out, N v) {
  for (int shift = int(sizeof(N)) * 8 - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(v >> shift));
}

void put_owner(bytes& out, std::string_view actor) {
  out.push_back(static_cast<std::uint8_t>(actor.size()));
  append(out, as_bytes(actor));
}

void put_group(bytes& out, const group_id& g) {
  append(out, g.app.view());
  put(out, g.shard);
}

} // namespace

bytes actor_row(std::string_view actor) {
  bytes k;
  k.reserve(1 + actor.size());
  k.push_back(static_cast<std::uint8_t>(row_kind::actor));
  append(k, as_bytes(actor));
  return k;
}
bytes table_prefix(std::string_view actor) {
  auto k = start(row_kind::table);
  put_owner(k, actor);
  return k;
}
bytes table_row(std::string_view actor, const_bytes key) {
  auto k = table_prefix(actor);
  append(k, key);
  return k;
}
bytes session_row(std::uint64_t session) {
  auto k = start(row_kind::session);
  put(k, session);
  return k;
}
bytes answer_row(std::uint64_t session, std::uint64_t number) {
  bytes k;
  k.reserve(17);
  k.push_back(static_cast<std::uint8_t>(row_kind::answer));
  put(k, session);
  put(k, number);
  return k;
}
bytes idempotency_row(const_bytes key_hash) {
  auto k = start(row_kind::idempotency);
  append(k, key_hash);
  return k;
}
bytes outbox_row(const group_id& to, std::uint64_t number) {
  auto k = start(row_kind::outbox);
  put_group(k, to);
  put(k, number);
  return k;
}
bytes stream_out_row(const group_id& to) {
  auto k = start(row_kind::stream_out);
  put_group(k, to);
  return k;
}
bytes stream_in_row(const group_id& from, const lineage_id& lineage) {
  auto k = start(row_kind::stream_in);
  put_group(k, from);
  append(k, lineage.view());
  return k;
}
bytes timer_row(std::string_view actor, const_bytes id) {
  auto k = start(row_kind::timer);
  put_owner(k, actor);
  append(k, id);
  return k;
}
bytes timer_named(std::string_view name) {
  bytes id{1};
  append(id, as_bytes(name));
  return id;
}
bytes timer_unnamed(log_index set_at, std::uint32_t number) {
  bytes id{0};
  put(id, set_at.value());
  put(id, number);
  return id;
}
bytes poison_row(const_bytes request_key) {
  auto k = start(row_kind::poison);
  append(k, request_key);
  return k;
}
bytes stopped_row() {
  auto k = start(row_kind::group);
  append(k, as_bytes("stopped"));
  return k;
}

bytes given_up_row() {
  auto k = start(row_kind::group);
  append(k, as_bytes("given up"));
  return k;
}

bytes features_row() {
  auto k = start(row_kind::group);
  append(k, as_bytes("features"));
  return k;
}
bytes version_row() {
  auto k = start(row_kind::group);
  append(k, as_bytes("version"));
  return k;
}
bytes written_row() {
  auto k = start(row_kind::group);
  append(k, as_bytes("written"));
  return k;
}

const_bytes key_reader::take(std::size_t n) {
  if (!ok_ || in_.size() < n) {
    ok_ = false;
    in_ = {};
    return {};
  }
  const auto head = in_.first(n);
  in_ = in_.from(n);
  return head;
}
std::uint64_t key_reader::u64() {
  std::uint64_t v = 0;
  for (auto b : take(8))
    v = v << 8 | b;
  return v;
}
std::uint32_t key_reader::u32() {
  std::uint32_t v = 0;
  for (auto b : take(4))
    v = v << 8 | b;
  return v;
}
std::uint8_t key_reader::u8() {
  const auto b = take(1);
  return b.empty() ? std::uint8_t{0} : b[0];
}
group_id key_reader::group() {
  group_id g;
  if (!app_id::from(take(app_id::size), g.app))
    ok_ = false;
  g.shard = u32();
  return g;
}

} // namespace banyan::replica
