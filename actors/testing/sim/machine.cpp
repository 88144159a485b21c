#include "actors/testing/sim/machine.hpp"

#include "actors/node/evacuation.hpp"
#include "actors/testing/sim/world.hpp"

#include <algorithm>

namespace banyan::sim {

/// A virtual host that its machine can reach for as long as it lives.
class machine::sim_host final : public host {
public:
  sim_host(machine& m, host_options options, host_handlers handlers)
      : machine_{m}, inner_{
                         std::move(options),
                         watched(m, std::move(handlers)),
                         [&l = m.loop_](duration d, std::function<void()> f) {
                           l.after(d, std::move(f), "host");
                         },
                         [&l = m.loop_] { return l.now(); },
                         m.world_.catalog,
                         m.random_} {
    inner_.delays(m.host_low_, m.host_high_);
    inner_.dies_of(m.deadly_);
    machine_.hosts_.push_back(this);
  }
  ~sim_host() override {
    auto& all = machine_.hosts_;
    all.erase(std::find(all.begin(), all.end(), this));
  }
  sim_host(const sim_host&) = delete;
  sim_host& operator=(const sim_host&) = delete;

  void start() override { inner_.start(); }
  void submit(std::vector<turn_order> orders) override {
    inner_.submit(std::move(orders));
  }
  void restart() override { inner_.restart(); }
  void stop() override { inner_.stop(); }
  [[nodiscard]] time_point deadline() const override {
    return inner_.deadline();
  }
  void on_time(time_point now) override { inner_.on_time(now); }
  [[nodiscard]] std::size_t outstanding() const override {
    return inner_.outstanding();
  }
  virtual_host& inner() { return inner_; }

private:
  static host_handlers watched(machine& m, host_handlers h) {
    h.on_results = [&m, inner = std::move(h.on_results)](
                       std::vector<turn_result> results) {
      for (const auto& r : results)
        m.world_.leaders.on_result(m.number_, r.key.group, r.key.term);
      inner(std::move(results));
    };
    return h;
  }

  machine& machine_;
  virtual_host inner_;
};

class machine::sim_hosts final : public actors::host_factory {
public:
  explicit sim_hosts(machine& m) : machine_{m} {}
  std::unique_ptr<banyan::host> make(host_options options,
                                     host_handlers handlers,
                                     std::string& error) override {
    if (!machine_.lacking_.empty() && options.module == machine_.lacking_) {
      error = "there is no module " + options.module + " here";
      return nullptr;
    }
    return std::make_unique<sim_host>(machine_, std::move(options),
                                      std::move(handlers));
  }
  [[nodiscard]] bool has(const std::string& module) const override {
    return module != machine_.lacking_
           && machine_.world_.catalog.find(module).ok();
  }

private:
  machine& machine_;
};

namespace {

/// More would be a loop of crashes.
constexpr unsigned fatals_max = 12;

identity make_key(std::uint64_t seed) {
  seeded_random r{seed};
  return identity::generate(r);
}

store::virtual_disk::options disk_options(std::uint64_t seed) {
  store::virtual_disk::options o;
  o.seed = seed;
  // Small ones (but for one order): an empty log costs little memory.
  o.segment_bytes = std::size_t{1} << 20;
  o.check_low = 1ms; // of the state, at each start
  o.check_high = 200ms;

  return o;
}

} // namespace

machine::machine(world& w, std::size_t number, std::uint64_t seed,
                 std::string region)
    : world_{w}, number_{number}, seed_{seed}, host_{"10.0.0."
                                                     + std::to_string(number
                                                                      + 1)},
      region_{std::move(region)}, loop_{seed | 1}, random_{seed ^ 0x4057},
      key_{make_key(seed)}, disk_{disk_options(seed),
                                  [this](duration d, std::function<void()> f) {
                                    loop_.after(d, std::move(f), "disk");
                                  },
                                  [this] { return loop_.now(); }} {
}

machine::~machine() {
  peer_.reset();
}

void machine::boot() {
  BANYAN_ASSERT(!up());
  ++boots_;
  paused_ = false;
  fault_.clear();
  disk_.set_full(false); // or there might be nothing to start with
  busy_until_ = {};
  loop_.advance(clock_.local(world_.now()));
  peer_random_ = std::make_unique<seeded_random>(seed_ + boots_ * 0x9E37U);
  actors::node_settings settings;
  auto mesh = world_.mesh();
  settings.mesh_name = mesh.name;
  settings.mesh = mesh.id;
  settings.region = region_;
  settings.zone = "z" + std::to_string(number_);
  settings.version = "sim";
  if (const auto& targets = world_.how.targets; !targets.empty())
    settings.target = targets[std::min(number_, targets.size() - 1)];
  settings.features = features_;
  settings.removed = world_.how.removed;
  settings.uptime_minute = world_.how.uptime_minute;
  settings.homing = world_.how.homing;
  settings.unix_ms = [this] { return unix_ms(); };
  settings.log = [this](actors::log_level l, const std::string& line) {
    if (l >= actors::log_level::info)
      world_.trace("node " + std::to_string(number_) + ": " + line);
  };
  settings.on_role = [this](const group_id& g, const role_changed& r) {
    world_.on_role(number_, g, r);
  };
  actors::peer_parts parts{
      loop_,
      *peer_random_,
      key_.clone(),
      std::move(mesh),
      std::move(settings),
      world_.watched(number_, disk_.open()),
      std::make_unique<clocked_streams>(world_.net.attach(host_), clock_),
      std::make_unique<sim_hosts>(*this)};
  parts.listen = address();
  parts.advertise = address();
  parts.seeds = world_.seeds_for(number_);
  if (const auto& all = world_.how.hardware;
      number_ < all.size() && all[number_])
    parts.probe = std::make_shared<sim_probe>(loop_, *all[number_],
                                              [this] { return unix_ms(); });
  parts.fatal = [this](int code, const std::string& why) {
    on_fatal(code, why);
  };
  peer_ = std::make_unique<actors::peer>(std::move(parts));
  std::string error;
  if (!peer_->begin(error))
    on_fatal(actors::kept_out(*peer_->context().disk.documents, unix_ms())
                 ? actors::exit_excluded
                 : 1,
             error);
}

void machine::kill(end how) {
  BANYAN_ASSERT(up());
  if (how == end::power) {
    world_.net.power_off(host_);
    disk_.crash();
  } else {
    world_.net.kill(host_);
    disk_.kill();
  }
  end_peer();
}

// Its actors end here, and what they still say reaches nothing: neither the
// network nor the disk hears this process any more.
void machine::end_peer() {
  paused_ = false;
  ++boots_; // answers that its actors still give as they end count for nothing
  auto dead = std::move(peer_);
  loop_.advance(clock_.local(world_.now()));
  dead.reset();
  loop_.clear_timers();
  world_.on_down(number_);
}

void machine::stop(std::function<void()> down) {
  BANYAN_ASSERT(up() && !paused_);
  const auto before = boots_;
  peer_->stop([this, before, down = std::move(down)] {
    world_.after(0ms, [this, before, down] {
      if (boots_ != before || !up())
        return;
      kill(end::process);
      down();
    });
  });
}

void machine::wipe() {
  BANYAN_ASSERT(!up());
  disk_.wipe();
  key_ = make_key(seed_ ^ (boots_ << 32));
}

void machine::pause() {
  BANYAN_ASSERT(up() && !paused_);
  paused_ = true;
  world_.net.freeze(host_);
}

void machine::resume() {
  BANYAN_ASSERT(up() && paused_);
  paused_ = false;
  loop_.advance(clock_.local(world_.now()));
  world_.net.thaw(host_);
}

void machine::on_fatal(int code, const std::string& why) {
  if (!fault_.empty())
    return; // it is on its way down
  const auto what = "machine " + std::to_string(number_) + " gave up with code "
                    + std::to_string(code) + ": " + why;
  if (fatal_expected_ && ++fatals_ <= fatals_max)
    world_.trace(what);
  else
    world_.problem(what);
  fault_ = why;
  fault_code_ = code;
  const bool again = code != actors::exit_excluded;
  // As its runner would have it: the process ends, and begins anew.
  world_.after(0ms, [this, before = boots_] {
    if (boots_ == before && up())
      kill(end::process);
  });
  world_.after(200ms, [this, again, before = boots_] {
    if (again && boots_ == before + 1 && !up())
      boot();
  });
}

time_point machine::next() {
  if (paused_)
    return never;
  const auto due = clock_.world(loop_.next());
  return due == never ? due : std::max(due, busy_until_);
}

void machine::step(time_point now) {
  loop_.step(clock_.local(now));
  if (per_step_ > duration::zero())
    busy_until_ = now + random_.between(duration::zero(), 2 * per_step_);
}

std::int64_t machine::unix_ms() const {
  return 1'700'000'000'000
         + std::chrono::duration_cast<std::chrono::milliseconds>(
               loop_.now().time_since_epoch() + wall_offset_)
               .count();
}

void machine::drift(std::int64_t ppm) {
  clock_.drift(world_.now(), ppm);
}

void machine::host_delays(duration low, duration high) {
  host_low_ = low;
  host_high_ = high;
  for (auto* h : hosts_)
    h->inner().delays(low, high);
}

bool machine::kill_a_host() {
  if (hosts_.empty())
    return false;
  hosts_[random_.below(hosts_.size())]->inner().die();
  return true;
}

void machine::deadly(const std::string& command) {
  deadly_ = command;
  for (auto* h : hosts_)
    h->inner().dies_of(command);
}

bool machine::hang_a_host() {
  if (hosts_.empty())
    return false;
  hosts_[random_.below(hosts_.size())]->inner().hang();
  return true;
}

} // namespace banyan::sim
