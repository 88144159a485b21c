// Our TCP streams between two loops of one process on loopback: a 64 B round
// trip, and one way in 16 KiB writes. Prints one line of JSON.
//   usage: streams_bench [MEGABYTES [ROUND_TRIPS]]
#include "net/io/tcp_streams.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <vector>

namespace banyan::io {
namespace {

struct end : net::stream_events {
  std::function<void(net::stream_id)> opened;
  std::function<void(net::stream_id, const_bytes)> data;
  std::function<void(net::stream_id)> drained;
  void on_opened(net::stream_id id, const net::address&, bool,
                 time_point) override {
    if (opened)
      opened(id);
  }
  void on_dial_failed(net::stream_id, net::stream_end, time_point) override {
    std::fprintf(stderr, "streams_bench: no connection\n");
    std::_Exit(1);
  }
  void on_data(net::stream_id id, const_bytes d, time_point) override {
    if (data)
      data(id, d);
  }
  void on_drained(net::stream_id id, time_point) override {
    if (drained)
      drained(id);
  }
  void on_closed(net::stream_id, net::stream_end, time_point) override {}
};

/// One side: a loop with its thread and the streams on it.
struct side {
  asio_loop l;
  end events;
  std::unique_ptr<thread_workers> work;
  std::unique_ptr<tcp_streams> streams;

  template <class F>
  void run(F f) {
    std::promise<void> p;
    l.post([&] {
      f();
      p.set_value();
    });
    p.get_future().wait();
  }
  side() {
    run([&] {
      work = std::make_unique<thread_workers>(l, 1);
      streams = std::make_unique<tcp_streams>(l, *work);
      streams->set_events(events);
    });
  }
  ~side() {
    run([&] {
      streams.reset();
      work.reset();
    });
  }
};

int measure(std::size_t megabytes, int trips) {
  side far;
  side near;
  net::address at;
  far.run([&] {
    at = far.streams->listen({"127.0.0.1", 0}).value();
    far.events.data = [&](net::stream_id id, const_bytes d) {
      far.streams->write(id, d);
    };
  });

  net::stream_id id;
  std::promise<void> open;
  near.run([&] {
    near.events.opened = [&](net::stream_id) { open.set_value(); };
    id = near.streams->dial(at);
  });
  open.get_future().wait();

  const bytes ball(64, 1);
  std::vector<double> micros;
  std::promise<void> played;
  near.run([&] {
    auto got = std::make_shared<std::size_t>(0);
    auto start = std::make_shared<time_point>(near.l.now());
    near.events.data = [&, got, start](net::stream_id, const_bytes d) {
      if ((*got += d.size()) < ball.size())
        return;
      *got = 0;
      const auto t = near.l.now();
      micros.push_back(to_ms(t - *start) * 1000);
      *start = t;
      if (micros.size() == static_cast<std::size_t>(trips))
        played.set_value();
      else
        near.streams->write(id, ball);
    };
    near.streams->write(id, ball);
  });
  played.get_future().wait();
  std::sort(micros.begin(), micros.end());

  const auto total = megabytes * 1024 * 1024;
  const bytes piece(16 * 1024, 2);
  std::promise<void> whole;
  far.run([&] {
    auto got = std::make_shared<std::size_t>(0);
    far.events.data = [&, got](net::stream_id, const_bytes d) {
      if ((*got += d.size()) == total)
        whole.set_value();
    };
  });
  std::size_t sent = 0;
  const auto start = std::chrono::steady_clock::now();
  near.run([&] {
    near.events.drained = [&](net::stream_id s) {
      while (sent < total
             && near.streams->unsent(s) <= net::streams::unsent_low) {
        near.streams->write(s, piece);
        sent += piece.size();
      }
    };
    near.events.drained(id);
  });
  whole.get_future().wait();
  const auto seconds = to_ms(std::chrono::steady_clock::now() - start) / 1000;
  std::printf("{\"bench\":\"tcp_streams\",\"one_way_mb_per_s\":%.0f,"
              "\"round_trip_p50_us\":%.1f,\"round_trip_p99_us\":%.1f}\n",
              static_cast<double>(megabytes) / seconds,
              micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
  return 0;
}

} // namespace
} // namespace banyan::io

int main(int argc, char** argv) {
  const auto mb = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 2048;
  const auto trips = argc > 2 ? std::atoi(argv[2]) : 50'000;
  return banyan::io::measure(std::max(mb, 1ul), std::max(trips, 1));
}
