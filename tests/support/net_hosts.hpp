#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace banyan::test {

/// This machine or this user can't do what a test needs; the text says what is
/// missing and what to run instead. Such a test counts as not run.
struct not_here : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The exit code of a test that was not run (SKIP_RETURN_CODE in ctest).
inline constexpr int not_run = 77;

/// A network namespace without a name: the kernel removes it, with all that is
/// in it, once this and the last process in it are gone, however they end.
class net_space {
public:
  net_space(); ///< Throws `not_here`.
  ~net_space();
  net_space(net_space&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
  net_space& operator=(net_space&&) = delete;

  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// The calling thread, and all threads and processes that it starts.
  void enter() const;
  /// Runs a program of the system in it; what it printed. Throws
  /// std::runtime_error with its words unless it exits with 0.
  [[nodiscard]] std::string run(std::vector<std::string> argv) const;

private:
  int fd_ = -1;
};

/// Hosts of their own, joined by a bridge in one more namespace, the hub, where
/// the callers of the test are. Cuts drop or reset packets between two hosts,
/// in one direction or both; they count what they hit.
///
/// Make it first thing in `main`, while there is one thread: that one enters
/// the hub, and a mount namespace of its own, so that file systems mounted for
/// the test are gone with it as well. One thread at a time.
class net_hosts {
public:
  /// @throws not_here without root, iproute2, nftables or the kernel's help.
  explicit net_hosts(std::size_t count);

  static constexpr std::size_t hub = SIZE_MAX; ///< as an end of a cut

  [[nodiscard]] std::size_t size() const { return hosts_.size(); }
  [[nodiscard]] std::string address(std::size_t host) const;
  [[nodiscard]] const net_space& space(std::size_t host) const {
    return hosts_[host];
  }
  [[nodiscard]] const net_space& hub_space() const { return hub_; }

  enum class how : std::uint8_t {
    silent, ///< packets vanish
    resets, ///< every TCP packet is answered by a reset
  };
  /// Packets from one to the other no longer arrive.
  void cut_one_way(std::size_t from, std::size_t to, how h = how::silent);
  /// Both directions; with the hub as `a`, what comes from callers.
  void cut(std::size_t a, std::size_t b, how h = how::silent);
  /// All of `side` from all other hosts, both directions, as nearly at once as
  /// it goes; `callers`: what comes from the hub, too.
  void part(const std::set<std::size_t>& side, bool callers,
            how h = how::silent);
  /// From all other hosts; callers in the hub still reach it.
  void isolate(std::size_t host, how h = how::silent);
  /// No cut is left. @returns how many packets the cuts hit since the last.
  std::uint64_t heal();

  /// TCP connections from one host to a port of another go to one of the hub.
  void redirect(std::size_t from, std::size_t to, std::uint16_t port,
                std::uint16_t hub_port);

private:
  struct rule {
    std::size_t from;
    how h;
    bool operator<(const rule& o) const {
      return std::tie(from, h) < std::tie(o.from, o.h);
    }
  };
  void apply(std::size_t to);
  [[nodiscard]] std::uint64_t hit(std::size_t to) const;

  net_space hub_;
  std::vector<net_space> hosts_;
  std::vector<std::set<rule>> cuts_; ///< by the host that they lead to
  std::uint64_t hits_ = 0;
};

/// A file system of a fixed size in memory, in this process's mount namespace
/// (made by `net_hosts`). @throws not_here
void mount_small_disk(const std::string& at, std::uint64_t bytes);
void unmount_disk(const std::string& at);

/// Names that this process and its children resolve to all of these addresses,
/// in its mount namespace: a hosts file over the system's. @throws not_here
void name_hosts(const std::string& file, const std::string& name,
                const std::vector<std::string>& addresses);

} // namespace banyan::test
