#include "loop_fixture.hpp"
#include "net/io/workers.hpp"

#include <future>
#include <thread>

namespace banyan::io {
namespace {

class Workers : public loop_fixture {};

TEST_F(Workers, WorkRunsElsewhereAndIsDoneOnTheLoop) {
  thread_workers w{l};
  std::thread::id worked;
  bool done_here = false;
  ASSERT_TRUE(w.submit([&] { worked = std::this_thread::get_id(); },
                       [&] { done_here = l.on_thread(); }, "work"));
  ASSERT_TRUE(wait([&] { return done_here; }));
  EXPECT_NE(worked, std::this_thread::get_id());
}

TEST_F(Workers, AFullQueueRefuses) {
  std::promise<void> gate;
  auto open = gate.get_future().share();
  std::size_t done = 0;
  std::size_t taken = 0;
  thread_workers w{l, 1};
  while (w.submit([open] { open.wait(); }, [&] { ++done; }, "work"))
    ++taken;
  EXPECT_GE(taken, thread_workers::queue_max);
  gate.set_value();
  EXPECT_TRUE(wait([&] { return done == taken; }));
}

TEST_F(Workers, TheEndDropsWhatWaitsAndCallsNothingLater) {
  int done = 0;
  {
    thread_workers w{l, 2};
    for (int i = 0; i < 100; ++i)
      w.submit([] {}, [&] { ++done; }, "work");
  }
  l.drain();
  EXPECT_EQ(done, 0);
}

TEST_F(Workers, InlineWorkersRunInOrderOnTheLoop) {
  inline_workers w{l};
  std::string seen;
  w.submit([&] { seen += 'a'; }, [&] { seen += 'b'; }, "one");
  w.submit([&] { seen += 'c'; }, [&] { seen += 'd'; }, "two");
  EXPECT_EQ(seen, "");
  l.drain();
  EXPECT_EQ(seen, "abcd");
}

} // namespace
} // namespace banyan::io
