#pragma once
#include "store/virtual_disk.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace banyan::store::detail {

/// Whether the instance of a simulated disk still runs. Scheduled closures ask
/// it first: after a crash, or once their owner is gone, they do nothing.
using life = std::shared_ptr<bool>;

/// A thread in virtual time: jobs one after the other, each takes its time and
/// then happens.
class virtual_worker {
public:
  virtual_worker(const schedule_function& schedule, life alive)
      : schedule_{schedule}, alive_{std::move(alive)} {}
  virtual_worker(const virtual_worker&) = delete;
  virtual_worker& operator=(const virtual_worker&) = delete;
  ~virtual_worker() { *mine_ = false; }

  /// `takes` is asked when the job begins.
  void push(std::function<duration()> takes, std::function<void()> job) {
    jobs_.emplace_back(std::move(takes), std::move(job));
    if (jobs_.size() == 1)
      begin();
  }
  [[nodiscard]] bool idle() const { return jobs_.empty(); }

private:
  void begin() {
    schedule_(jobs_.front().first(), [this, alive = alive_, mine = mine_] {
      if (!*alive || !*mine)
        return;
      const auto job = std::move(jobs_.front().second);
      job();
      if (!*alive || !*mine)
        return;
      jobs_.pop_front();
      if (!jobs_.empty())
        begin();
    });
  }

  const schedule_function& schedule_;
  life alive_;
  life mine_ = std::make_shared<bool>(true);
  std::deque<std::pair<std::function<duration()>, std::function<void()>>> jobs_;
};

} // namespace banyan::store::detail
