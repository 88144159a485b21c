#include "actors/pure/log_merge.hpp"

#include <algorithm>
#include <iterator>

namespace banyan {

void log_merge::add(const node_id& node) {
  sources_.try_emplace(node);
}

void log_merge::begin_round() {
  for (auto& [node, s] : sources_)
    s.more = true;
}

void log_merge::wanted(time_point now, std::vector<ask>& out) {
  for (auto& [node, s] : sources_) {
    if (s.until != never || !s.lines.empty() || !s.more
        || (s.silent && now < s.ask_again))
      continue;
    s.until = now + patience;
    out.push_back({node, s.after});
  }
}

void log_merge::on_no_answer(const node_id& node, time_point now) {
  const auto at = sources_.find(node);
  if (at == sources_.end())
    return;
  auto& s = at->second;
  s.until = never;
  s.ask_again = now + silent_pause;
  if (!s.silent)
    fell_silent_.push_back(node);
  s.silent = true;
}

void log_merge::on_answer(const node_id& node, std::vector<log_line> lines,
                          bool more) {
  const auto at = sources_.find(node);
  if (at == sources_.end())
    return;
  auto& s = at->second;
  if (s.until == never)
    return; // not asked, or too late: it is asked again
  s.until = never;
  s.silent = false;
  s.more = more && !lines.empty();
  for (auto& l : lines) {
    if (l.number <= s.after)
      continue;
    s.after = l.number;
    s.lines.push_back(std::move(l));
  }
}

void log_merge::on_tick(time_point now) {
  for (auto& [node, s] : sources_)
    if (s.until <= now)
      on_no_answer(node, now);
}

void log_merge::take(std::vector<line_of>& out, std::size_t bytes_max) {
  for (std::size_t taken = 0; taken < bytes_max;) {
    auto first = sources_.end();
    for (auto i = sources_.begin(); i != sources_.end(); ++i) {
      const auto& s = i->second;
      if (s.lines.empty()) {
        if (s.more && !s.silent)
          return; // it may have an earlier one
        continue;
      }
      if (first == sources_.end()
          || s.lines.front().at_unix_ms
                 < first->second.lines.front().at_unix_ms)
        first = i;
    }
    if (first == sources_.end())
      return;
    auto& lines = first->second.lines;
    taken += log_ring::size_of(lines.front());
    out.push_back({first->first, std::move(lines.front())});
    lines.pop_front();
  }
}

void log_merge::take_silent(std::vector<node_id>& out) {
  out.insert(out.end(), fell_silent_.begin(), fell_silent_.end());
  fell_silent_.clear();
}

bool log_merge::round_over() const {
  return std::all_of(sources_.begin(), sources_.end(), [](const auto& i) {
    return i.second.lines.empty() && (!i.second.more || i.second.silent);
  });
}

time_point log_merge::deadline() const {
  auto at = never;
  for (const auto& [node, s] : sources_)
    at = std::min(at, s.until);
  return at;
}

} // namespace banyan
