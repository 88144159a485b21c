// Calls and answers between routers, replicas and native clients.
#include "actors/pure/client_wire.hpp"
#include "actors/pure/replica_wire.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void bounded(const reply& r) {
  BANYAN_ASSERT(r.result.size() <= std::size_t{8} << 20);
  BANYAN_ASSERT(r.message.size() <= message_text_bytes_max);
  BANYAN_ASSERT(std::string_view{to_string(r.status)}.size() > 1);
}

// Absent fields of the maps are empty ones, so a frame isn't canonical.
template <class T>
void stable(const_bytes in, const T&) {
  BANYAN_ASSERT(accepts_stable<T>(
      in, [](const T& v) { return encoded(v); },
      [](const_bytes b, T& v) { return decode(b, v); }));
}

void run(const_bytes in) {
  request_frame q;
  if (decode(in, q)) {
    BANYAN_ASSERT(q.key.size() <= actor_key_bytes_max);
    BANYAN_ASSERT(q.command.size() <= name_bytes_max);
    BANYAN_ASSERT(q.argument.size() <= argument_bytes_max);
    BANYAN_ASSERT(q.deadline_left >= duration::zero());
    stable(in, q);
  }
  reply_frame a;
  if (decode(in, a)) {
    bounded(a.reply);
    stable(in, a);
  }
  client_call_frame c;
  if (decode(in, c)) {
    BANYAN_ASSERT(c.key.size() <= actor_key_bytes_max);
    BANYAN_ASSERT(c.argument.size() <= argument_bytes_max);
    BANYAN_ASSERT(c.deadline >= duration::zero());
    stable(in, c);
    (void)shard_of(c.key, 8);
  }
  client_reply_frame r;
  if (decode(in, r)) {
    bounded(r.reply);
    stable(in, r);
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  request_frame q;
  q.call = 7;
  q.key = "alice";
  q.command = "deposit";
  q.argument = bytes{0x81, 0xa1, 'c', 5};
  out.push_back(encoded(q));
  q.identity = session_request{5, 6, 7};
  q.max_staleness = 10ms;
  q.outstanding = outstanding_at{node_id{}, incarnation{3}};
  out.push_back(encoded(q));
  q.identity = idempotency_request{"key"};
  q.kind = request_kind::query;
  out.push_back(encoded(q));
  reply_frame a;
  a.call = 9;
  a.reply.result = bytes{1};
  a.reply.term = term{3};
  a.reply.index = log_index{70'000};
  out.push_back(encoded(a));
  a.reply.status = reply_status::not_leader;
  a.reply.leader = replica_ref{};
  a.reply.submitted = true;
  a.reply.retry_after = 50ms;
  out.push_back(encoded(a));
  a.reply = {};
  a.reply.status = reply_status::rejected;
  a.reply.code = "too_little";
  a.reply.message = "there are only 5";
  out.push_back(encoded(a));
  client_call_frame c;
  c.call = 1;
  c.app = "ledger";
  c.key = "alice";
  c.command = "deposit";
  c.argument = q.argument;
  c.max_staleness = 2s;
  out.push_back(encoded(c));
  c.identity = session_request{1, 2, 1};
  c.max_staleness.reset();
  out.push_back(encoded(c));
  c.kind = client_call_kind::lookup;
  out.push_back(encoded(c));
  client_reply_frame r;
  r.call = 1;
  r.shards = 8;
  r.reply = a.reply;
  out.push_back(encoded(r));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(calls)
