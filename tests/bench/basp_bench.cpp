// CAF's own remoting (BASP, plain text) between two processes on loopback:
// what our encrypted link is measured against, in one run on one machine.
// Prints one line of JSON.
//   usage: basp_bench [MESSAGES [ROUND_TRIPS]]
#include <caf/all.hpp>
#include <caf/io/all.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;
using ping = caf::atom_constant<caf::atom("ping")>;
using data = caf::atom_constant<caf::atom("data")>;
using grant = caf::atom_constant<caf::atom("grant")>;

constexpr std::uint64_t window = 4096; // messages under way
constexpr std::uint64_t grant_every = 512;

double seconds_since(clock_type::time_point t) {
  return std::chrono::duration<double>(clock_type::now() - t).count();
}

double cpu_seconds(int who) {
  rusage r{};
  ::getrusage(who, &r);
  return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec)
         + static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

caf::behavior far_side(caf::event_based_actor* self) {
  auto seen = std::make_shared<std::uint64_t>(0);
  return {[](ping, const std::string& s) { return s; },
          [=](data, const std::string&) {
            if (++*seen % grant_every == 0)
              self->send(caf::actor_cast<caf::actor>(self->current_sender()),
                         grant::value, grant_every);
          }};
}

caf::behavior near_side(caf::event_based_actor* self, caf::actor far,
                        std::uint64_t total, std::promise<void>* done) {
  struct state {
    std::uint64_t sent = 0, acknowledged = 0;
  };
  auto s = std::make_shared<state>();
  const auto fill = [=] {
    for (; s->sent < total && s->sent - s->acknowledged < window; ++s->sent)
      self->send(far, data::value, std::string(64, 'x'));
  };
  fill();
  return {[=](grant, std::uint64_t n) {
    s->acknowledged += n;
    if (s->acknowledged >= total) {
      done->set_value();
      self->quit();
      return;
    }
    fill();
  }};
}

caf::behavior pinger(caf::event_based_actor* self, caf::actor far, int left,
                     std::vector<double>* micros, std::promise<void>* done) {
  auto next = std::make_shared<std::function<void()>>();
  auto count = std::make_shared<int>(left);
  *next = [=] {
    const auto t = clock_type::now();
    self->request(far, caf::infinite, ping::value, std::string(64, 'x'))
        .then([=](const std::string&) {
          micros->push_back(seconds_since(t) * 1e6);
          if (--*count > 0) {
            (*next)();
          } else {
            done->set_value();
            self->quit();
          }
        });
  };
  (*next)();
  return {[](grant) {}};
}

void serve(int port_out, int stop_in) {
  caf::actor_system_config cfg;
  cfg.load<caf::io::middleman>();
  caf::actor_system sys{cfg};
  const auto a = sys.spawn(far_side);
  const auto port = sys.middleman().publish(a, 0, "127.0.0.1");
  const std::uint16_t p = port ? *port : 0;
  if (::write(port_out, &p, sizeof p) != sizeof p)
    return;
  char end = 0;
  while (::read(stop_in, &end, 1) > 0) {
  }
  caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
}

int ask(std::uint16_t port, std::uint64_t messages, int trips) {
  caf::actor_system_config cfg;
  cfg.load<caf::io::middleman>();
  caf::actor_system sys{cfg};
  const auto far = sys.middleman().remote_actor("127.0.0.1", port);
  if (!far) {
    std::fprintf(stderr, "basp_bench: no connection\n");
    return 1;
  }
  std::vector<double> micros;
  micros.reserve(static_cast<std::size_t>(trips));
  std::promise<void> pinged;
  sys.spawn(pinger, *far, trips, &micros, &pinged);
  pinged.get_future().wait();
  std::sort(micros.begin(), micros.end());

  std::promise<void> sent;
  const auto cpu = cpu_seconds(RUSAGE_SELF);
  const auto start = clock_type::now();
  sys.spawn(near_side, *far, messages, &sent);
  sent.get_future().wait();
  const auto seconds = seconds_since(start);
  const auto sender_cpu = cpu_seconds(RUSAGE_SELF) - cpu;
  std::printf("{\"bench\":\"basp\",\"bytes\":64,\"one_way_per_s\":%.0f,"
              "\"sender_cpu_us_per_message\":%.2f,\"round_trip_p50_us\":%.1f,"
              "\"round_trip_p99_us\":%.1f}\n",
              static_cast<double>(messages) / seconds,
              sender_cpu * 1e6 / static_cast<double>(messages),
              micros[micros.size() / 2], micros[micros.size() * 99 / 100]);
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  auto messages = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 500'000u;
  messages = std::max<std::uint64_t>(messages / grant_every, 1) * grant_every;
  const auto trips = std::max(argc > 2 ? std::atoi(argv[2]) : 20'000, 1);
  int port_pipe[2];
  int stop_pipe[2];
  if (::pipe(port_pipe) != 0 || ::pipe(stop_pipe) != 0)
    return 1;
  const auto child = ::fork(); // before any thread
  if (child < 0)
    return 1;
  if (child == 0) {
    ::close(stop_pipe[1]);
    serve(port_pipe[1], stop_pipe[0]);
    return 0;
  }
  ::close(port_pipe[1]);
  ::close(stop_pipe[0]);
  std::uint16_t port = 0;
  if (::read(port_pipe[0], &port, sizeof port) != sizeof port || port == 0) {
    std::fprintf(stderr, "basp_bench: the far side did not start\n");
    return 1;
  }
  const auto rc = ask(port, messages, trips);
  ::close(stop_pipe[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return rc;
}
