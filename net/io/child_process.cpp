#include "net/io/child_process.hpp"

#include "base/assert.hpp"
#include "net/io/detail/asio_context.hpp"
#include "net/io/detail/socket.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace banyan::io {

namespace asio = boost::asio;
using boost::system::error_code;
using detail::descriptor;

namespace {

constexpr std::size_t line_bytes_max = 4096;
constexpr int reads_per_event = 4; // then the others' turn
constexpr auto hung_up_patience = 100ms;

failure<net_error> system_failure(const char* what, int e) {
  return failure<net_error>{
      {net_errc::system, std::string{what} + ": " + detail::errno_text(e)}};
}

/// Above the numbers that the child gives a meaning to, so that putting one in
/// its place overwrites none of the others.
descriptor raised(int fd) {
  return descriptor{::fcntl(fd, F_DUPFD_CLOEXEC, 16)};
}

bool set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/// What the child is made of, freed however the spawn ends.
struct spawn_plan {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t how{};
  spawn_plan() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
  }
  ~spawn_plan() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
  }
  spawn_plan(const spawn_plan&) = delete;
  spawn_plan& operator=(const spawn_plan&) = delete;
};

/// 0 or an errno.
int spawn(const child_process::program& p, int stream, int said, pid_t& pid) {
  spawn_plan plan;
  auto& files = plan.files;
  const auto shared = p.shared >= 0 ? raised(p.shared) : descriptor{};
  if (p.shared >= 0 && !shared.valid())
    return errno;
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY,
                                   0);
  posix_spawn_file_actions_adddup2(&files, said, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, said, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&files, stream, child_process::stream_fd);
  if (shared.valid())
    posix_spawn_file_actions_adddup2(&files, shared.get(),
                                     child_process::shared_fd);
  sigset_t none;
  sigemptyset(&none);
  sigset_t normal;
  sigemptyset(&normal);
  for (const int s : {SIGPIPE, SIGTERM, SIGINT, SIGHUP})
    sigaddset(&normal, s);
  posix_spawnattr_setsigmask(&plan.how, &none);
  posix_spawnattr_setsigdefault(&plan.how, &normal);
  posix_spawnattr_setpgroup(&plan.how, 0);
  posix_spawnattr_setflags(&plan.how,
                           static_cast<short>(POSIX_SPAWN_SETSIGMASK
                                              | POSIX_SPAWN_SETSIGDEF
                                              | POSIX_SPAWN_SETPGROUP));
  std::vector<std::string> words = p.words;
  std::vector<char*> argv;
  for (auto& w : words)
    argv.push_back(w.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/local/bin:/usr/bin:/bin";
  // Where the allocator is jemalloc: what was freed goes back, so that a limit
  // of memory counts what is used. Others don't read it.
  std::string memory = "MALLOC_CONF=retain:false,narenas:1";
  char* environment[] = {path.data(), memory.data(), nullptr};
  return ::posix_spawn(&pid, p.file.c_str(), &files, &plan.how, argv.data(),
                       environment);
}

int pidfd_of(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

} // namespace

std::string to_string(const child_end& e) {
  if (e.signal == 0)
    return "exit code " + std::to_string(e.code);
  return std::string{::strsignal(e.signal)} + " (signal "
         + std::to_string(e.signal) + ")";
}

/// Outlives its owner while handlers that Asio still holds come back: they
/// find `over`.
struct child_process::core : std::enable_shared_from_this<core> {
  core(asio_loop& l, child_events e)
      : loop{l}, events{std::move(e)}, stream{detail::context(l)},
        said{detail::context(l)}, life{detail::context(l)}, hung_up{l} {}

  void begin() {
    await_end();
    await_bytes();
    await_text();
  }

  /// No event from here on. The process and its group are ended; the kernel
  /// may still be taking them apart, which `ended` waits for.
  void finish() {
    if (std::exchange(over, true))
      return;
    hung_up.cancel();
    error_code ignored;
    stream.close(ignored);
    said.close(ignored);
    if (pid > 0)
      ::kill(-pid, SIGKILL);
  }
  ~core() {
    if (pid > 0) { // the loop ends first
      ::kill(-pid, SIGKILL);
      static_cast<void>(reap());
    }
  }

  child_end reap() {
    int how = 0;
    pid_t got = 0;
    while ((got = ::waitpid(pid, &how, 0)) < 0 && errno == EINTR) {
    }
    pid = -1;
    if (got < 0)
      return {-1, 0}; // nobody knows
    if (WIFSIGNALED(how))
      return {0, WTERMSIG(how)};
    return {WEXITSTATUS(how), 0};
  }

  void await_end() {
    life.async_wait(asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](error_code e) {
                      if (!e)
                        self->loop.measured("child", [&] { self->ended(); });
                    });
  }
  /// It is there to be reaped. (Asio wakes a wait too early when it reuses
  /// what it kept of a descriptor that was closed in the same turn.)
  [[nodiscard]] bool is_dead() const {
    siginfo_t found{};
    if (::waitid(P_PID, static_cast<id_t>(pid), &found,
                 WEXITED | WNOHANG | WNOWAIT)
        != 0)
      return errno == ECHILD; // reaped by whom SIGCHLD is ignored
    return found.si_pid == pid;
  }
  void ended() {
    if (!is_dead())
      return await_end();
    // Its group's number can't belong to others while it isn't reaped.
    ::kill(-pid, SIGKILL);
    const auto how = reap();
    error_code ignored;
    life.close(ignored);
    while (!over && read_bytes()) {
    }
    while (!over && read_text()) {
    }
    if (over)
      return;
    if (!line.empty())
      tell_line();
    if (over)
      return;
    const auto on_end = events.on_end;
    finish();
    on_end(how);
  }

  void await_bytes() {
    stream.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](error_code e) {
                        if (!e && !self->over)
                          self->loop.measured("child", [&] { self->bytes(); });
                      });
  }
  void bytes() {
    for (int n = 0; n < reads_per_event; ++n)
      if (!read_bytes())
        break;
    if (!over && !hung)
      await_bytes();
  }
  /// False: nothing more for now.
  bool read_bytes() {
    if (hung)
      return false;
    const auto got =
        ::read(stream.native_handle(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR)
      return true;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return false;
    if (got <= 0) {
      hang_up();
      return false;
    }
    events.on_bytes({buffer.data(), static_cast<std::size_t>(got)});
    return !over && static_cast<std::size_t>(got) == buffer.size();
  }
  /// It closed its stream: it ends, or is ended.
  void hang_up() {
    hung = true;
    hung_up.arm(
        loop.now() + hung_up_patience,
        [self = shared_from_this()] {
          if (!self->over && self->pid > 0)
            ::kill(-self->pid, SIGKILL);
        },
        "child");
  }

  void await_text() {
    said.async_wait(asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](error_code e) {
                      if (!e && !self->over)
                        self->loop.measured("child", [&] { self->text(); });
                    });
  }
  void text() {
    for (int n = 0; n < reads_per_event; ++n)
      if (!read_text())
        break;
    if (!over && !silent)
      await_text();
  }
  bool read_text() {
    if (silent)
      return false;
    const auto got = ::read(said.native_handle(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR)
      return true;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return false;
    if (got <= 0) {
      silent = true;
      return false;
    }
    const auto size = static_cast<std::size_t>(got);
    for (std::size_t i = 0; i < size && !over; ++i) {
      const char c = static_cast<char>(buffer[i]);
      if (c == '\n')
        tell_line();
      else if (line.size() < line_bytes_max)
        line += c;
    }
    return !over && size == buffer.size();
  }
  void tell_line() {
    const auto told = std::exchange(line, {});
    if (events.on_line)
      events.on_line(told);
  }

  void write(const_bytes data) {
    if (over || hung)
      return;
    if (unsent() == 0)
      data = data.from(send(data));
    if (data.empty() || hung)
      return;
    out.insert(out.end(), data.begin(), data.end());
    await_room();
  }
  /// Bytes that the kernel took.
  std::size_t send(const_bytes data) {
    std::size_t taken = 0;
    while (taken < data.size()) {
      const auto n = ::send(stream.native_handle(), data.data() + taken,
                            data.size() - taken, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && !hung) {
        hang_up(); // it reads no more
        return data.size();
      }
      if (n < 0)
        break;
      taken += static_cast<std::size_t>(n);
    }
    return taken;
  }
  void await_room() {
    if (std::exchange(awaits_room, true))
      return;
    stream.async_wait(asio::posix::stream_descriptor::wait_write,
                      [self = shared_from_this()](error_code e) {
                        self->awaits_room = false;
                        if (!e && !self->over)
                          self->loop.measured("child",
                                              [&] { self->write_more(); });
                      });
  }
  void write_more() {
    sent += send(const_bytes{out}.from(sent));
    if (unsent() == 0 || hung) {
      out.clear();
      sent = 0;
      return;
    }
    if (sent > out.size() / 2) {
      out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(sent));
      sent = 0;
    }
    await_room();
  }
  [[nodiscard]] std::size_t unsent() const { return out.size() - sent; }

  asio_loop& loop;
  child_events events;
  asio::posix::stream_descriptor stream;
  asio::posix::stream_descriptor said;
  asio::posix::stream_descriptor life; ///< a pidfd: readable once it ended
  timer hung_up;
  pid_t pid = -1;
  bool over = false;
  bool hung = false;   ///< it closed its stream
  bool silent = false; ///< and its standard output
  bool awaits_room = false;
  banyan::bytes out; ///< from `sent` on: not yet taken by the kernel
  std::size_t sent = 0;
  std::string line;
  std::array<std::uint8_t, 64 * 1024> buffer{};
};

result<std::unique_ptr<child_process>, net_error>
child_process::start(asio_loop& l, const program& p, child_events events) {
  BANYAN_ASSERT(l.on_thread());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_failure("no stream to a child", errno);
  descriptor ours{ends[0]};
  const descriptor theirs_low{ends[1]};
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return system_failure("no pipe to a child", errno);
  descriptor said{ends[0]};
  const descriptor said_low{ends[1]};
  const auto theirs = raised(theirs_low.get());
  const auto said_there = raised(said_low.get());
  if (!theirs.valid() || !said_there.valid() || !set_nonblocking(ours.get())
      || !set_nonblocking(said.get()))
    return system_failure("no descriptors for a child", errno);
  auto c = std::make_shared<core>(l, std::move(events));
  if (const int e = spawn(p, theirs.get(), said_there.get(), c->pid); e != 0) {
    c->pid = -1;
    c->over = true;
    return system_failure(("can't start " + p.file).c_str(), e);
  }
  descriptor life{pidfd_of(c->pid)};
  if (!life.valid()) {
    const int e = errno;
    c->over = true; // its destructor ends the child
    return system_failure("no pidfd of a child (Linux 5.3 has them)", e);
  }
  c->stream.assign(ours.release());
  c->said.assign(said.release());
  c->life.assign(life.release());
  c->begin();
  return std::unique_ptr<child_process>{new child_process{std::move(c)}};
}

child_process::~child_process() {
  core_->finish();
}

void child_process::write(const_bytes data) {
  core_->write(data);
}

std::size_t child_process::unsent() const {
  return core_->unsent();
}

duration child_process::cpu_time() const {
  clockid_t clock{};
  timespec t{};
  if (core_->pid <= 0 || ::clock_getcpuclockid(core_->pid, &clock) != 0
      || ::clock_gettime(clock, &t) != 0)
    return {};
  return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

void child_process::give_way(int niceness) {
  if (core_->pid > 0) // it may be ending: then there is nothing to do
    static_cast<void>(
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(core_->pid), niceness));
}

int child_process::pid() const {
  return core_->pid;
}

} // namespace banyan::io
