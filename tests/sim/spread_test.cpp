// Reads that any voter may answer, while one of them stands still.
#include "sim/drained_world.hpp"

namespace banyan::sim {
namespace {

/// Asks machine 0 for a stale answer, again as soon as it has one.
struct stale_reader {
  drained_world& d;
  duration slow_from = 90ms;
  std::size_t answered = 0;
  std::size_t slow = 0;
  std::size_t failed = 0;
  bool stop = false;

  void next() {
    call_request r;
    r.app = "counter";
    r.key = "c1";
    r.command = "get";
    r.kind = request_kind::query;
    r.max_staleness = 10s;
    const auto from = d.context(0).loop.now();
    d.w.at(0).peer().call(std::move(r),
                          [this, from](const reply& a, std::uint32_t) {
                            const auto took = d.context(0).loop.now() - from;
                            ++answered;
                            failed += a.status != reply_status::ok;
                            slow += took >= slow_from;
                            if (!stop)
                              d.w.after(1ms, [this] { next(); });
                          });
  }
};

struct stale_reads : ::testing::TestWithParam<std::uint64_t> {};

TEST_P(stale_reads, a_frozen_voter_costs_each_reader_at_most_one_slow_call) {
  drained_world d{4000 + GetParam(), 1};
  ASSERT_NO_FATAL_FAILURE(d.begin());
  d.write();
  d.w.run_for(1s);
  std::vector<std::size_t> voters; // but for the door itself
  for (std::size_t n = 1; n < drained_world::machines; ++n)
    if (d.votes(0, d.w.at(n).id()))
      voters.push_back(n);
  ASSERT_GE(voters.size(), 2U);
  std::vector<std::unique_ptr<stale_reader>> readers;
  for (int i = 0; i < 4; ++i) {
    readers.push_back(std::make_unique<stale_reader>(stale_reader{d}));
    readers.back()->next();
  }
  d.w.run_for(4s); // all voters have been asked, and have asked their leader
  for (auto& r : readers)
    r->answered = r->slow = 0;
  fault f; // the leader, if the seed says so
  f.kind = fault_kind::pause;
  f.a = voters[d.dice.below(voters.size())];
  f.lasts = 2s;
  f.dice = d.dice.next();
  static_cast<void>(d.h.begin(f));
  d.w.run_for(3s);
  for (auto& r : readers) {
    r->stop = true;
    EXPECT_EQ(r->failed, 0U);
    EXPECT_LE(r->slow, 1U);
    EXPECT_GT(r->answered, 500U);
  }
  d.h.heal();
  d.judge();
}
INSTANTIATE_TEST_SUITE_P(seeds, stale_reads,
                         ::testing::Range(std::uint64_t{1}, std::uint64_t{25}));

} // namespace
} // namespace banyan::sim
