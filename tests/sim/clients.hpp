#pragma once
#include "actors/testing/sim/world.hpp"
#include "linear/models.hpp"
#include "sim/calls.hpp"
#include "sim/history.hpp"

#include <map>
#include <memory>
#include <set>

namespace banyan::sim {

/// What the checkers must know of the apps that clients call.
struct deployed {
  std::string name;
  app_id id;
  std::uint32_t shards = 1;
};

/// Clients that call the four apps, each one thing at a time, through any peer
/// that is up. Most repeat a call whose outcome is not known elsewhere, under
/// its Idempotency-Key, until it has one; calls of kv have no key half of the
/// time, and are given up then: their outcome stays unknown.
///
/// They keep a history of everything, and judge it in `check`.
class clients {
public:
  clients(world& w, std::size_t count, std::vector<deployed> apps);

  void start();
  /// Begins nothing new; what is under way goes on.
  void stop() { stopping_ = true; }
  [[nodiscard]] bool idle() const;
  /// What is still under way, for a report.
  [[nodiscard]] std::string waiting() const;
  /// When all is idle: asks every account, counter and list through every peer
  /// and compares. False while something is still on its way.
  void audit(const std::function<void(bool settled)>& done);
  /// The checks that need no more answers.
  void check();

  [[nodiscard]] std::uint64_t acknowledged() const { return acknowledged_; }
  /// In histories that were judged.
  [[nodiscard]] std::uint64_t checked() const { return checked_; }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }

  static constexpr int counters = 3;
  static constexpr int accounts = 6;
  static constexpr int texts = 4;
  static constexpr int lists = 3;
  static constexpr int boxes = 3; ///< `o` to forward from, `i` to receive

private:
  struct client {
    std::size_t number = 0;
    bool busy = false;
    std::uint64_t attempt = 0; ///< over all operations
    std::size_t tries = 0;     ///< of this one
    std::uint64_t operations = 0;
    time_point invoked;
    operation now;
  };
  void begin(client& c);
  operation draw(client& c);
  void send(client& c);
  void again(client& c);
  void answered(client& c, const reply& r, std::uint32_t shard);
  void finish(client& c);
  void gave_up(client& c);
  void note(const client& c, const answer& a);
  void note_kv(const client& c, const answer* a);
  void note_counter(const client& c, const answer& a);
  void note_list(const client& c, const answer& a);
  void call(std::size_t n, const operation& o, duration deadline,
            actors::answer_function answer);
  void acknowledge(const operation& o, std::uint32_t shard, log_index index);
  [[nodiscard]] linear::tick tick() const {
    return world_.now().time_since_epoch().count();
  }

  // ---- the audit (audit.cpp)
  struct audit_state;
  bool agrees(const audit_state& s);

  world& world_;
  seeded_random random_;
  std::vector<deployed> apps_;
  std::vector<client> clients_;
  bool stopping_ = false;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t checked_ = 0;
  std::uint64_t retries_ = 0;
  std::int64_t last_element_ = 0;

  std::map<std::string, counter_history> counters_;
  std::vector<linear::call<linear::counter_operation>> counter_calls_;
  std::vector<linear::call<linear::kv_operation>> kv_calls_;
  std::vector<linear::call<linear::list_operation>> list_calls_;
  std::int64_t money_ = 0; ///< that acknowledged deposits brought in
  /// By receiver: what was forwarded there, with its sender.
  std::map<std::string, std::map<std::int64_t, std::string>> forwarded_;
};

} // namespace banyan::sim
