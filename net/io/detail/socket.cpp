#include "net/io/detail/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace banyan::io::detail {

namespace {

/// What the kernel may hold before it has sent it: the rest waits where a
/// heartbeat can overtake it.
constexpr int notsent_bytes = 64 * 1024;
constexpr int backlog = 512;

void set(int fd, int level, int name, int value) noexcept {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

bool is_mapped(const endpoint& e, in_addr& v4) noexcept {
  if (e.family() != AF_INET6)
    return false;
  const auto& a = reinterpret_cast<const sockaddr_in6*>(&e.storage)->sin6_addr;
  if (!IN6_IS_ADDR_V4MAPPED(&a))
    return false;
  std::memcpy(&v4, a.s6_addr + 12, 4);
  return true;
}

/// A socket's file by a name that fits into sockaddr_un: through its folder's
/// descriptor when the path itself is too long.
struct unix_name {
  sockaddr_un addr{};
  descriptor folder;
  int error = 0;

  explicit unix_name(const std::filesystem::path& path) {
    addr.sun_family = AF_UNIX;
    std::string name = path.string();
    if (name.size() >= sizeof addr.sun_path) {
      const auto parent = path.parent_path();
      folder =
          descriptor{::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
      if (!folder.valid()) {
        error = errno;
        return;
      }
      name = "/proc/self/fd/" + std::to_string(folder.get()) + "/"
             + path.filename().string();
    }
    if (name.size() >= sizeof addr.sun_path)
      error = ENAMETOOLONG;
    else
      std::memcpy(addr.sun_path, name.c_str(), name.size() + 1);
  }
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&addr);
  }
};

net_error tcp_error(int e, const net::address& at, const char* flag) {
  const auto where = host_port(at.host, at.port);
  switch (e) {
  case EADDRINUSE:
    return {net_errc::in_use,
            "port " + std::to_string(at.port) + " on " + at.host
                + " is in use by another process; choose another with " + flag
                + " HOST:PORT (port 0 picks a free one)"};
  case EACCES:
  case EPERM:
    return {net_errc::not_allowed,
            "not allowed to listen on " + where
                + "; ports below 1024 belong to root: choose another with "
                + flag};
  case EADDRNOTAVAIL:
    return {net_errc::no_address,
            at.host + " is not an address of this machine; give " + flag
                + " one that is (see `ip address`) or 0.0.0.0"};
  default:
    return {net_errc::system,
            "cannot listen on " + where + ": " + errno_text(e)};
  }
}

} // namespace

std::string errno_text(int e) {
  return std::error_code{e, std::generic_category()}.message();
}

std::optional<endpoint> literal(const std::string& host, std::uint16_t port) {
  endpoint e;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&e.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    e.size = sizeof(sockaddr_in);
    return e;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&e.storage);
  if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    e.size = sizeof(sockaddr_in6);
    return e;
  }
  return std::nullopt;
}

result<std::vector<endpoint>, net_error> resolve(const std::string& host,
                                                 std::uint16_t port) {
  if (const auto e = literal(host, port))
    return std::vector<endpoint>{*e};
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto rc =
      ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (rc != 0)
    return failure{net_error{net_errc::no_address,
                             "the name " + host
                                 + " has no address: " + ::gai_strerror(rc)}};
  std::vector<endpoint> out;
  for (const auto* a = found; a != nullptr && out.size() < 8; a = a->ai_next) {
    endpoint e;
    if (a->ai_addrlen > sizeof e.storage)
      continue;
    std::memcpy(&e.storage, a->ai_addr, a->ai_addrlen);
    e.size = a->ai_addrlen;
    out.push_back(e);
  }
  ::freeaddrinfo(found);
  if (out.empty())
    return failure{net_error{net_errc::no_address,
                             "the name " + host + " has no address"}};
  return out;
}

net::address to_address(const endpoint& e) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  net::address out;
  if (in_addr v4{}; is_mapped(e, v4)) {
    ::inet_ntop(AF_INET, &v4, text.data(), text.size());
    out.port =
        ntohs(reinterpret_cast<const sockaddr_in6*>(&e.storage)->sin6_port);
  } else if (e.family() == AF_INET6) {
    const auto* a = reinterpret_cast<const sockaddr_in6*>(&e.storage);
    ::inet_ntop(AF_INET6, &a->sin6_addr, text.data(), text.size());
    out.port = ntohs(a->sin6_port);
  } else if (e.family() == AF_INET) {
    const auto* a = reinterpret_cast<const sockaddr_in*>(&e.storage);
    ::inet_ntop(AF_INET, &a->sin_addr, text.data(), text.size());
    out.port = ntohs(a->sin_port);
  }
  out.host = text.data();
  return out;
}

std::string host_port(const std::string& host, std::uint16_t port) {
  const auto v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_loopback(const endpoint& e) noexcept {
  if (in_addr v4{}; is_mapped(e, v4))
    return (ntohl(v4.s_addr) >> 24) == 127;
  if (e.family() == AF_INET)
    return (ntohl(reinterpret_cast<const sockaddr_in*>(&e.storage)
                      ->sin_addr.s_addr)
            >> 24)
           == 127;
  return e.family() == AF_INET6
         && IN6_IS_ADDR_LOOPBACK(
             &reinterpret_cast<const sockaddr_in6*>(&e.storage)->sin6_addr);
}

std::optional<endpoint> local_end(int fd) {
  endpoint e;
  e.size = sizeof e.storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&e.storage), &e.size) != 0)
    return std::nullopt;
  return e;
}

std::optional<endpoint> remote_end(int fd) {
  endpoint e;
  e.size = sizeof e.storage;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&e.storage), &e.size) != 0)
    return std::nullopt;
  return e;
}

result<descriptor, net_error> listen_tcp(const net::address& at,
                                         const char* flag) {
  auto ends = resolve(at.host, at.port);
  if (!ends)
    return failure{ends.error()};
  const auto& e = ends->front();
  descriptor d{
      ::socket(e.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!d.valid())
    return failure{tcp_error(errno, at, flag)};
  set(d.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (e.family() == AF_INET6)
    set(d.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(d.get(), e.get(), e.size) != 0 || ::listen(d.get(), backlog) != 0)
    return failure{tcp_error(errno, at, flag)};
  return d;
}

result<descriptor, net_error> listen_unix(const std::filesystem::path& path) {
  const auto refuse = [&](net_errc c, const std::string& why) {
    return failure{
        net_error{c, "cannot listen on " + path.string() + ": " + why}};
  };
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) {
    if (!S_ISSOCK(st.st_mode))
      return refuse(net_errc::not_allowed,
                    "a file that is no socket stands there; move it away");
    if (auto live = connect_unix(path); live.ok() || live.error() == EAGAIN)
      return refuse(net_errc::in_use,
                    "another process listens there; stop it, or use another "
                    "data directory");
    ::unlink(path.c_str());
  }
  const unix_name name{path};
  if (name.error != 0)
    return refuse(net_errc::not_allowed, errno_text(name.error));
  descriptor d{
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  // The file takes its mode from the socket: there is no moment at which
  // others could open it.
  if (!d.valid() || ::fchmod(d.get(), S_IRUSR | S_IWUSR) != 0
      || ::bind(d.get(), name.get(), sizeof name.addr) != 0
      || ::listen(d.get(), backlog) != 0) {
    const auto e = errno;
    return refuse(e == EACCES || e == EPERM || e == ENOENT || e == EROFS
                      ? net_errc::not_allowed
                      : net_errc::system,
                  errno_text(e));
  }
  return d;
}

result<descriptor, int> start_connect(const endpoint& to) {
  descriptor d{
      ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!d.valid())
    return failure{errno};
  tune_tcp(d.get());
  if (::connect(d.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)
    return failure{errno};
  return d;
}

result<descriptor, int> connect_unix(const std::filesystem::path& path) {
  const unix_name name{path};
  if (name.error != 0)
    return failure{int{name.error}};
  descriptor d{
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!d.valid() || ::connect(d.get(), name.get(), sizeof name.addr) != 0)
    return failure{int{errno}};
  return d;
}

descriptor accept_one(int listener, endpoint* from) {
  endpoint e;
  e.size = sizeof e.storage;
  descriptor d{::accept4(listener, reinterpret_cast<sockaddr*>(&e.storage),
                         &e.size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  if (d.valid() && from != nullptr)
    *from = e;
  return d;
}

int connect_outcome(int fd) noexcept {
  int e = 0;
  socklen_t size = sizeof e;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &size) != 0)
    return errno;
  return e;
}

void tune_tcp(int fd) noexcept {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, notsent_bytes);
}

void tear_down_on_close(int fd) noexcept {
  const linger l{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

} // namespace banyan::io::detail
