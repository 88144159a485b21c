#include "store/raft/progress.hpp"

#include <algorithm>

namespace banyan::raft {

bool progress::may_send(const flow_limits& limits) const {
  switch (state) {
  case peer_state::probe:
    return !probing;
  case peer_state::replicate:
    return window_.size() < limits.window_appends
           && window_bytes_ < limits.window_bytes;
  case peer_state::snapshot:
    break;
  }
  return false;
}

void progress::sent(log_index last, std::size_t bytes) {
  if (state == peer_state::probe) {
    probing = true;
    return;
  }
  if (last < next)
    return; // carried nothing new
  next = last.next();
  window_.push_back({last, bytes});
  window_bytes_ += bytes;
}

bool progress::acknowledged(log_index index) {
  while (!window_.empty() && window_.front().last <= index) {
    window_bytes_ -= window_.front().bytes;
    window_.pop_front();
  }
  if (index <= match)
    return false;
  if (index < durable)
    return false; // says nothing of the rest
  match = durable = index;
  doubted = never;
  next = std::max(next, match.next());
  return true;
}

void progress::doubt() {
  match = {};
  if (state == peer_state::snapshot)
    return;
  become_probe();
  if (durable > log_index{})
    next = durable.next();
}

void progress::become_probe() {
  state = peer_state::probe;
  probing = false;
  snapshot = {};
  window_.clear();
  window_bytes_ = 0;
}

void progress::become_replicate() {
  become_probe();
  state = peer_state::replicate;
  next = durable.next();
}

void progress::become_snapshot(log_index index) {
  become_probe();
  state = peer_state::snapshot;
  snapshot = index;
}

} // namespace banyan::raft
