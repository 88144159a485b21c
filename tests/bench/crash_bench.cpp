// What an app that harms its own process costs: five peers, `crasher` beside
// `ledger` under a steady load.
//
//   crash_bench [--crashes N] [--kinds segv,abort,leave,leak,recurse,spin]
//               [--callers N] [--rate PER_SECOND]
//
// For each crash a new app `crash-N` is deployed, hit once by a poison command
// (which runs three times before the group answers `poisoned`), and asked for
// another actor: measured is the time from the command being sent until that
// actor answers again; for a leak and an endless loop from the end of the host,
// to the millisecond of the peer's log. Beside it: what the ledger's callers
// waited, quiet and during the crashes; and that the ledger lost and doubled
// nothing.
#include "tests/support/ledger_load.hpp"
#include "tests/support/process_mesh.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <optional>
#include <sstream>
#include <thread>

namespace banyan::test {
namespace {

struct settings {
  int crashes = 100;
  std::string kinds = "segv,abort,leave,leak,recurse";
  std::size_t callers = 8;
  double rate = 200; ///< of the ledger's callers together
};

double to_ms(duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

double at(std::vector<double> v, double q) {
  if (v.empty())
    return 0;
  std::sort(v.begin(), v.end());
  return v[std::min(v.size() - 1, static_cast<std::size_t>(
                                      q * static_cast<double>(v.size())))];
}

/// Callers of the ledger at a steady pace, with the time of each answer. Each
/// has an account of its own and knows what it must hold.
class paced_ledger {
public:
  paced_ledger(process_mesh& mesh, const settings& s) : mesh_{mesh}, s_{s} {}
  ~paced_ledger() { stop(); }

  void start() {
    sums_.resize(s_.callers);
    for (std::size_t i = 0; i < s_.callers; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  /// What was waited since the last call of this.
  std::vector<double> taken() {
    const std::lock_guard lock{mutex_};
    return std::exchange(waits_, {});
  }
  [[nodiscard]] std::uint64_t failed() const { return failed_; }
  /// After `stop`.
  [[nodiscard]] bool sums_hold() const {
    bool good = true;
    for (std::size_t i = 0; i < s_.callers; ++i) {
      const auto v = mesh_.get(
          0, "/v1/apps/ledger/actors/c" + std::to_string(i) + "/balance", 6s);
      good = good && v["result"].integer == sums_[i];
      if (v["result"].integer != sums_[i])
        std::printf("account c%zu holds %lld, acknowledged %lld\n", i,
                    static_cast<long long>(v["result"].integer),
                    static_cast<long long>(sums_[i]));
    }
    return good;
  }

private:
  void run(std::size_t i) {
    io::http_client door{mesh_.http(i % mesh_.size())};
    io::http_call q;
    q.method = "POST";
    q.target = "/v1/apps/ledger/actors/c" + std::to_string(i) + "/deposit";
    q.body = R"({"cents":1})";
    q.timeout = 7s;
    const duration step{static_cast<std::int64_t>(
        1e9 * static_cast<double>(s_.callers) / s_.rate)};
    auto due = now();
    for (std::uint64_t n = 1; !stopping_; ++n) {
      std::this_thread::sleep_until(due); // the pace of the load
      due = std::max(due + step, now() - 10 * step);
      q.headers = {
          {"idempotency-key", std::to_string(i) + "-" + std::to_string(n)}};
      const auto begun = now();
      const auto r = door.call(q);
      if (!r.ok() || r->status != 200) {
        ++failed_;
        continue;
      }
      ++sums_[i];
      const std::lock_guard lock{mutex_};
      waits_.push_back(to_ms(now() - begun));
    }
  }

  process_mesh& mesh_;
  const settings& s_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> failed_{0};
  std::vector<std::int64_t> sums_;
  std::mutex mutex_;
  std::vector<double> waits_;
  std::vector<std::thread> threads_;
};

/// When the peer said that the app's host failed first, as its log has it (a
/// wall clock, in ms); none if it didn't.
std::optional<std::int64_t> host_end(const process_mesh& mesh, std::size_t peer,
                                     const std::string& app) {
  std::ifstream log{mesh.dir() / ("p" + std::to_string(peer) + ".log")};
  const auto words = "app " + app + ": host failed";
  for (std::string line; std::getline(log, line);) {
    if (line.find(words) == std::string::npos)
      continue;
    std::tm t{};
    const char* rest = ::strptime(line.c_str(), "%Y-%m-%d %H:%M:%S.", &t);
    t.tm_isdst = -1;
    if (rest != nullptr)
      return std::int64_t{std::mktime(&t)} * 1000 + std::atoi(rest);
  }
  return std::nullopt;
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

struct crash_row {
  std::vector<double> again;  ///< ms from the crash to the next answer
  std::vector<double> poison; ///< ms until the command was given up
  int wrong = 0;
};

bool strike(process_mesh& mesh, const std::string& kind, const std::string& app,
            crash_row& row) {
  mesh.deploy(app,
              "name = \"" + app
                  + "\"\nmodule = \"crasher\"\nshards = 1\nreplicas = 3\n");
  mesh.wait_healthy(app, 3);
  const auto leader = mesh.leader_of(app);
  if (!leader)
    return false;
  const auto target = "/v1/apps/" + app + "/actors/";
  io::http_client door{mesh.http(*leader)};
  io::http_call touch;
  touch.method = "POST";
  touch.target = target + "well/touch";
  touch.timeout = 60s;
  touch.headers = {{"banyan-deadline-ms", "55000"}};
  if (const auto r = door.call(touch); !r.ok() || r->status != 200)
    return false;
  int status = 0;
  std::string said;
  duration poisoned{};
  const auto begun = now();
  std::thread harm{[&] {
    io::http_client other{mesh.http(*leader)};
    io::http_call q = touch;
    q.target = target + "ill/" + kind;
    q.timeout = 60s;
    q.headers = {{"banyan-deadline-ms", "55000"}};
    if (const auto r = other.call(q); r.ok()) {
      status = r->status;
      said = r->body;
    }
    poisoned = now() - begun;
  }};
  // Until one is answered behind the end of the host, as its peer's log has it.
  result<io::http_reply, io::net_error> r = door.call(touch);
  auto answered = wall_ms();
  auto took = now() - begun;
  std::optional<std::int64_t> end;
  while (r.ok() && r->status == 200 && now() - begun < 50s) {
    end = host_end(mesh, *leader, app);
    if (end && answered > *end)
      break;
    r = door.call(touch);
    answered = wall_ms();
    took = now() - begun;
  }
  harm.join();
  row.again.push_back((kind == "leak" || kind == "spin") && end
                          ? static_cast<double>(answered - *end)
                          : to_ms(took));
  row.poison.push_back(to_ms(poisoned));
  const bool good = r.ok() && r->status == 200 && status == 500
                    && said.find("poisoned") != std::string::npos;
  if (!good) {
    ++row.wrong;
    std::printf("%s: the other actor got %d, the command %d %s\n", kind.c_str(),
                r.ok() ? r->status : 0, status, said.c_str());
  }
  io::http_call away;
  away.method = "DELETE";
  away.target = "/v1/apps/" + app;
  away.timeout = 5s;
  (void)mesh.call(mesh.control(0), away);
  return good;
}

int run(const settings& s) {
  process_mesh mesh{std::vector<peer_place>(5)};
  mesh.start_all();
  mesh.wait_members(5);
  mesh.deploy(
      "ledger",
      "name = \"ledger\"\nmodule = \"ledger\"\nshards = 4\nreplicas = 3\n");
  mesh.wait_healthy("ledger", 3);
  paced_ledger ledger{mesh, s};
  ledger.start();
  std::this_thread::sleep_for(1s); // warm
  (void)ledger.taken();
  std::this_thread::sleep_for(5s); // what quiet is
  const auto quiet = ledger.taken();
  std::printf("ledger, quiet: %zu calls, median %.2f ms, p99 %.2f ms\n",
              quiet.size(), at(quiet, 0.5), at(quiet, 0.99));
  std::printf("%-8s %7s %8s %8s %8s   %8s   %8s %8s %6s\n", "crash", "times",
              "median", "p90", "max", "poisoned", "ledger50", "ledger99",
              "ratio");
  bool good = true;
  int number = 0;
  std::istringstream kinds{s.kinds};
  for (std::string kind; std::getline(kinds, kind, ',');) {
    crash_row row;
    (void)ledger.taken();
    for (int i = 0; i < s.crashes; ++i)
      good =
          strike(mesh, kind, "crash-" + std::to_string(++number), row) && good;
    const auto during = ledger.taken();
    std::printf("%-8s %7zu %8.1f %8.1f %8.1f   %8.1f   %8.2f %8.2f %6.2f\n",
                kind.c_str(), row.again.size(), at(row.again, 0.5),
                at(row.again, 0.9), at(row.again, 1), at(row.poison, 0.5),
                at(during, 0.5), at(during, 0.99),
                at(during, 0.99) / at(quiet, 0.99));
    std::fflush(stdout);
  }
  ledger.stop();
  std::printf("ledger: %llu calls failed\n",
              static_cast<unsigned long long>(ledger.failed()));
  good = ledger.sums_hold() && ledger.failed() == 0 && good;
  const auto fallen = mesh.casualties();
  if (!fallen.empty())
    std::printf("%s", fallen.c_str());
  return good && fallen.empty() ? 0 : 1;
}

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  banyan::test::settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--crashes")
      s.crashes = std::atoi(argv[i + 1]);
    else if (flag == "--kinds")
      s.kinds = argv[i + 1];
    else if (flag == "--callers")
      s.callers = static_cast<std::size_t>(std::atoi(argv[i + 1]));
    else if (flag == "--rate")
      s.rate = std::atof(argv[i + 1]);
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  try {
    return banyan::test::run(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "crash_bench: %s\n", e.what());
    return 1;
  }
}
