#include "actors/sim/published/watch.hpp"

#include <algorithm>

namespace banyan::sim::published {
namespace {

/// Spreads a small number over 64 bits (splitmix64).
std::uint64_t salt_of(index i) {
  auto x = (std::uint64_t{i} + 1) * 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

} // namespace

spread spread_of(std::vector<float>& values) {
  if (values.empty())
    return {};
  double sum = 0;
  for (const auto v : values)
    sum += double(v);
  const auto p99 = values.begin() + std::ptrdiff_t(values.size() * 99 / 100);
  std::nth_element(values.begin(), p99, values.end());
  return {sum / double(values.size()), double(*p99),
          double(*std::max_element(p99, values.end()))};
}

view_watch::view_watch(swarm& mesh, const std::vector<index>& faulty)
    : mesh_{mesh}, begun_{mesh.now()}, faulty_(mesh.size()),
      views_(mesh.size()), sizes_(mesh.size()) {
  for (const auto i : faulty)
    faulty_[i] = true;
  for (index i = 0; i < mesh.size(); ++i)
    salts_.push_back(salt_of(i));
  for (index i = 0; i < mesh.size(); ++i) {
    if (faulty_[i])
      continue;
    ++healthy_;
    for (index of = 0; of < mesh.size(); ++of)
      if (in_view(mesh.views().of(i, of))) {
        views_[i] += salts_[of];
        ++sizes_[i];
        faulty_in_ += faulty_[of] ? 1U : 0U;
      }
  }
  mesh.on_view_change = [this](index observer, index subject, opinion from,
                               opinion to, time_point at) {
    changed(observer, subject, from, to, at);
  };
  f_.smallest = mesh.size();
}

view_watch::~view_watch() {
  mesh_.on_view_change = nullptr;
}

void view_watch::changed(index observer, index subject, opinion from,
                         opinion to, time_point at) {
  if (to == opinion::dead && !faulty_[subject]) {
    ++f_.false_deaths;
    f_.false_by_healthy += faulty_[observer] ? 0U : 1U;
  }
  if (faulty_[observer])
    return;
  f_.doubts_by_healthy += to == opinion::suspect && !faulty_[subject] ? 1U : 0U;
  if (in_view(from) == in_view(to))
    return;
  const auto after = at - begun_;
  f_.last_moved = after;
  if (in_view(to)) {
    views_[observer] += salts_[subject];
    ++sizes_[observer];
  } else {
    views_[observer] -= salts_[subject];
    --sizes_[observer];
  }
  if (!faulty_[subject])
    return;
  if (in_view(to)) {
    ++f_.returns;
    ++faulty_in_;
    return;
  }
  ++f_.removals;
  if (!f_.first_out)
    f_.first_out = after;
  if (--faulty_in_ == 0 && !f_.all_out)
    f_.all_out = after;
}

const view_watch::second& view_watch::look() {
  second s;
  s.smallest = mesh_.size();
  std::set<std::size_t> sizes;
  std::unordered_set<std::uint64_t> views;
  for (index i = 0; i < mesh_.size(); ++i) {
    if (faulty_[i])
      continue;
    sizes.insert(sizes_[i]);
    views.insert(views_[i]);
  }
  if (!sizes.empty()) {
    s.smallest = *sizes.begin();
    s.largest = *sizes.rbegin();
  }
  s.sizes = sizes.size();
  s.views = views.size();
  ++f_.looks;
  f_.looks_apart += s.views > 1 ? 1U : 0U;
  f_.smallest = std::min(f_.smallest, s.smallest);
  f_.largest = std::max(f_.largest, s.largest);
  sizes_seen_.merge(sizes);
  views_seen_.merge(views);
  f_.sizes = sizes_seen_.size();
  f_.views = views_seen_.size();
  f_.out_at_end = faulty_in_ == 0;
  f_.all_in_at_end = faulty_in_ == healthy_ * (mesh_.size() - healthy_);
  f_.one_at_end = s.views <= 1;
  seconds_.push_back(s);
  return seconds_.back();
}

traffic_watch::traffic_watch(const swarm& mesh) : mesh_{mesh} {
  for (index i = 0; i < mesh.size(); ++i)
    before_.push_back(mesh.of(i));
}

void traffic_watch::look() {
  for (index i = 0; i < before_.size(); ++i) {
    const auto& now = mesh_.of(i);
    if (mesh_.running(i)) {
      in_.push_back(float(now.bytes_in - before_[i].bytes_in));
      out_.push_back(float(now.bytes_out - before_[i].bytes_out));
      frames_.push_back(float(now.frames_out - before_[i].frames_out));
    }
    before_[i] = now;
  }
}

spread traffic_watch::in() const {
  auto copy = in_;
  return spread_of(copy);
}
spread traffic_watch::out() const {
  auto copy = out_;
  return spread_of(copy);
}
spread traffic_watch::frames_out() const {
  auto copy = frames_;
  return spread_of(copy);
}

bool run_seconds(swarm& mesh, unsigned seconds, const std::string& what,
                 const story_progress& progress,
                 const std::function<void(unsigned second)>& after_each) {
  for (unsigned s = 0; s < seconds; ++s) {
    if (s % 10 == 0
        && !progress(what + ": " + std::to_string(s) + " of "
                     + std::to_string(seconds) + " s"))
      return false;
    mesh.run_for(1s);
    after_each(s + 1);
  }
  return true;
}

} // namespace banyan::sim::published
