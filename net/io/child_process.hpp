#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/io/asio_loop.hpp"
#include "net/io/net_error.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::io {

/// How a child came to its end: an exit code, or the signal that ended it.
struct child_end {
  int code = 0;
  int signal = 0; ///< 0: it exited by itself
};
/// For people: `exit code 3`, `Segmentation fault (signal 11)`.
std::string to_string(const child_end& e);

/// Called on the loop's thread, never from inside a call of `child_process`.
struct child_events {
  std::function<void(const_bytes)> on_bytes; ///< of its stream; borrowed
  /// A line of its standard output or error, without its end; cut at 4 KiB.
  std::function<void(std::string_view)> on_line;
  /// Last, and once: it is gone with all that it started, and what it had
  /// written before was delivered.
  std::function<void(const child_end&)> on_end;
};

/// A program that runs as a child of this process, with a stream of bytes to
/// it and from it: its descriptor `stream_fd`. Standard input is empty;
/// standard output and error come back as lines; it inherits nothing else but
/// `shared_fd`, gets no environment but PATH and MALLOC_CONF, and leads a
/// process group of its own, so that whatever it starts ends with it, as long
/// as this process is there to see to it.
///
/// Loop's thread only. The destructor kills it (SIGKILL) and doesn't wait for
/// its end; no event comes after it.
class child_process {
public:
  static constexpr int stream_fd = 3;
  static constexpr int shared_fd = 4;

  struct program {
    std::string file;               ///< a path; searched for nowhere
    std::vector<std::string> words; ///< its arguments, the name first
    int shared = -1; ///< borrowed for the call; the child's `shared_fd`
  };

  /// @returns `system`: no process, memory or descriptor could be had.
  static result<std::unique_ptr<child_process>, net_error>
  start(asio_loop& l, const program& p, child_events events);
  ~child_process();
  child_process(const child_process&) = delete;
  child_process& operator=(const child_process&) = delete;

  /// Queued without bound: look at `unsent`.
  void write(const_bytes data);
  [[nodiscard]] std::size_t unsent() const;
  [[nodiscard]] int pid() const;
  /// What it used so far; zero if it is ending.
  [[nodiscard]] duration cpu_time() const;
  /// Its first thread has less of the processors where others want them, too
  /// (`nice`); for good, unless this process may take it back.
  void give_way(int niceness);

private:
  struct core;
  explicit child_process(std::shared_ptr<core> c) : core_{std::move(c)} {}
  std::shared_ptr<core> core_;
};

} // namespace banyan::io
