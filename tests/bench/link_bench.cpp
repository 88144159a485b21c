// Messages through two link tables in memory: what the link layer itself
// costs (framing, sealing, opening, delivery), without sockets or actors, in
// CPU time of one thread.
//   link_bench [seconds per case, default 1]
#include "crypto/system_random.hpp"
#include "net/link/link_table.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace banyan::net {
namespace {

/// Two ends of one pipe; what one writes waits until the other is given it.
class pipe_end final : public streams {
public:
  void set_events(stream_events& e) override { events = &e; }
  stream_id dial(const address&) override { return stream_id{1}; }
  result<address, stream_end> listen(const address& at) override { return at; }
  void stop_listening() override {}
  void write(stream_id, const_bytes data) override { append(out, data); }
  [[nodiscard]] std::size_t unsent(stream_id) const override { return 0; }
  void close(stream_id) override {}
  void reset(stream_id) override { std::abort(); }

  stream_events* events = nullptr;
  bytes out;
};

struct side final : link_events {
  void on_link_up(const link_info& info, link_id) override { far = info.node; }
  void on_link_down(const link_info&, link_end) override { std::abort(); }
  void on_frames(const link_info&,
                 const std::vector<frame_view>& frames) override {
    got += frames.size();
  }
  void on_dial_failed(const dial_target&, dial_error, time_point) override {
    std::abort();
  }
  void on_writable(const link_info&, lane) override {}
  void on_probed(std::uint64_t,
                 const result<probe_answer, dial_error>&) override {}

  pipe_end io;
  std::unique_ptr<link_table> table;
  node_id far;
  std::uint64_t got = 0;
};

/// This process's CPU seconds: one thread, so a busy machine doesn't matter.
double cpu_now() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

time_point clock_now() {
  return std::chrono::steady_clock::now();
}

void carry(side& from, side& to) {
  bytes data;
  data.swap(from.io.out);
  // As a socket would give it: 256 KiB at most.
  for (const_bytes left = data; !left.empty();) {
    const auto n = std::min<std::size_t>(left.size(), 256 * 1024);
    to.io.events->on_data(stream_id{1}, left.first(n), clock_now());
    left = left.from(n);
  }
  data.clear();
  if (from.io.out.empty())
    from.io.out.swap(data); // its capacity
}

void start(side& s, random_source& random) {
  link_config config{identity::generate(random),
                     "bench",
                     mesh_id{},
                     {},
                     std::nullopt,
                     incarnation{1},
                     boot_id{},
                     0,
                     {}};
  config.mesh_keys.push_back(mesh_key{});
  s.table = std::make_unique<link_table>(std::move(config), link_limits{}, s.io,
                                         random, s);
}

void one_way(side& a, side& b, std::size_t size, int batch, double seconds) {
  const bytes payload(size, 7);
  const auto before = b.got;
  const auto begin = clock_now();
  const auto began = cpu_now();
  double passed = 0;
  while (passed < seconds) {
    for (int i = 0; i < batch; ++i) {
      if (!a.table->send(a.far, channel::raft, payload))
        std::abort();
    }
    a.table->flush(begin);
    carry(a, b);
    passed = cpu_now() - began;
  }
  const auto n = static_cast<double>(b.got - before);
  std::printf("one way %6zu B, %4d a flush: %8.3f M messages/s  %8.1f MB/s  "
              "%6.0f ns each, both sides\n",
              size, batch, n / passed / 1e6,
              n * static_cast<double>(size) / passed / 1e6, passed / n * 1e9);
}

void round_trip(side& a, side& b, double seconds) {
  const bytes payload(64, 7);
  std::uint64_t n = 0;
  const auto begin = clock_now();
  const auto began = cpu_now();
  double passed = 0;
  while (passed < seconds) {
    for (auto* s : {&a, &b}) {
      if (!s->table->send(s->far, channel::request, payload))
        std::abort();
      s->table->flush(begin);
      carry(*s, s == &a ? b : a);
    }
    ++n;
    passed = cpu_now() - began;
  }
  std::printf("round trip 64 B: %.2f us\n",
              passed / static_cast<double>(n) * 1e6);
}

void handshakes(random_source& random, double seconds) {
  std::uint64_t n = 0;
  const auto begin = clock_now();
  const auto began = cpu_now();
  double passed = 0;
  while (passed < seconds) {
    side a;
    side b;
    start(a, random);
    start(b, random);
    static_cast<void>(b.table->listen({"127.0.0.1", 1}));
    a.table->want({"127.0.0.1", 1}, std::nullopt, begin);
    a.io.events->on_opened(stream_id{1}, {"127.0.0.1", 1}, false, begin);
    b.io.events->on_opened(stream_id{1}, {"127.0.0.1", 2}, true, begin);
    while (!a.io.out.empty() || !b.io.out.empty()) {
      carry(a, b);
      b.table->flush(begin);
      carry(b, a);
    }
    if (a.far.is_none() || b.far.is_none())
      std::abort();
    ++n;
    passed = cpu_now() - began;
  }
  std::printf("handshakes, both sides and two new identities: %.0f /s\n",
              static_cast<double>(n) / passed);
}

int run(double seconds) {
  system_random random;
  side a;
  side b;
  start(a, random);
  start(b, random);
  const auto now = clock_now();
  static_cast<void>(b.table->listen({"127.0.0.1", 1}));
  a.table->want({"127.0.0.1", 1}, std::nullopt, now);
  a.io.events->on_opened(stream_id{1}, {"127.0.0.1", 1}, false, now);
  b.io.events->on_opened(stream_id{1}, {"127.0.0.1", 2}, true, now);
  while (a.far.is_none()) {
    carry(a, b);
    b.table->flush(now);
    carry(b, a);
  }
  for (const int batch : {1, 10, 100, 1000})
    one_way(a, b, 64, batch, seconds);
  one_way(a, b, 1024, 100, seconds);
  one_way(a, b, 16 * 1024, 10, seconds);
  one_way(a, b, 1024 * 1024, 1, seconds);
  round_trip(a, b, seconds);
  handshakes(random, seconds);
  return 0;
}

} // namespace
} // namespace banyan::net

int main(int argc, char** argv) {
  return banyan::net::run(argc > 1 ? std::atof(argv[1]) : 1.0);
}
