#pragma once
#include "net/io/asio_loop.hpp"

#include <gtest/gtest.h>

#include <functional>

namespace banyan::io {

/// A loop in the test's own thread, run until something becomes true.
class loop_fixture : public ::testing::Test {
protected:
  /// True once `done()` holds; looked at every 0.2 ms beside what the loop
  /// does. Gives up after ten seconds.
  bool wait(const std::function<bool()>& done) {
    bool late = false;
    auto limit = l.after(10s, [&] {
      late = true;
      l.stop();
    });
    std::function<void()> look = [&] {
      if (done() || late)
        l.stop();
      else
        next = l.after(200us, look);
    };
    look();
    l.run();
    l.cancel(limit);
    l.cancel(next);
    return done();
  }

  asio_loop l{asio_loop::thread::caller};

private:
  timer_id next;
};

} // namespace banyan::io
