#include "tests/integration/netns_world.hpp"

#include <cstdio>
#include <thread>

namespace banyan::test {
namespace {

constexpr const char* apps[] = {"kv", "counter", "ledger"};

std::size_t voters_of(const std::string& app) {
  return app == "counter" ? 5 : 3;
}

double seconds_of(duration d) {
  return std::chrono::duration<double>(d).count();
}

} // namespace

netns_world::netns_world(settings s)
    : hosts{s.hosts}, random{s.seed}, settings_{std::move(s)},
      owned_{hosts, settings_.flags, settings_.regions}, mesh_{
                                                             &owned_.peers()} {
  if (settings_.before)
    settings_.before(*this);
}

void netns_world::begin() {
  started_ = now();
  mesh_->start_all();
  mesh_->wait_members(hosts.size());
  const auto more =
      settings_.spec
      + (settings_.replace_after.empty()
             ? std::string{}
             : "replace_after = \"" + settings_.replace_after + "\"\n");
  owned_.deploy("kv", "shards = 2\nreplicas = 3\n" + more);
  owned_.deploy("counter", "shards = 1\nreplicas = 5\n" + more);
  owned_.deploy("ledger", "shards = 2\nreplicas = 3\n" + more);
  for (const auto* app : apps)
    mesh_->wait_healthy(app, voters_of(app));
  history_options h;
  h.seed = settings_.seed;
  histories_ = std::make_unique<history_load>(*mesh_, h);
  ledger_ = std::make_unique<ledger_load>(
      *mesh_, load_options{"ledger", 6, 6, 8ms, 25s});
  histories_->start();
  ledger_->start();
  say(std::to_string(hosts.size()) + " peers serve three apps");
  until_ = now()
           + std::chrono::duration_cast<duration>(
               std::chrono::duration<double>(settings_.seconds));
}

void netns_world::dwell(duration least, duration most) {
  const auto span = static_cast<std::uint64_t>((most - least).count()) + 1;
  std::this_thread::sleep_for( // how long a fault lasts
      least + duration{static_cast<std::int64_t>(random() % span)});
}

void netns_world::say(const std::string& what) const {
  std::printf("%6.2f s  %s\n", seconds_of(now() - started_), what.c_str());
  std::fflush(stdout);
}

void netns_world::struck(const std::string& kind) {
  ++faults_[kind];
  say(kind);
}

void netns_world::noted(const std::string& what) {
  ++notes_[what];
  say(what);
}

void netns_world::complain(const std::string& what) {
  wrong_.push_back(what);
  say("wrong: " + what);
}

void netns_world::heal() {
  cut_packets_ += hosts.heal();
}

void netns_world::demand_alive() {
  const auto fallen = mesh_->casualties();
  if (fallen.empty())
    return;
  complain("ended by itself: " + fallen);
  for (std::size_t i = 0; i < hosts.size(); ++i)
    if (mesh_->ended(i)) {
      mesh_->kill(i);
      mesh_->start(i);
    }
}

void netns_world::demand_health(duration bound) {
  demand_alive();
  const auto from = now();
  try {
    for (const auto* app : apps)
      mesh_->wait_healthy(app, voters_of(app), bound - (now() - from));
  } catch (const std::runtime_error& e) {
    complain("not healthy " + std::to_string(seconds_of(bound))
             + " s after the faults: " + e.what());
  }
  slowest_heal_ = std::max(slowest_heal_, now() - from);
}

std::pair<std::size_t, std::size_t> netns_world::any_pair() {
  const auto a = any_host();
  return {a, (a + 1 + random() % (hosts.size() - 1)) % hosts.size()};
}

std::size_t netns_world::leader(const std::string& app, std::uint32_t shard) {
  return mesh_->leader_of(app, shard).value_or(any_host());
}

int netns_world::end(duration bound) {
  heal();
  say("the faults are over");
  for (std::size_t i = 0; i < hosts.size(); ++i)
    if (!mesh_->running(i))
      mesh_->start(i);
    else if (!mesh_->serving(i))
      mesh_->thaw(i);
  demand_health(bound);
  say("all groups are healthy");
  std::vector<std::thread> stops;
  stops.emplace_back([&] { histories_->stop(); });
  stops.emplace_back([&] { ledger_->stop(); });
  for (auto& t : stops)
    t.join();
  say("the clients have their answers");
  const auto histories = histories_->check();
  const auto audit = ledger_->audit();
  demand_alive();
  std::printf("faults:\n");
  std::uint64_t sum = 0;
  for (const auto& [kind, n] : faults_) {
    std::printf("  %-44s %6llu\n", kind.c_str(),
                static_cast<unsigned long long>(n));
    sum += n;
  }
  std::printf("  %-44s %6llu\n", "all", static_cast<unsigned long long>(sum));
  for (const auto& [what, n] : notes_)
    std::printf("and then: %-36s %6llu\n", what.c_str(),
                static_cast<unsigned long long>(n));
  std::printf("packets that the cuts hit: %llu\n"
              "slowest time to health after the last heal: %.2f s\n"
              "kv and counter: %sledger: %s",
              static_cast<unsigned long long>(cut_packets_),
              seconds_of(slowest_heal_), histories.text().c_str(),
              audit.text().c_str());
  if (!wrong_.empty())
    std::printf("%zu things were wrong, see above\n", wrong_.size());
  const bool good = wrong_.empty() && histories.clean() && audit.clean();
  if (!good)
    std::printf("%s", mesh_->last_words(6000).c_str());
  std::printf("%s, seed %llu, %.1f s\n", good ? "all holds" : "FAILED",
              static_cast<unsigned long long>(settings_.seed),
              seconds_of(now() - started_));
  return good ? 0 : 1;
}

} // namespace banyan::test
