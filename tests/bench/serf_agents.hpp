#pragma once
#include "tests/support/process.hpp"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace banyan::test {

/// Agents of HashiCorp's Serf on loopback, to measure beside ours: what each
/// prints of the others is read by a thread of its own, as it comes.
///
/// Belongs to one thread, `main`: agents die with the thread that starts them.
class serf_agents {
public:
  /// Whether the program is there.
  static bool installed();

  /// Starts `n` of them, joined to one another. `profile`: `lan`, `local` or
  /// `wan`, as Serf names its sets of timeouts.
  serf_agents(std::size_t n, std::string profile);
  ~serf_agents();
  serf_agents(serf_agents&&) = delete;

  /// Every agent counts every other as a member. False at the end of `limit`.
  bool wait_members(duration limit);
  /// Sends a signal; deaths of that agent count from now on.
  void strike(std::size_t victim, int number);
  /// Waits until all others say that it failed. When each did, ascending;
  /// empty: some didn't.
  std::vector<time_point> wait_failed(std::size_t victim, duration limit);
  /// Ends what is left of it and starts it again.
  void restart(std::size_t i);

private:
  struct agent {
    std::string name;
    std::uint16_t port = 0;
    std::uint16_t rpc = 0;
    std::unique_ptr<process> program;
    std::thread reader;
    bool stopping = false;
    std::set<std::string> members; ///< as it sees them
    std::map<std::string, time_point> failed;
  };
  void start(agent& a);
  void stop(agent& a);
  void read(agent& a);
  void take(agent& a, const std::string& line, time_point at);

  temporary_directory dir_;
  const std::string profile_;
  std::mutex mutex_; ///< of what the agents said
  std::condition_variable changed_;
  std::vector<std::unique_ptr<agent>> agents_;
};

} // namespace banyan::test
