#include "tests/support/net_hosts.hpp"

#include "tests/support/process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace banyan::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void not_possible(const std::string& what) {
  throw not_here{what
                 + "; to run it: `apt-get install iproute2 nftables`, then as "
                   "root of a machine or of a privileged container (docker run "
                   "--privileged) `ctest --preset release -R netns`, or where "
                   "users may have namespaces of their own `unshare -r ctest "
                   "--preset release -R netns`"};
}

std::string last_error() {
  return std::strerror(errno); // NOLINT(concurrency-mt-unsafe): message only
}

std::string find_program(const std::string& name) {
  for (const char* dir : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"})
    if (access((dir + name).c_str(), X_OK) == 0)
      return dir + name;
  not_possible("needs the program `" + name + "`");
}

int make_net_space() {
  int fd = -1;
  std::string wrong;
  // On a thread of its own, which enters the namespace and ends.
  std::thread{[&] {
    if (unshare(CLONE_NEWNET) != 0)
      wrong = last_error();
    else
      fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  }}.join();
  if (fd < 0)
    not_possible("needs root (CAP_SYS_ADMIN) to make network namespaces: "
                 + wrong);
  return fd;
}

std::string name_of(std::size_t host) {
  return host == net_hosts::hub ? "10.77.0.254"
                                : "10.77.0." + std::to_string(host + 1);
}

} // namespace

net_space::net_space() : fd_{make_net_space()} {
}

net_space::~net_space() {
  if (fd_ >= 0)
    close(fd_);
}

void net_space::enter() const {
  if (setns(fd_, CLONE_NEWNET) != 0)
    not_possible("can't enter a network namespace: " + last_error());
}

std::string net_space::run(std::vector<std::string> argv) const {
  std::string line;
  for (const auto& word : argv)
    line += word + " ";
  argv.front() = find_program(argv.front());
  const auto r = run_program(argv, std::chrono::seconds{10}, {}, fd_);
  if (r.end.code != 0)
    throw std::runtime_error{"`" + line + "` failed: " + r.err};
  return r.out;
}

net_hosts::net_hosts(std::size_t count) : cuts_(count) {
  if (geteuid() != 0)
    not_possible("needs root to make network namespaces");
  if (unshare(CLONE_NEWNS) != 0
      || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    not_possible("needs root (CAP_SYS_ADMIN) to make a mount namespace: "
                 + last_error());
  try {
    const auto up = [](const net_space& s, const std::string& device) {
      (void)s.run({"ip", "link", "set", device, "up"});
    };
    up(hub_, "lo");
    (void)hub_.run({"ip", "link", "add", "bridge", "type", "bridge"});
    (void)hub_.run(
        {"ip", "addr", "add", name_of(hub) + "/24", "dev", "bridge"});
    up(hub_, "bridge");
    for (std::size_t i = 0; i < count; ++i) {
      const auto& host = hosts_.emplace_back();
      const auto port = "host" + std::to_string(i);
      // The child of `run` finds the descriptor through its parent.
      const auto there = "/proc/" + std::to_string(getpid()) + "/fd/"
                         + std::to_string(host.fd());
      (void)hub_.run({"ip", "link", "add", port, "type", "veth", "peer", "name",
                      "eth0", "netns", there});
      (void)hub_.run({"ip", "link", "set", port, "master", "bridge"});
      up(hub_, port);
      up(host, "lo");
      (void)host.run({"ip", "addr", "add", name_of(i) + "/24", "dev", "eth0"});
      up(host, "eth0");
      (void)host.run({"nft", "add table inet cuts; add chain inet cuts in "
                             "{ type filter hook input priority 0; }"});
      apply(i);
    }
  } catch (const not_here&) {
    throw;
  } catch (const std::runtime_error& e) {
    not_possible(e.what());
  }
  hub_.enter();
}

std::string net_hosts::address(std::size_t host) const {
  return name_of(host);
}

void net_hosts::cut_one_way(std::size_t from, std::size_t to, how h) {
  hits_ += hit(to);
  cuts_[to].insert({from, h});
  apply(to);
}

void net_hosts::cut(std::size_t a, std::size_t b, how h) {
  cut_one_way(a, b, h);
  if (a != hub)
    cut_one_way(b, a, h);
}

void net_hosts::part(const std::set<std::size_t>& side, bool callers, how h) {
  for (std::size_t to = 0; to < size(); ++to) {
    hits_ += hit(to);
    const bool inside = side.count(to) != 0;
    for (std::size_t from = 0; from < size(); ++from)
      if ((side.count(from) != 0) != inside)
        cuts_[to].insert({from, h});
    if (inside && callers)
      cuts_[to].insert({hub, h});
  }
  for (std::size_t to = 0; to < size(); ++to)
    apply(to);
}

void net_hosts::isolate(std::size_t host, how h) {
  for (std::size_t i = 0; i < size(); ++i)
    if (i != host)
      cut(i, host, h);
}

std::uint64_t net_hosts::heal() {
  for (std::size_t i = 0; i < size(); ++i) {
    if (cuts_[i].empty())
      continue;
    hits_ += hit(i);
    cuts_[i].clear();
    apply(i);
  }
  return std::exchange(hits_, 0);
}

void net_hosts::redirect(std::size_t from, std::size_t to, std::uint16_t port,
                         std::uint16_t hub_port) {
  const auto& s = space(from);
  try {
    (void)s.run({"nft", "add table ip links; add chain ip links out "
                        "{ type nat hook output priority -100; }"});
    (void)s.run({"nft", "add rule ip links out ip daddr " + name_of(to)
                            + " tcp dport " + std::to_string(port) + " dnat to "
                            + name_of(hub) + ":" + std::to_string(hub_port)});
  } catch (const not_here&) {
    throw;
  } catch (const std::runtime_error& e) {
    not_possible(e.what());
  }
}

/// All rules of a host in one transaction.
void net_hosts::apply(std::size_t to) {
  std::string text = "flush chain inet cuts in";
  for (const auto& r : cuts_[to]) {
    text += "; add rule inet cuts in ip saddr " + name_of(r.from);
    text += r.h == how::silent
                ? " counter drop"
                : " meta l4proto tcp counter reject with tcp reset";
  }
  (void)hosts_[to].run({"nft", text});
}

std::uint64_t net_hosts::hit(std::size_t to) const {
  if (cuts_[to].empty())
    return 0;
  const auto text = hosts_[to].run({"nft", "list chain inet cuts in"});
  const std::string word = "counter packets ";
  std::uint64_t sum = 0;
  for (auto at = text.find(word); at != std::string::npos;
       at = text.find(word, at + 1))
    sum += std::stoull(text.substr(at + word.size(), 20));
  return sum;
}

void mount_small_disk(const std::string& at, std::uint64_t bytes) {
  fs::create_directories(at);
  const auto options = "mode=0700,size=" + std::to_string(bytes);
  if (mount("tmpfs", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str())
      != 0)
    not_possible("needs root (CAP_SYS_ADMIN) to mount a tmpfs: "
                 + last_error());
}

void unmount_disk(const std::string& at) {
  umount2(at.c_str(), MNT_DETACH);
}

void name_hosts(const std::string& file, const std::string& name,
                const std::vector<std::string>& addresses) {
  std::ofstream out{file};
  out << "127.0.0.1 localhost\n";
  for (const auto& a : addresses)
    out << a << " " << name << "\n";
  out.close();
  if (mount(file.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0)
    not_possible("needs root (CAP_SYS_ADMIN) to put a file over /etc/hosts: "
                 + last_error());
}

} // namespace banyan::test
