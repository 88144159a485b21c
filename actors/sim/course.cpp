#include "actors/sim/course.hpp"

#include "actors/sim/detail/course_state.hpp"

#include <algorithm>
#include <cmath>

namespace banyan::sim {

namespace {

/// Links come up, beats find a rhythm; then packets begin to get lost, and who
/// loses some gets to know it.
constexpr duration first_seconds = 5s;
constexpr duration tick = 100ms;

swarm_config config_of(const scenario& s) {
  swarm_config c;
  c.seed = s.seed;
  c.places = places_of(s);
  if (s.latency == "planet" && s.round_trips.empty())
    c.last_mile = 2ms;
  return c;
}

} // namespace

course::state::state(scenario s)
    : what{std::move(s)}, mesh{config_of(what)}, groups{mesh},
      random{what.seed ^ 0x636f75727365ULL} {
  begin();
}

void course::state::begin() {
  const auto sizes = sizes_of(what, mesh.places());
  // Regions take turns, so that numbers say nothing of places.
  auto left = sizes;
  for (std::size_t added = 0; added < what.nodes;)
    for (std::size_t r = 0; r < left.size() && added < what.nodes; ++r)
      if (left[r] > 0) {
        --left[r];
        ++added;
        mesh.add(r);
      }
  nodes.resize(what.nodes);
  lost.resize(what.nodes);
  mesh.start_settled();
  placement_need need;
  need.voters = what.voters;
  need.regions_min = what.spread;
  groups.place(what.groups, need);
  led_elsewhere.resize(what.groups);
  mesh.run_for(first_seconds);
  mesh.set_loss(what.loss / 100);
  mesh.run_for(first_seconds);
  zero = mesh.now();
  watch();
}

bool course::state::step() {
  const auto done = mesh.now() - zero;
  if (done >= what.length)
    return false;
  for (; next < what.events.size() && what.events[next].at <= done; ++next)
    play(what.events[next]);
  churn();
  mesh.run_for(tick);
  look();
  return mesh.now() - zero < what.length;
}

/// One that runs, at random.
index course::state::anybody() {
  for (;;) {
    const auto i = static_cast<index>(random.below(mesh.size()));
    if (up(i))
      return i;
  }
}

std::vector<index> course::state::whom(const happening& h) {
  if (!h.nodes.empty())
    return h.nodes;
  std::vector<index> all;
  for (index i = 0; i < mesh.size(); ++i) {
    const bool fits = h.what == action::thaw ? mesh.frozen(i) : up(i);
    if (fits
        && (h.region.empty() || mesh.places().name(mesh.region(i)) == h.region))
      all.push_back(i);
  }
  auto n = all.size();
  if (h.count > 0)
    n = std::min<std::size_t>(n, h.count);
  else if (h.percent > 0 && h.what != action::loss)
    n = std::min(n,
                 std::size_t(std::ceil(double(mesh.size()) * h.percent / 100)));
  for (std::size_t i = 0; i < n; ++i)
    std::swap(all[i], all[i + random.below(all.size() - i)]);
  all.resize(n);
  return all;
}

void course::state::gone(index i, end how) {
  auto& n = nodes[i];
  n.gone = how;
  n.since = mesh.now();
}

void course::state::back(index i) {
  auto& n = nodes[i];
  if (n.gone == end::frozen)
    n.when_back = mesh.core(i).own().incarnation;
  n.gone = end::none;
  n.back = mesh.now();
  n.timed = false;
}

void course::state::play(const happening& h) {
  auto who = std::vector<index>{};
  if (h.what != action::heal && h.what != action::churn
      && h.what != action::join)
    who = whom(h);
  switch (h.what) {
  case action::kill:
  case action::freeze:
    for (const auto i : who) {
      if (!up(i))
        continue;
      const auto how = h.what == action::kill ? end::killed : end::frozen;
      gone(i, how);
      nodes[i].timed = true;
      ++timed_deaths[std::size_t(how)];
      if (how == end::killed)
        mesh.kill(i);
      else
        mesh.freeze(i);
    }
    break;
  case action::thaw:
    for (const auto i : who)
      if (mesh.frozen(i)) {
        mesh.thaw(i);
        back(i);
      }
    break;
  case action::partition:
    about_to_cut();
    for (const auto i : who) {
      if (h.way == direction::both)
        mesh.set_side(i, 1);
      else
        mesh.set_loss(i, 1, h.way);
      nodes[i].side = 1;
    }
    break;
  case action::heal:
    parted = false;
    healed_at = mesh.now();
    mesh.heal();
    mesh.set_loss(what.loss / 100);
    for (auto& n : nodes)
      recovered(n);
    break;
  case action::region_loss:
    lost_at = mesh.now();
    settled_after.reset();
    groups_before_loss = groups_least = groups.with_quorum();
    for (const auto i : who) {
      if (!lost[i])
        ++lost_count;
      lost[i] = true;
      gone(i, end::unpowered);
      mesh.unplug(i);
    }
    groups_possible = groups.with_quorum();
    break;
  case action::loss:
    if (h.nodes.empty() && h.count == 0 && h.region.empty()) {
      mesh.set_loss(h.percent / 100);
      break;
    }
    for (const auto i : who) {
      mesh.set_loss(i, h.percent / 100, h.way);
      nodes[i].impaired_until = never;
    }
    break;
  case action::slow:
    for (const auto i : who) {
      mesh.slow(i, h.factor);
      nodes[i].impaired_until = never;
    }
    break;
  case action::churn:
    churn_rate = h.percent / 100 * double(mesh.size()) / 60;
    churn_down = h.down;
    churn_until = h.lasting > 0ms ? mesh.now() + h.lasting : never;
    churn_next = mesh.now();
    open(churning);
    break;
  case action::join:
    join(h);
    break;
  case action::leave:
    for (const auto i : who)
      if (up(i)) {
        mesh.leave(i);
        gone(i, end::killed);
      }
    break;
  }
  if (h.lasting > 0ms && h.what != action::churn)
    mesh.at(mesh.now() + h.lasting, [this, h, who] { undo(h, who); });
}

void course::state::undo(const happening& h, const std::vector<index>& whom) {
  for (const auto i : whom) {
    if (h.what == action::freeze && mesh.frozen(i)) {
      mesh.thaw(i);
      back(i);
    } else if (h.what == action::partition) {
      mesh.set_side(i, 0);
      if (h.way != direction::both)
        mesh.set_loss(i, 0, h.way);
    } else if (h.what == action::loss) {
      mesh.set_loss(i, 0, h.way);
      recovered(nodes[i]);
    } else if (h.what == action::slow) {
      mesh.slow(i, 1);
      recovered(nodes[i]);
    }
  }
  if (h.what == action::loss && h.nodes.empty() && h.count == 0
      && h.region.empty())
    mesh.set_loss(what.loss / 100);
  if (h.what == action::partition) {
    parted = false;
    healed_at = mesh.now();
  }
}

void course::state::recovered(node_state& n) const {
  if (n.impaired_until == never)
    n.impaired_until = mesh.now() + late_news;
}

void course::state::about_to_cut() {
  parted = true;
  for (index i = 0; i < mesh.size(); ++i)
    if (mesh.running(i))
      nodes[i].when_cut = mesh.core(i).own().incarnation;
}

/// Those that die now, each back after a while.
void course::state::churn() {
  if (churn_next == never)
    return;
  if (churn_until <= mesh.now()) {
    churn_next = never;
    close(churning);
    return;
  }
  while (churn_next <= mesh.now()) {
    const auto i = anybody();
    ++churn_deaths;
    gone(i, end::killed);
    mesh.kill(i);
    mesh.at(mesh.now() + churn_down, [this, i] {
      if (mesh.running(i) || lost[i])
        return;
      mesh.start(i, {anybody(), anybody()});
      back(i);
    });
    const auto wait = -std::log(1 - double(random.below(1U << 30U)) * 0x1p-30);
    churn_next += duration{std::int64_t(wait / churn_rate * 1e9)};
  }
}

void course::state::join(const happening& h) {
  for (std::uint32_t n = 0; n < h.count; ++n) {
    const auto region = h.region.empty()
                            ? std::size_t(random.below(mesh.places().size()))
                            : *mesh.places().find(h.region);
    const auto i = mesh.add(region);
    nodes.emplace_back();
    nodes[i].back = mesh.now();
    lost.push_back(false);
    second_before.emplace_back();
    mesh.start(i, {anybody(), anybody(), anybody()});
    joined.push_back({i, mesh.now(), {}, {}});
  }
}

course::course(scenario s) : s_{std::make_unique<state>(std::move(s))} {
}
course::~course() = default;
bool course::step() {
  return s_->step();
}
duration course::at() const noexcept {
  return s_->mesh.now() - s_->zero;
}
duration course::length() const noexcept {
  return s_->what.length;
}
std::vector<second_row> course::take_rows() {
  return std::exchange(s_->rows, {});
}
std::vector<figure> course::figures() const {
  return s_->figures();
}
swarm& course::mesh() noexcept {
  return s_->mesh;
}
const group_set& course::groups() const noexcept {
  return s_->groups;
}

} // namespace banyan::sim
