#pragma once
#include "tests/support/process_mesh.hpp"

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace banyan::test {

struct paced_options {
  std::string app = "ledger";
  std::size_t callers = 8;
  double rate = 200;      ///< commands per second of all callers together
  duration deadline = 5s; ///< of one command, over all its repetitions
};

/// Callers of a ledger at a steady pace, spread over the doors of a mesh.
///
/// Each has an account of its own and deposits a cent at a time, so that the
/// balance in each answer must be one above the last: a command lost or applied
/// twice shows at once. A command without a definite answer (connection lost,
/// 429, 503, 504) is repeated with its Idempotency-Key at the next running
/// peer, as a client would whose own peer went away; one without an answer
/// inside its deadline has failed.
class paced_ledger {
public:
  struct sample {
    time_point begun;
    duration wait{}; ///< until its answer, repetitions and all
  };

  paced_ledger(process_mesh& mesh, paced_options options);
  ~paced_ledger();

  void start();
  void stop(); ///< waits for the last answers
  /// What was answered since the last call of this.
  std::vector<sample> taken();
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] std::uint64_t repeated() const { return repeated_; }
  /// Answers that showed a lost or a doubled command.
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }
  /// After `stop`: every account holds what was acknowledged; says which
  /// doesn't.
  [[nodiscard]] bool sums_hold() const;

private:
  void run(std::size_t i);
  bool command(std::size_t i, std::uint64_t n, std::size_t& door,
               std::vector<std::unique_ptr<io::http_client>>& doors);

  process_mesh& mesh_;
  const paced_options options_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> answered_{0}, failed_{0}, repeated_{0}, wrong_{0};
  std::vector<std::int64_t> sums_;
  std::vector<std::int64_t> unknown_; ///< failed ones may count or not
  std::mutex mutex_;                  ///< of what follows
  std::vector<sample> samples_;
  std::vector<std::thread> threads_;
};

/// The value below which a part `q` of all is; 0 of none.
double quantile_ms(const std::vector<paced_ledger::sample>& list, double q);

} // namespace banyan::test
