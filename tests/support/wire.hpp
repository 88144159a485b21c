#pragma once
#include "base/time.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace banyan::test {

/// A connection to the door, for bytes that no HTTP client would send.
class wire {
public:
  explicit wire(std::uint16_t port) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ >= 0
        && ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  wire(wire&& o) noexcept
      : fd_{std::exchange(o.fd_, -1)}, got_{std::move(o.got_)} {}
  ~wire() {
    if (fd_ >= 0)
      ::close(fd_);
  }
  [[nodiscard]] bool connected() const { return fd_ >= 0; }
  /// False once the far side takes no more, or nothing for 20 s.
  bool send(std::string_view s) {
    while (!s.empty()) {
      const auto n =
          ::send(fd_, s.data(), s.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0)
        s.remove_prefix(static_cast<std::size_t>(n));
      else if (errno != EAGAIN || !ready(POLLOUT, 20'000))
        return false;
    }
    return true;
  }
  void finish() const { ::shutdown(fd_, SHUT_WR); }
  /// What comes until the far side closes, or nothing does for 30 s.
  const std::string& read_all() {
    while (!ended_ && ready(POLLIN, 30'000))
      take(16 * 1024);
    return got_;
  }
  /// What came until `text` was in it `n` times, the end, or 30 s of silence.
  const std::string& read_until(std::string_view text, std::size_t n = 1) {
    const auto seen = [&] {
      std::size_t times = 0;
      for (std::size_t i = 0; (i = got_.find(text, i)) != std::string::npos;
           i += text.size())
        ++times;
      return times;
    };
    while (seen() < n && !ended_ && ready(POLLIN, 30'000))
      take(16 * 1024);
    return got_;
  }
  /// At most so many bytes of what is there.
  void take(std::size_t bytes) {
    std::string buffer(bytes, '\0');
    const auto n = ::recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n > 0)
      got_.append(buffer, 0, static_cast<std::size_t>(n));
    else if (n == 0 || errno != EAGAIN)
      ended_ = true;
  }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] const std::string& got() const { return got_; }

private:
  [[nodiscard]] bool ready(short events, int ms) const {
    pollfd p{fd_, events, 0};
    return ::poll(&p, 1, ms) == 1;
  }
  int fd_ = -1;
  bool ended_ = false;
  std::string got_;
};

} // namespace banyan::test
