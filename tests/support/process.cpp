#include "tests/support/process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

namespace banyan::test {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error{
      what + ": "
      + std::strerror(errno)}; // NOLINT(concurrency-mt-unsafe): message only
}

int milliseconds_until(time_point due) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      due - std::chrono::steady_clock::now());
  return static_cast<int>(
      std::clamp<std::int64_t>(left.count() + 1, 0, 1'000'000));
}

std::vector<char*> pointers(const std::vector<std::string>& list) {
  std::vector<char*> out;
  for (const auto& s : list)
    out.push_back(const_cast<char*>(s.c_str()));
  out.push_back(nullptr);
  return out;
}

} // namespace

process::process(const std::vector<std::string>& argv,
                 const std::filesystem::path& error_file,
                 const std::vector<std::string>& extra_environment,
                 int net_space) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0)
    fail("pipe");
  const int err =
      open(error_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (err < 0)
    fail(error_file.string());
  std::vector<std::string> environment = extra_environment;
  for (char** e = environ; *e != nullptr; ++e)
    environment.emplace_back(*e);
  const auto args = pointers(argv);
  const auto env = pointers(environment);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) { // only async-signal-safe calls until exec
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(127);
    if (net_space >= 0 && setns(net_space, CLONE_NEWNET) != 0)
      _exit(126);
    dup2(ends[1], STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    execve(args[0], args.data(), env.data());
    _exit(127);
  }
  close(ends[1]);
  close(err);
  out_ = ends[0];
  if (pid_ < 0) {
    close(out_);
    fail("fork");
  }
}

process::~process() {
  if (!ended_) {
    ::kill(pid_, SIGKILL);
    wait(time_point::max());
  }
  close(out_);
}

std::optional<std::string> process::line(time_point due) {
  for (;;) {
    if (const auto at = buffer_.find('\n'); at != std::string::npos) {
      auto text = buffer_.substr(0, at);
      buffer_.erase(0, at + 1);
      return text;
    }
    pollfd p{out_, POLLIN, 0};
    const int ready = ::poll(&p, 1, milliseconds_until(due));
    if (ready < 0 && errno == EINTR)
      continue;
    if (ready <= 0)
      return std::nullopt;
    char data[4096];
    const auto n = read(out_, data, sizeof data);
    if (n <= 0)
      return std::nullopt;
    buffer_.append(data, static_cast<std::size_t>(n));
  }
}

void process::signal(int number) const {
  if (!ended_)
    ::kill(pid_, number);
}

std::optional<exit_state> process::poll() {
  return wait(time_point::min());
}

std::optional<exit_state> process::wait(time_point due) {
  while (!ended_) {
    int status = 0;
    const bool block = due == time_point::max();
    const auto r = waitpid(pid_, &status, block ? 0 : WNOHANG);
    if (r == pid_) {
      ended_ = WIFEXITED(status) ? exit_state{WEXITSTATUS(status), 0}
                                 : exit_state{-1, WTERMSIG(status)};
      break;
    }
    if (r < 0 && errno != EINTR)
      fail("waitpid");
    if (!block && std::chrono::steady_clock::now() >= due)
      return std::nullopt;
    if (!block)
      std::this_thread::sleep_for(std::chrono::milliseconds{1}); // poll pause
  }
  return ended_;
}

run_result run_program(const std::vector<std::string>& argv, duration limit,
                       const std::vector<std::string>& extra_environment,
                       int net_space) {
  const temporary_directory dir;
  process p{argv, dir.path() / "stderr", extra_environment, net_space};
  const auto due = std::chrono::steady_clock::now() + limit;
  run_result r;
  while (auto line = p.line(due))
    r.out += *line + "\n";
  auto end = p.wait(due);
  if (!end) {
    p.signal(SIGKILL);
    end = p.wait(time_point::max());
  }
  r.end = *end;
  r.err = tail_of(dir.path() / "stderr", 100'000);
  return r;
}

std::string tail_of(const std::filesystem::path& file, std::size_t bytes) {
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (text.size() <= bytes)
    return text;
  text.erase(0, text.size() - bytes);
  return "[...]" + text.substr(std::min(text.find('\n'), text.size() - 1));
}

temporary_directory::temporary_directory() {
  auto name =
      (std::filesystem::temp_directory_path() / "banyan-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr)
    fail(name);
  path_ = name;
}

temporary_directory::~temporary_directory() {
  if (std::getenv("BANYAN_KEEP")
      != nullptr) // NOLINT(concurrency-mt-unsafe): set before main only
    return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::uint16_t free_port() {
  // None is listened on yet: what was given out looks free.
  static std::mutex mutex;
  static std::set<std::uint16_t> given;
  const std::lock_guard lock{mutex};
  int low = 32768;
  std::ifstream{"/proc/sys/net/ipv4/ip_local_port_range"} >> low;
  std::random_device seed;
  std::uniform_int_distribution<int> pick{10'000, std::max(low - 1, 20'000)};
  for (int attempt = 0; attempt < 1000; ++attempt) {
    const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto port = static_cast<std::uint16_t>(pick(seed));
    at.sin_port = htons(port);
    const int r = bind(s, reinterpret_cast<sockaddr*>(&at), sizeof at);
    close(s);
    if (r == 0 && given.insert(port).second)
      return port;
  }
  throw std::runtime_error{"no free port"};
}

} // namespace banyan::test
