// Our encrypted link and CAF's plain remoting (BASP), in one run on one
// machine: two processes on loopback each, 64 B messages, by turns.
//   usage: link_tcp_bench [BASP_BENCH [ROUNDS]]
// BASP_BENCH is the program of that name, by default the one beside this.
//
// A side of ours is what a node has below its actors: the loop, TCP streams and
// a link table with a real handshake. CAF's side is its middleman and one actor
// each, its scheduler as it comes: idle workers poll and nap, which its round
// trips contain.
//
// One way: both keep a window of 4096 messages, granted by 512; ours also
// without one, its lane always full. It ends with the far side's word that all
// came. On two cores each process of ours has one core; CAF, which has several
// threads, may use both. CPU is that of all threads of both processes; CAF's
// includes its start (some 10 ms).
//
// Prints a line of JSON per measurement, then medians and ratios.
#include "crypto/system_random.hpp"
#include "net/io/tcp_streams.hpp"
#include "net/link/link_table.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace banyan {
namespace {

constexpr std::uint64_t link_messages = 4'000'000;
constexpr std::uint64_t basp_messages = 512 * 500;
constexpr std::uint64_t window = 4096; // basp_bench's
constexpr std::uint64_t grant_every = 512;
constexpr int trips = 20'000;
constexpr int warm_up = 1'000; // of ours; CAF's first trips are 20 of 20'000
constexpr std::size_t message_bytes = 64;
constexpr unsigned run_seconds_max = 15;

double seconds_of(const rusage& r) {
  return static_cast<double>(r.ru_utime.tv_sec + r.ru_stime.tv_sec)
         + static_cast<double>(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

double cpu_seconds() {
  rusage r{};
  ::getrusage(RUSAGE_SELF, &r);
  return seconds_of(r);
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "link_tcp_bench: %s\n", why.c_str());
  std::_Exit(1);
}

void stay_on(const std::vector<int>& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int c : cores)
    CPU_SET(static_cast<std::size_t>(c), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    give_up("no right to those cores");
}

std::vector<int> cores_allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (int c = 0; c < CPU_SETSIZE; ++c)
      if (CPU_ISSET(static_cast<std::size_t>(c), &set))
        cores.push_back(c);
  return cores;
}

// -- our link -----------------------------------------------------------------

/// The first byte of a message on the request lane. After the first `begin` or
/// `begin_granted`, what a reply holds follows from its size: one byte grants.
enum class kind : std::uint8_t { data, ping, begin, begin_granted, end };

/// What a node has below its actors, in the thread that calls `run`.
class side : public net::link_events {
public:
  side()
      : loop{io::asio_loop::thread::caller}, work_{loop}, streams_{loop, work_},
        due_{loop}, table{config(), net::link_limits{}, streams_, random_,
                          *this} {}

  void run() {
    arm();
    loop.run();
  }
  bool send(net::channel c, const_bytes payload) {
    flush_soon();
    return table.send(far, c, payload).ok();
  }
  /// False when the lane is full.
  bool send_kind(kind k) {
    const bytes b(message_bytes, static_cast<std::uint8_t>(k));
    return send(net::channel::request, b);
  }
  void flush_soon() {
    if (std::exchange(flushing_, true))
      return;
    loop.flush_later([this] {
      flushing_ = false;
      ++flushes;
      table.flush(loop.now());
    });
  }
  void arm() {
    due_.arm(table.deadline(), [this] {
      table.on_time(loop.now());
      arm();
    });
  }

  void on_link_up(const net::link_info& info, net::link_id) override {
    far = info.node;
    arm();
  }
  void on_link_down(const net::link_info&, net::link_end) override {
    loop.stop();
  }
  void on_dial_failed(const net::dial_target&, net::dial_error why,
                      time_point) override {
    give_up(std::string{"no link: "} + net::to_string(why));
  }
  void on_writable(const net::link_info&, net::lane) override {}
  void on_probed(std::uint64_t,
                 const result<net::probe_answer, net::dial_error>&) override {}

  io::asio_loop loop;

private:
  net::link_config config() {
    net::link_config c{identity::generate(random_),
                       std::string{local_mesh_name},
                       local_mesh_id(),
                       {},
                       std::nullopt,
                       incarnation{1},
                       net::boot_id{random_.array<16>()},
                       0,
                       {}};
    c.mesh_keys.push_back(local_mesh_key());
    return c;
  }

  system_random random_;
  io::inline_workers work_;
  io::tcp_streams streams_;
  io::timer due_;
  bool flushing_ = false;

public:
  net::link_table table;
  node_id far;
  std::uint64_t flushes = 0;
};

/// Counts and answers.
class far_side final : public side {
public:
  void on_frames(const net::link_info&,
                 const std::vector<net::frame_view>& frames) override {
    ++batches_;
    for (const auto& f : frames) {
      switch (static_cast<kind>(f.payload[0])) {
      case kind::data:
        if (++count_ % grant_every == 0 && granting_)
          send(net::channel::reply, bytes(1, 0));
        break;
      case kind::ping:
        send(net::channel::reply, f.payload);
        break;
      case kind::begin:
      case kind::begin_granted:
        granting_ = f.payload[0] != static_cast<std::uint8_t>(kind::begin);
        count_ = batches_ = 0;
        cpu_ = cpu_seconds();
        answer();
        break;
      case kind::end:
        cpu_ = cpu_seconds() - cpu_;
        answer();
        break;
      }
    }
  }

private:
  void answer() {
    bytes b;
    writer{b}.array(3).uint(count_).uint(batches_).uint(
        static_cast<std::uint64_t>(cpu_ * 1e6));
    send(net::channel::reply, b);
  }
  bool granting_ = false;
  std::uint64_t count_ = 0;
  std::uint64_t batches_ = 0;
  double cpu_ = 0;
};

class pinger final : public side {
public:
  void on_link_up(const net::link_info& info, net::link_id old) override {
    side::on_link_up(info, old);
    sent_ = loop.now();
    send_kind(kind::ping);
  }
  void on_frames(const net::link_info&,
                 const std::vector<net::frame_view>& frames) override {
    if (frames.size() != 1 || frames[0].payload.size() != message_bytes)
      give_up("a ping came back otherwise");
    const auto now = loop.now();
    if (++played_ > warm_up)
      micros_.push_back(to_ms(now - sent_) * 1000);
    if (micros_.size() < trips) {
      sent_ = now;
      send_kind(kind::ping);
      return;
    }
    std::sort(micros_.begin(), micros_.end());
    std::printf("{\"bench\":\"link_tcp\",\"bytes\":%zu,"
                "\"round_trip_p50_us\":%.1f,\"round_trip_p99_us\":%.1f}\n",
                message_bytes, micros_[trips / 2], micros_[trips / 100 * 99]);
    loop.stop();
  }

private:
  time_point sent_{};
  int played_ = 0;
  std::vector<double> micros_;
};

template <bool Windowed>
class sender final : public side {
public:
  void on_link_up(const net::link_info& info, net::link_id old) override {
    side::on_link_up(info, old);
    send_kind(Windowed ? kind::begin_granted : kind::begin);
  }
  void on_writable(const net::link_info&, net::lane l) override {
    if (l == net::lane::request)
      fill();
  }
  void on_frames(const net::link_info&,
                 const std::vector<net::frame_view>& frames) override {
    if (!std::exchange(begun_, true)) {
      flushes = 0;
      records_ = table.counters().records_out;
      cpu_ = cpu_seconds();
      start_ = loop.now();
      fill();
      return;
    }
    for (const auto& f : frames) {
      if (f.payload.size() == 1)
        granted_ += grant_every;
      else
        finish(f.payload);
    }
    fill();
  }

private:
  void finish(const_bytes answer) {
    const auto seconds = to_ms(loop.now() - start_) / 1000;
    const auto near_cpu = (cpu_seconds() - cpu_) * 1e6;
    reader r{answer};
    r.array(3);
    const auto count = r.uint();
    const auto batches = r.uint();
    const auto far_cpu = static_cast<double>(r.uint());
    if (!r.done() || count != link_messages)
      give_up("not all messages came");
    constexpr auto n = static_cast<double>(link_messages);
    std::printf(
        "{\"bench\":\"link_tcp\",\"bytes\":%zu,\"one_way_per_s\":%.0f,"
        "\"sender_cpu_us_per_message\":%.3f,"
        "\"receiver_cpu_us_per_message\":%.3f,\"cpu_us_per_message\":%.3f,"
        "\"flushes\":%llu,\"messages_per_record\":%.0f,"
        "\"messages_per_arrival\":%.0f}\n",
        message_bytes, n / seconds, near_cpu / n, far_cpu / n,
        (near_cpu + far_cpu) / n, static_cast<unsigned long long>(flushes),
        n / static_cast<double>(table.counters().records_out - records_),
        n / static_cast<double>(batches));
    loop.stop();
  }
  void fill() {
    static const bytes message(message_bytes,
                               static_cast<std::uint8_t>(kind::data));
    while (sent_ < link_messages && (!Windowed || sent_ - granted_ < window)
           && send(net::channel::request, message))
      ++sent_;
    if (sent_ == link_messages && !ended_)
      ended_ = send_kind(kind::end);
  }

  bool begun_ = false;
  bool ended_ = false;
  std::uint64_t sent_ = 0;
  std::uint64_t granted_ = 0;
  std::uint64_t records_ = 0;
  double cpu_ = 0;
  time_point start_{};
};

/// Two processes, the far one on the last of `cores`, this one on the first.
template <class Near>
int link_run(const std::vector<int>& cores) {
  int port_pipe[2];
  if (::pipe(port_pipe) != 0)
    give_up("no pipe");
  const auto child = ::fork();
  if (child < 0)
    give_up("no second process");
  stay_on({child == 0 ? cores.back() : cores.front()});
  if (child == 0) {
    ::alarm(run_seconds_max);
    far_side s;
    const auto at = s.table.listen({"127.0.0.1", 0});
    if (!at
        || ::write(port_pipe[1], &at->port, sizeof at->port) != sizeof at->port)
      give_up("can't listen");
    s.run();
    std::_Exit(0);
  }
  net::address at{"127.0.0.1", 0};
  if (::read(port_pipe[0], &at.port, sizeof at.port) != sizeof at.port)
    give_up("the far side did not start");
  {
    Near s;
    s.table.want(at, std::nullopt, s.loop.now());
    s.run();
  } // closes the link, which ends the far side
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// -- by turns -----------------------------------------------------------------

struct outcome {
  std::string line;
  double cpu_seconds = 0; ///< of the process and its own children
};

/// Runs `f` in a process of its own and takes down what it prints.
outcome run_apart(const std::function<int()>& f) {
  int out[2];
  if (::pipe(out) != 0)
    give_up("no pipe");
  std::fflush(stdout);
  const auto child = ::fork();
  if (child < 0)
    give_up("no process");
  if (child == 0) {
    ::dup2(out[1], STDOUT_FILENO);
    ::close(out[0]);
    ::close(out[1]);
    ::alarm(run_seconds_max);
    const auto rc = f();
    std::fflush(stdout);
    std::_Exit(rc);
  }
  ::close(out[1]);
  outcome o;
  std::array<char, 512> piece{};
  for (ssize_t n = 0; (n = ::read(out[0], piece.data(), piece.size())) > 0;)
    o.line.append(piece.data(), static_cast<std::size_t>(n));
  ::close(out[0]);
  int status = 0;
  rusage used{};
  if (::wait4(child, &status, 0, &used) != child || status != 0)
    give_up("a measurement failed");
  o.cpu_seconds = seconds_of(used);
  return o;
}

double number_in(const std::string& line, const std::string& key) {
  const auto at = line.find("\"" + key + "\":");
  if (at == std::string::npos)
    give_up("no " + key + " in: " + line);
  return std::strtod(line.c_str() + at + key.size() + 3, nullptr);
}

using keys = std::vector<const char*>;
const keys one_way{"one_way_per_s", "sender_cpu_us_per_message",
                   "cpu_us_per_message"};
const keys round_trip{"round_trip_p50_us", "round_trip_p99_us"};
/// Of ours only: how well the layers below batched.
const keys batching{"flushes", "messages_per_record", "messages_per_arrival"};

using figures = std::map<std::string, std::vector<double>>;

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

class contest {
public:
  contest(std::string basp, std::vector<int> cores)
      : basp_{std::move(basp)}, one_{cores[0]}, two_{cores[0], cores[1]} {}

  void round() {
    play(link_, "full lane", one_way,
         [&] { return link_run<sender<false>>(two_); });
    play(link_, "window", one_way,
         [&] { return link_run<sender<true>>(two_); });
    play(caf_, "window", one_way,
         [&] { return basp_run(two_, basp_messages, 1); });
    for (const auto& [where, cores] :
         {std::pair{"one core", one_}, std::pair{"two cores", two_}}) {
      const auto& on = cores;
      play(link_, where, round_trip, [&] { return link_run<pinger>(on); });
      play(caf_, where, round_trip, [&] { return basp_run(on, 1, trips); });
    }
  }

  void print() const {
    std::printf("\n%-36s %12s %12s %11s\n", "64 B, medians", "link", "BASP",
                "link/BASP");
    row("one way, messages/s", "window one_way_per_s");
    row("  CPU us/message, both sides", "window cpu_us_per_message");
    row("  CPU us/message, sender", "window sender_cpu_us_per_message");
    row("one way, full lane, messages/s", "full lane one_way_per_s",
        "window one_way_per_s");
    row("  CPU us/message, both sides", "full lane cpu_us_per_message",
        "window cpu_us_per_message");
    row("round trip, one core, p50 us", "one core round_trip_p50_us");
    row("round trip, one core, p99 us", "one core round_trip_p99_us");
    row("round trip, two cores, p50 us", "two cores round_trip_p50_us");
    row("round trip, two cores, p99 us", "two cores round_trip_p99_us");
  }

private:
  int basp_run(const std::vector<int>& cores, std::uint64_t messages,
               int round_trips) const {
    stay_on(cores);
    const auto m = std::to_string(messages);
    const auto t = std::to_string(round_trips);
    ::execl(basp_.c_str(), basp_.c_str(), m.c_str(), t.c_str(), nullptr);
    give_up("can't run " + basp_);
  }
  /// Takes down the figures of `keys`, and prints those alone: basp_bench
  /// always says all of its own.
  static void play(figures& into, const std::string& what, const keys& wanted,
                   const std::function<int()>& f) {
    const auto o = run_apart(f);
    const bool caf = o.line.find("\"basp\"") != std::string::npos;
    std::printf("{\"bench\":\"%s\",\"case\":\"%s\",\"bytes\":%zu",
                caf ? "basp" : "link_tcp", what.c_str(), message_bytes);
    for (const std::string key : wanted) {
      const auto v = caf && key == "cpu_us_per_message"
                         ? o.cpu_seconds * 1e6 / basp_messages
                         : number_in(o.line, key);
      into[what + " " + key].push_back(v);
      std::printf(",\"%s\":%.3f", key.c_str(), v);
    }
    if (!caf && wanted.size() > 2)
      for (const std::string key : batching)
        std::printf(",\"%s\":%.0f", key.c_str(), number_in(o.line, key));
    std::printf("}\n");
    std::fflush(stdout);
  }
  void row(const char* what, const std::string& key) const {
    row(what, key, key);
  }
  void row(const char* what, const std::string& key,
           const std::string& caf_key) const {
    const auto a = median(link_.at(key));
    const auto b = median(caf_.at(caf_key));
    const auto digits = a >= 10'000 ? 0 : 2;
    std::printf("%-36s %12.*f %12.*f %11.2f\n", what, digits, a, digits, b,
                a / b);
  }

  std::string basp_;
  std::vector<int> one_;
  std::vector<int> two_;
  figures link_;
  figures caf_;
};

} // namespace
} // namespace banyan

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  const auto beside =
      fs::read_symlink("/proc/self/exe").parent_path() / "basp_bench";
  const std::string basp = argc > 1 ? argv[1] : beside.string();
  const auto rounds = std::max(argc > 2 ? std::atoi(argv[2]) : 3, 1);
  if (::access(basp.c_str(), X_OK) != 0)
    banyan::give_up("no " + basp + "; build the target bench or name it");
  const auto cores = banyan::cores_allowed();
  if (cores.size() < 2)
    banyan::give_up("needs two cores");
  banyan::contest c{basp, cores};
  for (int i = 0; i < rounds; ++i)
    c.round();
  c.print();
  return 0;
}
