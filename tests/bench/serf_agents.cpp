#include "tests/bench/serf_agents.hpp"

#include "tests/support/process_mesh.hpp"

#include <algorithm>
#include <csignal>

namespace banyan::test {
namespace {

const char* const serf_places[] = {"/usr/bin/serf", "/usr/local/bin/serf"};

std::string serf_program() {
  for (const auto* place : serf_places)
    if (std::filesystem::exists(place))
      return place;
  return {};
}

/// "…EventMemberFailed: n3 127.0.0.1" has the name `n3`.
std::string name_after(const std::string& line, const std::string& word) {
  const auto at = line.find(word);
  if (at == std::string::npos)
    return {};
  const auto from = at + word.size();
  return line.substr(from, line.find_first_of(" \r", from) - from);
}

} // namespace

bool serf_agents::installed() {
  return !serf_program().empty();
}

serf_agents::serf_agents(std::size_t n, std::string profile)
    : profile_{std::move(profile)} {
  for (std::size_t i = 0; i < n; ++i) {
    auto a = std::make_unique<agent>();
    a->name = "n" + std::to_string(i);
    a->port = free_port();
    a->rpc = free_port();
    agents_.push_back(std::move(a));
  }
  for (auto& a : agents_)
    start(*a);
}

serf_agents::~serf_agents() {
  for (auto& a : agents_)
    stop(*a);
}

void serf_agents::start(agent& a) {
  std::vector<std::string> argv{serf_program(),
                                "agent",
                                "-node=" + a.name,
                                "-bind=127.0.0.1:" + std::to_string(a.port),
                                "-rpc-addr=127.0.0.1:" + std::to_string(a.rpc),
                                "-profile=" + profile_,
                                "-log-level=info"};
  for (const auto& other : agents_) // whoever is there answers
    if (other.get() != &a)
      argv.push_back("-retry-join=127.0.0.1:" + std::to_string(other->port));
  argv.emplace_back("-retry-interval=1s");
  {
    const std::lock_guard lock{mutex_};
    a.stopping = false;
    a.members = {a.name};
    a.failed.clear();
  }
  a.program = std::make_unique<process>(argv, dir_.path() / (a.name + ".err"));
  a.reader = std::thread{[this, &a] { read(a); }};
}

void serf_agents::stop(agent& a) {
  if (a.program == nullptr)
    return;
  {
    const std::lock_guard lock{mutex_};
    a.stopping = true;
  }
  changed_.notify_all();
  a.program->signal(SIGKILL);
  a.reader.join();
  a.program.reset();
}

void serf_agents::restart(std::size_t i) {
  stop(*agents_[i]);
  start(*agents_[i]);
}

void serf_agents::read(agent& a) {
  for (;;) {
    const auto line = a.program->line(now() + 200ms);
    if (line) {
      take(a, *line, now());
      continue;
    }
    // Nothing to read now, or never again: it has ended.
    std::unique_lock lock{mutex_};
    if (changed_.wait_for(lock, 5ms, [&] { return a.stopping; }))
      return;
  }
}

void serf_agents::take(agent& a, const std::string& line, time_point at) {
  const auto joined = name_after(line, "EventMemberJoin: ");
  const auto failed = name_after(line, "EventMemberFailed: ");
  if (joined.empty() && failed.empty())
    return;
  const std::lock_guard lock{mutex_};
  if (!joined.empty())
    a.members.insert(joined);
  if (!failed.empty()) {
    a.members.erase(failed);
    a.failed.emplace(failed, at);
  }
  changed_.notify_all();
}

bool serf_agents::wait_members(duration limit) {
  std::unique_lock lock{mutex_};
  return changed_.wait_for(lock, limit, [&] {
    return std::all_of(agents_.begin(), agents_.end(), [&](const auto& a) {
      return a->members.size() == agents_.size();
    });
  });
}

void serf_agents::strike(std::size_t victim, int number) {
  {
    const std::lock_guard lock{mutex_};
    for (auto& a : agents_)
      a->failed.erase(agents_[victim]->name);
  }
  agents_[victim]->program->signal(number);
}

std::vector<time_point> serf_agents::wait_failed(std::size_t victim,
                                                 duration limit) {
  const auto& name = agents_[victim]->name;
  std::unique_lock lock{mutex_};
  const auto all = [&] {
    return std::all_of(agents_.begin(), agents_.end(), [&](const auto& a) {
      return a->name == name || a->failed.count(name) != 0;
    });
  };
  if (!changed_.wait_for(lock, limit, all))
    return {};
  std::vector<time_point> out;
  for (const auto& a : agents_)
    if (a->name != name)
      out.push_back(a->failed.at(name));
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace banyan::test
