#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "net/link/wire.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace banyan {

struct waiting_frame {
  net::channel channel = net::channel::group;
  bytes payload;
};

/// What is to be sent to nodes whose link is only being made, bounded in bytes
/// and time, and how long ago each link was of use: who needs room for another
/// one gives up the idlest. A link with a call under way is in use however long
/// that takes. Pure; one per node.
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
  /// The link is gone, and with it the calls.
  void forget(const node_id& node);
  /// Of those that were used: the idlest first, but nobody whom frames wait
  /// for or who has a call.
  [[nodiscard]] std::vector<node_id> idlest(time_point now);

  /// Whose call it is.
  enum class caller : std::uint8_t { here, there };
  /// `node` has a call of this node's, or the other way round, until it is
  /// answered; at most until its deadline.
  void call_began(const node_id& node, caller whose, std::uint64_t call,
                  time_point until);
  void call_ended(const node_id& node, caller whose, std::uint64_t call);
  /// Nodes that have calls of this one, once per `held_again`: their links are
  /// to stay.
  [[nodiscard]] std::vector<node_id> held(time_point now);
  /// When `held` is to be called; never: nothing is under way.
  [[nodiscard]] time_point held_due() const;
  static constexpr duration held_again = std::chrono::seconds{10};

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
  struct calls {
    std::set<std::uint64_t> here, there;
    time_point until; ///< the last of them
  };
  void drop_late(time_point now);

  std::map<node_id, waiting> nodes_;
  std::size_t bytes_ = 0;
  std::map<node_id, use> uses_;
  std::map<node_id, calls> calls_;
  time_point held_at_ = time_point::min();
};

} // namespace banyan
