#pragma once
#include "base/time.hpp"

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace banyan::test {

/// How a process ended.
struct exit_state {
  int code = -1;  ///< exit code; -1 after a signal
  int signal = 0; ///< what ended it; 0 after an exit
};

/// A child process: standard output through a pipe, standard error into a
/// file. It dies with the *thread* that made it (PR_SET_PDEATHSIG), so start
/// it from one that lives as long as it: `main`. Calls come one at a time, but
/// signals from any thread. The destructor kills and reaps.
class process {
public:
  /// `argv[0]` is the program's path. `net_space` is an open network namespace
  /// that it runs in; -1: the caller's. Throws std::runtime_error.
  process(const std::vector<std::string>& argv,
          const std::filesystem::path& error_file,
          const std::vector<std::string>& extra_environment = {},
          int net_space = -1);
  ~process();
  process(process&&) = delete;

  /// The next whole line of standard output; nothing at its end or `due`.
  std::optional<std::string> line(time_point due);
  void signal(int number) const;
  /// Has it ended? Reaps it then.
  std::optional<exit_state> poll();
  /// Waits for its end; nothing at `due`.
  std::optional<exit_state> wait(time_point due);
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
  pid_t pid_ = -1;
  int out_ = -1;
  std::string buffer_;
  std::optional<exit_state> ended_;
};

/// Runs a program to its end, at most `limit` (then it is killed).
struct run_result {
  exit_state end;
  std::string out;
  std::string err;
};
run_result run_program(const std::vector<std::string>& argv,
                       duration limit = std::chrono::seconds{20},
                       const std::vector<std::string>& extra_environment = {},
                       int net_space = -1);

/// The last lines of a file, at most `bytes`.
std::string tail_of(const std::filesystem::path& file,
                    std::size_t bytes = 4000);

/// A directory of its own under the system's temporary one, removed at the
/// end unless BANYAN_KEEP is set.
class temporary_directory {
public:
  temporary_directory();
  ~temporary_directory();
  temporary_directory(temporary_directory&&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

/// A TCP port of 127.0.0.1 that is free now, below the range from which the
/// system takes ports for outgoing connections: nobody takes it while its
/// peer is down. Never the same one twice in one process; any thread.
std::uint16_t free_port();

} // namespace banyan::test
