// Durable commands per second and their latency: three real peers, native
// clients. Prints one JSON line per load, with the CPU time per command of each
// kind of thread of the peers.
//   commands_bench [--seconds N] [--shards N] [--callers N,N,…]
#include "examples/counter/counter.hpp"
#include "tests/support/process_mesh.hpp"

#include <banyan/client.hpp>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

namespace {

using namespace banyan;
using namespace std::chrono_literals;

constexpr std::size_t links = 8;

/// CPU seconds so far of this process's children, by thread name.
std::map<std::string, double> thread_seconds() {
  std::map<std::string, double> out;
  const double tick = static_cast<double>(sysconf(_SC_CLK_TCK));
  for (const auto& p : std::filesystem::directory_iterator("/proc")) {
    std::ifstream stat{p.path() / "stat"};
    std::string text;
    if (!std::getline(stat, text) || text.find(')') == std::string::npos)
      continue;
    std::istringstream rest{text.substr(text.rfind(')') + 2)};
    char state = 0;
    long parent = 0;
    rest >> state >> parent;
    if (parent != getpid())
      continue;
    for (const auto& t :
         std::filesystem::directory_iterator(p.path() / "task")) {
      std::ifstream one{t.path() / "stat"};
      std::string line;
      if (!std::getline(one, line))
        continue;
      const auto open = line.find('(');
      const auto close = line.rfind(')');
      const auto name = line.substr(open + 1, close - open - 1);
      std::istringstream fields{line.substr(close + 2)};
      std::string skip;
      for (int i = 0; i < 11; ++i)
        fields >> skip;
      double user = 0;
      double system = 0;
      fields >> user >> system;
      out[name] += (user + system) / tick;
    }
  }
  return out;
}

struct load {
  std::mutex mutex;
  std::condition_variable idle;
  std::vector<double> milliseconds;
  std::size_t failed = 0;
  std::size_t running = 0;
  bool stop = false;
};

/// Calls one actor, again as soon as it was answered.
struct caller {
  load& total;
  client& link;
  std::string key;
  void next() {
    const auto from = test::now();
    link.call_async<&counter::add>(key, {1}, [this, from](const auto& r) {
      {
        const std::lock_guard<std::mutex> held{total.mutex};
        if (r.ok())
          total.milliseconds.push_back(to_ms(test::now() - from));
        else
          ++total.failed;
        if (total.stop) {
          if (--total.running == 0)
            total.idle.notify_all();
          return;
        }
      }
      next();
    });
  }
};

void measure(std::vector<client>& clients, std::size_t callers, duration span) {
  load total;
  total.running = callers;
  std::vector<std::unique_ptr<caller>> all;
  for (std::size_t i = 0; i < callers; ++i)
    all.push_back(std::make_unique<caller>(
        caller{total, clients[i % clients.size()], "k" + std::to_string(i)}));
  const auto cpu_before = thread_seconds();
  const auto begin = test::now();
  for (auto& c : all)
    c->next();
  {
    std::unique_lock<std::mutex> held{total.mutex};
    total.idle.wait_for(held, span, [] { return false; });
    total.stop = true;
    total.idle.wait(held, [&] { return total.running == 0; });
  }
  const double seconds =
      std::chrono::duration<double>(test::now() - begin).count();
  auto& ms = total.milliseconds;
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double p) {
    return ms.empty() ? 0.0
                      : ms[static_cast<std::size_t>(
                          p * static_cast<double>(ms.size() - 1))];
  };
  std::printf("{\"callers\": %zu, \"commands\": %zu, \"failed\": %zu, "
              "\"per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
              "\"cpu_us_per_command\": {",
              callers, ms.size(), total.failed,
              static_cast<double>(ms.size()) / seconds, at(0.5), at(0.99));
  const auto after = thread_seconds();
  bool first = true;
  for (const auto& [name, s] : after) {
    const auto was = cpu_before.count(name) != 0 ? cpu_before.at(name) : 0.0;
    std::printf("%s\"%s\": %.2f", first ? "" : ", ", name.c_str(),
                (s - was) * 1e6
                    / static_cast<double>(std::max<std::size_t>(1, ms.size())));
    first = false;
  }
  std::printf("}}\n");
  std::fflush(stdout);
}

} // namespace

int main(int argc, char** argv) {
  duration span = 10s;
  std::string shards = "8";
  std::vector<std::size_t> callers{1, 256};
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seconds") == 0) {
      span = std::chrono::seconds{std::atoi(argv[i + 1])};
    } else if (std::strcmp(argv[i], "--shards") == 0) {
      shards = argv[i + 1];
    } else if (std::strcmp(argv[i], "--callers") == 0) {
      callers.clear();
      std::istringstream list{argv[i + 1]};
      for (std::string n; std::getline(list, n, ',');)
        callers.push_back(static_cast<std::size_t>(std::stoul(n)));
    } else {
      std::fprintf(stderr, "unknown flag %s\n", argv[i]);
      return 2;
    }
  }
  test::process_mesh mesh{std::vector<test::peer_place>(3)};
  const auto cold = test::now();
  mesh.start_all();
  mesh.wait_members(3);
  mesh.deploy("counter", "name = \"counter\"\nmodule = \"counter\"\nshards = "
                             + shards + "\nreplicas = 3\n");
  static_cast<void>(
      mesh.command(0, "/v1/apps/counter/actors/first/add", R"({"n": 1})"));
  std::printf("{\"cold_start_ms\": %.0f}\n", to_ms(test::now() - cold));
  mesh.wait_healthy("counter", 3);
  std::vector<client> clients;
  for (std::size_t i = 0; i < links; ++i) {
    client_options o;
    for (std::size_t p = 0; p < 3; ++p)
      o.peers.push_back(mesh.listening((i + p) % 3));
    auto c = client::connect(std::move(o));
    if (!c.ok()) {
      std::fprintf(stderr, "%s\n", c.error().message.c_str());
      return 1;
    }
    clients.push_back(std::move(*c));
  }
  for (const auto n : callers)
    measure(clients, n, span);
  return 0;
}
