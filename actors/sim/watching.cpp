// What a course comes to: who knows what since when, who was wronged, and what
// it all costs.
#include "actors/sim/detail/course_state.hpp"

#include <algorithm>

namespace banyan::sim {

namespace {

constexpr duration window_least = 3s;

} // namespace

void course::state::watch() {
  mesh.on_view_change = [this](index observer, index subject, opinion from,
                               opinion to, time_point at) {
    view_changed(observer, subject, from, to, at);
  };
  if (groups.size() > 0)
    mesh.on_effect = [this](index i, const net::membership_effect& e,
                            time_point at) { effect_seen(i, e, at); };
  second_before.resize(mesh.size());
  for (index i = 0; i < mesh.size(); ++i)
    second_before[i] = mesh.of(i);
  events_before = mesh.events();
  open(calm);
}

void course::state::view_changed(index observer, index subject, opinion from,
                                 opinion to, time_point at) {
  if (observer == subject || from == opinion::unknown)
    return;
  const auto& n = nodes[subject];
  if (to == opinion::dead) {
    if (!up(subject)) {
      if (n.since < nodes[observer].back)
        return; // it was not there to see it
      if (lost[subject])
        region_known.add(at - n.since);
      else if (n.timed)
        known[std::size_t(n.gone)].add(at - n.since);
    } else if (!excused(observer, subject, at)) {
      ++(impaired(subject, at) || impaired(observer, at) ? impaired_deaths
                                                         : false_deaths);
    }
  } else if (to == opinion::suspect && up(subject) && !impaired(subject, at)
             && !impaired(observer, at) && !excused(observer, subject, at)) {
    ++suspicions;
  }
}

/// Whether it may well think so of a node that runs: it is cut off from it, or
/// hears late of what was true.
bool course::state::excused(index observer, index subject, time_point at) {
  const auto& n = nodes[subject];
  if (parted
      && (n.side != nodes[observer].side || !mesh.reaches(observer, subject)
          || !mesh.reaches(subject, observer)))
    return true;
  const bool cut = !parted && at < healed_at + late_news;
  if (!cut && n.back + late_news <= at)
    return false;
  // What it hears is of before, as long as the other has not answered it.
  const auto view = mesh.core(observer).find(mesh.id(subject));
  const auto heard = view ? view->record.incarnation : incarnation{};
  return heard < mesh.core(subject).own().incarnation
         || (cut && heard <= n.when_cut)
         || (at < n.back + late_news && heard <= n.when_back);
}

void course::state::effect_seen(index i, const net::membership_effect& e,
                                time_point at) {
  const node_id* who = nullptr;
  if (const auto* silent = std::get_if<net::peer_silent>(&e))
    who = &silent->node;
  else if (const auto* left = std::get_if<net::peer_gone>(&e))
    who = &left->node;
  if (who == nullptr)
    return;
  const auto leader = *mesh.find(*who);
  if (nodes[leader].gone == end::none)
    return;
  for (const auto g : groups.led_by(leader))
    if (!led_elsewhere[g] && groups.votes(g, i)) {
      led_elsewhere[g] = true;
      leader_missed.add(at - nodes[leader].since);
    }
}

/// Ten times a second.
void course::state::look() {
  for (auto& j : joined) {
    if (!mesh.running(j.node) || (j.knows && j.known))
      continue;
    const auto after = mesh.now() - j.began;
    if (!j.knows) {
      bool all = true;
      for (index i = 0; all && i < mesh.size(); ++i)
        all = !up(i) || mesh.views().of(j.node, i) == opinion::alive;
      if (all)
        j.knows = after;
    }
    if (!j.known
        && mesh.views().count(j.node, opinion::alive)
               == mesh.views().observers())
      j.known = after;
  }
  if (lost_at != never) {
    groups_least = std::min(groups_least, groups.with_quorum());
    if (!settled_after && mesh.settled())
      settled_after = mesh.now() - lost_at;
  }
  if (calm.to == never && next < what.events.size()
      && zero + what.events[next].at <= mesh.now() + 100ms)
    close(calm);
  if ((mesh.now() - zero) % 1s == 0s)
    end_second();
}

void course::state::end_second() {
  second_row r;
  r.second = (mesh.now() - zero) / 1s;
  std::vector<double> sent;
  std::uint64_t frames = 0, links = 0;
  for (index i = 0; i < mesh.size(); ++i) {
    const auto& t = mesh.of(i);
    const auto before = std::exchange(second_before[i], t);
    if (!up(i))
      continue;
    sent.push_back(double(t.bytes_out - before.bytes_out));
    frames += t.frames_out - before.frames_out;
    links += mesh.link_count(i);
    r.links_max = std::max(r.links_max, mesh.link_count(i));
  }
  links_most = std::max(links_most, r.links_max);
  std::sort(sent.begin(), sent.end());
  r.running = sent.size();
  if (!sent.empty()) {
    double sum = 0;
    for (const auto s : sent)
      sum += s;
    r.bytes_mean = sum / double(sent.size());
    r.bytes_p99 = sent[sent.size() * 99 / 100];
    r.bytes_max = sent.back();
    r.frames_mean = double(frames) / double(sent.size());
    r.links_mean = double(links) / double(sent.size());
  }
  r.wrong = mesh.wrong_opinions();
  r.false_deaths = false_deaths - std::exchange(false_before, false_deaths);
  r.groups_serving = groups.with_quorum();
  r.events = mesh.events() - std::exchange(events_before, mesh.events());
  rows.push_back(r);
}

void course::state::open(window& w) {
  if (w.from != never)
    return;
  w.from = mesh.now();
  for (index i = 0; i < mesh.size(); ++i)
    if (up(i))
      w.before.emplace_back(i, mesh.of(i));
}

void course::state::close(window& w) {
  if (w.from == never || w.to != never)
    return;
  w = measured(w);
  w.to = mesh.now();
  w.before.clear();
}

/// Of the nodes that ran at its beginning and run now.
course::state::window course::state::measured(const window& w) const {
  auto out = w;
  if (w.from == never || w.to != never || mesh.now() - w.from < window_least)
    return out; // there is none, it was measured, or it says nothing
  const auto seconds = double((mesh.now() - w.from) / 1ms) / 1000;
  std::vector<double> rates;
  double sum = 0, frames = 0;
  for (const auto& [i, before] : w.before) {
    if (!up(i))
      continue;
    rates.push_back(double(mesh.of(i).bytes_out - before.bytes_out) / seconds);
    sum += rates.back();
    frames += double(mesh.of(i).frames_out - before.frames_out) / seconds;
  }
  if (rates.empty())
    return out;
  std::sort(rates.begin(), rates.end());
  out.mean = sum / double(rates.size());
  out.p99 = rates[rates.size() * 99 / 100];
  out.most = rates.back();
  out.frames = frames / double(rates.size());
  return out;
}

} // namespace banyan::sim
