// How durable commands scale with shards, and stale reads with replicas: real
// peers, native clients through every peer. One table each, on one machine that
// carries peers, app hosts and clients.
//   shards_bench [--seconds N] [--peers 3,5] [--shards 1,2,4,8,16]
//                [--replicas 1,3,5] [--callers N]
#include "examples/counter/counter.hpp"
#include "tests/support/process_mesh.hpp"

#include <banyan/client.hpp>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>

namespace {

using namespace banyan;
using namespace std::chrono_literals;

struct options {
  duration span = 5s;
  std::vector<std::size_t> peers{3, 5};
  std::vector<std::size_t> shards{1, 2, 4, 8, 16};
  std::vector<std::size_t> replicas{1, 3, 5};
  std::size_t callers = 256;
};

/// CPU seconds of each peer with its app hosts, by the peer's process.
std::map<std::string, double> peer_seconds() {
  std::map<std::string, std::pair<std::string, double>> all; // parent, seconds
  const auto tick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  for (const auto& p : std::filesystem::directory_iterator("/proc")) {
    std::ifstream in{p.path() / "stat"};
    std::string line;
    if (!std::getline(in, line) || line.find(')') == std::string::npos)
      continue;
    std::istringstream rest{line.substr(line.rfind(')') + 2)};
    std::vector<std::string> f;
    for (std::string word; rest >> word;)
      f.push_back(word);
    if (f.size() > 13)
      all[p.path().filename().string()] = {
          f[1], (std::stod(f[11]) + std::stod(f[12])) / tick};
  }
  const auto self = std::to_string(::getpid());
  std::map<std::string, double> out;
  for (const auto& [pid, who] : all) {
    const auto above = all.find(who.first);
    if (who.first == self)
      out[pid] += who.second;
    else if (above != all.end() && above->second.first == self)
      out[who.first] += who.second;
  }
  return out;
}

struct load {
  std::mutex mutex;
  std::condition_variable idle;
  std::vector<double> milliseconds;
  std::map<std::string, std::size_t> errors;
  std::size_t running = 0;
  bool stop = false;

  /// False: this caller ends.
  bool took(double ms, const std::string& error) {
    const std::lock_guard<std::mutex> held{mutex};
    if (error.empty())
      milliseconds.push_back(ms);
    else
      ++errors[error];
    if (!stop)
      return true;
    if (--running == 0)
      idle.notify_all();
    return false;
  }
};

/// Asks one actor, again as soon as it was answered.
struct caller {
  load& total;
  client& link;
  std::string key;
  bool stale = false;

  void next() {
    const auto from = test::now();
    const auto done = [this, from](const auto& r) {
      if (total.took(to_ms(test::now() - from),
                     r.ok() ? std::string{} : r.error().message))
        next();
    };
    if (!stale)
      return link.call_async<&counter::add>(key, {1}, done);
    call_options o;
    o.max_staleness = 10s;
    link.call_async<&counter::get>(key, {}, done, o);
  }
};

struct figure {
  double per_second = 0;
  double p50 = 0;
  double p99 = 0;
  double cpu_us = 0;  ///< of all peers, for one call
  double busiest = 0; ///< that peer's share of it
  std::size_t failed = 0;
};

figure measure(std::vector<client>& clients, std::size_t callers, bool stale,
               duration span) {
  load total;
  total.running = callers;
  std::vector<std::unique_ptr<caller>> all;
  for (std::size_t i = 0; i < callers; ++i)
    all.push_back(std::make_unique<caller>(caller{
        total, clients[i % clients.size()], "k" + std::to_string(i), stale}));
  const auto before = peer_seconds();
  const auto begin = test::now();
  for (auto& c : all)
    c->next();
  {
    std::unique_lock<std::mutex> held{total.mutex};
    total.idle.wait_for(held, span, [] { return false; });
    total.stop = true;
    total.idle.wait(held, [&] { return total.running == 0; });
  }
  const auto seconds = std::chrono::duration<double>(test::now() - begin);
  auto& ms = total.milliseconds;
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double p) {
    return ms.empty() ? 0.0
                      : ms[static_cast<std::size_t>(
                          p * static_cast<double>(ms.size() - 1))];
  };
  figure f;
  const auto n = static_cast<double>(std::max<std::size_t>(1, ms.size()));
  f.per_second = n / seconds.count();
  f.p50 = at(0.5);
  f.p99 = at(0.99);
  double cpu = 0;
  double most = 0;
  for (const auto& [pid, s] : peer_seconds()) {
    const auto was = before.find(pid);
    const auto spent = s - (was == before.end() ? 0 : was->second);
    cpu += spent;
    most = std::max(most, spent);
  }
  f.cpu_us = cpu * 1e6 / n;
  f.busiest = cpu > 0 ? most / cpu : 0;
  for (const auto& [error, times] : total.errors) {
    std::fprintf(stderr, "%zu x %s\n", times, error.c_str());
    f.failed += times;
  }
  return f;
}

/// Peers with the counter, and a link to each of them.
struct mesh_with_counter {
  mesh_with_counter(std::size_t peers, std::size_t shards, std::size_t replicas)
      : mesh{std::vector<test::peer_place>(peers)} {
    mesh.start_all();
    mesh.wait_members(peers);
    mesh.deploy("counter", "name = \"counter\"\nmodule = \"counter\"\nshards = "
                               + std::to_string(shards) + "\nreplicas = "
                               + std::to_string(replicas) + "\n");
    mesh.wait_healthy("counter", replicas);
    for (std::size_t i = 0; i < peers; ++i) {
      client_options o;
      for (std::size_t p = 0; p < peers; ++p)
        o.peers.push_back(mesh.listening((i + p) % peers));
      auto c = client::connect(std::move(o));
      if (!c.ok())
        throw std::runtime_error{c.error().message};
      clients.push_back(std::move(*c));
    }
  }
  /// How many peers lead a shard, and the most that one leads.
  [[nodiscard]] std::pair<std::size_t, std::size_t> leaders() const {
    std::map<std::string, std::size_t> led;
    if (const auto app = mesh.app(0, "counter"))
      for (const auto& g : app->groups)
        ++led[g.leader];
    std::size_t most = 0;
    for (const auto& [node, n] : led)
      most = std::max(most, n);
    return {led.size(), most};
  }
  test::process_mesh mesh;
  std::vector<client> clients;
};

int commands(const options& o) {
  std::printf("%5s %6s %9s %10s %8s %8s %10s %8s %7s\n", "peers", "shards",
              "led (max)", "commands/s", "p50 ms", "p99 ms", "CPU us/call",
              "busiest", "failed");
  std::size_t failed = 0;
  for (const auto peers : o.peers)
    for (const auto shards : o.shards) {
      mesh_with_counter m{peers, shards, 3};
      static_cast<void>(measure(m.clients, o.callers, false, o.span / 5));
      const auto f = measure(m.clients, o.callers, false, o.span);
      const auto [led, most] = m.leaders();
      std::printf("%5zu %6zu %3zu (%3zu) %10.0f %8.2f %8.2f %10.1f %7.0f%% "
                  "%7zu\n",
                  peers, shards, led, most, f.per_second, f.p50, f.p99,
                  f.cpu_us, 100 * f.busiest, f.failed);
      std::fflush(stdout);
      failed += f.failed;
    }
  return failed == 0 ? 0 : 1;
}

int reads(const options& o) {
  const auto peers = o.peers.back();
  std::printf("\nstale reads, %zu peers, %zu shards\n%8s %10s %8s %8s %10s "
              "%8s %7s\n",
              peers, peers, "replicas", "reads/s", "p50 ms", "p99 ms",
              "CPU us/call", "busiest", "failed");
  std::size_t failed = 0;
  for (const auto replicas : o.replicas) {
    if (replicas > peers)
      continue;
    mesh_with_counter m{peers, peers, replicas};
    static_cast<void>(measure(m.clients, o.callers, false, o.span / 5));
    static_cast<void>(measure(m.clients, o.callers, true, o.span / 5));
    const auto f = measure(m.clients, o.callers, true, o.span);
    std::printf("%8zu %10.0f %8.2f %8.2f %10.1f %7.0f%% %7zu\n", replicas,
                f.per_second, f.p50, f.p99, f.cpu_us, 100 * f.busiest,
                f.failed);
    std::fflush(stdout);
    failed += f.failed;
  }
  return failed == 0 ? 0 : 1;
}

std::vector<std::size_t> numbers(const std::string& text) {
  std::vector<std::size_t> out;
  std::istringstream list{text};
  for (std::string n; std::getline(list, n, ',');)
    out.push_back(static_cast<std::size_t>(std::stoul(n)));
  return out;
}

} // namespace

int main(int argc, char** argv) {
  options o;
  try {
    for (int i = 1; i < argc; i += 2) {
      const std::string flag = argv[i];
      const std::string given = i + 1 < argc ? argv[i + 1] : "";
      if (flag == "--seconds")
        o.span = std::chrono::seconds{std::stoi(given)};
      else if (flag == "--peers")
        o.peers = numbers(given);
      else if (flag == "--shards")
        o.shards = numbers(given);
      else if (flag == "--replicas")
        o.replicas = numbers(given);
      else if (flag == "--callers")
        o.callers = std::stoul(given);
      else
        throw std::invalid_argument{"unknown flag " + flag};
    }
  } catch (const std::exception& e) {
    std::fprintf(stderr, "shards_bench: %s\n", e.what());
    return 2;
  }
  try {
    return std::max(commands(o), o.peers.empty() ? 0 : reads(o));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "shards_bench: %s\n", e.what());
    return 1;
  }
}
