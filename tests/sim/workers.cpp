#include "sim/workers.hpp"

#include "sim/table.hpp"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

namespace banyan::sim {
namespace {

using clock = std::chrono::steady_clock;

/// A process that runs one plan and writes its outcome as a line.
struct job {
  std::uint64_t seed = 0;
  pid_t process = -1;
  int from = -1;
  std::string text;
  clock::time_point began;
};

job start(const plan& p) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw std::runtime_error{"pipe"};
  std::fflush(nullptr);
  job out;
  out.seed = p.seed;
  out.from = ends[0];
  out.began = clock::now();
  out.process = fork();
  if (out.process < 0)
    throw std::runtime_error{"fork"};
  if (out.process != 0) {
    close(ends[1]);
    return out;
  }
  close(ends[0]);
  const auto line = to_line(run(p));
  std::fflush(nullptr);
  for (std::size_t at = 0; at < line.size();) {
    const auto n = write(ends[1], line.data() + at, line.size() - at);
    if (n <= 0)
      _exit(1);
    at += static_cast<std::size_t>(n);
  }
  _exit(0);
}

/// False: there is more to come.
bool read_more(job& j) {
  std::array<char, 4096> piece{};
  const auto n = read(j.from, piece.data(), piece.size());
  if (n < 0 && errno == EINTR)
    return false;
  if (n > 0)
    j.text.append(piece.data(), static_cast<std::size_t>(n));
  return n <= 0;
}

outcome finish(job& j) {
  close(j.from);
  int status = 0;
  waitpid(j.process, &status, 0);
  outcome o;
  if (status == 0 && from_line(j.text, o))
    return o;
  o = {};
  o.seed = j.seed;
  o.problems.push_back("the process ended by itself: "
                       + (WIFSIGNALED(status)
                              ? "signal " + std::to_string(WTERMSIG(status))
                              : "code " + std::to_string(WEXITSTATUS(status))));
  return o;
}

} // namespace

void workers::run(std::size_t processes, const source& next, const sink& done) {
  std::vector<job> jobs;
  bool more = true;
  for (;;) {
    while (more && jobs.size() < processes) {
      const auto p = next();
      more = p.has_value();
      if (p)
        jobs.push_back(start(*p));
    }
    if (jobs.empty())
      return;
    std::vector<pollfd> wait;
    for (const auto& j : jobs)
      wait.push_back({j.from, POLLIN, 0});
    poll(wait.data(), wait.size(), -1);
    for (std::size_t i = jobs.size(); i-- > 0;) {
      if (wait[i].revents == 0 || !read_more(jobs[i]))
        continue;
      auto over = std::move(jobs[i]);
      jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(i));
      const auto o = finish(over);
      done(o, std::chrono::duration<double>(clock::now() - over.began).count());
    }
  }
}

outcome workers::run_one(const plan& p) {
  auto j = start(p);
  while (!read_more(j)) {
  }
  return finish(j);
}

} // namespace banyan::sim
