// Messages from actor to actor, in frames and as rows of the outbox.
#include "actors/pure/replica_wire.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  stream_frame f;
  if (decode(in, f)) {
    BANYAN_ASSERT(const_bytes{encoded(f)} == in);
    (void)addressee(f);
  }
  stream_message m;
  reader r{in};
  if (decode(r, m) && r.done()) {
    bytes again;
    writer w{again};
    encode(w, m);
    BANYAN_ASSERT(const_bytes{again} == in);
  }
}

std::vector<bytes> seeds() {
  stream_frame f;
  f.to.shard = 2;
  f.messages.resize(2);
  auto& m = f.messages[0];
  m.number = 1;
  m.from_app = m.to_app = "ledger";
  m.from_key = "alice";
  m.to_key = "bob";
  m.command = "take";
  m.argument = bytes{1};
  m.on_reply = "taken";
  f.messages[1] = m;
  f.messages[1].number = 2;
  f.messages[1].what = stream_message::kind::reply;
  f.messages[1].on_reply.clear();
  bytes row;
  writer w{row};
  encode(w, m);
  stream_frame ack;
  ack.is_ack = true;
  ack.acknowledged = 300;
  return {encoded(f), encoded(ack), row};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(stream_frame)
