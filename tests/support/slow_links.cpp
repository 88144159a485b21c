#include "tests/support/slow_links.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <random>

namespace banyan::test {
namespace {

constexpr std::uint16_t first_port = 20'000;
constexpr std::size_t queue_bytes_max = 256 * 1024;
constexpr std::size_t read_bytes = 16 * 1024;

time_point clock_now() {
  return std::chrono::steady_clock::now();
}

sockaddr_in place_of(const std::string& address, std::uint16_t port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_port = htons(port);
  inet_pton(AF_INET, address.c_str(), &at.sin_addr);
  return at;
}

int new_socket() {
  const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return s;
}

void close_with_reset(int fd) {
  const linger now{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(fd);
}

/// The hub's own address for what comes from a host, so that the far end can
/// tell hosts apart.
std::string alias_of(std::size_t host) {
  return "10.77.0." + std::to_string(101 + host);
}

} // namespace

/// One direction of a connection.
struct slow_links::flow {
  pair ends;
  int in = -1, out = -1;
  bool ended = false;       ///< no more comes in
  bool ended_there = false; ///< and the far end was told
  struct chunk {
    time_point due;
    std::string bytes;
  };
  std::deque<chunk> queue;
  std::size_t queued = 0;
  time_point free_at{}; ///< when a narrow line has carried what it took

  [[nodiscard]] bool wants_more() const {
    return !ended && queued < queue_bytes_max;
  }
};

struct slow_links::connection {
  pair ends; ///< who dialled whom
  int near = -1, far = -1;
  bool open = false; ///< the far side took it
  std::uint64_t resets = 0;
  flow there, back;
};

slow_links::slow_links(net_hosts& hosts,
                       const std::vector<std::uint16_t>& ports)
    : hosts_{hosts}, ports_{ports} {
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::runtime_error{"pipe"};
  auto port = first_port;
  for (std::size_t from = 0; from < hosts.size(); ++from) {
    (void)hosts.hub_space().run(
        {"ip", "addr", "add", alias_of(from) + "/24", "dev", "bridge"});
    for (std::size_t to = 0; to < hosts.size(); ++to) {
      if (from == to)
        continue;
      const listener l{new_socket(), from, to};
      listeners_.push_back(l);
      const auto at = place_of(hosts.address(net_hosts::hub), port);
      if (bind(l.fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0
          || listen(l.fd, 64) != 0)
        throw std::runtime_error{"can't listen in the hub"};
      hosts.redirect(from, to, ports[to], port++);
    }
  }
  thread_ = std::thread{[this] { run(); }};
}

slow_links::~slow_links() {
  stopping_ = true;
  (void)!write(wake_[1], "x", 1);
  if (thread_.joinable())
    thread_.join();
  for (const auto& c : connections_) {
    close(c->near);
    close(c->far);
  }
  for (const auto& l : listeners_)
    close(l.fd);
  close(wake_[0]);
  close(wake_[1]);
}

void slow_links::set(std::size_t from, std::size_t to, line l) {
  const std::lock_guard lock{mutex_};
  lines_[{from, to}] = l;
  (void)!write(wake_[1], "x", 1);
}

void slow_links::reset(std::size_t a, std::size_t b) {
  const std::lock_guard lock{mutex_};
  ++resets_[{a, b}];
  ++resets_[{b, a}];
  (void)!write(wake_[1], "x", 1);
}

void slow_links::heal() {
  const std::lock_guard lock{mutex_};
  lines_.clear();
  (void)!write(wake_[1], "x", 1);
}

slow_links::line slow_links::line_of(pair p) {
  const std::lock_guard lock{mutex_};
  const auto at = lines_.find(p);
  return at == lines_.end() ? line{} : at->second;
}

void slow_links::accept_from(const listener& l) {
  const int near =
      accept4(l.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (near < 0)
    return;
  const int on = 1;
  setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto c = std::make_unique<connection>();
  c->ends = {l.from, l.to};
  c->near = near;
  c->far = new_socket();
  c->there = {{l.from, l.to}, near, c->far, false, false, {}, 0, {}};
  c->back = {{l.to, l.from}, c->far, near, false, false, {}, 0, {}};
  {
    const std::lock_guard lock{mutex_};
    c->resets = resets_[c->ends];
  }
  const auto mine = place_of(alias_of(l.from), 0);
  const auto at = place_of(hosts_.address(l.to), ports_[l.to]);
  if (bind(c->far, reinterpret_cast<const sockaddr*>(&mine), sizeof mine) != 0
      || (connect(c->far, reinterpret_cast<const sockaddr*>(&at), sizeof at)
              != 0
          && errno != EINPROGRESS)) {
    close_with_reset(c->near);
    close(c->far);
    return;
  }
  connections_.push_back(std::move(c));
}

bool slow_links::read_into(flow& f, time_point at) {
  thread_local std::minstd_rand random{1};
  while (f.wants_more()) {
    char data[read_bytes];
    const auto n = recv(f.in, data, sizeof data, 0);
    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    if (n == 0) {
      f.ended = true;
      return true;
    }
    const auto l = line_of(f.ends);
    auto due = at + l.delay;
    if (l.jitter > duration::zero())
      due += duration{static_cast<std::int64_t>(random()) % l.jitter.count()};
    if (l.bytes_per_second > 0) {
      f.free_at = std::max(f.free_at, at)
                  + duration{static_cast<std::int64_t>(
                      1'000'000'000ULL * static_cast<std::uint64_t>(n)
                      / l.bytes_per_second)};
      due = std::max(due, f.free_at + l.delay);
    }
    if (!f.queue.empty()) // bytes don't overtake each other
      due = std::max(due, f.queue.back().due);
    f.queue.push_back({due, std::string{data, static_cast<std::size_t>(n)}});
    f.queued += static_cast<std::size_t>(n);
  }
  return true;
}

bool slow_links::write_from(flow& f, time_point at) {
  if (line_of(f.ends).stuck)
    return true;
  while (!f.queue.empty() && f.queue.front().due <= at) {
    auto& bytes = f.queue.front().bytes;
    const auto n = send(f.out, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0)
      return errno == EAGAIN || errno == EINTR;
    carried_ += static_cast<std::uint64_t>(n);
    f.queued -= static_cast<std::size_t>(n);
    bytes.erase(0, static_cast<std::size_t>(n));
    if (!bytes.empty())
      return true;
    f.queue.pop_front();
  }
  if (f.ended && f.queue.empty() && !f.ended_there) {
    f.ended_there = true;
    shutdown(f.out, SHUT_WR);
  }
  return true;
}

bool slow_links::move(connection& c, time_point at) {
  {
    const std::lock_guard lock{mutex_};
    if (c.resets != resets_[c.ends])
      return false;
  }
  if (!c.open) {
    pollfd p{c.far, POLLOUT, 0};
    if (poll(&p, 1, 0) <= 0)
      return true;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c.far, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0)
      return false;
    c.open = true;
  }
  for (auto* f : {&c.there, &c.back})
    if (!read_into(*f, at) || !write_from(*f, at))
      return false;
  return !(c.there.ended_there && c.back.ended_there);
}

void slow_links::run() {
  hosts_.hub_space().enter();
  while (!stopping_) {
    const auto at = clock_now();
    for (auto& c : connections_)
      if (!move(*c, at)) {
        const bool whole = c->there.ended_there && c->back.ended_there;
        whole ? (void)close(c->near) : close_with_reset(c->near);
        whole ? (void)close(c->far) : close_with_reset(c->far);
        c.reset();
      }
    connections_.erase(
        std::remove(connections_.begin(), connections_.end(), nullptr),
        connections_.end());
    std::vector<pollfd> polled{{wake_[0], POLLIN, 0}};
    for (const auto& l : listeners_)
      polled.push_back({l.fd, POLLIN, 0});
    auto next = at + std::chrono::seconds{1};
    for (const auto& c : connections_) {
      short near = 0, far = c->open ? 0 : POLLOUT;
      const auto consider = [&](const flow& f, short& in, short& out) {
        if (c->open && f.wants_more())
          in |= POLLIN;
        if (f.queue.empty() || line_of(f.ends).stuck)
          return;
        if (f.queue.front().due <= at)
          out |= POLLOUT;
        else
          next = std::min(next, f.queue.front().due);
      };
      consider(c->there, near, far);
      consider(c->back, far, near);
      // Not watched at all if nothing is wanted: a dead end would spin.
      polled.push_back({near != 0 ? c->near : -1, near, 0});
      polled.push_back({far != 0 ? c->far : -1, far, 0});
    }
    const auto wait = std::max(next - clock_now(), duration::zero());
    const timespec limit{static_cast<time_t>(wait.count() / 1'000'000'000),
                         static_cast<long>(wait.count() % 1'000'000'000)};
    ppoll(polled.data(), polled.size(), &limit, nullptr);
    char drain[64];
    while (read(wake_[0], drain, sizeof drain) > 0) {
    }
    for (std::size_t i = 0; i < listeners_.size(); ++i)
      if ((polled[i + 1].revents & POLLIN) != 0)
        accept_from(listeners_[i]);
  }
}

} // namespace banyan::test
