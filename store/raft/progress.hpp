#pragma once
#include "base/time.hpp"
#include "store/types.hpp"

#include <deque>

namespace banyan::raft {

/// How far a leader goes ahead of a peer's acknowledgements.
struct flow_limits {
  std::size_t append_bytes = 256u << 10; ///< data in one append
  std::size_t append_entries = 1024;     ///< entries in one append
  std::size_t window_appends = 64;       ///< appends under way
  std::size_t window_bytes = 4u << 20;   ///< data under way
};

enum class peer_state : std::uint8_t {
  probe,     ///< where it stands is unknown: one append at a time
  replicate, ///< appends are sent ahead, within the window
  snapshot,  ///< needs what is trimmed: nothing is appended
};

/// What a leader knows of one peer.
struct progress {
  replica_ref peer;
  log_index match; ///< durable there and equal to the leader's log
  /// The highest `match` there was: above it on a new link, until the peer has
  /// shown that its disk still has all that.
  log_index durable;
  log_index next;   ///< to be sent next; always above `durable`
  /// When it refused what it had acknowledged, for the first time since.
  time_point doubted = never;
  peer_state state = peer_state::probe;
  time_point heard;          ///< the last message of this term
  bool probing = false;      ///< a probe is under way
  bool sleep_agreed = false; ///< answered the present `sleep`
  log_index snapshot;        ///< index of the one under way, or 0
  time_point snapshot_wanted = time_point::min(); ///< last `needs_snapshot`

  /// Whether an append may be sent now.
  [[nodiscard]] bool may_send(const flow_limits& limits) const;
  /// Appends up to `last` with this much data were sent.
  void sent(log_index last, std::size_t bytes);
  /// Everything up to `index` is acknowledged. True when that is news.
  bool acknowledged(log_index index);
  /// Nothing of what it acknowledged counts before it does so again.
  void doubt();
  void become_probe();
  void become_replicate();
  void become_snapshot(log_index index);

private:
  struct append_sent {
    log_index last;
    std::size_t bytes = 0;
  };
  std::deque<append_sent> window_;
  std::size_t window_bytes_ = 0;
};

} // namespace banyan::raft
