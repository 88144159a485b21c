#include "actors/host/host_child.hpp"

#include "actors/host/held_answers.hpp"
#include "actors/host/host_frame.hpp"
#include "actors/host/module.hpp"
#include "actors/host/turn_mark.hpp"
#include "actors/host/turn_trail.hpp"
#include "crypto/secret.hpp"
#include "net/io/child_process.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace banyan {
namespace {

constexpr int stream = io::child_process::stream_fd;
constexpr int shared = io::child_process::shared_fd;
constexpr rlim_t files_max = 64;
constexpr int exit_lost = 1; ///< the parent is gone, or says nonsense

#if defined(__SANITIZE_ADDRESS__)
constexpr bool memory_is_limited = false; // its shadow is data, too
#else
constexpr bool memory_is_limited = true;
#endif

std::uint64_t data_max = 0; ///< of this process

/// Bytes of data and stack that this process has; without an allocation.
std::uint64_t data_bytes() {
  char text[256] = {};
  const int fd = ::open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return 0;
  const auto got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (got <= 0)
    return 0;
  const char* at = text;
  unsigned long long n = 0;
  for (int field = 0; field < 6; ++field) { // the sixth is data and stack
    char* end = nullptr;
    n = std::strtoull(at, &end, 10);
    at = end;
  }
  return n * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

/// One request that is absurdly large is its turn's own fault; a process that
/// has used up what it may have can't run the next one either.
void out_of_memory() {
  if (data_bytes() >= data_max / 4 * 3)
    ::_exit(host_exit_memory);
  throw std::bad_alloc{};
}

void limit(int what, rlim_t to) {
  const rlimit l{to, to};
  ::setrlimit(static_cast<__rlimit_resource_t>(what), &l);
}

void confine(std::uint64_t memory_max) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, files_max);
  if (memory_max == 0 || !memory_is_limited)
    return;
  data_max = memory_max;
  limit(RLIMIT_DATA, memory_max);
  std::set_new_handler(out_of_memory);
}

bool is_copy = false; ///< this process is what the app's code forked
pid_t host_pid = 0;

/// In a process that the app's code forked: it is not the host, has no part in
/// what the host says, and ends with it, whatever group or session it makes.
void in_a_copy() {
  is_copy = true;
  ::close(stream);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != std::exchange(host_pid, ::getpid()))
    ::_exit(exit_lost);
}

bool write_all(const_bytes data) {
  while (!data.empty()) {
    const auto n = ::write(stream, data.data(), data.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    data = data.from(static_cast<std::size_t>(n));
  }
  return true;
}

/// Adds what comes next; false: the parent closed the stream.
bool read_more(host_frames& frames) {
  static std::array<std::uint8_t, 256 * 1024> buffer;
  for (;;) {
    const auto n = ::read(stream, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    frames.add({buffer.data(), static_cast<std::size_t>(n)});
    return true;
  }
}

turn_mark* shared_mark() {
  void* page = ::mmap(nullptr, sizeof(turn_mark), PROT_READ | PROT_WRITE,
                      MAP_SHARED, shared, 0);
  ::close(shared);
  return page == MAP_FAILED ? nullptr : static_cast<turn_mark*>(page);
}

/// Runs turns for as long as there are any.
class server {
public:
  /// Without a trail if that is null.
  server(module_runner& runner, host_frames& frames, turn_mark& mark,
         turn_trail* trail)
      : runner_{runner}, frames_{frames}, mark_{mark}, trail_{trail} {}

  int serve() {
    for (;;) {
      while (auto f = frames_.next()) {
        host_run order;
        if (f->kind != host_frame_kind::run || !read_run(f->body, order)
            || !run(order))
          return exit_lost;
      }
      if (frames_.broken() || !answers_.flush())
        return exit_lost;
      if (!read_more(frames_))
        return 0;
    }
  }

private:
  bool run(const host_run& order) {
    answers_.turn_begins();
    if (trail_ != nullptr)
      trail_->begin(order.request);
    mark_.begin(order.number);
    auto raw = runner_.call(order.turn);
    if (is_copy)
      ::_exit(0); // the host itself answers
    mark_.end(order.number);
    if (trail_ != nullptr)
      trail_->end();
    raw.number = order.number;
    return answers_.add(raw);
  }

  module_runner& runner_;
  host_frames& frames_;
  turn_mark& mark_;
  turn_trail* trail_;
  held_answers answers_{write_all};
};

void stay(int) {
}

int fail(const host_failed& why) {
  bytes out;
  put_failed(out, why);
  write_all(out);
  return 0;
}

} // namespace

int run_host_child() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a parent gone before shows as an end
  ::prctl(PR_SET_NAME, "banyan-host");
  host_pid = ::getpid();
  ::pthread_atfork(nullptr, nullptr, in_a_copy);
  std::signal(SIGPIPE, SIG_IGN);
  // Who stops a service signals all of its processes; the peer says when.
  for (const int s : {SIGTERM, SIGINT, SIGHUP})
    std::signal(s, stay);
  std::setvbuf(stdout, nullptr, _IOLBF, 0); // a crash loses no line
  ::close_range(shared + 1, ~0U, 0);
  for (const int fd : {stream, shared})
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto* mark = shared_mark();
  host_frames frames{host_limits::order_bytes_max};
  std::optional<host_frames::frame> first;
  while (!(first = frames.next()))
    if (frames.broken() || !read_more(frames))
      return exit_lost;
  host_open open;
  if (mark == nullptr || first->kind != host_frame_kind::open
      || !read_open(first->body, open))
    return exit_lost;
  const auto trail =
      open.trail.empty() ? nullptr : turn_trail::open(open.trail, open.life);
  confine(open.memory_max);
  auto module = load_module(open.file, open.module);
  if (!module)
    return fail(module.error());
  auto runner = module_runner::open(*module, open.config, open.secrets);
  wipe(open.secrets); // the module has its own copy
  if (!runner)
    return fail(runner.error());
  bytes out;
  put_ready(out, module->info);
  if (!write_all(out))
    return exit_lost;
  try {
    return server{*runner, frames, *mark, trail.get()}.serve();
  } catch (const std::bad_alloc&) {
    return host_exit_memory; // what isn't a turn's needs memory, too
  }
}

} // namespace banyan
