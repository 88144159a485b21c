#include "actors/pure/client_wire.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::uint64_t milliseconds_max = 24ULL * 3600 * 1000;

// Rounded up, and never more than the far side takes.
std::uint64_t to_count(duration d) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(d).count();
  return ms < 0 ? 0
                : std::min(static_cast<std::uint64_t>(ms), milliseconds_max);
}

duration from_count(std::uint64_t ms) {
  return std::chrono::milliseconds{static_cast<std::int64_t>(ms)};
}

// nil | [session, number, floor] | text
void encode_identity(writer& w, const request_identity& id) {
  if (const auto* s = std::get_if<session_request>(&id))
    w.array(3).uint(s->session).uint(s->number).uint(s->floor);
  else if (const auto* k = std::get_if<idempotency_request>(&id))
    w.text(k->key);
  else
    w.nil();
}

void decode_identity(reader& r, request_identity& out) {
  switch (r.peek()) {
  case reader::kind::nil:
    r.nil();
    out = std::monostate{};
    break;
  case reader::kind::text:
    out = idempotency_request{std::string{r.text(idempotency_key_bytes_max)}};
    break;
  default: {
    session_request s;
    r.require(r.array(3) == 3);
    s.session = r.uint();
    s.number = r.uint();
    s.floor = r.uint();
    out = s;
  }
  }
}

} // namespace

void encode(const client_call_frame& f, bytes& out) {
  writer w{out};
  w.array(9).uint(f.call).uint(static_cast<std::uint64_t>(f.kind));
  w.text(f.app).text(f.key).text(f.command).blob(f.argument);
  encode_identity(w, f.identity);
  w.uint(to_count(f.deadline));
  if (f.max_staleness)
    w.uint(to_count(*f.max_staleness));
  else
    w.nil();
}

bool decode(const_bytes in, client_call_frame& out) {
  reader r{in};
  r.require(r.array(9) == 9);
  out.call = r.uint();
  out.kind = static_cast<client_call_kind>(
      r.uint(static_cast<std::uint64_t>(client_call_kind::lookup)));
  out.app = r.text(name_bytes_max);
  out.key = r.text(actor_key_bytes_max);
  out.command = r.text(name_bytes_max);
  out.argument = r.blob(argument_bytes_max).copy();
  decode_identity(r, out.identity);
  out.deadline = from_count(r.uint(milliseconds_max));
  out.max_staleness.reset();
  if (r.peek() == reader::kind::nil)
    r.nil();
  else
    out.max_staleness = from_count(r.uint(milliseconds_max));
  return r.done();
}

void encode(const client_reply_frame& f, bytes& out) {
  bytes inner;
  encode(reply_frame{f.call, f.reply}, inner);
  writer{out}.array(2).blob(inner).uint(f.shards);
}

bool decode(const_bytes in, client_reply_frame& out) {
  reader r{in};
  r.require(r.array(2) == 2);
  reply_frame inner;
  r.require(decode(r.blob(result_bytes_max + 64 * 1024), inner));
  out.call = inner.call;
  out.reply = std::move(inner.reply);
  out.shards = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  return r.done();
}

} // namespace banyan
