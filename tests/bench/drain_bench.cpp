// Drains of five peers, one after the other, under load.
//
//   drain_bench [--drains N] [--rounds N] [--rate PER_SECOND] [--shards N]
//               [--callers N] [--pause-goal MS]
//
// Five peers serve a ledger; callers at all five doors, the drained peer's too,
// deposit at a steady pace and repeat nothing. Each peer in turn is drained
// (`POST /v1/nodes/NODE/drain`) until it holds nothing, and taken back. Printed
// for each: how long that took, what the callers waited, and the pause of each
// hand-over: the longest wait of a call of that group that was under way as the
// first answer of the new term came. Exit 0: no call failed, every account
// holds what was acknowledged, and the pauses' p99 is at most 150 ms, or what
// --pause-goal says: others may be using the cores.
#include "actors/pure/replica_wire.hpp"
#include "tests/support/process_mesh.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <thread>

namespace banyan::test {
namespace {

constexpr std::size_t peers = 5;

struct settings {
  std::size_t drains = peers;
  std::size_t rounds = 1; ///< through all peers
  double rate = 500;      ///< of all callers together
  std::uint32_t shards = 8;
  std::size_t callers = 20;
  duration pause_goal = 150ms;
};

double to_ms(duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

struct sample {
  std::uint32_t shard = 0;
  std::int64_t term = 0;
  time_point begun;
  time_point ended;
};

duration quantile(std::vector<duration> v, double q) {
  if (v.empty())
    return {};
  std::sort(v.begin(), v.end());
  return v[std::min(v.size() - 1, static_cast<std::size_t>(
                                      q * static_cast<double>(v.size())))];
}

/// Each caller has an account of its own and a door of its own; a call without
/// a 200 has failed.
class steady_load {
public:
  steady_load(process_mesh& mesh, const settings& s)
      : mesh_{mesh}, s_{s}, sums_(s.callers) {}
  ~steady_load() { stop(); }

  void start() {
    for (std::size_t i = 0; i < s_.callers; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  std::vector<sample> taken() {
    const std::lock_guard lock{mutex_};
    return std::exchange(samples_, {});
  }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  [[nodiscard]] bool sums_hold() const {
    bool good = true;
    for (std::size_t i = 0; i < s_.callers; ++i) {
      const auto v =
          mesh_.get(0, "/v1/apps/ledger/actors/" + account(i) + "/balance", 6s);
      if (v["result"].integer == sums_[i])
        continue;
      good = false;
      std::printf("account %zu holds %lld, acknowledged %lld\n", i,
                  static_cast<long long>(v["result"].integer),
                  static_cast<long long>(sums_[i]));
    }
    return good;
  }

private:
  static std::string account(std::size_t i) { return "c" + std::to_string(i); }
  void run(std::size_t i) {
    io::http_client door{mesh_.http(i % peers)};
    io::http_call q;
    q.method = "POST";
    q.target = "/v1/apps/ledger/actors/" + account(i) + "/deposit";
    q.body = R"({"cents":1})";
    q.timeout = 7s;
    q.headers = {{"accept", "application/msgpack"}};
    sample s;
    s.shard = shard_of(account(i), s_.shards);
    const duration step{static_cast<std::int64_t>(
        1e9 * static_cast<double>(s_.callers) / s_.rate)};
    auto due = now()
               + step * static_cast<std::int64_t>(i)
                     / static_cast<std::int64_t>(s_.callers);
    while (!stopping_) {
      std::this_thread::sleep_until(due); // the pace of the load
      due = std::max(due + step, now() - 10 * step);
      s.begun = now();
      const auto r = door.call(q);
      s.ended = now();
      const auto v = r.ok() ? parse_value(r->body) : value{};
      if (!r.ok() || r->status != 200 || v["result"].integer != sums_[i] + 1) {
        ++failed_;
        const std::lock_guard lock{mutex_};
        std::printf("call failed: %d %s\n", r.ok() ? r->status : 0,
                    r.ok() ? r->body.substr(0, 200).c_str() : "no answer");
        continue;
      }
      sums_[i] = v["result"].integer;
      s.term = v["term"].integer;
      const std::lock_guard lock{mutex_};
      samples_.push_back(s);
    }
  }

  process_mesh& mesh_;
  const settings& s_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> failed_{0};
  std::vector<std::int64_t> sums_;
  std::mutex mutex_; ///< of what follows
  std::vector<sample> samples_;
  std::vector<std::thread> threads_;
};

/// By hand-over, what the calls of its group waited that were under way at the
/// first answer of the new term.
/// `terms`: what each shard had before.
std::vector<duration> pauses_in(const std::vector<sample>& all,
                                std::map<std::uint32_t, std::int64_t>& terms) {
  std::map<std::uint32_t, std::vector<const sample*>> by_shard;
  for (const auto& s : all)
    by_shard[s.shard].push_back(&s);
  std::vector<duration> out;
  for (auto& [shard, list] : by_shard) {
    std::stable_sort(list.begin(), list.end(),
                     [](auto* a, auto* b) { return a->ended < b->ended; });
    auto& term = terms.try_emplace(shard, list.front()->term).first->second;
    for (const auto* first : list) {
      if (first->term <= term)
        continue;
      term = first->term;
      duration longest{};
      for (const auto* s : list)
        if (s->begun <= first->ended && s->ended >= first->ended)
          longest = std::max<duration>(longest, s->ended - s->begun);
      out.push_back(longest);
    }
  }
  return out;
}

class drains {
public:
  explicit drains(const settings& s)
      : s_{s}, mesh_{std::vector<peer_place>(peers)}, load_{mesh_, s} {}

  int run() {
    mesh_.start_all();
    mesh_.wait_members(peers);
    mesh_.deploy("ledger", "name = \"ledger\"\nmodule = \"ledger\"\nshards = "
                               + std::to_string(s_.shards)
                               + "\nreplicas = 3\n");
    mesh_.wait_healthy("ledger", 3);
    load_.start();
    std::this_thread::sleep_for(1s); // warm
    (void)load_.taken();
    std::printf("%-6s %8s %8s %8s %8s %8s %9s %10s %8s %6s\n", "peer", "took s",
                "replicas", "calls", "p50 ms", "p99 ms", "hand-overs",
                "median ms", "longest", "failed");
    std::this_thread::sleep_for(2s);
    row("quiet", {}, 0);
    for (std::size_t round = 0; round < s_.rounds; ++round)
      for (std::size_t i = 0; i < std::min(s_.drains, peers); ++i)
        if (!drain(i))
          return 1;
    load_.stop();
    const bool sums = load_.sums_hold();
    const auto fallen = mesh_.casualties();
    const auto p99 = quantile(pauses_, 0.99);
    std::printf("%zu hand-overs: median %.1f ms, p99 %.1f ms, longest %.1f ms; "
                "%llu calls failed; accounts %s\n%s",
                pauses_.size(), to_ms(quantile(pauses_, 0.5)), to_ms(p99),
                to_ms(quantile(pauses_, 1)),
                static_cast<unsigned long long>(load_.failed()),
                sums ? "hold" : "DON'T HOLD", fallen.c_str());
    return sums && fallen.empty() && load_.failed() == 0 && p99 <= s_.pause_goal
               ? 0
               : 1;
  }

private:
  value draining(std::size_t by, const std::string& node) const {
    const auto rows = mesh_.get(by, "/v1/nodes");
    for (const auto& n : rows.list)
      if (n["node"].text == node)
        return n["draining"];
    return {};
  }
  io::http_reply order(std::size_t by, const char* method,
                       const std::string& node) const {
    io::http_call c;
    c.method = method;
    c.target = "/v1/nodes/" + node + "/drain";
    c.timeout = 10s;
    return mesh_.call(mesh_.control(by), c);
  }

  bool drain(std::size_t i) {
    const auto by = (i + 1) % peers;
    const auto& node = mesh_.node(i);
    (void)load_.taken();
    const auto begun = now();
    const auto r = order(by, "POST", node);
    if (r.status != 200) {
      std::printf("peer %zu is not drained: %s\n", i, r.body.c_str());
      return false;
    }
    std::int64_t most = 0;
    const bool done = wait_until(
        [&] {
          const auto d = draining(by, node);
          most = std::max(most, d["replicas"].integer);
          return d["done"].integer == 1;
        },
        60s, 50ms);
    const auto took = now() - begun;
    if (!done)
      std::printf("peer %zu still holds something\n%s\n", i,
                  mesh_.last_words().c_str());
    row(std::to_string(i), took, most);
    if (order(by, "DELETE", node).status != 200)
      return false;
    mesh_.wait_healthy("ledger", 3);
    return done;
  }

  void row(const std::string& who, duration took, std::int64_t replicas) {
    const auto samples = load_.taken();
    std::vector<duration> waits;
    for (const auto& s : samples)
      waits.push_back(s.ended - s.begun);
    const auto pauses = pauses_in(samples, terms_);
    pauses_.insert(pauses_.end(), pauses.begin(), pauses.end());
    std::printf("%-6s %8.1f %8lld %8zu %8.2f %8.2f %9zu %10.1f %8.1f %6llu\n",
                who.c_str(), to_ms(took) / 1000,
                static_cast<long long>(replicas), samples.size(),
                to_ms(quantile(waits, 0.5)), to_ms(quantile(waits, 0.99)),
                pauses.size(), to_ms(quantile(pauses, 0.5)),
                to_ms(quantile(pauses, 1)),
                static_cast<unsigned long long>(load_.failed()));
    std::fflush(stdout);
  }

  const settings& s_;
  process_mesh mesh_;
  steady_load load_;
  std::map<std::uint32_t, std::int64_t> terms_;
  std::vector<duration> pauses_;
};

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  banyan::test::settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const auto number = static_cast<std::size_t>(std::atoi(argv[i + 1]));
    if (flag == "--drains")
      s.drains = number;
    else if (flag == "--rounds")
      s.rounds = number;
    else if (flag == "--rate")
      s.rate = static_cast<double>(number);
    else if (flag == "--shards")
      s.shards = static_cast<std::uint32_t>(number);
    else if (flag == "--callers")
      s.callers = number;
    else if (flag == "--pause-goal")
      s.pause_goal = std::chrono::milliseconds{number};
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  try {
    return banyan::test::drains{s}.run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "drain_bench: %s\n", e.what());
    return 1;
  }
}
