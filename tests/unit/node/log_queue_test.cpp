// The log's lines wait for their writer, and nobody waits for them.
#include "actors/bin/log_queue.hpp"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <string>
#include <vector>

namespace banyan::bin {
namespace {

log_queue::line line(int n) {
  return {0, {}, std::to_string(n)};
}

class lines : public testing::Test {
protected:
  void open(std::size_t most) {
    queue_.emplace(most, log_queue::writer{[this](const log_queue::line& l) {
                                             if (l.text == "0") {
                                               writing_.set_value();
                                               go_on_.get_future().wait();
                                             }
                                             written_.push_back(l.text);
                                           },
                                           [this](std::size_t n) {
                                             written_.push_back(
                                                 "lost " + std::to_string(n));
                                           }});
  }
  /// The writer is at work, and comes to no end with line 0.
  void keep_writer_busy() {
    queue_->put(line(0));
    writing_.get_future().wait();
  }
  std::vector<std::string> close() {
    go_on_.set_value();
    queue_.reset();
    return written_;
  }

  std::promise<void> writing_;
  std::promise<void> go_on_;
  std::vector<std::string> written_; ///< the queue's thread's
  std::optional<log_queue> queue_;
};

using texts = std::vector<std::string>;

TEST_F(lines, all_that_wait_are_written_in_order_before_it_ends) {
  open(3);
  keep_writer_busy();
  for (int n = 1; n <= 3; ++n)
    queue_->put(line(n));
  EXPECT_EQ(close(), (texts{"0", "1", "2", "3"}));
}

TEST_F(lines, of_too_many_that_wait_the_oldest_are_lost_and_counted) {
  open(3);
  keep_writer_busy();
  for (int n = 1; n <= 5; ++n)
    queue_->put(line(n));
  EXPECT_EQ(close(), (texts{"0", "lost 2", "3", "4", "5"}));
}

} // namespace
} // namespace banyan::bin
