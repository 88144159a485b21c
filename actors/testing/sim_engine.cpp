#include "actors/testing/sim_engine.hpp"

#include "actors/client/outcome.hpp"
#include "actors/testing/engine_views.hpp"
#include "actors/testing/sim/harm.hpp"

#include <caf/send.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace banyan::testing::detail {
namespace {

using milliseconds = std::chrono::milliseconds;
using banyan::detail::call_done;
using banyan::detail::call_order;
using banyan::detail::call_outcome;

constexpr milliseconds formation_max{10'000};
constexpr milliseconds deploy_max{15'000};
/// A client waits a little longer than it told the peer that it would.
constexpr milliseconds extra_patience{1000};

[[noreturn]] void fail(const std::string& why) {
  throw std::runtime_error{"sim_mesh: " + why};
}

sim::world_options world_options(const sim_engine_options& o) {
  if (o.nodes == 0)
    fail("a mesh has one peer at least");
  sim::world_options w;
  w.seed = o.seed;
  w.machines = o.nodes;
  w.regions = o.regions;
  w.within.delay_low = o.near_low;
  w.within.delay_high = o.near_high;
  w.between.delay_low = o.far_low;
  w.between.delay_high = o.far_high;
  return w;
}

class engine final : public sim_engine, private engine_views {
public:
  explicit engine(const sim_engine_options& o)
      : world_{world_options(o)}, harm_{world_} {
    for (const auto& m : world_.machines)
      m->boot();
    until(formation_max, "the peers to find each other",
          [this] { return why_unformed(); });
  }

  void add_table(const banyan_app_v1& table) override {
    world_.catalog.add(table);
  }
  void deploy(const engine_app& app) override;
  call_outcome call(std::size_t node, call_order order) override;
  void begin(std::size_t node, call_order order, call_done done) override;
  void after(std::chrono::nanoseconds d, std::function<void()> f) override {
    world_.after(d, [this, f = std::move(f)] { inside(f); });
  }

  void kill(std::size_t node) override {
    if (at(node).up())
      at(node).kill(sim::machine::end::process);
  }
  void stop(std::size_t node) override;
  void restart(std::size_t node) override {
    kill(node);
    at(node).boot();
  }
  void wipe(std::size_t node) override {
    kill(node);
    world_.logs.loses(at(node).id());
    at(node).wipe();
  }
  void freeze(std::size_t node) override {
    if (at(node).up() && !at(node).paused())
      at(node).pause();
  }
  void thaw(std::size_t node) override {
    if (at(node).paused())
      at(node).resume();
  }
  void partition(const std::vector<std::vector<std::size_t>>& groups) override;

  std::size_t leader_of(const std::string& app, const std::string& key,
                        milliseconds patience) override;
  std::vector<std::size_t> voters_of(const std::string& app,
                                     const std::string& key) override {
    return find_voters(app, key);
  }
  void wait_healthy(milliseconds patience) override;
  void run_for(milliseconds d) override {
    outside();
    world_.run_for(d);
  }

  [[nodiscard]] std::size_t size() const override {
    return world_.machines.size();
  }
  [[nodiscard]] bool running(std::size_t node) const override {
    return at(node).up();
  }
  [[nodiscard]] std::string address(std::size_t node) const override {
    return to_string(at(node).address());
  }
  [[nodiscard]] std::string id(std::size_t node) const override {
    return to_string(at(node).id());
  }
  [[nodiscard]] std::vector<engine_member> members(std::size_t node) override;
  [[nodiscard]] std::string fault(std::size_t node) const override {
    return at(node).fault();
  }

  [[nodiscard]] std::uint64_t seed() const override { return world_.seed; }
  [[nodiscard]] std::chrono::nanoseconds elapsed() const override {
    return world_.elapsed();
  }
  bool harm(std::string_view fault, std::size_t node, std::size_t other,
            milliseconds lasts) override;
  void trouble(milliseconds length,
               const std::vector<std::string>& kinds) override;
  void end_faults() override {
    harm_.heal();
    cuts_.clear();
  }
  [[nodiscard]] std::map<std::string, std::uint64_t> faults() const override {
    return harm_.counts();
  }
  void jump_clock(std::size_t node, milliseconds by) override {
    at(node).jump_wall_clock(by);
  }
  [[nodiscard]] const std::vector<std::string>& problems() const override {
    return world_.problems;
  }
  [[nodiscard]] std::uint64_t trace_hash() const override {
    return world_.hash;
  }

private:
  [[nodiscard]] sim::machine& at(std::size_t node) const {
    if (node >= world_.machines.size())
      fail("there is no peer " + std::to_string(node));
    return world_.at(node);
  }
  [[nodiscard]] std::size_t count() const override { return size(); }
  [[nodiscard]] bool awake(std::size_t n) const override {
    return at(n).up() && !at(n).paused();
  }
  [[nodiscard]] node_id id_of(std::size_t n) const override {
    return at(n).id();
  }
  bool look(std::size_t n,
            const std::function<void(actors::peer&)>& f) const override {
    if (!at(n).up())
      return false;
    f(at(n).peer());
    return true;
  }
  void outside() const {
    if (inside_)
      fail("what `begin` or `after` called can't wait: begin another call");
  }
  void inside(const std::function<void()>& f) {
    inside_ = true;
    f();
    inside_ = false;
  }
  template <class F>
  void until(milliseconds patience, const char* what, F&& why_not) {
    outside();
    std::string why;
    const auto done = world_.run_until(
        [&] {
          why = why_not();
          return why.empty();
        },
        patience);
    if (!done)
      fail("waited " + std::to_string(patience.count()) + " virtual ms for "
           + what + ": " + why + " (seed " + std::to_string(world_.seed) + ")");
  }

  sim::world world_;
  sim::harm harm_;
  std::set<std::string> deployed_;
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  std::uint64_t troubles_ = 0;
  bool inside_ = false;
};

void engine::deploy(const engine_app& app) {
  outside();
  actors::deploy_in d;
  d.spec.name = app.name;
  d.spec.module = app.module.empty() ? app.name : app.module;
  d.spec.shards = app.shards;
  d.spec.replicas = app.replicas;
  if (app.stateless) {
    d.spec.kind = app_kind::stateless;
    d.spec.shards = 1;
    d.spec.replicas = app.instances;
  }
  d.spec.replace_after = app.replace_after;
  d.spec.spread = app.spread_regions ? app_spread::regions : app_spread::none;
  d.spec.isolation = app_isolation::none;
  auto answer = std::make_shared<std::optional<actors::deploy_answer>>();
  d.done = [answer](const actors::deploy_answer& a) { *answer = a; };
  const auto n = first_awake();
  if (n == any)
    fail("no peer runs");
  caf::anon_send(at(n).peer().context().supervisor, std::move(d));
  if (!world_.run_until([&] { return answer->has_value(); }, deploy_max))
    fail("the peer doesn't answer the deploy");
  const auto& a = **answer;
  if (a.status != reply_status::ok)
    fail("deploy of " + app.name + ": " + to_string(a.status) + ": "
         + a.message);
  for (std::uint32_t s = 0; s < app.shards && !app.stateless; ++s)
    world_.logs.born({a.app, s}, a.voters[s]);
  deployed_.insert(app.name);
  until(deploy_max, "the app to serve",
        [&] { return why_unserved(app.name, false); });
}

// ---- calls -----------------------------------------------------------------

void engine::begin(std::size_t node, call_order order, call_done done) {
  const auto answer = std::make_shared<call_done>(
      [this, done = std::move(done)](call_outcome o) {
        inside([&] { done(std::move(o)); });
      });
  // Once, and never inside this call or a turn of the peer.
  const auto tell = [this, answer](call_outcome o) {
    if (*answer)
      world_.after(duration::zero(), [f = std::exchange(*answer, nullptr),
                                      o = std::move(o)] { f(o); });
  };
  if (const auto* why = why_unsendable(order))
    return tell(make_error(call_errc::invalid_argument, why));
  if (node == any)
    node = first_awake();
  if (node == any || !at(node).up())
    return tell(make_error(call_errc::unreachable, "that peer doesn't run"));
  at(node).peer().call(
      request_of(order),
      [this, tell, node, boot = at(node).boots()](reply a, std::uint32_t) {
        if (at(node).boots() == boot) // else it ends, and nobody hears it
          tell(outcome_of(std::move(a)));
      });
  world_.after(order.options.deadline + extra_patience, [tell] {
    tell(make_error(call_errc::unknown,
                    "the peer says nothing: it may have taken effect"));
  });
}

call_outcome engine::call(std::size_t node, call_order order) {
  outside();
  const auto patience = order.options.deadline + 2 * extra_patience;
  auto got = std::make_shared<std::optional<call_outcome>>();
  begin(node, std::move(order),
        [got](call_outcome o) { got->emplace(std::move(o)); });
  world_.run_until([&] { return got->has_value(); }, patience);
  return std::move(got->value());
}

// ---- faults ----------------------------------------------------------------

void engine::stop(std::size_t node) {
  if (!awake(node))
    return kill(node);
  outside();
  const auto down = std::make_shared<bool>(false);
  at(node).stop([down] { *down = true; });
  world_.run_until([&] { return *down; }, std::chrono::seconds{40});
}

void engine::partition(const std::vector<std::vector<std::size_t>>& groups) {
  for (const auto& [a, b] : cuts_) {
    world_.net.heal_one_way(at(a).host(), at(b).host());
    world_.mended(a, b);
  }
  cuts_.clear();
  for (const auto& one : groups)
    for (const auto& other : groups)
      for (const auto a : one)
        for (const auto b : other)
          if (&one != &other && cuts_.emplace(a, b).second)
            world_.net.cut_one_way(at(a).host(), at(b).host());
  for (const auto& [a, b] : cuts_) // until the partition ends
    world_.troubled(a, b, std::chrono::hours{24});
}

bool engine::harm(std::string_view fault, std::size_t node, std::size_t other,
                  milliseconds lasts) {
  const auto kind = sim::fault_named(fault);
  if (!kind)
    fail("there is no fault called " + std::string{fault});
  static_cast<void>(at(node));
  sim::fault f;
  f.kind = *kind;
  f.a = node;
  f.b = other == any ? (node + 1) % size() : other;
  static_cast<void>(at(f.b));
  f.lasts = lasts;
  f.dice = world_.random.next();
  return harm_.begin(f);
}

void engine::trouble(milliseconds length,
                     const std::vector<std::string>& kinds) {
  outside();
  sim::schedule_options how;
  how.machines = size();
  how.length = length;
  for (const auto& name : kinds) {
    const auto kind = sim::fault_named(name);
    if (!kind)
      fail("there is no fault called " + name);
    how.kinds.push_back(*kind);
  }
  harm_.play(sim::draw_schedule(world_.seed + ++troubles_, how),
             [](std::size_t) { return false; });
  world_.run_for(length);
}

// ---- views -----------------------------------------------------------------

std::size_t engine::leader_of(const std::string& app, const std::string& key,
                              milliseconds patience) {
  std::optional<std::size_t> found;
  until(patience, "a leader", [&]() -> std::string {
    found = find_leader(app, key);
    return found ? "" : "no running peer leads the group of " + app + "/" + key;
  });
  return *found;
}

void engine::wait_healthy(milliseconds patience) {
  until(patience, "a healthy mesh",
        [this] { return why_unhealthy(deployed_); });
}

std::vector<engine_member> engine::members(std::size_t node) {
  if (!running(node))
    fail("peer " + std::to_string(node) + " doesn't run");
  return members_known_to(node);
}

} // namespace

std::vector<std::pair<std::string, std::string>> sim_engine::fault_names() {
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t i = 0; i < sim::fault_kinds; ++i) {
    const auto k = static_cast<sim::fault_kind>(i);
    out.emplace_back(to_string(k), meaning(k));
  }
  return out;
}

std::unique_ptr<sim_engine> sim_engine::make(sim_engine_options options) {
  return std::make_unique<engine>(options);
}

} // namespace banyan::testing::detail
