#pragma once
#include "tests/support/net_hosts.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace banyan::test {

/// Lines between hosts that are late, narrow or stuck: each TCP connection from
/// one host to a port of another is led through the hub, where this carries its
/// bytes as its line allows. Nothing is lost or reordered on the way, as TCP
/// promises. Make it before the connections; it must not outlive the hosts.
/// `set` and `reset` from any thread.
class slow_links {
public:
  struct line {
    duration delay{};                   ///< one way
    duration jitter{};                  ///< on top, at random
    std::uint64_t bytes_per_second = 0; ///< 0: no limit
    bool stuck = false;                 ///< nothing moves, nothing ends
  };

  /// `port` of each host. @throws not_here without address translation.
  slow_links(net_hosts& hosts, const std::vector<std::uint16_t>& ports);
  ~slow_links();
  slow_links(slow_links&&) = delete;

  /// From now on, for bytes that come in from now on.
  void set(std::size_t from, std::size_t to, line l);
  /// All connections between the two end with a reset.
  void reset(std::size_t a, std::size_t b);
  /// All lines as good as at first.
  void heal();
  [[nodiscard]] std::uint64_t carried() const { return carried_; }

private:
  struct connection;
  struct flow;
  struct listener {
    int fd = -1;
    std::size_t from = 0, to = 0;
  };
  using pair = std::pair<std::size_t, std::size_t>;

  void run();
  void accept_from(const listener& l);
  /// What is due goes on. @returns false once the connection has ended.
  bool move(connection& c, time_point at);
  bool read_into(flow& f, time_point at);
  bool write_from(flow& f, time_point at);
  line line_of(pair p);

  net_hosts& hosts_;
  std::vector<std::uint16_t> ports_;
  std::vector<listener> listeners_;
  std::mutex mutex_; ///< of what follows
  std::map<pair, line> lines_;
  std::map<pair, std::uint64_t> resets_; ///< asked for so far
  std::atomic<std::uint64_t> carried_{0};
  std::atomic<bool> stopping_{false};
  int wake_[2] = {-1, -1};
  std::vector<std::unique_ptr<connection>> connections_; ///< the thread's own
  std::thread thread_;
};

} // namespace banyan::test
