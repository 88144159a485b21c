// The stateless `hello` behind five doors, beside nginx and HAProxy in front of
// the same five doors.
//
//   hello_bench [--seconds N] [--clients N] [--rate N] [--proxies yes|no]
//
// Six peers, five of them with an instance. The systems take turns: the five
// doors themselves; the sixth peer, which has no instance and forwards each
// call; nginx and HAProxy, as their manuals begin and tuned. Each serves first
// as fast as it can, then at a steady rate while a peer with an instance is
// killed, then while one is frozen for 2 s, then while what clients speak to
// is: one of the doors, or the one door or proxy in front. The clients are the
// same for all: who has no answer after 500 ms asks the next door, if there is
// one. A call has failed with another status than 200, or without any after 5
// s.
//
// CPU is that of peers, hosts and proxies together. A proxy that isn't
// installed is named as not run. Exit 1: a call through Banyan failed.
#include "tests/bench/proxies.hpp"
#include "tests/support/http_load.hpp"
#include "tests/support/process_mesh.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <thread>

namespace banyan::test {
namespace {

constexpr std::size_t instances = 5;
constexpr std::size_t victim = 2;
const std::string request =
    "GET /v1/apps/hello/call/greet?arg=%7B%22name%22%3A%22Ann%22%7D "
    "HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct settings {
  double seconds = 10;
  std::size_t clients = 64;
  double rate = 500;
  bool proxies = true;
};

/// Seconds of CPU that all descendants of this process have used.
double cpu_of_children() {
  std::map<int, int> parents;
  std::map<int, double> used;
  for (const auto& e : std::filesystem::directory_iterator{"/proc"}) {
    const int pid = std::atoi(e.path().filename().c_str());
    if (pid == 0)
      continue;
    std::ifstream in{e.path() / "stat"};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    const auto name_end = text.rfind(')');
    if (name_end == std::string::npos)
      continue;
    int parent = 0;
    unsigned long user = 0;
    unsigned long system = 0;
    if (std::sscanf(text.c_str() + name_end + 1,
                    " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                    &parent, &user, &system)
        != 3)
      continue;
    parents[pid] = parent;
    used[pid] = static_cast<double>(user + system)
                / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  double sum = 0;
  for (const auto& [pid, seconds] : used)
    for (auto p = parents.find(pid); p != parents.end();
         p = parents.find(p->second))
      if (p->second == ::getpid()) {
        sum += seconds;
        break;
      }
  return sum;
}

class bench {
public:
  explicit bench(const settings& s)
      : settings_{s},
        mesh_{
            {{"here"}, {"here"}, {"here"}, {"here"}, {"here"}, {"elsewhere"}}} {
  }

  bool run() {
    mesh_.start_all();
    mesh_.wait_members(mesh_.size());
    mesh_.deploy("hello", "name = \"hello\"\nmodule = \"hello\"\n"
                          "kind = \"stateless\"\ninstances = 5\n"
                          "regions = [\"here\"]\n");
    settle();
    std::vector<std::uint16_t> doors;
    for (std::size_t i = 0; i < instances; ++i)
      doors.push_back(mesh_.http(i).port);
    std::printf("%-18s %9s %8s %9s", "", "calls/s", "p99 ms", "CPU us");
    for (int i = 0; i < 3; ++i)
      std::printf(" | %6s %5s %8s", "failed", "slow", "longest");
    std::printf("\n%-18s %28s | %21s | %21s | %21s\n", "", "as fast as it can",
                "a peer killed", "a peer frozen", "its door frozen");
    bool good = measure("banyan, local", doors, peer_switch(victim));
    good = measure("banyan, forwarded", {mesh_.http(instances).port},
                   peer_switch(instances))
           && good;
    if (settings_.proxies)
      for (const auto kind : {proxy::kind::nginx, proxy::kind::haproxy})
        for (const bool tuned : {false, true}) {
          const auto name =
              std::string{kind == proxy::kind::nginx ? "nginx" : "haproxy"}
              + (tuned ? ", tuned" : ", default");
          if (!proxy::installed(kind)) {
            std::printf("%-18s not run: it is not installed\n", name.c_str());
            continue;
          }
          const proxy p{kind, tuned, doors};
          measure(name, {p.port()}, {[&p] { p.freeze(); }, [&p] { p.thaw(); }});
        }
    return good;
  }

private:
  struct ice {
    std::function<void()> freeze;
    std::function<void()> thaw;
  };
  ice peer_switch(std::size_t peer) {
    return {[this, peer] { mesh_.freeze(peer); },
            [this, peer] { mesh_.thaw(peer); }};
  }
  /// All instances are up in the view of every peer.
  void settle() {
    const bool up = wait_until(
        [&] {
          for (std::size_t i = 0; i < mesh_.size(); ++i)
            if (mesh_.get(i, "/v1/apps/hello")["instances"].list.size()
                != instances)
              return false;
          return true;
        },
        60s, 50ms);
    if (!up)
      throw std::runtime_error{"the instances don't come up\n"
                               + mesh_.last_words()};
  }
  void await_answers(const std::vector<std::uint16_t>& ports) {
    http_load_options o;
    o.ports = ports;
    o.request = request;
    o.clients = 2 * ports.size();
    o.span = 200ms;
    if (!wait_until([&] { return run_http_load(o).answered > 0; }, 20s))
      throw std::runtime_error{"a door doesn't answer"};
  }
  http_load_options options(const std::vector<std::uint16_t>& ports) const {
    http_load_options o;
    o.ports = ports;
    o.request = request;
    o.clients = settings_.clients;
    o.span = std::chrono::duration_cast<duration>(
        std::chrono::duration<double>(settings_.seconds));
    return o;
  }
  /// At a steady rate, with `harm` in its middle.
  http_load_report beside(const std::vector<std::uint16_t>& ports,
                          const std::function<void()>& harm) {
    auto o = options(ports);
    o.rate = settings_.rate;
    http_load_report r;
    std::thread load{[&] { r = run_http_load(o); }};
    std::this_thread::sleep_for(o.span / 3);
    harm();
    load.join();
    return r;
  }
  bool measure(const std::string& name, const std::vector<std::uint16_t>& ports,
               const ice& door) {
    await_answers(ports);
    const auto cpu = cpu_of_children();
    const auto fast = run_http_load(options(ports));
    const auto used = cpu_of_children() - cpu;
    const auto killed = beside(ports, [&] { mesh_.kill(victim); });
    mesh_.start(victim);
    settle();
    const auto chill = [&](const ice& what) {
      const auto r = beside(ports, [&] {
        what.freeze();
        std::this_thread::sleep_for(2s);
        what.thaw();
      });
      settle();
      return r;
    };
    const auto frozen = chill(peer_switch(victim));
    const auto door_frozen = chill(door);
    std::printf(
        "%-18s %9.0f %8.2f %9.1f", name.c_str(), fast.per_second, fast.p99_ms,
        used * 1e6
            / static_cast<double>(std::max<std::uint64_t>(fast.answered, 1)));
    for (const auto* r : {&killed, &frozen, &door_frozen})
      std::printf(" | %6llu %5llu %5.0f ms",
                  static_cast<unsigned long long>(r->failed),
                  static_cast<unsigned long long>(r->slow), r->longest_ms);
    std::printf("\n");
    std::fflush(stdout);
    return fast.failed + killed.failed + frozen.failed + door_frozen.failed
           == 0;
  }

  const settings settings_;
  process_mesh mesh_;
};

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  banyan::test::settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seconds")
      s.seconds = std::atof(argv[i + 1]);
    else if (flag == "--clients")
      s.clients = static_cast<std::size_t>(std::atoi(argv[i + 1]));
    else if (flag == "--rate")
      s.rate = std::atof(argv[i + 1]);
    else if (flag == "--proxies")
      s.proxies = std::string{argv[i + 1]} == "yes";
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  try {
    return banyan::test::bench{s}.run() ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "hello_bench: %s\n", e.what());
    return 1;
  }
}
