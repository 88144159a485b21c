#include "actors/bin/state_child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

extern char** environ;

namespace banyan::bin {
namespace {

/// Above this many bytes the check gives way to the peers' own work.
constexpr std::uintmax_t gentle_from = std::uintmax_t{64} << 20;
constexpr int gentle_nice = 10;
constexpr std::size_t line_bytes_max = std::size_t{256} << 10;
constexpr int not_loaded = 127; ///< what loaders and shells exit with

void say(const std::string& line) {
  std::fputs((line + "\n").c_str(), stdout);
  std::fflush(stdout);
}

std::string one_line(std::string text) {
  for (auto& c : text)
    if (c == '\n' || c == '\r')
      c = ' ';
  return text;
}

std::uint64_t number_in(const char*& text) {
  char* end = nullptr;
  const auto v = std::strtoull(text, &end, 10);
  text = end;
  return v;
}

/// One child, from its start to its end.
class child {
public:
  enum class ending { judged, later, crashed, stopped };

  child(const std::string& program, const std::filesystem::path& state,
        actors::state_check_status& status)
      : status_{status} {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      why_later_ = std::string{"no pipe to the check: "} + ::strerror(errno);
      return;
    }
    out_ = ends[0];
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
                                     O_RDONLY, 0);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    // What asks a whole group of processes to stop is for the peer: a check
    // that died of it would be taken for one that a bad file ended.
    sigset_t blocked;
    sigemptyset(&blocked);
    for (const auto signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
      sigaddset(&blocked, signal);
    posix_spawnattr_setsigmask(&how, &blocked);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
    const auto path = state.string();
    std::string name = "banyan-peer";
    std::string flag = "--verify-state";
    std::string dir = path;
    char* argv[] = {name.data(), flag.data(), dir.data(), nullptr};
    if (const int code =
            ::posix_spawn(&pid_, program.c_str(), &files, &how, argv, environ);
        code != 0) {
      pid_ = -1;
      why_later_ =
          std::string{"the check can't be started: "} + ::strerror(code);
    }
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    ::close(ends[1]);
  }
  ~child() {
    if (out_ >= 0)
      ::close(out_);
    reap(true);
  }
  child(const child&) = delete;
  child& operator=(const child&) = delete;

  [[nodiscard]] bool started() const { return pid_ > 0; }

  /// Reads it to its end.
  ending run(const std::atomic<bool>& stop, duration patience) {
    // Counted in looks, not by the clock: while this process is frozen with
    // the child nobody is silent.
    constexpr auto look = std::chrono::milliseconds{100};
    duration silent{};
    for (;;) {
      if (stop)
        return ending::stopped;
      pollfd p{out_, POLLIN, 0};
      const int n = ::poll(&p, 1, static_cast<int>(look.count()));
      if (n > 0) {
        char piece[16384];
        const auto got = ::read(out_, piece, sizeof piece);
        if (got == 0 || (got < 0 && errno != EINTR))
          break;
        if (got > 0) {
          silent = {};
          take({piece, static_cast<std::size_t>(got)});
        }
      } else if ((silent += look) > patience) {
        crash_ = "the check said nothing for too long";
        reap(true);
        return ending::crashed;
      }
    }
    reap(false);
    if (later_)
      return ending::later;
    return ended_ && crash_.empty() ? ending::judged : ending::crashed;
  }

  [[nodiscard]] const std::string& bad() const { return bad_; }
  [[nodiscard]] const std::string& crash() const { return crash_; }
  [[nodiscard]] const std::string& why_later() const { return why_later_; }

private:
  void take(std::string_view piece) {
    buffer_ += piece;
    for (;;) {
      const auto at = buffer_.find('\n');
      if (at == std::string::npos)
        break;
      take_line(buffer_.substr(0, at));
      buffer_.erase(0, at + 1);
    }
    if (buffer_.size() > line_bytes_max)
      buffer_.clear();
  }

  void take_line(const std::string& line) {
    const auto begins = [&](std::string_view word) {
      return line.compare(0, word.size(), word) == 0;
    };
    if (begins("progress ")) {
      const char* text = line.c_str() + 9;
      const auto done = number_in(text);
      status_.progress(done, number_in(text));
    } else if (begins("row ")) {
      take_row(line.substr(4));
    } else if (begins("bad ")) {
      if (bad_.empty())
        bad_ = line.substr(4);
    } else if (begins("later ")) {
      later_ = true;
      why_later_ = line.substr(6);
    } else if (line == "end") {
      ended_ = true;
    }
  }

  void take_row(const std::string& words) {
    const auto first = words.find(' ');
    const auto second = words.find(' ', first + 1);
    if (second == std::string::npos)
      return;
    group_id g;
    bytes app;
    bytes key;
    if (!from_hex(words.substr(0, first), app)
        || !app_id::from(const_bytes{app}, g.app)
        || !from_hex(words.substr(second + 1), key))
      return;
    const char* shard = words.c_str() + first + 1;
    g.shard = static_cast<std::uint32_t>(number_in(shard));
    status_.damaged_row(g, std::move(key));
  }

  /// A bad file makes a process do this to itself.
  static bool is_fault(int signal) {
    return signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT
           || signal == SIGILL || signal == SIGFPE;
  }

  void reap(bool kill) {
    if (pid_ <= 0)
      return;
    if (kill)
      ::kill(pid_, SIGKILL);
    int how = 0;
    while (::waitpid(pid_, &how, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    if (kill)
      return;
    if (WIFSIGNALED(how) && !is_fault(WTERMSIG(how))) {
      later_ = true; // somebody ended it: that says nothing of the file
      why_later_ =
          std::string{"the check was ended by "} + ::strsignal(WTERMSIG(how));
    } else if (WIFEXITED(how) && WEXITSTATUS(how) == not_loaded && !ended_) {
      later_ = true; // nor does a program that didn't come up
      why_later_ = "the check's program can't be loaded";
    } else if (WIFSIGNALED(how))
      crash_ = std::string{"the check died of "} + ::strsignal(WTERMSIG(how));
    else if (!ended_ && !later_)
      crash_ = "the check ended without a word";
  }

  actors::state_check_status& status_;
  pid_t pid_ = -1;
  int out_ = -1;
  std::string buffer_;
  std::string bad_;
  std::string crash_;
  std::string why_later_;
  bool later_ = false;
  bool ended_ = false;
};

} // namespace

int verify_state_child(const std::string& state) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit no_core{0, 0}; // a crash here is an answer, not an accident
  ::setrlimit(RLIMIT_CORE, &no_core);
  std::error_code code;
  const auto size = std::filesystem::file_size(
      std::filesystem::path{state} / "data.mdb", code);
  if (!code && size >= gentle_from)
    ::setpriority(PRIO_PROCESS, 0, gentle_nice);
  // A parent that is gone already ends this by SIGPIPE.
  const auto found =
      store::verify_state(state, [](std::uint64_t done, std::uint64_t all) {
        say("progress " + std::to_string(done) + " " + std::to_string(all));
      });
  if (!found.ok()) {
    const auto what = found.error().code;
    const auto why = one_line(found.error().message);
    if (what == store::store_errc::in_use)
      say("later " + why);
    else if (what != store::store_errc::unreadable) // its open will say so
      say("bad " + why);
  } else if (!found->later.empty()) {
    say("later " + one_line(found->later));
  } else {
    for (const auto& [group, key] : found->damaged_rows)
      say("row " + to_hex(group.app.view()) + " " + std::to_string(group.shard)
          + " " + to_hex(key));
    for (const auto& why : found->bad)
      say("bad " + one_line(why));
  }
  say("end");
  return 0;
}

store::state_verdict check_in_child(const std::filesystem::path& state,
                                    actors::state_check_status& status,
                                    const std::atomic<bool>& stop,
                                    const std::string& program,
                                    duration patience) {
  for (auto pause = std::chrono::milliseconds{20};;
       pause = std::min(pause * 2, std::chrono::milliseconds{2000})) {
    child c{program, state, status};
    const auto how = c.started() ? c.run(stop, patience) : child::ending::later;
    switch (how) {
    case child::ending::judged:
      return {c.bad().empty(), c.bad()};
    case child::ending::crashed:
      return {false, c.crash()};
    case child::ending::stopped:
      return {false, "stopped"};
    case child::ending::later:
      status.waits(c.why_later());
      break;
    }
    for (auto left = pause; left.count() > 0 && !stop;
         left -= std::chrono::milliseconds{20})
      std::this_thread::sleep_for(std::chrono::milliseconds{20});
    if (stop)
      return {false, "stopped"};
  }
}

} // namespace banyan::bin
