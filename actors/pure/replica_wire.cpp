#include "actors/pure/replica_wire.hpp"

namespace banyan {
namespace {

constexpr std::size_t group_payload_max = std::size_t{17} << 20;
constexpr std::size_t stream_messages_max = 4096;
constexpr duration deadline_max = std::chrono::hours{1};

std::uint64_t millis(duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d);
  return ms.count() < 0 ? 0 : static_cast<std::uint64_t>(ms.count());
}
std::string text(reader& in, std::size_t max) {
  return std::string{in.text(max)};
}
bytes blob(reader& in, std::size_t max) {
  return in.blob(max).copy();
}

void put(writer& w, const group_id& g) {
  w.id(g.app).uint(g.shard);
}
void take(reader& in, group_id& g) {
  in.id(g.app);
  g.shard = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
}
void put(writer& w, const replica_ref& r) {
  w.id(r.node).id(r.replica);
}
void take(reader& in, replica_ref& r) {
  in.id(r.node);
  in.id(r.replica);
}

/// Reads a map with small integer keys: `on(key)` takes the value of a key that
/// it knows and returns true; others are skipped.
template <class F>
void each_key(reader& in, F on) {
  const auto n = in.map(64);
  std::int64_t previous = -1;
  for (std::size_t i = 0; i < n && in.ok(); ++i) {
    previous = in.key(previous);
    if (in.ok() && !on(previous))
      in.skip();
  }
}

} // namespace

std::uint32_t shard_of(std::string_view key, std::uint32_t shards) noexcept {
  std::uint64_t h = 0xcbf29ce484222325u;
  for (const char c : key) {
    h ^= static_cast<std::uint8_t>(c);
    h *= 0x100000001b3u;
  }
  h += 0x9e3779b97f4a7c15u;
  h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
  h = (h ^ h >> 27) * 0x94d049bb133111ebu;
  h ^= h >> 31;
  return static_cast<std::uint32_t>(h % (shards == 0 ? 1 : shards));
}

const char* to_string(reply_status s) noexcept {
  switch (s) {
  case reply_status::ok:
    return "ok";
  case reply_status::rejected:
    return "rejected";
  case reply_status::invalid_argument:
    return "invalid_argument";
  case reply_status::not_found:
    return "not_found";
  case reply_status::app_failed:
    return "app_failed";
  case reply_status::poisoned:
    return "poisoned";
  case reply_status::too_large:
    return "too_large";
  case reply_status::conflict:
    return "conflict";
  case reply_status::expired:
    return "expired";
  case reply_status::overloaded:
    return "overloaded";
  case reply_status::deadline:
    return "deadline";
  case reply_status::unknown:
    return "unknown";
  case reply_status::not_leader:
    return "not_leader";
  case reply_status::no_such_replica:
    return "no_such_replica";
  case reply_status::parked:
    return "parked";
  case reply_status::stopped:
    return "stopped";
  case reply_status::no_quorum:
    return "no_quorum";
  case reply_status::disk_full:
    return "disk_full";
  case reply_status::unauthorized:
    return "unauthorized";
  case reply_status::forbidden:
    return "forbidden";
  }
  return "unknown";
}

// request: {1 call, 2 [app, shard], 3 kind, 4 key, 5 command, 6 argument,
//  7 identity (absent: none): [session, number, floor] or text, 8 deadline ms,
//  9 max staleness ms (absent: linearizable), 10 [node, incarnation] (absent)}
void encode(const request_frame& f, bytes& out) {
  writer w{out};
  const auto* session = std::get_if<session_request>(&f.identity);
  const auto* idem = std::get_if<idempotency_request>(&f.identity);
  w.map(7 + (session || idem ? 1u : 0u) + (f.max_staleness ? 1u : 0u)
        + (f.outstanding ? 1u : 0u));
  w.uint(1).uint(f.call);
  put(w.uint(2).array(2), f.group);
  w.uint(3).uint(static_cast<std::uint64_t>(f.kind));
  w.uint(4).text(f.key).uint(5).text(f.command).uint(6).blob(f.argument);
  if (session)
    w.uint(7)
        .array(3)
        .uint(session->session)
        .uint(session->number)
        .uint(session->floor);
  if (idem)
    w.uint(7).text(idem->key);
  w.uint(8).uint(millis(f.deadline_left));
  if (f.max_staleness)
    w.uint(9).uint(millis(*f.max_staleness));
  if (f.outstanding)
    w.uint(10).array(2).id(f.outstanding->node).id(f.outstanding->incarnation);
}

bool decode(const_bytes bytes_in, request_frame& out) {
  reader in{bytes_in};
  out = {};
  bool has_call = false;
  bool has_group = false;
  each_key(in, [&](std::int64_t key) {
    switch (key) {
    case 1:
      out.call = in.uint();
      return has_call = true;
    case 2:
      in.require(in.array(2) == 2);
      take(in, out.group);
      return has_group = true;
    case 3:
      out.kind = static_cast<request_kind>(in.uint(4));
      return true;
    case 4:
      out.key = text(in, actor_key_bytes_max);
      return true;
    case 5:
      out.command = text(in, name_bytes_max);
      return true;
    case 6:
      out.argument =
          blob(in, out.kind == request_kind::load ? load_bytes_max
                                                  : argument_bytes_max);
      return true;
    case 7:
      if (in.peek() == reader::kind::text) {
        out.identity = idempotency_request{text(in, idempotency_key_bytes_max)};
      } else {
        in.require(in.array(3) == 3);
        session_request s;
        s.session = in.uint();
        s.number = in.uint();
        s.floor = in.uint();
        out.identity = s;
      }
      return true;
    case 8:
      out.deadline_left =
          std::chrono::milliseconds{in.uint(millis(deadline_max))};
      return true;
    case 9:
      out.max_staleness =
          std::chrono::milliseconds{in.uint(millis(24 * deadline_max))};
      return true;
    case 10: {
      in.require(in.array(2) == 2);
      outstanding_at o;
      in.id(o.node);
      in.id(o.incarnation);
      out.outstanding = o;
      return true;
    }
    default:
      return false;
    }
  });
  if (out.kind == request_kind::command || out.kind == request_kind::query)
    in.require(!out.key.empty() && !out.command.empty());
  return in.done() && has_call && has_group;
}

// reply: {1 call, 2 status, 3 result, 4 code, 5 message, 6 term, 7 index,
//  8 session, 9 [node, replica], 10 submitted, 11 retry after ms}, absent =
//  empty
void encode(const reply_frame& f, bytes& out) {
  writer w{out};
  const auto& r = f.reply;
  std::size_t n = 4;
  n += !r.result.empty();
  n += !r.code.empty();
  n += !r.message.empty();
  n += r.session != 0;
  n += r.leader.has_value();
  n += r.submitted;
  n += r.retry_after.has_value();
  w.map(n).uint(1).uint(f.call).uint(2).uint(
      static_cast<std::uint64_t>(r.status));
  if (!r.result.empty())
    w.uint(3).blob(r.result);
  if (!r.code.empty())
    w.uint(4).text(r.code);
  if (!r.message.empty())
    w.uint(5).text(r.message);
  w.uint(6).id(r.term).uint(7).id(r.index);
  if (r.session != 0)
    w.uint(8).uint(r.session);
  if (r.leader)
    put(w.uint(9).array(2), *r.leader);
  if (r.submitted)
    w.uint(10).boolean(true);
  if (r.retry_after)
    w.uint(11).uint(millis(*r.retry_after));
}

bool decode(const_bytes bytes_in, reply_frame& out) {
  reader in{bytes_in};
  out = {};
  auto& r = out.reply;
  bool has_call = false;
  bool has_status = false;
  each_key(in, [&](std::int64_t key) {
    switch (key) {
    case 1:
      out.call = in.uint();
      return has_call = true;
    case 2:
      r.status = static_cast<reply_status>(
          in.uint(static_cast<std::uint64_t>(reply_status::forbidden)));
      return has_status = true;
    case 3:
      r.result = blob(in, std::size_t{8} << 20);
      return true;
    case 4:
      r.code = text(in, message_text_bytes_max);
      return true;
    case 5:
      r.message = text(in, message_text_bytes_max);
      return true;
    case 6:
      in.id(r.term);
      return true;
    case 7:
      in.id(r.index);
      return true;
    case 8:
      r.session = in.uint();
      return true;
    case 9: {
      in.require(in.array(2) == 2);
      replica_ref leader;
      take(in, leader);
      r.leader = leader;
      return true;
    }
    case 10:
      r.submitted = in.boolean();
      return true;
    case 11:
      r.retry_after = std::chrono::milliseconds{in.uint(millis(deadline_max))};
      return true;
    default:
      return false;
    }
  });
  return in.done() && has_call && has_status;
}

void encode(const group_frame& f, bytes& out) {
  out.reserve(out.size() + f.payload.size() + 112);
  writer w{out};
  put(w.array(7), f.group);
  w.id(f.lineage).id(f.from).id(f.to);
  w.uint(static_cast<std::uint64_t>(f.kind)).blob(f.payload);
}

bool decode(const_bytes bytes_in, group_frame& out) {
  reader in{bytes_in};
  in.require(in.array(7) == 7);
  take(in, out.group);
  in.id(out.lineage);
  in.id(out.from);
  in.id(out.to);
  const auto kind = in.uint(UINT8_MAX);
  in.require(kind >= 1
             && kind <= static_cast<std::uint64_t>(group_frame_kind::cleared));
  out.kind = static_cast<group_frame_kind>(kind);
  out.payload = blob(in, group_payload_max);
  return in.done();
}

bool peek_group(const_bytes bytes_in, group_id& out) {
  reader in{bytes_in};
  in.require(in.array(7) == 7);
  take(in, out);
  return in.ok();
}

void encode(const stream_frame& f, bytes& out) {
  writer w{out};
  put(w.array(8), f.from);
  w.id(f.lineage);
  put(w, f.to);
  w.boolean(f.is_ack).uint(f.acknowledged).array(f.messages.size());
  for (const auto& m : f.messages)
    encode(w, m);
}

bool decode(const_bytes bytes_in, stream_frame& out) {
  reader in{bytes_in};
  in.require(in.array(8) == 8);
  take(in, out.from);
  in.id(out.lineage);
  take(in, out.to);
  out.is_ack = in.boolean();
  out.acknowledged = in.uint();
  const auto n = in.array(stream_messages_max);
  out.messages.clear();
  for (std::size_t i = 0; i < n && in.ok(); ++i)
    in.require(decode(in, out.messages.emplace_back()));
  return in.done();
}

void encode(writer& w, const stream_message& m) {
  w.array(9).uint(m.number).uint(static_cast<std::uint64_t>(m.what));
  w.text(m.from_app).text(m.from_key).text(m.to_app).text(m.to_key);
  w.text(m.command).blob(m.argument).text(m.on_reply);
}

bool decode(reader& in, stream_message& m) {
  in.require(in.array(9) == 9);
  m.number = in.uint();
  const auto what = in.uint(2);
  in.require(what != 0);
  m.what = static_cast<stream_message::kind>(what);
  m.from_app = text(in, name_bytes_max);
  m.from_key = text(in, actor_key_bytes_max);
  m.to_app = text(in, name_bytes_max);
  m.to_key = text(in, actor_key_bytes_max);
  m.command = text(in, name_bytes_max);
  m.argument = blob(in, std::size_t{4} << 20);
  m.on_reply = text(in, name_bytes_max);
  return in.ok();
}

} // namespace banyan
