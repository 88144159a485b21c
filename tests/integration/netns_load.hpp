#pragma once
#include "linear/models.hpp"
#include "tests/support/process_mesh.hpp"

#include <random>
#include <thread>

namespace banyan::test {

struct history_options {
  std::size_t clients = 6;
  std::size_t keys = 4;   ///< of kv; and as many counters
  duration pause = 8ms;   ///< of a client between two calls
  duration give_up = 25s; ///< after `stop`, for what has no answer yet
  std::uint64_t seed = 1;
};

/// What `history_load` saw, judged.
struct history_report {
  std::uint64_t answered = 0;
  std::uint64_t pending = 0; ///< given up on purpose: outcome not known
  std::uint64_t retries = 0;
  std::uint64_t unanswered = 0;
  duration longest{};
  std::vector<std::string> wrong;
  [[nodiscard]] bool clean() const { return unanswered == 0 && wrong.empty(); }
  [[nodiscard]] std::string text() const;
};

/// Clients of `kv` and `counter` at the HTTP doors of a mesh, which write down
/// when each call began and ended and what it answered.
///
/// A command without a definite answer is repeated under its Idempotency-Key at
/// the next peer; now and then a client gives up instead, and the call stays
/// pending in its history: it may take effect any time later, or never. A query
/// that failed is asked anew. `check` demands that both histories, with a last
/// read of each key through every peer, are linearizable: so every acknowledged
/// command is in the final state, each took effect once, and no read was stale.
class history_load {
public:
  explicit history_load(process_mesh& mesh, history_options options = {});
  ~history_load();

  void start();
  void stop(); ///< waits for the clients' last answers
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  /// After `stop`, with every peer serving.
  history_report check();

private:
  struct client;
  struct outcome;
  template <class Operation>
  using history = std::vector<linear::call<Operation>>;

  outcome command(client& c, const std::string& path, const std::string& body);
  outcome query(client& c, const std::string& path);
  outcome attempt(client& c, const io::http_call& q);
  void next_peer(client& c, std::size_t failed);
  void run(client& c);
  void step_kv(client& c);
  void step_counter(client& c);
  void last_reads();
  value stale(std::size_t peer, const std::string& path) const;
  template <class Operation>
  void keep(history<Operation>& to, Operation o, const outcome& r);
  void complain(const std::string& what);

  process_mesh& mesh_;
  const history_options options_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> give_up_at_{INT64_MAX};
  std::atomic<std::uint64_t> answered_{0}, pending_{0}, retries_{0},
      unanswered_{0};
  std::mutex mutex_; ///< of what follows
  history<linear::kv_operation> kv_;
  history<linear::counter_operation> counter_;
  std::vector<std::string> wrong_;
  std::int64_t longest_ = 0;
  std::vector<std::unique_ptr<client>> clients_;
};

} // namespace banyan::test
