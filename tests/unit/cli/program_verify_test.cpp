// `banyan verify` against a peer that is played.
#include "base/codec.hpp"
#include "played_peer.hpp"

#include <atomic>

namespace banyan::cli {
namespace {

using banyan::test::contains;
using Program = test::played_peer;

/// The account of a pass, as far as the command line reads it.
bytes pass(const char* state, std::uint64_t damaged, std::uint64_t mended) {
  bytes b;
  writer w{b};
  w.map(8).text("state").text(state).text("groups").uint(4);
  w.text("rows").uint(70).text("rows_damaged").uint(damaged);
  w.text("rows_mended").uint(mended).text("found").uint(damaged);
  w.text("open").uint(damaged - mended);
  w.text("findings").array(damaged);
  for (std::uint64_t i = 0; i < damaged; ++i)
    w.text("ledger/0: row 01 is damaged");
  return b;
}

class Verify : public Program {
protected:
  test::run_result verify(std::uint64_t damaged, std::uint64_t mended) {
    asked_ = 0;
    play([=](const io::http_request& q, io::http_responder& r) {
      const bool over = q.method == "GET" && ++asked_ > 2;
      r.send(
          {200,
           to_text(pass(over ? "done" : "reading", damaged, over ? mended : 0)),
           "application/msgpack"});
    });
    return banyan({"verify"});
  }
  std::atomic<int> asked_{0};
};

TEST_F(Verify, BeginsAPassShowsItAndReportsWhatWasMended) {
  const auto a = verify(2, 2);
  EXPECT_EQ(a.code, 0) << a.err;
  EXPECT_TRUE(contains(a.out, "70 rows of 4 groups")) << a.out;
  EXPECT_TRUE(contains(a.out, "2 damaged, 2 mended")) << a.out;
  EXPECT_TRUE(contains(a.out, "ledger/0: row 01 is damaged")) << a.out;
  EXPECT_TRUE(contains(a.err, "reading: group")) << a.err;
  const auto q = seen();
  ASSERT_GE(q.size(), 3u);
  EXPECT_EQ(q[0].method, "POST");
  EXPECT_EQ(q[0].path, (std::vector<std::string>{"v1", "verify"}));
  EXPECT_EQ(q[1].method, "GET");
}

TEST_F(Verify, FailsWhenSomethingIsNotMended) {
  const auto a = verify(3, 1);
  EXPECT_EQ(a.code, 1);
  EXPECT_TRUE(contains(a.out, "3 damaged, 1 mended")) << a.out;
  EXPECT_TRUE(contains(a.err, "2 findings could not be mended")) << a.err;
}

} // namespace
} // namespace banyan::cli
