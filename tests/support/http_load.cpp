#include "tests/support/http_load.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace banyan::test {
namespace {

time_point now() {
  return std::chrono::steady_clock::now();
}

/// Bytes of the first whole answer in `text`; 0: it isn't whole. Answers with
/// a length alone, which is what every door here sends.
std::size_t answer_size(std::string_view text) {
  const auto head = text.find("\r\n\r\n");
  if (head == std::string_view::npos)
    return 0;
  std::size_t length = 0;
  for (std::size_t at = 0; at < head;) {
    const auto line = text.find("\r\n", at);
    constexpr std::string_view name = "content-length:";
    if (line - at > name.size()
        && ::strncasecmp(text.data() + at, name.data(), name.size()) == 0)
      length = std::strtoul(text.data() + at + name.size(), nullptr, 10);
    at = line + 2;
  }
  const auto size = head + 4 + length;
  return text.size() < size ? 0 : size;
}

class load {
public:
  explicit load(const http_load_options& o) : options_{o} {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < o.clients; ++i) {
      clients_.push_back(std::make_unique<client>());
      clients_.back()->door = i % o.ports.size();
    }
  }
  ~load() {
    for (auto& c : clients_)
      hang_up(*c);
    ::close(epoll_);
  }
  load(const load&) = delete;
  load& operator=(const load&) = delete;

  http_load_report run() {
    start_ = now();
    const auto end = start_ + options_.span;
    std::uint64_t begun = 0;
    for (;;) {
      const auto at = now();
      std::size_t busy = 0;
      for (std::size_t i = 0; i < clients_.size(); ++i) {
        auto& c = *clients_[(next_ + i) % clients_.size()]; // all by turns
        if (c.busy)
          look_after(c, at);
        if (!c.busy && at < end && (options_.rate <= 0 || due(begun) <= at)) {
          c.begun = options_.rate <= 0 ? at : due(begun);
          ++begun;
          begin(c, at);
        }
        busy += c.busy ? 1 : 0;
      }
      next_ = begun % clients_.size();
      if (busy == 0 && at >= end)
        break;
      wait();
    }
    return report();
  }

private:
  struct client {
    std::size_t door = 0;
    int fd = -1;
    bool busy = false;
    time_point begun;   ///< the call
    time_point attempt; ///< at this door
    std::size_t sent = 0;
    std::string got;
  };

  [[nodiscard]] time_point due(std::uint64_t n) const {
    return start_
           + std::chrono::duration_cast<duration>(std::chrono::duration<double>(
               static_cast<double>(n) / options_.rate));
  }
  static void hang_up(client& c) {
    if (c.fd >= 0)
      ::close(c.fd);
    c.fd = -1;
    c.got.clear();
  }
  void begin(client& c, time_point at) {
    c.busy = true;
    c.attempt = at;
    c.sent = 0;
    if (c.fd < 0 && !dial(c))
      return; // looked after in the next round
    put(c);
  }
  bool dial(client& c) {
    c.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int one = 1;
    ::setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(options_.ports[c.door]);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(c.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0
        && errno != EINPROGRESS) {
      hang_up(c);
      return false;
    }
    epoll_event e{};
    e.events = EPOLLIN | EPOLLOUT | EPOLLET;
    e.data.ptr = &c;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &e);
    return true;
  }
  void put(client& c) {
    while (c.busy && c.fd >= 0 && c.sent < options_.request.size()) {
      const auto n = ::send(c.fd, options_.request.data() + c.sent,
                            options_.request.size() - c.sent, MSG_NOSIGNAL);
      if (n < 0) {
        if (errno != EAGAIN && errno != ENOTCONN)
          hang_up(c);
        return;
      }
      c.sent += static_cast<std::size_t>(n);
    }
  }
  void take(client& c) {
    static std::array<char, 64 * 1024> buffer;
    while (c.fd >= 0) {
      const auto n = ::recv(c.fd, buffer.data(), buffer.size(), 0);
      if (n > 0) {
        c.got.append(buffer.data(), static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != ENOTCONN)) {
        const bool whole = answer_size(c.got) != 0; // and then the end
        if (!whole || !c.busy)
          return hang_up(c);
        finish(c);
        return hang_up(c);
      }
      break;
    }
    if (c.busy && answer_size(c.got) != 0)
      finish(c);
  }
  void finish(client& c) {
    const auto took = now() - c.begun;
    const bool good = c.got.compare(0, 13, "HTTP/1.1 200 ") == 0
                      || c.got.compare(0, 13, "HTTP/1.0 200 ") == 0;
    c.got.erase(0, answer_size(c.got));
    done(c, took, good);
  }
  void done(client& c, duration took, bool good) {
    c.busy = false;
    if (!good) {
      ++report_.failed;
      return;
    }
    ++report_.answered;
    report_.slow += took > options_.slow ? 1 : 0;
    times_.push_back(to_ms(took));
  }
  /// A call whose door is gone or silent.
  void look_after(client& c, time_point at) {
    if (at - c.begun > options_.deadline) {
      hang_up(c);
      done(c, at - c.begun, false);
      return;
    }
    if (c.fd >= 0 && at - c.attempt <= options_.patience)
      return;
    // Everybody hanging on one dead door is no reason to spin on it.
    if (c.fd < 0 && at - c.attempt < std::chrono::milliseconds{1})
      return;
    hang_up(c);
    c.door = (c.door + 1) % options_.ports.size();
    ++report_.repeated;
    begin(c, at);
  }
  void wait() {
    std::array<epoll_event, 256> events;
    const int n =
        ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 1);
    for (int i = 0; i < n; ++i) {
      auto& c =
          *static_cast<client*>(events[static_cast<std::size_t>(i)].data.ptr);
      put(c);
      take(c);
    }
  }
  http_load_report report() {
    std::sort(times_.begin(), times_.end());
    const auto part = [&](double p) {
      return times_.empty() ? 0
                            : times_[static_cast<std::size_t>(
                                p * static_cast<double>(times_.size() - 1))];
    };
    report_.p50_ms = part(0.5);
    report_.p99_ms = part(0.99);
    report_.longest_ms = part(1);
    report_.per_second =
        static_cast<double>(report_.answered)
        / std::chrono::duration<double>(now() - start_).count();
    return report_;
  }

  const http_load_options& options_;
  int epoll_ = -1;
  time_point start_;
  std::vector<std::unique_ptr<client>> clients_;
  std::size_t next_ = 0; ///< whose turn the next call is
  std::vector<double> times_;
  http_load_report report_;
};

} // namespace

http_load_report run_http_load(const http_load_options& options) {
  return load{options}.run();
}

} // namespace banyan::test
