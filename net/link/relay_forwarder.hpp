#pragma once
#include "net/link/relay.hpp"

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace banyan::net {

/// What a node forwards between two of its own links, unread.
///
/// Pure, on the loop thread. Memory: `window` bytes per stream and direction,
/// for `streams_max` streams. What a node can cost others by it: the pair's
/// ration of bytes.
class relay_forwarder {
public:
  struct asks {
    /// Queues it on this node's own link to `to`; false: there is none, it
    /// doesn't know relaying, or its queue is full.
    std::function<bool(const node_id& to, const relay_frame& f)> send;
    /// This node's own link to that node could carry it.
    std::function<bool(const node_id& node)> linked;
    /// A member: may open streams and be reached.
    std::function<bool(const node_id& node)> may;
  };
  relay_forwarder(const relay_limits& limits, const node_id& self, asks ask,
                  relay_counters& counters)
      : limits_{limits}, self_{self}, ask_{std::move(ask)}, counters_{
                                                                counters} {}

  /// A frame that wasn't forwarded yet, from a linked node.
  void on_frame(const node_id& from, const relay_frame& f, time_point now);
  /// No own link to it is left, or another process is behind the new one.
  void link_gone(const node_id& node, time_point now);

  [[nodiscard]] std::size_t streams() const noexcept { return streams_.size(); }
  [[nodiscard]] time_point deadline() const;
  void on_time(time_point now);

private:
  struct key {
    node_id opener;
    node_id answerer;
    std::uint64_t number = 0;
    friend bool operator<(const key& a, const key& b) {
      return std::tie(a.opener, a.answerer, a.number)
             < std::tie(b.opener, b.answerer, b.number);
    }
  };
  struct piece {
    std::uint64_t at;
    bytes data;
  };
  /// One direction.
  struct direction {
    std::uint64_t top = 0;      ///< behind the last byte that came
    std::uint64_t credited = 0; ///< what the far end said it has
    std::deque<piece> queue;
    std::size_t queued = 0;           ///< bytes
    std::optional<relay_end> closing; ///< once the queue is empty
  };
  struct stream {
    std::array<direction, 2> ways; ///< the first: from the opener
    time_point used{};
  };
  using pair = std::pair<node_id, node_id>;
  using iterator = std::map<key, stream>::iterator;

  static const node_id& end_of(const key& k, std::size_t way) {
    return way == 0 ? k.opener : k.answerer;
  }
  void open(const node_id& from, const relay_frame& f, const key& k,
            time_point now);
  void data(iterator i, std::size_t way, const relay_frame& f, time_point now);
  /// Sends what the rations allow; false when the stream is gone.
  bool drain(iterator i, std::size_t way, time_point now);
  bool pass(iterator i, std::size_t way, relay_word word, std::uint64_t number,
            const_bytes data, time_point now);
  void refuse(const node_id& to, const relay_frame& f, relay_end why);
  /// Tells both ends and forgets it.
  void end(iterator i, relay_end why, time_point now);
  iterator erase(iterator i);
  void forget_idle(time_point now);
  relay_ration& ration_of(const key& k, time_point now);
  relay_ration& total_of(time_point now);

  relay_limits limits_;
  node_id self_;
  asks ask_;
  relay_counters& counters_;
  std::map<key, stream> streams_;
  std::map<node_id, std::size_t> opened_by_;
  std::map<pair, relay_ration> pairs_;
  std::optional<relay_ration> total_;
  std::set<key> waiting_; ///< streams with a queue
  key turn_;              ///< the last of those that was served first
  time_point due_ = never;
};

} // namespace banyan::net
