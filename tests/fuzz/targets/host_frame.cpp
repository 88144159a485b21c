// What an app-host process writes on its stream: the peer reads it and trusts
// nothing. What it is told itself comes from its peer, in the same form.
#include "actors/host/host_frame.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void again(const bytes& written, const_bytes body) {
  BANYAN_ASSERT(const_bytes{written}.from(5) == body);
}

void take(const host_frames::frame& f) {
  bytes back;
  module_info info;
  host_failed failed;
  raw_turn raw;
  host_open open;
  host_run turn;
  if (read_ready(f.body, info)) {
    BANYAN_ASSERT(!info.app.empty() && info.handlers.size() <= 1000);
    put_ready(back, info);
    again(back, f.body);
  }
  back.clear();
  if (read_failed(f.body, failed)) {
    put_failed(back, failed);
    again(back, f.body);
  }
  back.clear();
  if (read_ran(f.body, raw)) {
    put_ran(back, raw);
    again(back, f.body);
    turn_claim claim;
    claim.command = "deposit";
    const auto judged = judge_turn(claim, raw);
    BANYAN_ASSERT(judged.outcome == turn_outcome::ok || !judged.state);
  }
  back.clear();
  if (read_run(f.body, turn)) {
    put_run(back, turn);
    again(back, f.body);
  }
  back.clear();
  if (read_open(f.body, open)) {
    put_open(back, open);
    again(back, f.body);
  }
}

/// How the bytes are cut changes nothing.
void run(const_bytes in) {
  constexpr std::size_t small_frames = 4096;
  host_frames whole{small_frames};
  host_frames pieces{small_frames};
  whole.add(in);
  for (std::size_t i = 0; i < in.size(); ++i) {
    pieces.add({in.data() + i, 1});
    while (const auto f = pieces.next()) {
      const auto w = whole.next();
      BANYAN_ASSERT(w && w->kind == f->kind && w->body == f->body);
      take(*f);
    }
  }
  BANYAN_ASSERT(!whole.next());
  BANYAN_ASSERT(whole.broken() == pieces.broken());
}

std::vector<bytes> seeds() {
  bytes ready;
  put_ready(ready,
            {"ledger", 2, {{"deposit", false, false}, {"get", true, false}}});
  bytes failed;
  put_failed(failed, {host_errc::not_a_module, "can't load it", {}});
  bytes ran;
  put_ran(ran, {7, 0, 1, false, bytes{0x82, 1, 0, 2, 0xc4, 1, 0xc0}});
  put_ran(ran, {8, 1, 0, false, {}});
  put_ran(ran, {9, 0, 1, true, {}});
  bytes orders;
  put_open(orders, {"ledger", "/apps/ledger.so", bytes{0x80}, 1 << 30,
                    "/data/hosts/ledger.1", incarnation{3},
                    bytes{0x81, 0xa1, 'a', 0xc4, 0x01, 0x62}});
  const bytes request{'r', 1};
  const bytes turn{0x81, 1, 0xa1, 'x'};
  put_run(orders, {7, request, turn});
  bytes all = ready;
  append(all, ran);
  return {ready, failed, ran, orders, all};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(host_frame)
