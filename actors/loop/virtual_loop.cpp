#include "actors/loop/virtual_loop.hpp"

namespace banyan::actors {

virtual_loop::virtual_loop(std::uint64_t shuffle_seed)
    : random_{shuffle_seed}, shuffle_{shuffle_seed != 0} {
}

virtual_loop::~virtual_loop() {
  BANYAN_ASSERT(on_thread());
  drop_jobs();
  clear_timers();
}

void virtual_loop::wake() {
  BANYAN_ASSERT(!"another thread left work on a virtual loop");
}

bool virtual_loop::ready() {
  flush();
  return !jobs_.empty();
}

bool virtual_loop::one_job() {
  if (shuffle_ && jobs_.size() > 1)
    swap_jobs(0, random_.below(jobs_.size()));
  ++steps_;
  in_turn_ = true;
  begin("job");
  const auto ran = run_job();
  in_turn_ = false;
  return ran;
}

void virtual_loop::drain() {
  BANYAN_ASSERT(on_thread() && !in_turn_);
  while (ready())
    one_job();
}

bool virtual_loop::step(time_point limit) {
  BANYAN_ASSERT(on_thread() && !in_turn_);
  if (ready())
    return one_job();
  time_point due;
  auto* source = earliest(due);
  if (due > limit || due == never)
    return false;
  // One timer only: the actors that it wakes run before the next one fires.
  now_ = std::max(now_, due);
  ++steps_;
  in_turn_ = true;
  begin("timer");
  fire(source);
  in_turn_ = false;
  return true;
}

time_point virtual_loop::next() {
  BANYAN_ASSERT(on_thread() && !in_turn_);
  if (ready())
    return now_;
  time_point due;
  earliest(due);
  return due == never ? never : std::max(due, now_);
}

void virtual_loop::advance(time_point t) {
  BANYAN_ASSERT(on_thread() && !in_turn_);
  now_ = std::max(now_, t);
}

void virtual_loop::run_until(time_point t) {
  while (step(t)) {
  }
  now_ = std::max(now_, t);
}

} // namespace banyan::actors
