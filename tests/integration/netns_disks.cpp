#include "tests/integration/netns_scenarios.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>

namespace banyan::test {
namespace {

// Enough for what the peers keep under this load, but only just: two segments
// of the log, three or four more that are in use, and the state.
constexpr std::uint64_t disk_bytes = std::uint64_t{512} << 20;
// At first a disk takes the first segment of the log and has none in reserve.
constexpr std::uint64_t left_at_first = std::uint64_t{90} << 20;

/// A file that takes all that is left, and goes again.
class ballast {
public:
  explicit ballast(std::filesystem::path file) : file_{std::move(file)} {}
  ~ballast() { remove(); }
  ballast(ballast&&) = default;

  void take(std::uint64_t bytes) const {
    const int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    (void)posix_fallocate(fd, 0, static_cast<off_t>(bytes));
    close(fd);
  }
  /// In steps, since others take and give space meanwhile.
  void fill() const {
    const int fd = open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    off_t size = lseek(fd, 0, SEEK_END);
    for (off_t step = off_t{16} << 20; step >= 4096; step /= 2)
      while (posix_fallocate(fd, size, step) == 0)
        size += step;
    close(fd);
  }
  void remove() const {
    std::error_code ignored;
    std::filesystem::remove(file_, ignored);
  }

private:
  std::filesystem::path file_;
};

/// Callers that fill disks: large values, each the only writer of its key.
class bulk_load {
public:
  explicit bulk_load(process_mesh& mesh) : mesh_{mesh} {}
  ~bulk_load() { stop(); }

  void start() {
    for (std::size_t i = 0; i < keys; ++i)
      threads_.emplace_back([this, i] { run(i); });
  }
  void stop() {
    stopping_ = true;
    for (auto& t : threads_)
      t.join();
    threads_.clear();
  }
  /// After `stop`: every key holds what was acknowledged last, or a later try.
  std::vector<std::string> check() const {
    std::vector<std::string> wrong;
    for (std::size_t i = 0; i < keys; ++i) {
      const auto v = mesh_.get(i, path(i) + "get", 10s)["result"];
      const auto at = std::strtoull(v.text.c_str(), nullptr, 10);
      if (at < acknowledged_[i] || at > tried_[i]
          || v.text != text_of(at, v.text.size()))
        wrong.push_back("bulk key " + std::to_string(i) + " holds "
                        + std::to_string(at) + ", acknowledged "
                        + std::to_string(acknowledged_[i]));
    }
    return wrong;
  }
  [[nodiscard]] std::uint64_t answers(int status) const {
    const std::lock_guard lock{mutex_};
    const auto at = statuses_.find(status);
    return at == statuses_.end() ? 0 : at->second;
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [status, n] : statuses_)
      out += " " + std::to_string(status) + ": " + std::to_string(n);
    return out;
  }

private:
  static constexpr std::size_t keys = 4;
  static constexpr std::size_t value_bytes = 300'000;

  static std::string path(std::size_t i) {
    return "/v1/apps/kv/actors/bulk-" + std::to_string(i) + "/";
  }
  static std::string text_of(std::uint64_t n, std::size_t bytes) {
    auto out = std::to_string(n) + ":";
    if (n > 0)
      out.resize(bytes, static_cast<char>('a' + n % 26));
    return n > 0 ? out : std::string(bytes, ' ');
  }
  void run(std::size_t i) {
    std::vector<std::unique_ptr<io::http_client>> doors(mesh_.size());
    for (std::size_t peer = i; !stopping_; ++tried_[i]) {
      io::http_call q;
      q.method = "POST";
      q.target = path(i) + "put";
      q.body = R"({"value":")" + text_of(tried_[i] + 1, value_bytes) + "\"}";
      q.headers = {{"banyan-deadline-ms", "1500"}};
      q.connect_timeout = 500ms;
      q.timeout = 2s;
      peer = (peer + 1) % mesh_.size();
      auto& door = doors[peer];
      if (door == nullptr)
        door = std::make_unique<io::http_client>(mesh_.http(peer));
      const auto r = door->call(q);
      const int status = r.ok() ? r->status : 0;
      if (status == 0)
        door.reset();
      if (status == 200)
        acknowledged_[i] = tried_[i] + 1;
      {
        const std::lock_guard lock{mutex_};
        ++statuses_[status];
      }
      std::this_thread::sleep_for(30ms); // the load's own pace
    }
  }

  process_mesh& mesh_;
  std::atomic<bool> stopping_{false};
  std::array<std::uint64_t, keys> tried_{}, acknowledged_{};
  mutable std::mutex mutex_;
  std::map<int, std::uint64_t> statuses_;
  std::vector<std::thread> threads_;
};

/// A peer on a full disk starts, or says in words why it doesn't.
void restart_full(netns_world& w, std::size_t host, const ballast& b) {
  w.mesh().kill(host);
  b.fill();
  try {
    w.mesh().start(host);
    w.noted("started on a full disk: it serves");
  } catch (const std::runtime_error& e) {
    const std::string said = e.what();
    w.noted("started on a full disk: refused");
    if (said.find("full") == std::string::npos
        && said.find("space") == std::string::npos)
      w.complain("a peer on a full disk said: " + said);
    w.mesh().kill(host);
  }
}

} // namespace

int netns_full_disk(netns_world::settings s) {
  std::vector<ballast> ballasts;
  s.before = [&](netns_world& w) {
    for (std::size_t i = 0; i < w.hosts.size(); ++i) {
      mount_small_disk(w.mesh().data(i).string(), disk_bytes);
      ballasts.emplace_back(w.mesh().data(i) / "ballast");
      ballasts.back().take(disk_bytes - left_at_first);
    }
  };
  netns_world w{std::move(s)};
  w.begin();
  bulk_load bulk{w.mesh()};
  bulk.start();
  // Else the log goes on in smaller segments; and followers that are full let a
  // leader with room wait for them.
  const auto leaders_full = [&] {
    for (const auto shard : {0U, 1U})
      ballasts[w.leader("kv", shard)].fill();
    return bulk.answers(507) > 20;
  };
  if (!wait_until(leaders_full, 15s))
    w.complain("no log ever was full");
  w.struck("logs full");
  w.dwell(200ms, 1000ms);
  for (const auto& b : ballasts)
    b.remove();
  w.demand_alive();
  const auto written = bulk.answers(200);
  if (!wait_until([&] { return bulk.answers(200) > written + 20; }, 10s))
    w.complain("10 s after there was room again nothing is written");
  std::vector<std::size_t> order(w.hosts.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    order[i] = i;
  for (int round = 0; w.time_left(); ++round) {
    std::shuffle(order.begin(), order.end(), w.random);
    const auto leader = w.leader("kv", round % 2);
    std::size_t count = 1;
    if (round % 4 == 3)
      count = order.size();
    else if (round % 4 == 2)
      count = 2;
    if (round % 4 != 1) // a leader is among them
      std::iter_swap(order.begin(),
                     std::find(order.begin(), order.end(), leader));
    static const char* const names[] = {"a leader's disk full", "any disk full",
                                        "two disks full", "all disks full"};
    w.struck(names[round % 4]);
    for (int again = 0; again < 3; ++again) { // what was freed is taken too
      for (std::size_t k = 0; k < count; ++k)
        ballasts[order[k]].fill();
      w.dwell(300ms, 700ms);
    }
    const bool dies = round % 2 == 1;
    if (dies)
      restart_full(w, order[0], ballasts[order[0]]);
    w.dwell(100ms, 400ms);
    for (const auto& b : ballasts)
      b.remove();
    w.demand_alive();
    if (!w.mesh().running(order[0]))
      w.mesh().start(order[0]);
    w.dwell(200ms, 1000ms);
  }
  bulk.stop();
  w.demand_health(20s);
  for (const auto& what : bulk.check())
    w.complain(what);
  std::printf("answers of the bulk load:%s\n", bulk.text().c_str());
  return w.end();
}

} // namespace banyan::test
