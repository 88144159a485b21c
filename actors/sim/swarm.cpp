#include "actors/sim/swarm.hpp"

#include "actors/sim/detail/swarm_state.hpp"

namespace banyan::sim {

namespace {

/// Virtual time begins here, far from zero.
constexpr time_point origin = time_point{} + 1h;

} // namespace

swarm::state::state(swarm& outside, swarm_config config)
    : outside_{outside}, cfg_{std::move(config)}, random_{cfg_.seed},
      network_{cfg_.seed ^ 0x6e6574776f726bULL},
      order_{std::make_shared<net::ring_order>(mesh_)} {
}

swarm::state::tick swarm::state::tick_of(time_point t) const {
  return (t - origin + 1ms - 1ns) / 1ms;
}

time_point swarm::state::time_of(tick t) const {
  return origin + t * duration{1ms};
}

void swarm::state::push(time_point at, event&& e) {
  calendar_.push(std::max(tick_of(at), calendar_.now()), std::move(e));
}

void swarm::state::note(std::uint64_t a, std::uint64_t b) {
  trace_ = (trace_ ^ a) * 1099511628211ULL;
  trace_ = (trace_ ^ b) * 1099511628211ULL;
}

void swarm::state::run_until(time_point end) {
  calendar_.run_until(tick_of(end),
                      [this](event&& e) { handle(std::move(e)); });
}

void swarm::state::handle(event&& e) {
  ++events_;
  note(std::uint64_t(calendar_.now()),
       std::uint64_t(e.kind) << 32U | std::uint64_t{e.node});
  switch (e.kind) {
  case what::frame:
  case what::stream_end:
    return arrive(std::move(e));
  case what::welcomed:
    return welcomed(e);
  case what::dialled:
    return dialled(std::move(e));
  case what::shaken:
    return shaken(std::move(e));
  case what::redial:
    return redial(e);
  case what::retry:
    return retry(e);
  case what::timer:
    return timer(std::move(e));
  case what::wake:
    return go_on(e.node);
  case what::stop:
    if (at(e.node).life == e.life)
      kill(e.node);
    return;
  case what::call: {
    const auto f = calls_.extract(e.number);
    return f.mapped()();
  }
  case what::link_up:
  case what::dial_failed:
  case what::persisted:
  case what::probed:
    return input(std::move(e));
  }
}

swarm::swarm(swarm_config config)
    : s_{std::make_unique<state>(*this, std::move(config))} {
}
swarm::~swarm() = default;

index swarm::add(std::size_t region) {
  return s_->add(region);
}
void swarm::start(index i, const std::vector<index>& seeds) {
  s_->start(i, seeds);
}
void swarm::start_settled() {
  s_->start_settled();
}
std::size_t swarm::size() const noexcept {
  return s_->machines_.size();
}
bool swarm::running(index i) const {
  return s_->at(i).core != nullptr;
}
bool swarm::frozen(index i) const {
  return s_->at(i).frozen;
}
bool swarm::left(index i) const {
  return s_->at(i).left;
}
std::size_t swarm::region(index i) const {
  return s_->at(i).region;
}
const node_id& swarm::id(index i) const {
  return s_->at(i).key.id();
}
std::optional<index> swarm::find(const node_id& node) const {
  const auto at = s_->numbers_.find(node);
  return at == s_->numbers_.end() ? std::nullopt : std::optional{at->second};
}
const identity& swarm::key(index i) const {
  return s_->at(i).key;
}
const mesh_id& swarm::mesh() const noexcept {
  return s_->mesh_;
}
const world& swarm::places() const noexcept {
  return s_->cfg_.places;
}
const net::membership& swarm::core(index i) const {
  BANYAN_ASSERT(running(i));
  return *s_->at(i).core;
}
void swarm::call(index i,
                 const std::function<void(net::membership&, time_point,
                                          net::membership_effects&)>& f) {
  s_->call(i, f);
}
void swarm::share_group(index a, index b, bool shares) {
  s_->share_group(a, b, shares);
}

time_point swarm::now() const noexcept {
  return s_->now();
}
duration swarm::elapsed() const noexcept {
  return s_->now() - origin;
}
void swarm::run_for(duration d) {
  s_->run_until(s_->now() + d);
}
std::optional<duration> swarm::run_until(const std::function<bool()>& done,
                                         duration limit, duration step) {
  const auto begun = now();
  while (!done()) {
    if (begun + limit < now() + step)
      return std::nullopt;
    run_for(step);
  }
  return now() - begun;
}
void swarm::at(time_point t, std::function<void()> f) {
  s_->calls_.emplace(++s_->calls_made_, std::move(f));
  state::event e;
  e.number = s_->calls_made_;
  s_->push(t, std::move(e));
}

void swarm::kill(index i) {
  s_->kill(i);
}
void swarm::unplug(index i) {
  s_->unplug(i);
}
void swarm::freeze(index i) {
  s_->freeze(i);
}
void swarm::thaw(index i) {
  s_->thaw(i);
}
void swarm::leave(index i) {
  s_->leave(i);
}
void swarm::slow(index i, double factor) {
  s_->at(i).slowness = factor;
}

void swarm::set_loss(double rate) {
  s_->loss_ = rate;
}
void swarm::set_loss(index i, double rate, direction way) {
  auto& m = s_->at(i);
  if (way != direction::out)
    m.loss_in = rate;
  if (way != direction::in)
    m.loss_out = rate;
  s_->cuts_ = s_->cuts_ || rate >= 1;
  s_->cuts_changed();
}
void swarm::set_side(index i, std::uint32_t side) {
  s_->at(i).side = side;
  s_->cuts_ = s_->cuts_ || side != 0;
  s_->cuts_changed();
}
void swarm::cut_one_way(index from, index to, bool cut) {
  const auto pair = std::uint64_t{from} << 32U | to;
  if (cut)
    s_->one_way_.insert(pair);
  else
    s_->one_way_.erase(pair);
  s_->cuts_ = s_->cuts_ || cut;
  s_->cuts_changed();
}
void swarm::heal() {
  for (auto& m : s_->machines_) {
    m->side = 0;
    m->loss_in = m->loss_out = 0;
  }
  s_->one_way_.clear();
  s_->loss_ = 0;
  s_->cuts_ = false;
  s_->cuts_changed();
}
bool swarm::reaches(index from, index to) const {
  return !s_->blocked(from, to);
}

void swarm::set_outgoing(index i, outgoing hook) {
  s_->at(i).hook = std::move(hook);
}
bool swarm::inject(index from, index to, net::channel on, bytes payload) {
  auto* via = s_->side(from, to);
  if (via == nullptr)
    return false;
  s_->transmit(from, *via, {on, 0, std::move(payload)}, now());
  return true;
}

const view_table& swarm::views() const noexcept {
  return s_->views_;
}
bool swarm::linked(index a, index b) const {
  return s_->side(a, b) != nullptr;
}
std::vector<index> swarm::links(index i) const {
  std::vector<index> out;
  for (const auto& l : s_->at(i).links)
    out.push_back(l.far);
  return out;
}
std::size_t swarm::link_count(index i) const {
  return s_->at(i).links.size();
}
const traffic& swarm::of(index i) const {
  return s_->at(i).carried;
}
std::uint64_t swarm::wrong_opinions() const {
  std::uint64_t wrong = 0;
  for (index i = 0; i < size(); ++i) {
    const auto& m = s_->at(i);
    if (!m.ran)
      continue;
    const auto right = m.left                           ? opinion::left
                       : m.core != nullptr && !m.frozen ? opinion::alive
                                                        : opinion::dead;
    wrong += s_->views_.observers() - s_->views_.count(i, right);
  }
  return wrong;
}
std::uint64_t swarm::trace() const noexcept {
  return s_->trace_;
}
std::uint64_t swarm::events() const noexcept {
  return s_->events_;
}
std::uint64_t swarm::signatures() const noexcept {
  return s_->signatures_;
}

} // namespace banyan::sim
