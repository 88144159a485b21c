// What a module gives back from a turn: the host reads it and trusts nothing.
#include "actors/host/json.hpp"
#include "actors/host/turn.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  turn_result r;
  r.version = 77;
  std::string why;
  if (!decode_result(in, r, why)) {
    BANYAN_ASSERT(!why.empty());
    BANYAN_ASSERT(r.version == 77 && r.answer.empty());
    return;
  }
  using limits = turn_limits;
  BANYAN_ASSERT(r.version == 77); // the echo is the host's
  BANYAN_ASSERT(r.sends.size() <= limits::sends_max);
  BANYAN_ASSERT(r.timers.size() <= limits::timers_max);
  BANYAN_ASSERT(r.rows.size() <= limits::rows_max);
  BANYAN_ASSERT(r.log.size() <= limits::log_lines_max);
  const bool ok = r.outcome == turn_outcome::ok;
  BANYAN_ASSERT(ok
                || (!r.state && !r.removed && r.rows.empty() && r.sends.empty()
                    && r.timers.empty() && r.cancelled.empty()));
  if (ok) // what a caller over HTTP is told
    BANYAN_ASSERT(msgpack_to_json(r.answer).ok());
  for (const auto& row : r.rows)
    BANYAN_ASSERT(row.key.size() <= limits::row_key_bytes_max);
  for (const auto& s : r.sends)
    BANYAN_ASSERT(!s.key.empty() && s.key.size() <= 255
                  && s.argument.size() <= limits::argument_bytes_max);
  const bool needs = !r.rows_needed.empty() || !r.ranges_needed.empty();
  BANYAN_ASSERT(needs == (r.outcome == turn_outcome::needs_rows));
  if (!r.sends.empty())
    (void)reply_argument(r.sends[0], r.answer, r.code, r.message);
}

std::vector<bytes> seeds() {
  bytes full;
  writer w{full};
  w.map(9).uint(1).uint(0).uint(2).blob(bytes{0x81, 0xa1, 'a', 5});
  w.uint(5).blob(to_bytes("state"));
  w.uint(6).array(2).array(2).blob(bytes{1}).blob(bytes{2});
  w.array(2).blob(bytes{3}).nil();
  w.uint(7).array(1).array(5).text("app").text("bob").text("take");
  w.blob(bytes{1}).text("taken");
  w.uint(8).array(1).array(4).text("t").uint(5000).text("later").blob({});
  w.uint(9).array(1).text("u");
  w.uint(10).boolean(false).uint(11).array(1).text("a line");
  bytes rejected;
  writer v{rejected};
  v.map(3).uint(1).uint(1).uint(3).text("no_funds").uint(4).text("only 5");
  bytes needs;
  writer n{needs};
  n.map(3).uint(1).uint(6).uint(12).array(1).blob(bytes{1});
  n.uint(13).array(1).array(3).blob(bytes{1}).blob(bytes{9}).uint(100);
  return {full, rejected, needs, bytes{0x82, 1, 0, 2, 0xc4, 1, 0xc0}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(module_answer)
