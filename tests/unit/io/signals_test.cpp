#include "loop_fixture.hpp"
#include "net/io/signals.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <vector>

namespace banyan::io {
namespace {

class Signals : public loop_fixture {};

TEST_F(Signals, ComeAsCallsOnTheLoop) {
  std::vector<int> seen;
  signals s{l, {SIGTERM, SIGINT}, [&](int n) {
              EXPECT_TRUE(l.on_thread());
              seen.push_back(n);
            }};
  std::raise(SIGTERM);
  ASSERT_TRUE(wait([&] { return seen.size() == 1; }));
  std::raise(SIGINT);
  ASSERT_TRUE(wait([&] { return seen.size() == 2; }));
  EXPECT_EQ(seen, (std::vector<int>{SIGTERM, SIGINT}));
}

TEST_F(Signals, SigpipeIsIgnored) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ::close(ends[1]);
  EXPECT_EQ(::write(ends[0], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[0]);
}

} // namespace
} // namespace banyan::io
