#include "net/io/key_watch.hpp"

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace banyan::io {

namespace {

namespace fs = std::filesystem;

/// What tells two contents of a file apart without reading it.
struct stamp {
  std::uint64_t inode = 0, size = 0; ///< All zero: no such file.
  std::int64_t seconds = 0, nanoseconds = 0;
  bool operator==(const stamp& o) const noexcept {
    return inode == o.inode && size == o.size && seconds == o.seconds
           && nanoseconds == o.nanoseconds;
  }
};
using stamps = std::array<stamp, 2>;

stamp stamp_of(const fs::path& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0)
    return {};
  return {static_cast<std::uint64_t>(s.st_ino),
          static_cast<std::uint64_t>(s.st_size), s.st_mtim.tv_sec,
          s.st_mtim.tv_nsec};
}

} // namespace

struct key_watch::state : std::enable_shared_from_this<state> {
  state(loop& l, workers& w, fs::path c, fs::path k, changed f, duration p)
      : pool{w}, cert{std::move(c)}, key{std::move(k)}, on_change{std::move(f)},
        pause{p}, owner{l}, again{l}, read{stamp_of(cert), stamp_of(key)},
        seen{read} {}

  void arm() {
    again.arm(
        owner.now() + pause, [this] { begin(); }, "http keys");
  }
  void begin() {
    struct finding {
      stamps now{};
      std::optional<result<tls_keys, net_error>> keys;
    };
    const auto f = std::make_shared<finding>();
    // Nothing of ours goes along: it must end on the loop's thread.
    const bool taken = pool.submit(
        [f, c = cert, k = key, before = seen, used = read] {
          f->now = {stamp_of(c), stamp_of(k)};
          if (f->now == before && !(f->now == used))
            f->keys = tls_keys::read(c, k);
        },
        [f, weak = weak_from_this()] {
          const auto self = weak.lock();
          if (!self)
            return;
          self->seen = f->now;
          self->arm();
          if (f->keys) {
            self->read = f->now;
            self->on_change(std::move(*f->keys));
          }
        },
        "http keys");
    if (!taken)
      arm();
  }
  workers& pool;
  const fs::path cert;
  const fs::path key;
  const changed on_change;
  const duration pause;
  loop& owner;
  timer again;
  stamps read; ///< what was read last, for good or bad
  stamps seen; ///< at the last look
};

key_watch::key_watch(loop& l, workers& w, fs::path cert, fs::path key,
                     changed on_change, duration pause)
    : state_{std::make_shared<state>(l, w, std::move(cert), std::move(key),
                                     std::move(on_change), pause)} {
  state_->arm();
}

key_watch::~key_watch() = default;

} // namespace banyan::io
