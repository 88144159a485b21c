#include "actors/host/turn_trail.hpp"

#include "base/endian.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <fstream>
#include <map>

namespace banyan {
namespace {

constexpr std::uint64_t magic = 0x314c494152544e42; // "BNTRAIL1"
constexpr std::uint32_t too_long = UINT32_MAX;

/// The running system's, so that a trail from before a reboot isn't believed:
/// the machine may not have written all of it.
std::array<char, 36> boot_of_machine() {
  std::array<char, 36> out{};
  std::ifstream in{"/proc/sys/kernel/random/boot_id"};
  in.read(out.data(), out.size());
  return out;
}

struct slot {
  std::uint32_t size = 0;
  std::array<std::uint8_t, turn_trail::request_bytes_max> data{};

  void set(const_bytes request) noexcept {
    size = request.size() > data.size()
               ? too_long
               : static_cast<std::uint32_t>(request.size());
    if (size != too_long)
      std::copy(request.begin(), request.end(), data.begin());
  }
};

} // namespace

struct turn_trail::page {
  std::uint64_t kind = magic;
  std::uint64_t since = 0;
  std::array<char, 36> machine{};
  std::uint32_t fallen_count = 0;
  std::atomic<std::uint32_t> running{0};
  slot now; ///< of use while `running`
  std::array<slot, fallen_max> fallen;
};

std::unique_ptr<turn_trail> turn_trail::open(const std::string& file,
                                             incarnation since) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return nullptr;
  const auto size = ::lseek(fd, 0, SEEK_END);
  // Room for all of it now: a full disk must not end the host later.
  void* at = MAP_FAILED;
  if (::posix_fallocate(fd, 0, sizeof(page)) == 0)
    at = ::mmap(nullptr, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                0);
  ::close(fd);
  if (at == MAP_FAILED)
    return nullptr;
  auto* p = static_cast<page*>(at);
  const auto machine = boot_of_machine();
  if (size != sizeof(page) || p->kind != magic || p->since != since.value()
      || p->machine != machine) {
    p = new (at) page;
    p->since = since.value();
    p->machine = machine;
  } else if (p->running.load() != 0) {
    if (p->fallen_count < fallen_max)
      p->fallen[p->fallen_count] = p->now;
    ++p->fallen_count;
    p->running.store(0);
  }
  return std::unique_ptr<turn_trail>{new turn_trail{p}};
}

turn_trail::~turn_trail() {
  ::munmap(page_, sizeof(page));
}

void turn_trail::begin(const_bytes request) noexcept {
  page_->now.set(request);
  page_->running.store(1, std::memory_order_release);
}

void turn_trail::end() noexcept {
  page_->running.store(0, std::memory_order_release);
}

bytes trail_request(const group_id& g, const_bytes request) {
  bytes out = g.app.view().copy();
  out.resize(out.size() + 4);
  put_le<4>(out.data() + out.size() - 4, g.shard);
  append(out, request);
  return out;
}

bool read_trail_request(const_bytes named, const group_id& g, bytes& request) {
  const auto head = trail_request(g, {});
  if (named.size() < head.size()
      || !(const_bytes{named.data(), head.size()} == const_bytes{head}))
    return false;
  request = named.from(head.size()).copy();
  return true;
}

std::string trail_name(const std::string& app, std::uint64_t number) {
  return app + "." + std::to_string(number);
}

void turn_trail::read(const std::filesystem::path& file, left_trail& out) {
  page p;
  std::ifstream in{file, std::ios::binary};
  in.read(reinterpret_cast<char*>(&p), sizeof(page));
  const auto named = [&](const slot& s) {
    if (s.size > s.data.size())
      return false;
    if (s.size > 0)
      out.requests.emplace_back(s.data.begin(), s.data.begin() + s.size);
    return true;
  };
  bool good = in.gcount() == sizeof(page) && p.kind == magic
              && p.machine == boot_of_machine() && p.fallen_count <= fallen_max;
  if (good && p.running.load() != 0) {
    out.running = true;
    good = named(p.now);
  }
  for (std::uint32_t i = 0; good && i < p.fallen_count; ++i)
    good = named(p.fallen[i]);
  const incarnation since{p.since};
  if (good && out.since != incarnation{} && out.since != since)
    good = false; // of two processes
  out.since = since;
  out.readable = out.readable && good;
}

std::vector<left_trail> take_trails(const std::filesystem::path& dir) {
  std::map<std::string, left_trail> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{dir, error}) {
    const auto name = entry.path().filename().string();
    const auto app = name.substr(0, name.rfind('.'));
    auto& all = found[app];
    all.app = app;
    turn_trail::read(entry.path(), all);
    // What can't be removed would be read again for another process's.
    if (!std::filesystem::remove(entry.path(), error))
      all.readable = false;
  }
  std::vector<left_trail> out;
  for (auto& [app, trail] : found)
    out.push_back(std::move(trail));
  return out;
}

} // namespace banyan
