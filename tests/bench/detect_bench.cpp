// How soon everybody knows: a mesh of real peers, one of which is killed or
// frozen again and again, beside as many Serf agents to which the same is done
// in the same run.
//
//   detect_bench [--rounds N] [--peers N] [--serf yes|no] [--profile lan|local]
//                [--calm MS] [--kill-goal MS] [--freeze-goal MS]
//
// A peer knows once its own `GET /v1/events` says `member_dead` of the victim;
// an agent once it prints EventMemberFailed. Both are read as they come, by a
// thread for each. With a goal the exit code is 1 when the median of "all know"
// is above it. Without Serf (Debian's package `serf`) only the peers are
// measured, and the table says so.
#include "tests/bench/serf_agents.hpp"
#include "tests/support/process_mesh.hpp"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace banyan::test {
namespace {

struct settings {
  int rounds = 10;
  std::size_t peers = 10;
  bool serf = true;
  std::string profile = "lan";
  int calm_ms = 2000;
  double kill_goal_ms = 0; ///< 0: none
  double freeze_goal_ms = 0;
};

constexpr duration patience = 60s; ///< for everybody to know, or to be back

std::int64_t unix_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Reads every peer's events.
class event_watch {
public:
  explicit event_watch(const process_mesh& mesh) : mesh_{mesh} {
    for (std::size_t i = 0; i < mesh.size(); ++i)
      seats_.push_back(std::make_unique<seat>());
    for (std::size_t i = 0; i < mesh.size(); ++i)
      seats_[i]->reader = std::thread{[this, i] { read(i); }};
  }
  /// The peers' ends end the readers: kill them first.
  ~event_watch() {
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
    }
    changed_.notify_all();
    for (auto& s : seats_)
      s->reader.join();
  }

  /// All streams of events are read.
  bool wait_open() {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience, [&] {
      return std::all_of(seats_.begin(), seats_.end(),
                         [](const auto& s) { return s->open; });
    });
  }
  /// Its peer was killed: the end of its stream is seen.
  bool wait_closed(std::size_t peer) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, patience,
                             [&] { return !seats_[peer]->open; });
  }
  /// From now on deaths of `victim` count.
  void arm(std::size_t victim) {
    const std::lock_guard lock{mutex_};
    victim_ = victim;
    id_ = mesh_.node(victim);
    since_ = unix_ms();
    for (auto& s : seats_)
      s->knew.reset();
  }
  /// Waits until all but the victim know. Ascending; empty: some never did.
  std::vector<time_point> wait_known() {
    std::unique_lock lock{mutex_};
    const auto all = [&] {
      for (std::size_t i = 0; i < seats_.size(); ++i)
        if (i != victim_ && !seats_[i]->knew)
          return false;
      return true;
    };
    if (!changed_.wait_for(lock, patience, all))
      return {};
    std::vector<time_point> out;
    for (std::size_t i = 0; i < seats_.size(); ++i)
      if (i != victim_)
        out.push_back(*seats_[i]->knew);
    std::sort(out.begin(), out.end());
    return out;
  }

private:
  struct seat {
    std::thread reader;
    bool open = false;
    std::optional<time_point> knew;
  };

  void read(std::size_t i) {
    for (;;) {
      io::http_client client{mesh_.control(i)};
      io::http_call c;
      c.target = "/v1/events";
      c.timeout = {};
      std::string rest;
      (void)client.stream(c, [&](std::string_view more) {
        const auto at = now();
        rest += more;
        for (auto end = rest.find('\n'); end != std::string::npos;
             end = rest.find('\n')) {
          take(i, rest.substr(0, end), at);
          rest.erase(0, end + 1);
        }
        const std::lock_guard lock{mutex_};
        return !stopping_;
      });
      std::unique_lock lock{mutex_};
      if (std::exchange(seats_[i]->open, false)) // or its peer isn't up yet
        changed_.notify_all();
      if (changed_.wait_for(lock, 20ms, [&] { return stopping_; }))
        return;
    }
  }

  void take(std::size_t i, const std::string& line, time_point at) {
    if (line.rfind("data: ", 0) != 0)
      return;
    const std::lock_guard lock{mutex_};
    auto& s = *seats_[i];
    const bool opened = !std::exchange(s.open, true);
    static const std::string time = "\"at_unix_ms\":";
    const auto stamp = line.find(time);
    const bool news =
        !s.knew && line.find("\"member_dead\"") != std::string::npos
        && line.find("\"about\":\"" + id_) != std::string::npos
        && stamp != std::string::npos
        && std::atoll(line.c_str() + stamp + time.size()) >= since_;
    if (news)
      s.knew = at;
    if (news || opened)
      changed_.notify_all();
  }

  const process_mesh& mesh_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::size_t victim_ = SIZE_MAX;
  std::string id_ = "nobody";
  std::int64_t since_ = 0;
  std::vector<std::unique_ptr<seat>> seats_;
};

struct samples {
  std::vector<double> first, all;
  void add(time_point begun, const std::vector<time_point>& known) {
    first.push_back(to_ms(known.front() - begun));
    all.push_back(to_ms(known.back() - begun));
  }
};

double median_of(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.empty() ? 0 : v[v.size() / 2];
}

void print_row(const char* who, const char* what, const char* when,
               std::vector<double> v) {
  if (v.empty())
    return;
  std::sort(v.begin(), v.end());
  const auto at = [&](double q) {
    return v[std::min(v.size() - 1, static_cast<std::size_t>(
                                        q * static_cast<double>(v.size())))];
  };
  std::printf("%-8s %-8s %-11s %9.1f %9.1f %9.1f %9.1f\n", who, what, when,
              v.front(), at(0.5), at(0.9), v.back());
}

/// One round: the victim is struck, known to be dead, and comes back.
bool strike_peer(process_mesh& mesh, event_watch& watch, std::size_t victim,
                 bool freeze, duration calm, samples& out) {
  mesh.wait_members(mesh.size(), patience);
  if (!watch.wait_open()) {
    std::printf("not every peer's events can be read\n");
    return false;
  }
  std::this_thread::sleep_for(calm); // the pace: beats are heard meanwhile
  watch.arm(victim);
  const auto begun = now();
  if (freeze)
    mesh.freeze(victim);
  else
    mesh.signal(victim, SIGKILL);
  const auto known = watch.wait_known();
  mesh.kill(victim);
  if (!watch.wait_closed(victim) || known.empty()) {
    std::printf("not every peer knew of %s in %.0f s\n",
                freeze ? "a freeze" : "a death", to_ms(patience) / 1000);
    return false;
  }
  out.add(begun, known);
  mesh.start(victim);
  return true;
}

bool strike_agent(serf_agents& agents, std::size_t victim, bool freeze,
                  duration calm, samples& out) {
  if (!agents.wait_members(patience)) {
    std::printf("not every Serf agent knows the others\n");
    return false;
  }
  std::this_thread::sleep_for(calm);
  const auto begun = now();
  agents.strike(victim, freeze ? SIGSTOP : SIGKILL);
  const auto known = agents.wait_failed(victim, patience);
  if (known.empty()) {
    std::printf("not every Serf agent knew in %.0f s\n",
                to_ms(patience) / 1000);
    return false;
  }
  out.add(begun, known);
  agents.restart(victim);
  return true;
}

bool below(const char* what, const samples& s, double goal) {
  if (goal <= 0 || median_of(s.all) <= goal)
    return true;
  std::printf("GOAL MISSED: %s known to all after %.1f ms in the median, goal "
              "%.0f\n",
              what, median_of(s.all), goal);
  return false;
}

int run(const settings& s) {
  process_mesh mesh{std::vector<peer_place>(s.peers), {"", {}, 20s, false}};
  mesh.start_all();
  std::unique_ptr<serf_agents> agents;
  if (s.serf && !serf_agents::installed())
    std::printf("Serf is not installed (apt-get install serf): only Banyan's "
                "side is measured\n");
  else if (s.serf)
    agents = std::make_unique<serf_agents>(s.peers, s.profile);
  samples kills, freezes, serf_kills, serf_freezes;
  const duration calm = std::chrono::milliseconds{s.calm_ms};
  bool good = true;
  {
    event_watch watch{mesh};
    for (int i = 0; i < s.rounds * 2 && good; ++i) {
      const bool freeze = i % 2 == 1;
      const auto victim = static_cast<std::size_t>(i) % s.peers;
      good = strike_peer(mesh, watch, victim, freeze, calm,
                         freeze ? freezes : kills)
             && (agents == nullptr
                 || strike_agent(*agents, victim, freeze, calm,
                                 freeze ? serf_freezes : serf_kills));
    }
    for (std::size_t i = 0; i < mesh.size(); ++i)
      if (mesh.running(i))
        mesh.kill(i);
  }
  if (!good)
    std::printf("%s", mesh.last_words().c_str());
  std::printf("%zu peers%s on one machine, %d kills and %d freezes each\n",
              s.peers,
              agents == nullptr
                  ? ""
                  : (" and as many Serf agents (" + s.profile + ")").c_str(),
              s.rounds, s.rounds);
  std::printf("%-8s %-8s %-11s %9s %9s %9s %9s\n", "", "", "known to, ms",
              "least", "median", "p90", "max");
  print_row("Banyan", "kill -9", "the first", kills.first);
  print_row("Banyan", "kill -9", "all", kills.all);
  print_row("Serf", "kill -9", "the first", serf_kills.first);
  print_row("Serf", "kill -9", "all", serf_kills.all);
  print_row("Banyan", "freeze", "the first", freezes.first);
  print_row("Banyan", "freeze", "all", freezes.all);
  print_row("Serf", "freeze", "the first", serf_freezes.first);
  print_row("Serf", "freeze", "all", serf_freezes.all);
  const bool fast = below("a kill", kills, s.kill_goal_ms);
  return below("a freeze", freezes, s.freeze_goal_ms) && fast && good ? 0 : 1;
}

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  using namespace banyan::test;
  settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto next = [&]() -> const char* {
      if (i + 1 >= argc) {
        std::fprintf(stderr, "%s needs a value\n", flag.c_str());
        std::exit(2);
      }
      return argv[++i];
    };
    if (flag == "--rounds")
      s.rounds = std::atoi(next());
    else if (flag == "--peers")
      s.peers = static_cast<std::size_t>(std::atoi(next()));
    else if (flag == "--serf")
      s.serf = std::string{next()} == "yes";
    else if (flag == "--profile")
      s.profile = next();
    else if (flag == "--calm")
      s.calm_ms = std::atoi(next());
    else if (flag == "--kill-goal")
      s.kill_goal_ms = std::atof(next());
    else if (flag == "--freeze-goal")
      s.freeze_goal_ms = std::atof(next());
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  if (s.rounds < 1 || s.peers < 3) {
    std::fprintf(stderr, "at least 1 round and 3 peers\n");
    return 2;
  }
  try {
    return run(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "detect_bench: %s\n", e.what());
    return 1;
  }
}
