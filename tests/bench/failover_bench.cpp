// Failovers of a group at default settings: a mesh of real peers under a steady
// load, whose leader is killed (or frozen) again and again.
//
//   failover_bench [--kills N] [--freeze | --cut] [--hosts] [--peers N]
//                  [--rate PER_SECOND] [--shards N]
//
// With --hosts each peer is on a host of its own (network namespaces; root
// only), and --cut takes its network from the leader: packets from and to it
// vanish, until they don't.
//
// Two views of each failover: what `GET /v1/failovers` says (phases, in ms
// since the loss was noticed), and what a caller saw: from just before the
// signal to the first answer of a higher term.
#include "tests/support/owned_mesh.hpp"
#include "tests/support/term_watch.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace banyan::test {
namespace {

struct settings {
  int kills = 100;
  bool freeze = false;
  bool hosts = false;
  bool cut = false;
  std::size_t peers = 3;
  double rate = 500;
  int shards = 1;
};

constexpr std::size_t callers = 20;

/// Callers that add 1 to a counter each at a steady pace, and remember when a
/// term first answered.
class steady_load {
public:
  steady_load(process_mesh& mesh, double rate) : mesh_{mesh}, rate_{rate} {}
  ~steady_load() { stop(); }

  void start() {
    for (std::size_t i = 0; i < callers; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  /// Callers go to the other peers from their next call on.
  void avoid(std::size_t peer) { avoid_ = peer; }
  std::uint64_t acknowledged() const { return acknowledged_; }
  const std::array<std::uint64_t, callers>& sums() const { return sums_; }

  term_watch terms;

private:
  void run(std::size_t i) {
    std::vector<std::unique_ptr<io::http_client>> links(mesh_.size());
    std::size_t at = i % mesh_.size();
    io::http_call q;
    q.method = "POST";
    q.target = "/v1/apps/counter/actors/k" + std::to_string(i) + "/add";
    q.body = R"({"n":1})";
    q.connect_timeout = 1s;
    q.timeout = 7s;
    const duration step{static_cast<std::int64_t>(1e9 * callers / rate_)};
    auto due = now() + step * static_cast<int>(i) / static_cast<int>(callers);
    for (std::uint64_t n = 1; !stopping_; ++n) {
      std::this_thread::sleep_until(due); // the pace of the load
      due = std::max(due + step, now() - 10 * step);
      q.headers = {
          {"accept", "application/msgpack"},
          {"idempotency-key", std::to_string(i) + "-" + std::to_string(n)}};
      while (!call(q, links, at)) {
        if (gave_up_)
          return;
        at = (at + 1) % mesh_.size();
      }
      ++sums_[i];
      ++acknowledged_;
    }
  }

  bool call(const io::http_call& q,
            std::vector<std::unique_ptr<io::http_client>>& links,
            std::size_t& at) {
    if (at == avoid_)
      at = (at + 1) % mesh_.size();
    auto& link = links[at];
    if (link == nullptr)
      link = std::make_unique<io::http_client>(mesh_.http(at));
    const auto r = link->call(q);
    if (!r.ok()) {
      link.reset();
      return false;
    }
    if (r->status != 200) {
      if (r->status != 503 && r->status != 504 && r->status != 429) {
        std::fprintf(stderr, "a caller got %d %s\n", r->status,
                     r->body.c_str());
        gave_up_ = true;
      }
      return false;
    }
    terms.saw(static_cast<std::uint64_t>(parse_value(r->body)["term"].integer));
    return true;
  }

  process_mesh& mesh_;
  double rate_;
  std::atomic<bool> stopping_{false}, gave_up_{false};
  std::atomic<std::size_t> avoid_{SIZE_MAX};
  std::atomic<std::uint64_t> acknowledged_{0};
  std::array<std::uint64_t, callers> sums_{};
  std::vector<std::thread> threads_;
};

double to_ms(duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

void print_row(const char* name, std::vector<double> v) {
  if (v.empty())
    return void(std::printf("%-34s (none)\n", name));
  std::sort(v.begin(), v.end());
  const auto at = [&](double q) {
    return v[std::min(v.size() - 1, static_cast<std::size_t>(
                                        q * static_cast<double>(v.size())))];
  };
  std::printf("%-34s %8.1f %8.1f %8.1f %8.1f\n", name, at(0.5), at(0.9),
              at(0.99), v.back());
}

struct samples {
  std::vector<double> caller, noticed, elected, commit, reply;
};

/// The failover into `term` as some serving peer tells it.
value record_of(const process_mesh& mesh, std::uint64_t term) {
  value found;
  wait_until(
      [&] {
        for (std::size_t i = 0; i < mesh.size(); ++i) {
          if (!mesh.serving(i))
            continue;
          for (const auto& f : mesh.get(i, "/v1/failovers").list)
            if (static_cast<std::uint64_t>(f["term"].integer) == term
                && f["shard"].integer == 0)
              found = f;
          if (!found.is_nil())
            return true;
        }
        return false;
      },
      5s);
  return found;
}

bool strike(const settings& s, net_hosts* hosts, process_mesh& mesh,
            steady_load& load, samples& out) {
  mesh.wait_healthy("counter", 3);
  const auto leader = mesh.leader_of("counter").value();
  const auto term = mesh.app(leader, "counter")->groups.front().term;
  load.avoid(leader);
  const auto served = load.acknowledged();
  // Calm first: a peer that has just started has to be heard a few times.
  if (!wait_until([&] { return load.acknowledged() > served + 20 * callers; },
                  10s))
    return false;
  const auto begun = now();
  if (s.cut) {
    hosts->isolate(leader);
    hosts->cut(net_hosts::hub, leader);
  } else if (s.freeze)
    mesh.freeze(leader);
  else
    mesh.kill(leader);
  const auto first = load.terms.first_above(term, 30s);
  if (!first) {
    std::printf("no answer of a term above %llu in 30 s\n",
                static_cast<unsigned long long>(term));
    return false;
  }
  out.caller.push_back(to_ms(first->at - begun));
  const auto f = record_of(mesh, first->term);
  if (!f.is_nil()) {
    out.elected.push_back(f["elected"].real);
    out.commit.push_back(f["first_commit"].real);
    if (!f["first_reply"].is_nil()) {
      out.reply.push_back(f["first_reply"].real);
      out.noticed.push_back(
          std::max(0.0, out.caller.back() - out.reply.back()));
    }
  }
  if (s.cut) {
    (void)hosts->heal();
    load.avoid(SIZE_MAX);
    return true;
  }
  // A frozen leader isn't thawed but killed: what it missed would make it
  // patient with others for many seconds, and it is the next one's observer.
  mesh.kill(leader);
  mesh.start(leader);
  load.avoid(SIZE_MAX);
  return true;
}

bool sums_hold(const process_mesh& mesh, const steady_load& load) {
  bool good = true;
  for (std::size_t i = 0; i < callers; ++i) {
    const auto v = mesh.get(
        0, "/v1/apps/counter/actors/k" + std::to_string(i) + "/get", 6s);
    const auto sum = static_cast<std::uint64_t>(v["result"].integer);
    if (sum == load.sums()[i])
      continue;
    good = false;
    std::printf("counter k%zu is %llu, acknowledged %llu\n", i,
                static_cast<unsigned long long>(sum),
                static_cast<unsigned long long>(load.sums()[i]));
  }
  return good;
}

const char* word(const settings& s) {
  return s.cut ? "a cut" : s.freeze ? "SIGSTOP" : "kill -9";
}

int run(const settings& s) {
  std::unique_ptr<net_hosts> hosts;
  std::unique_ptr<owned_mesh> owned;
  std::unique_ptr<process_mesh> local;
  if (s.hosts) {
    hosts = std::make_unique<net_hosts>(s.peers);
    owned = std::make_unique<owned_mesh>(*hosts);
  } else {
    local = std::make_unique<process_mesh>(std::vector<peer_place>(s.peers));
  }
  auto& mesh = s.hosts ? owned->peers() : *local;
  mesh.start_all();
  mesh.wait_members(s.peers);
  const auto spec = "shards = " + std::to_string(s.shards) + "\nreplicas = 3\n";
  if (s.hosts)
    owned->deploy("counter", spec);
  else
    mesh.deploy("counter", "name = \"counter\"\nmodule = \"counter\"\n" + spec);
  mesh.wait_healthy("counter", 3);
  steady_load load{mesh, s.rate};
  load.start();
  samples seen;
  bool good = true;
  const auto begun = now();
  for (int i = 0; i < s.kills && good; ++i) {
    good = strike(s, hosts.get(), mesh, load, seen);
    if (good) {
      std::printf("%3d  %8.1f ms\n", i + 1, seen.caller.back());
      std::fflush(stdout);
    }
  }
  const auto took = to_ms(now() - begun) / 1000;
  load.stop();
  if (!good)
    std::printf("%s", mesh.last_words().c_str());
  std::printf("%zu failovers after %s, %zu peers, %d shard(s), %.0f commands/s "
              "asked for, %.0f/s acknowledged over all (%.0f s)\n",
              seen.caller.size(), word(s), s.peers, s.shards, s.rate,
              static_cast<double>(load.acknowledged()) / took, took);
  std::printf("%-34s %8s %8s %8s %8s\n", "ms", "median", "p90", "p99", "max");
  print_row("signal to first answer (caller)", seen.caller);
  print_row("  signal to noticed (difference)", seen.noticed);
  print_row("/v1/failovers: elected", seen.elected);
  print_row("/v1/failovers: first commit", seen.commit);
  print_row("/v1/failovers: first reply", seen.reply);
  mesh.wait_healthy("counter", 3);
  good = sums_hold(mesh, load) && good;
  const auto fallen = mesh.casualties();
  if (!fallen.empty())
    std::printf("%s", fallen.c_str());
  return good && fallen.empty() ? 0 : 1;
}

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  banyan::test::settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto number = [&] {
      if (i + 1 >= argc) {
        std::fprintf(stderr, "%s needs a number\n", flag.c_str());
        std::exit(2);
      }
      return std::atoi(argv[++i]);
    };
    if (flag == "--kills")
      s.kills = number();
    else if (flag == "--freeze")
      s.freeze = true;
    else if (flag == "--hosts")
      s.hosts = true;
    else if (flag == "--cut")
      s.hosts = s.cut = true;
    else if (flag == "--peers")
      s.peers = static_cast<std::size_t>(number());
    else if (flag == "--rate")
      s.rate = number();
    else if (flag == "--shards")
      s.shards = number();
    else {
      std::fprintf(stderr, "unknown flag %s\n", flag.c_str());
      return 2;
    }
  }
  try {
    return banyan::test::run(s);
  } catch (const banyan::test::not_here& e) {
    std::printf("NOT RUN: %s\n", e.what());
    return banyan::test::not_run;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "failover_bench: %s\n", e.what());
    return 1;
  }
}
