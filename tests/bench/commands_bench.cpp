// Durable commands per second and their latency: three real peers, native
// clients. Prints one JSON line per load, with the CPU time per command of each
// kind of thread of the peers.
//   commands_bench [--seconds N] [--shards N] [--callers N,N,…]
//                  [--isolation process,none] [--rounds N]
// With two isolations each has a mesh of its own, and they take turns, `rounds`
// times: side by side in one run.
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
#include <optional>
#include <sstream>

namespace {

using namespace banyan;
using namespace std::chrono_literals;

constexpr std::size_t links = 8;

/// A line of /proc/…/stat: the name, and the fields from the state on.
struct stat_line {
  std::string name;
  std::vector<std::string> fields;
};
std::optional<stat_line> read_stat(const std::filesystem::path& file) {
  std::ifstream in{file};
  std::string text;
  if (!std::getline(in, text) || text.find(')') == std::string::npos)
    return std::nullopt;
  stat_line out;
  const auto open = text.find('(');
  out.name = text.substr(open + 1, text.rfind(')') - open - 1);
  std::istringstream rest{text.substr(text.rfind(')') + 2)};
  for (std::string f; rest >> f;)
    out.fields.push_back(f);
  return out.fields.size() > 13 ? std::optional{out} : std::nullopt;
}

/// CPU seconds so far of the peers (this process's children) and their app
/// hosts (theirs), by thread name.
std::map<std::string, double> thread_seconds() {
  std::map<std::string, double> out;
  const double tick = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::map<std::string, std::string> parents;
  for (const auto& p : std::filesystem::directory_iterator("/proc"))
    if (const auto s = read_stat(p.path() / "stat"))
      parents[p.path().filename().string()] = s->fields[1];
  const auto self = std::to_string(getpid());
  for (const auto& [pid, parent] : parents) {
    const auto above = parents.find(parent);
    if (parent != self && (above == parents.end() || above->second != self))
      continue;
    std::error_code gone;
    for (const auto& t :
         std::filesystem::directory_iterator("/proc/" + pid + "/task", gone))
      if (const auto s = read_stat(t.path() / "stat"))
        out[s->name] +=
            (std::stod(s->fields[11]) + std::stod(s->fields[12])) / tick;
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

struct figure {
  double per_second = 0;
  double p50 = 0;
};

figure measure(const std::string& isolation, std::vector<client>& clients,
               std::size_t callers, duration span) {
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
  std::printf("{\"isolation\": \"%s\", \"callers\": %zu, "
              "\"commands\": %zu, \"failed\": %zu, "
              "\"per_second\": %.0f, \"p50_ms\": %.3f, \"p99_ms\": %.3f, "
              "\"cpu_us_per_command\": {",
              isolation.c_str(), callers, ms.size(), total.failed,
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
  return {static_cast<double>(ms.size()) / seconds, at(0.5)};
}

/// Three peers with the counter, and links to them.
struct side {
  side(const std::string& isolation_of, const std::string& shards)
      : isolation{isolation_of}, mesh{std::vector<test::peer_place>(3)} {
    const auto cold = test::now();
    mesh.start_all();
    mesh.wait_members(3);
    mesh.deploy("counter", "name = \"counter\"\nmodule = \"counter\"\n"
                           "shards = "
                               + shards + "\nreplicas = 3\nisolation = \""
                               + isolation + "\"\n");
    static_cast<void>(
        mesh.command(0, "/v1/apps/counter/actors/first/add", R"({"n": 1})"));
    std::printf("{\"cold_start_ms\": %.0f}\n", to_ms(test::now() - cold));
    mesh.wait_healthy("counter", 3);
    for (std::size_t i = 0; i < links; ++i) {
      client_options o;
      for (std::size_t p = 0; p < 3; ++p)
        o.peers.push_back(mesh.listening((i + p) % 3));
      auto c = client::connect(std::move(o));
      if (!c.ok())
        throw std::runtime_error{c.error().message};
      clients.push_back(std::move(*c));
    }
  }
  std::string isolation;
  test::process_mesh mesh;
  std::vector<client> clients;
  std::map<std::size_t, std::vector<figure>> figures; ///< by callers
};

double middle(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

int run(const std::vector<std::string>& isolations, const std::string& shards,
        const std::vector<std::size_t>& callers, duration span, int rounds) {
  std::vector<std::unique_ptr<side>> sides;
  for (const auto& i : isolations)
    sides.push_back(std::make_unique<side>(i, shards));
  for (int round = 0; round < rounds; ++round)
    for (const auto n : callers)
      for (auto& s : sides)
        s->figures[n].push_back(measure(s->isolation, s->clients, n, span));
  if (sides.size() < 2)
    return 0;
  std::printf("\n%-10s %8s %14s %10s   (medians of %d)\n", "isolation",
              "callers", "commands/s", "p50 ms", rounds);
  for (const auto n : callers)
    for (auto& s : sides) {
      std::vector<double> rate;
      std::vector<double> p50;
      for (const auto& f : s->figures[n]) {
        rate.push_back(f.per_second);
        p50.push_back(f.p50);
      }
      std::printf("%-10s %8zu %14.0f %10.3f\n", s->isolation.c_str(), n,
                  middle(rate), middle(p50));
    }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  duration span = 10s;
  std::string shards = "8";
  std::vector<std::size_t> callers{1, 256};
  std::vector<std::string> isolations{"process"};
  int rounds = 1;
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
    } else if (std::strcmp(argv[i], "--isolation") == 0) {
      isolations.clear();
      std::istringstream list{argv[i + 1]};
      for (std::string n; std::getline(list, n, ',');)
        isolations.push_back(n);
    } else if (std::strcmp(argv[i], "--rounds") == 0) {
      rounds = std::atoi(argv[i + 1]);
    } else {
      std::fprintf(stderr, "unknown flag %s\n", argv[i]);
      return 2;
    }
  }
  try {
    return run(isolations, shards, callers, span, rounds);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "commands_bench: %s\n", e.what());
    return 1;
  }
}
