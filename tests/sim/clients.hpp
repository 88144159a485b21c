#pragma once
#include "sim/history.hpp"
#include "sim/world.hpp"

#include <map>
#include <memory>
#include <set>

namespace banyan::sim {

/// Clients that call ledger and counter, each one thing at a time, through any
/// peer that is up; a call whose outcome is not known is repeated elsewhere
/// under its Idempotency-Key until it has one.
class clients {
public:
  clients(world& w, std::size_t count);

  void start();
  /// Begins nothing new; what is under way goes on.
  void stop() { stopping_ = true; }
  [[nodiscard]] bool idle() const;
  /// What is still under way, for a report.
  [[nodiscard]] std::string waiting() const;
  /// For the end, when all is idle: asks every account and counter through
  /// every peer and compares. False while money is still on its way.
  void audit(const std::function<void(bool settled)>& done);
  /// The checks that need no more answers.
  void check();

  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }

  static constexpr int counters = 4;
  static constexpr int accounts = 6;

private:
  struct operation {
    enum class kind { add, get, deposit, withdraw, transfer, balance };
    kind what = kind::add;
    std::string key;
    std::string id; ///< its Idempotency-Key; empty for a query
    std::int64_t cents = 0;
    std::string to;
    bool stale = false;
    time_point invoked;
  };
  struct client {
    std::size_t number = 0;
    bool busy = false;
    std::uint64_t attempt = 0; ///< over all operations
    std::size_t tries = 0;     ///< of this one
    std::uint64_t operations = 0;
    operation now;
  };
  void begin(client& c);
  void send(client& c);
  void again(client& c);
  void answered(client& c, const reply& r);
  void call(std::size_t n, const operation& o, duration deadline,
            actors::answer_function answer);

  world& world_;
  seeded_random random_;
  std::vector<client> clients_;
  bool stopping_ = false;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t retries_ = 0;
  std::map<std::string, counter_history> counters_;
  std::int64_t money_ = 0; ///< that acknowledged deposits brought in
};

} // namespace banyan::sim
