// What the segment log does per second on this machine's disk: synced batches
// and entries, for a number of callers that each wait for their order. Beside
// it, bare fdatasync, which is the floor.
//   log_bench [DIR] [SECONDS]
#include "store/data_dir.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

namespace {

using namespace banyan;
using namespace banyan::store;
using steady = std::chrono::steady_clock;

class bench_loop {
public:
  post_function poster() {
    return [this](std::function<void()> f) {
      const std::lock_guard<std::mutex> hold{mutex_};
      posted_.push_back(std::move(f));
      wake_.notify_one();
    };
  }
  void run_one() {
    std::function<void()> f;
    {
      std::unique_lock<std::mutex> hold{mutex_};
      wake_.wait(hold, [&] { return !posted_.empty(); });
      f = std::move(posted_.front());
      posted_.pop_front();
    }
    f();
  }

private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
};

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

void bare_sync(const std::filesystem::path& dir, bool written, double seconds) {
  const auto path = dir / "bare";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  const off_t size = 16 << 20;
  if (fd < 0 || ::posix_fallocate(fd, 0, size) != 0)
    std::abort();
  const std::string block(512, 'b');
  if (written) {
    const std::string zeros(1 << 20, '\0');
    for (off_t at = 0; at < size; at += static_cast<off_t>(zeros.size()))
      if (::pwrite(fd, zeros.data(), zeros.size(), at) < 0)
        std::abort();
  }
  if (::fsync(fd) != 0)
    std::abort();
  std::uint64_t n = 0;
  off_t at = 0;
  const auto start = steady::now();
  for (; seconds_since(start) < seconds; ++n) {
    if (::pwrite(fd, block.data(), block.size(), at) < 0
        || ::fdatasync(fd) != 0)
      std::abort();
    at = (at + 512) % size;
  }
  const double took = seconds_since(start);
  std::printf("bare fdatasync, %-19s %9.0f/s  %7.1f us each\n",
              written ? "blocks written" : "blocks only reserved",
              static_cast<double>(n) / took,
              took * 1e6 / static_cast<double>(n));
  ::close(fd);
  std::filesystem::remove(path);
}

struct group_state {
  group_id id;
  log_index last;
};

void run(const std::filesystem::path& dir, std::size_t callers,
         std::size_t groups, std::size_t entry_bytes, double seconds) {
  std::filesystem::remove_all(dir / "data");
  auto folder = data_dir::open(dir / "data");
  bench_loop loop;
  disk_options how;
  how.post = loop.poster();
  how.map_bytes = std::size_t{1} << 30;
  if (!folder)
    std::abort();
  auto opened = open_disk(*folder, how);
  if (!opened)
    std::abort();
  auto& log = *opened->log;
  std::vector<group_state> all(groups);
  for (std::size_t g = 0; g < groups; ++g)
    all[g].id.shard = static_cast<std::uint32_t>(g);
  const shared_bytes data{bytes(entry_bytes, 7)};
  std::array<std::uint8_t, 16> raw{};
  raw[0] = 1;
  const replica_id replica{raw};
  std::uint64_t number = 0;
  const auto give = [&](std::size_t g) {
    auto& group = all[g];
    group.last = group.last.next();
    log_write w;
    w.order = {group.id, replica, term{1}, ++number};
    w.entries = {{term{1}, group.last, entry_kind::command, data}};
    log.submit(std::move(w));
    if (group.last.value() % 20'000 == 0)
      log.cut(group.id, replica, log_index{group.last.value() - 5'000});
  };
  std::uint64_t batches = 0;
  std::uint64_t entries = 0;
  std::vector<double> batch_us;
  auto last = steady::now();
  log.on_done([&](const std::vector<log_done>& done) {
    ++batches;
    entries += done.size();
    batch_us.push_back(seconds_since(last) * 1e6);
    last = steady::now();
    for (const auto& d : done) {
      if (d.error)
        std::abort();
      give(d.order.group.shard);
    }
  });
  for (std::size_t c = 0; c < callers; ++c)
    give(c % groups);
  const auto start = steady::now();
  while (seconds_since(start) < seconds)
    loop.run_one();
  const double took = seconds_since(start);
  std::sort(batch_us.begin(), batch_us.end());
  std::printf("%4zu callers %3zu groups %5zu B  %8.0f batches/s %9.0f "
              "entries/s  batch p50 %6.1f p99 %7.1f us\n",
              callers, groups, entry_bytes, static_cast<double>(batches) / took,
              static_cast<double>(entries) / took,
              batch_us[batch_us.size() / 2],
              batch_us[batch_us.size() * 99 / 100]);
}

} // namespace

int main(int argc, char** argv) {
  const std::filesystem::path dir =
      argc > 1 ? std::filesystem::path{argv[1]}
               : std::filesystem::temp_directory_path() / "banyan-log-bench";
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 2.0;
  std::filesystem::create_directories(dir);
  bare_sync(dir, false, seconds);
  bare_sync(dir, true, seconds);
  run(dir, 1, 1, 100, seconds);
  run(dir, 256, 1, 100, seconds);
  run(dir, 256, 24, 100, seconds);
  run(dir, 256, 24, 4096, seconds);
  std::filesystem::remove_all(dir / "data");
  return 0;
}
