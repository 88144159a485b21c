#pragma once
#include "tests/support/process_mesh.hpp"
#include "tests/support/term_watch.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace banyan::test {

struct load_options {
  std::string app = "ledger";
  std::size_t clients = 32;
  std::size_t recipients = 16; ///< accounts that the transfers go to
  duration pause = 0ms;        ///< of a client between two transfers
  duration give_up = 40s;      ///< after `stop`, for what has no answer yet
  /// How long one door may take, before the next one is asked for the same.
  duration patience = 3s;
  duration deadline = 2500ms; ///< as a door is told
  bool keep_waits = false;    ///< for `waits`
};

struct audit_report {
  std::uint64_t acknowledged = 0; ///< transfers, each with its own key
  std::uint64_t rejected = 0;     ///< answered `insufficient_funds`, as asked
  std::uint64_t retries = 0;      ///< calls repeated with the same key
  std::uint64_t unanswered = 0;   ///< still without an answer at the end
  std::uint64_t lost = 0;
  std::uint64_t twice = 0;
  std::int64_t deposits = 0;      ///< all money there is
  std::int64_t balances = 0;      ///< what the accounts hold
  duration longest{};             ///< the longest wait of one transfer
  std::vector<std::string> wrong; ///< what no answer may be
  [[nodiscard]] std::int64_t in_flight() const { return deposits - balances; }
  [[nodiscard]] bool clean() const {
    return lost == 0 && twice == 0 && unanswered == 0 && in_flight() == 0
           && wrong.empty();
  }
  [[nodiscard]] std::string text() const;
};

/// Clients that push transfers through the HTTP doors of a mesh and know to the
/// cent what must come of them.
///
/// Every client is the only one that takes from its own account, so the
/// balance that each answer shows must be exactly what the client computed: a
/// transfer lost or applied twice at its source shows in the next answer. No
/// two transfers have the same amount (1,000,000 and a running number), so a
/// recipient's balance tells one lost and another applied twice from none. A
/// call without a definite answer (connection lost, `unknown`, 503, 504, 507,
/// 429) is repeated under its Idempotency-Key on the next peer until there is
/// one. Every 50th asks for more than there is and must be rejected.
class ledger_load {
public:
  ledger_load(process_mesh& mesh, load_options options = {});
  ~ledger_load();

  void start(); ///< first each client's deposit, then transfers
  void stop();  ///< waits for the clients' last answers
  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  /// After `stop`: waits until nothing is in flight or `limit`, then compares
  /// every account with what its answers promise.
  audit_report audit(duration limit = 30s);
  /// The account that some transfers went to.
  [[nodiscard]] std::string recipient(std::size_t i) const {
    return "shared-" + run_ + "-" + std::to_string(i);
  }
  /// After `stop`, with `keep_waits`: how long each call took, its repeats
  /// included.
  [[nodiscard]] std::vector<duration> waits() const;
  term_watch terms; ///< of the answers; tells failovers of a one-shard app

private:
  struct client;
  enum class outcome : std::uint8_t { done, rejected, unanswered, wrong };
  outcome call(client& c, const std::string& account, const char* command,
               const std::string& argument, const std::string& key,
               std::int64_t& result);
  void run(client& c);
  void transfer(client& c);
  void complain(const std::string& what);
  std::optional<std::int64_t> balance(const std::string& account);

  process_mesh& mesh_;
  const load_options options_;
  const std::string run_; ///< makes the keys of two loads differ
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> give_up_at_{INT64_MAX};
  std::atomic<std::uint64_t> acknowledged_{0}, rejected_{0}, retries_{0},
      unanswered_{0}, numbers_{0}, lost_{0}, twice_{0};
  std::mutex mutex_;                             ///< of what follows
  std::map<std::string, std::int64_t> expected_; ///< recipients
  std::vector<std::string> wrong_;
  std::int64_t longest_ = 0;
  std::vector<std::unique_ptr<client>> clients_;
};

} // namespace banyan::test
