#pragma once
#include "base/random.hpp"
#include "crypto/hash.hpp"
#include "crypto/mesh_key.hpp"
#include "net/link/link_table.hpp"
#include "net/link/virtual_network.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace banyan::net::test {

/// Virtual time with closures.
class clock_queue {
public:
  [[nodiscard]] time_point now() const { return now_; }
  void after(duration d, std::function<void()> f) {
    queue_.emplace(std::make_pair(now_ + d, ++number_), std::move(f));
  }
  [[nodiscard]] time_point next() const {
    return queue_.empty() ? never : queue_.begin()->first.first;
  }
  void run_one() {
    auto node = queue_.extract(queue_.begin());
    now_ = std::max(now_, node.key().first);
    node.mapped()();
  }
  void advance(time_point t) { now_ = std::max(now_, t); }

private:
  time_point now_{std::chrono::hours{1}};
  std::uint64_t number_ = 0;
  std::map<std::pair<time_point, std::uint64_t>, std::function<void()>> queue_;
};

struct received {
  link_id link;
  node_id from;
  net::channel channel;
  bytes payload;
};

/// One process of the test mesh: a table, and what it was told.
class test_node final : public link_events {
public:
  void on_link_up(const link_info& info, link_id replaces) override {
    log.push_back("up " + short_string(info.node));
    ups.push_back(info);
    replaced_links.push_back(replaces);
  }
  void on_link_down(const link_info& info, link_end why) override {
    log.push_back("down " + short_string(info.node) + " " + to_string(why));
    downs.emplace_back(info, why);
  }
  void on_frames(const link_info& info,
                 const std::vector<frame_view>& frames) override {
    ++batches;
    for (const auto& f : frames)
      got.push_back({info.id, info.node, f.channel, f.payload.copy()});
    if (on_batch)
      on_batch(info);
  }
  void on_dial_failed(const dial_target&, dial_error why,
                      time_point retry_at) override {
    failures.push_back(why);
    retries.push_back(retry_at);
  }
  void on_writable(const link_info&, lane l) override { writable.push_back(l); }
  void on_probed(std::uint64_t token,
                 const result<probe_answer, dial_error>& answer) override {
    probed.emplace_back(token, answer);
  }
  void on_own_key_met(const boot_id& boot, const address& at) override {
    clones.emplace_back(boot, at);
  }

  void on_unlisted(const node_id& node, const address&) override {
    unlisted.push_back(node);
  }

  std::string host;
  std::unique_ptr<streams> io;
  std::unique_ptr<link_table> table;
  bool frozen = false;

  std::vector<std::string> log;
  std::vector<link_info> ups;
  std::vector<link_id> replaced_links;
  std::vector<std::pair<link_info, link_end>> downs;
  std::vector<received> got;
  std::size_t batches = 0;
  std::vector<dial_error> failures;
  std::vector<time_point> retries;
  std::vector<lane> writable;
  std::vector<std::pair<std::uint64_t, result<probe_answer, dial_error>>>
      probed;
  std::vector<std::pair<boot_id, address>> clones;
  std::vector<node_id> unlisted;
  std::function<void(const link_info&)> on_batch;
};

inline secret_bytes<32> fixed_secret(std::uint8_t fill) {
  secret_bytes<32> s;
  std::fill(s.data(), s.data() + 32, fill);
  return s;
}

struct node_options {
  std::string mesh_name = "garden";
  std::vector<std::uint8_t> mesh_keys = {1}; ///< fills of the key bytes
  bool client = false;
  std::uint64_t incarnation = 1;
  std::uint8_t seed = 0; ///< of the identity; 0: by host
  std::uint64_t features = 7;
  link_limits limits;
};

/// Nodes on a virtual network, one host each, all on port 7600.
class test_mesh {
public:
  explicit test_mesh(std::uint64_t seed, virtual_network::options how = {})
      : random{seed}, network{how, random,
                              [this](duration d, std::function<void()> f) {
                                clock.after(d, std::move(f));
                              },
                              [this] { return clock.now(); }} {}

  static address at(const std::string& host) { return {host, 7600}; }

  test_node& start(const std::string& host, const node_options& o = {}) {
    link_config config{
        identity::from_seed(fixed_secret(
            o.seed != 0 ? o.seed : static_cast<std::uint8_t>(host.back()))),
        o.mesh_name,
        mesh_of(o.mesh_name),
        {},
        std::nullopt,
        incarnation{o.incarnation},
        boot_id{random.array<16>()},
        o.features,
        {}};
    if (o.client)
      config.client_key =
          derive_psk(fixed_secret(o.mesh_keys.front()), link_role::client);
    else
      for (const auto fill : o.mesh_keys)
        config.mesh_keys.push_back(fixed_secret(fill));
    auto node = std::make_unique<test_node>();
    node->host = host;
    node->io = network.attach(host);
    node->table = std::make_unique<link_table>(std::move(config), o.limits,
                                               *node->io, random, *node);
    if (!o.client && !node->table->listen(at(host)).ok())
      std::abort();
    nodes.push_back(std::move(node));
    return *nodes.back();
  }

  static mesh_id mesh_of(const std::string& name) {
    return make_mesh_id(name, owner_id{});
  }

  void kill(test_node& n) {
    network.kill(n.host);
    bury(n);
  }
  void power_off(test_node& n) {
    network.power_off(n.host);
    bury(n);
  }
  void freeze(test_node& n) {
    n.frozen = true;
    network.freeze(n.host);
  }
  void thaw(test_node& n) {
    n.frozen = false;
    network.thaw(n.host);
  }

  void want(test_node& from, const test_node& to) {
    from.table->want(to.table->self(), at(to.host), clock.now());
  }

  void flush() {
    for (auto& n : nodes) {
      if (n->table && !n->frozen)
        n->table->flush(clock.now());
    }
  }
  /// Until nothing is due before `until`; then it is `until`.
  void run_until(time_point until) {
    flush();
    for (;;) {
      auto due = clock.next();
      for (auto& n : nodes) {
        if (n->table && !n->frozen)
          due = std::min(due, n->table->deadline());
      }
      if (due > until)
        break;
      if (clock.next() <= due)
        clock.run_one();
      else
        clock.advance(due);
      for (auto& n : nodes) {
        if (n->table && !n->frozen && n->table->deadline() <= clock.now())
          n->table->on_time(clock.now());
      }
      flush();
      ++steps;
    }
    clock.advance(until);
  }
  void run_for(duration d) { run_until(clock.now() + d); }
  template <class Condition>
  bool run_while(Condition&& c, duration most) {
    const auto end = clock.now() + most;
    while (c() && clock.now() < end)
      run_for(1ms);
    return !c();
  }

  seeded_random random;
  clock_queue clock;
  virtual_network network;
  std::vector<std::unique_ptr<test_node>> nodes;
  std::vector<std::pair<std::unique_ptr<link_table>, std::unique_ptr<streams>>>
      graves;
  std::uint64_t steps = 0;

private:
  void bury(test_node& n) {
    graves.emplace_back(std::move(n.table), std::move(n.io));
  }
};

/// The far side of `from`'s link to `to`, or none.
inline const link_info* link_to(const test_node& from, const node_id& to) {
  return from.table->find(to);
}

} // namespace banyan::net::test
