#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "net/link/wire.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace banyan {

struct waiting_frame {
  net::channel channel = net::channel::group;
  bytes payload;
};

/// What is to be sent to nodes whose link is only being made, bounded in bytes
/// and time, and how long ago each link was of use: who needs room for another
/// one gives up the idlest. Pure; one per node.
class link_waits {
public:
  static constexpr std::size_t bytes_max = std::size_t{8} << 20;
  static constexpr std::size_t node_bytes_max = std::size_t{2} << 20;
  static constexpr duration patience = std::chrono::seconds{5};
  static constexpr std::size_t uses_max = 4096; ///< remembered

  /// Keeps it until the link is up. False: too much waits already.
  bool put(const node_id& to, net::channel c, const_bytes payload,
           time_point now);
  /// What waits for that node, in order; nothing does afterwards.
  [[nodiscard]] std::vector<waiting_frame> take(const node_id& to);
  [[nodiscard]] bool waits(const node_id& to) const {
    return nodes_.count(to) != 0;
  }
  [[nodiscard]] std::size_t nodes() const { return nodes_.size(); }
  /// Those whose link didn't come up in time.
  [[nodiscard]] std::vector<node_id> late(time_point now) const;
  [[nodiscard]] time_point deadline() const;

  /// Something went that way, or came from there. True: for the first time in a
  /// while, so that whoever keeps the link should hear of it.
  bool used(const node_id& node, time_point now);
  void forget(const node_id& node) { uses_.erase(node); }
  /// Of those that were used: the idlest first, but nobody whom frames wait
  /// for.
  [[nodiscard]] std::vector<node_id> idlest() const;

private:
  struct waiting {
    time_point since;
    std::size_t bytes = 0;
    std::vector<waiting_frame> frames;
  };
  struct use {
    time_point at;
    time_point told;
  };
  std::map<node_id, waiting> nodes_;
  std::size_t bytes_ = 0;
  std::map<node_id, use> uses_;
};

} // namespace banyan
