// What an app that harms its own process costs: five peers, `crasher` beside
// `ledger` under a steady load.
//
//   crash_bench [--crashes N]
//               [--kinds segv,abort,leave,recurse,leak,spin,throw]
//               [--callers N] [--rate PER_SECOND] [--turn-time 500ms]
//
// For each crash a new app `crash-N` is deployed, hit once by a poison command
// (which runs three times before the group answers `poisoned`), and asked for
// another actor: measured is the time from the command being sent until that
// actor answers again; for a leak and an endless loop from the end of the host,
// to the millisecond of the peer's log. The command is then repeated by every
// peer with its Idempotency-Key: `poisoned` from all, and its actor goes on.
//
// Beside it: what the ledger's callers waited while crashes went on (from each
// harmful command until 200 ms after its answer; deploying and removing apps
// doesn't count), against seconds of quiet before and after each kind; and that
// the ledger lost and doubled nothing.
#include "tests/support/paced_ledger.hpp"
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
  std::string kinds = "segv,abort,leave,recurse,leak,spin,throw";
  std::string turn_time = "500ms"; ///< of the crasher
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

struct span {
  time_point from, to;
};
struct crash_row {
  std::vector<double> again;  ///< ms from the crash to the next answer
  std::vector<double> poison; ///< ms until the command was given up
  std::vector<span> crashes;
};

/// Those that begun in one of the spans.
std::vector<paced_ledger::sample>
within(const std::vector<paced_ledger::sample>& all,
       const std::vector<span>& spans) {
  std::vector<paced_ledger::sample> out;
  for (const auto& one : all)
    if (std::any_of(spans.begin(), spans.end(), [&](const span& s) {
          return one.begun >= s.from && one.begun < s.to;
        }))
      out.push_back(one);
  return out;
}

/// `poisoned` from every peer, and the actor serves.
bool quarantined(process_mesh& mesh, const io::http_call& harmful,
                 const std::string& touch) {
  for (std::size_t i = 0; i < mesh.size(); ++i) {
    const auto r = mesh.call(mesh.http(i), harmful);
    if (r.status != 500 || r.body.find("poisoned") == std::string::npos) {
      std::printf("peer %zu answered %d %s\n", i, r.status, r.body.c_str());
      return false;
    }
  }
  auto c = harmful;
  c.target = touch;
  c.headers.pop_back(); // its Idempotency-Key
  const auto r = mesh.call(mesh.http(0), c);
  if (r.status != 200)
    std::printf("the actor answered %d %s\n", r.status, r.body.c_str());
  return r.status == 200;
}

bool strike(process_mesh& mesh, const settings& s, const std::string& kind,
            const std::string& app, crash_row& row) {
  mesh.deploy(app, "name = \"" + app
                       + "\"\nmodule = \"crasher\"\nshards = 1\n"
                         "replicas = 3\nmemory = \"256MiB\"\nturn_time = \""
                       + s.turn_time + "\"\n");
  mesh.wait_healthy(app, 3);
  const auto leader = mesh.leader_of(app);
  if (!leader)
    return false;
  const bool throws = kind == "throw";
  const auto target = "/v1/apps/" + app + "/actors/";
  io::http_client door{mesh.http(*leader)};
  io::http_call touch;
  touch.method = "POST";
  touch.target = target + "well/touch";
  touch.timeout = 60s;
  touch.headers = {{"banyan-deadline-ms", "55000"}};
  if (const auto r = door.call(touch); !r.ok() || r->status != 200)
    return false;
  auto harmful = touch;
  harmful.target = target + "ill/" + kind;
  harmful.headers.push_back({"idempotency-key", "harm-" + app});
  int status = 0;
  std::string said;
  duration poisoned{};
  const auto begun = now();
  std::thread harm{[&] {
    io::http_client other{mesh.http(*leader)};
    if (const auto r = other.call(harmful); r.ok()) {
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
  while (!throws && r.ok() && r->status == 200 && now() - begun < 50s) {
    end = host_end(mesh, *leader, app);
    if (end && answered > *end)
      break;
    r = door.call(touch);
    answered = wall_ms();
    took = now() - begun;
  }
  harm.join();
  row.crashes.push_back({begun, now() + 200ms});
  row.again.push_back((kind == "leak" || kind == "spin") && end
                          ? static_cast<double>(answered - *end)
                          : to_ms(took));
  row.poison.push_back(to_ms(poisoned));
  bool good =
      r.ok() && r->status == 200 && status == 500
      && said.find(throws ? "app_failed" : "poisoned") != std::string::npos;
  if (!good)
    std::printf("%s: the other actor got %d, the command %d %s\n", kind.c_str(),
                r.ok() ? r->status : 0, status, said.c_str());
  std::this_thread::sleep_for(200ms); // what comes after it counts, too
  if (good && !throws)
    good = quarantined(mesh, harmful, target + "ill/touch");
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
  paced_options load;
  load.callers = s.callers;
  load.rate = s.rate;
  paced_ledger ledger{mesh, load};
  ledger.start();
  std::this_thread::sleep_for(1s); // warm
  const auto quiet_for = s.crashes > 10 ? 5s : 1s;
  const auto quiet = [&] {
    (void)ledger.taken();
    std::this_thread::sleep_for(quiet_for);
    return ledger.taken();
  };
  std::printf("%-8s %6s %8s %8s %8s  %8s  %17s %17s %6s\n", "crash", "times",
              "median", "p90", "max", "poisoned", "quiet p50   p99",
              "beside p50   p99", "ratio");
  bool good = true;
  int number = 0;
  auto before = quiet();
  std::istringstream kinds{s.kinds};
  for (std::string kind; std::getline(kinds, kind, ',');) {
    crash_row row;
    for (int i = 0; i < s.crashes; ++i)
      good = strike(mesh, s, kind, "crash-" + std::to_string(++number), row)
             && good;
    const auto beside = within(ledger.taken(), row.crashes);
    auto after = quiet();
    auto calm = before;
    calm.insert(calm.end(), after.begin(), after.end());
    before = std::move(after);
    std::printf("%-8s %6zu %8.1f %8.1f %8.1f  %8.1f  %8.2f %8.2f %8.2f %8.2f "
                "%6.2f\n",
                kind.c_str(), row.again.size(), at(row.again, 0.5),
                at(row.again, 0.9), at(row.again, 1), at(row.poison, 0.5),
                quantile_ms(calm, 0.5), quantile_ms(calm, 0.99),
                quantile_ms(beside, 0.5), quantile_ms(beside, 0.99),
                quantile_ms(beside, 0.99) / quantile_ms(calm, 0.99));
    std::fflush(stdout);
  }
  ledger.stop();
  std::printf("ledger: %llu answered, %llu failed, %llu wrong\n",
              static_cast<unsigned long long>(ledger.answered()),
              static_cast<unsigned long long>(ledger.failed()),
              static_cast<unsigned long long>(ledger.wrong()));
  good =
      ledger.sums_hold() && ledger.failed() == 0 && ledger.wrong() == 0 && good;
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
    else if (flag == "--turn-time")
      s.turn_time = argv[i + 1];
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
