// A rolling upgrade of the peers themselves, under load, and back again; then
// of the app that they run.
//
//   upgrade_bench [--old PEER] [--new PEER] [--peers N] [--rate PER_SECOND]
//                 [--settle MS] [--watch MS]
//
// N peers run the binary `old`; a ledger is deployed and takes a steady load.
// One at a time each is stopped by SIGTERM and started again as `new`; then
// each, one at a time, as `old` once more, and all as `new` again. Then the app
// gets a version with another state version: from there is no way back.
// Printed: each step with what runs after it (peers: o or n; app: the version
// of each shard), what the callers waited meanwhile, and what failed. Exit 0:
// nothing failed, nothing was lost, nothing was applied twice. Without binaries
// both are this build's. `scripts/upgrade` builds an older one.
#include "tests/support/paced_ledger.hpp"

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace banyan::test {
namespace {

struct settings {
  std::string old_peer = BANYAN_PEER_BINARY;
  std::string new_peer = BANYAN_PEER_BINARY;
  std::size_t peers = 5;
  double rate = 500;
  duration watch = 3s;  ///< of the app's new version on one shard
  duration settle = 1s; ///< between two steps, once all groups are healthy
};

class rolling {
public:
  explicit rolling(const settings& s)
      : s_{s}, mesh_{std::vector<peer_place>(s.peers), options()},
        load_{mesh_, {"ledger", 16, s.rate, 5s}}, runs_(s.peers, 'o') {}

  int run() {
    for (std::size_t i = 0; i < s_.peers; ++i)
      mesh_.use_binary(i, s_.old_peer);
    mesh_.start_all();
    mesh_.wait_members(s_.peers);
    mesh_.deploy("ledger", version_of_ledger("ledger"));
    mesh_.wait_healthy("ledger", 3);
    load_.start();
    std::printf("%-22s %-*s %8s %8s %8s %8s %8s %9s %6s\n", "step",
                static_cast<int>(std::max<std::size_t>(s_.peers, 5)), "peers",
                "down ms", "commands", "p50 ms", "p99 ms", "max ms", "repeated",
                "failed");
    rest();
    row("all run the old one", 0);
    for (std::size_t i = 0; i < s_.peers; ++i)
      replace(i, s_.new_peer, 'n');
    for (std::size_t i = 0; i < s_.peers; ++i)
      replace(i, s_.old_peer, 'o');
    for (std::size_t i = 0; i < s_.peers; ++i)
      replace(i, s_.new_peer, 'n');
    update_app();
    load_.stop();
    const bool sums = load_.sums_hold();
    const auto fallen = mesh_.casualties();
    if (!fallen.empty())
      std::printf("%s", fallen.c_str());
    std::printf("%llu commands answered, %llu failed, %llu lost or doubled, "
                "accounts %s\n",
                static_cast<unsigned long long>(load_.answered()),
                static_cast<unsigned long long>(load_.failed()),
                static_cast<unsigned long long>(load_.wrong()),
                sums ? "hold" : "DON'T HOLD");
    return sums && fallen.empty() && clean_ && finished_ && load_.failed() == 0
                   && load_.wrong() == 0
               ? 0
               : 1;
  }

private:
  static mesh_options options() {
    mesh_options o;
    o.flags = {"--apps", BANYAN_TEST_APPS_DIR};
    return o;
  }
  /// Only what the older peers know too, in the first one.
  [[nodiscard]] std::string version_of_ledger(const std::string& module) const {
    auto spec = "name = \"ledger\"\nmodule = \"" + module
                + "\"\nshards = 4\nreplicas = 3\n";
    if (module != "ledger")
      spec += "update_watch = \""
              + std::to_string(s_.watch / std::chrono::milliseconds{1})
              + "ms\"\n";
    return spec;
  }

  void update_app() {
    mesh_.deploy("ledger", version_of_ledger("ledger2"));
    const auto until = now() + s_.watch + 60s;
    std::string last;
    for (bool done = false; !done && now() < until;) {
      std::this_thread::sleep_for(20ms); // between two looks
      const auto shown = mesh_.get(0, "/v1/apps/ledger");
      std::string versions;
      for (const auto& g : shown["groups"].list)
        versions += std::to_string(g["version"].integer);
      const auto state = shown["update"]["state"].text;
      done = state == "done" && versions == "2222";
      if (done)
        rest();
      if (done || versions + state != last)
        row("app " + versions + " " + state, 0);
      last = versions + state;
      finished_ = done;
    }
    if (!finished_)
      std::printf("the app's update does not come to its end\n");
  }

  void rest() const { std::this_thread::sleep_for(s_.settle); }

  void replace(std::size_t i, const std::string& binary, char mark) {
    const auto begun = now();
    if (const int code = mesh_.terminate(i); code != 0) {
      std::printf("peer %zu exited with %d\n", i, code);
      clean_ = false;
    }
    mesh_.use_binary(i, binary);
    mesh_.start(i);
    const auto down = now() - begun;
    runs_[i] = mark;
    mesh_.wait_members(s_.peers);
    mesh_.wait_healthy("ledger", 3);
    rest();
    row("peer " + std::to_string(i) + " runs the "
            + (mark == 'n' ? "new one" : "old one"),
        static_cast<double>(down.count()) / 1e6);
  }

  void row(const std::string& step, double down_ms) {
    const auto samples = load_.taken();
    const auto repeated = load_.repeated();
    const auto failed = load_.failed();
    std::printf(
        "%-22s %-*s %8.0f %8zu %8.2f %8.2f %8.1f %9llu %6llu\n", step.c_str(),
        static_cast<int>(std::max<std::size_t>(s_.peers, 5)), runs_.c_str(),
        down_ms, samples.size(), quantile_ms(samples, 0.5),
        quantile_ms(samples, 0.99), quantile_ms(samples, 1),
        static_cast<unsigned long long>(repeated - repeated_),
        static_cast<unsigned long long>(failed - failed_));
    std::fflush(stdout);
    repeated_ = repeated;
    failed_ = failed;
  }

  const settings& s_;
  process_mesh mesh_;
  paced_ledger load_;
  std::string runs_; ///< by peer: o or n
  std::uint64_t repeated_ = 0;
  std::uint64_t failed_ = 0;
  bool clean_ = true;
  bool finished_ = false; ///< the app's update
};

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  banyan::test::settings s;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    const char* given = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--old")
      s.old_peer = given;
    else if (flag == "--new")
      s.new_peer = given;
    else if (flag == "--peers")
      s.peers = static_cast<std::size_t>(std::atoi(given));
    else if (flag == "--rate")
      s.rate = std::atof(given);
    else if (flag == "--watch")
      s.watch = std::chrono::milliseconds{std::atoi(given)};
    else if (flag == "--settle")
      s.settle = std::chrono::milliseconds{std::atoi(given)};
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  try {
    return banyan::test::rolling{s}.run();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "upgrade_bench: %s\n", e.what());
    return 1;
  }
}
