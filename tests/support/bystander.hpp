#pragma once
#include "tests/support/process_mesh.hpp"

#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace banyan::test {

/// A client that behaves, beside others that don't: commands and queries, on a
/// connection that it keeps and on new ones by turns, one after another.
///
/// It notes what any answer but 200 says, how long each took, and how much
/// memory the peer holds meanwhile.
class bystander {
public:
  /// Calls `ledger` by the HTTP door of peer 0 until destroyed.
  explicit bystander(const process_mesh& mesh);
  ~bystander();
  bystander(bystander&&) = delete;

  /// What it saw since the last call of this.
  struct report {
    std::vector<std::string> refused;           ///< each other than a 200
    std::vector<double> ms;                     ///< of each call, ascending
    std::size_t memory_max = 0;                 ///< of the peer, in bytes
    [[nodiscard]] double at(double part) const; ///< of `ms`
  };
  report take();
  [[nodiscard]] std::size_t calls() const { return calls_; }

private:
  void run();
  const process_mesh& mesh_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> calls_{0};
  std::mutex mutex_; ///< of the report
  report report_;
  std::thread thread_;
};

/// Resident bytes of a process; 0: it is gone.
std::size_t memory_of(pid_t pid);

} // namespace banyan::test
