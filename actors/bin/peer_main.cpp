// banyan-peer: the daemon. Flags and files in, one whole peer out.
#include "actors/bin/peer_logger.hpp"
#include "actors/bin/state_child.hpp"
#include "actors/docs/peer_config.hpp"
#include "actors/host/host_child.hpp"
#include "actors/node/evacuation.hpp"
#include "actors/node/peer.hpp"
#include "crypto/system_random.hpp"
#include "net/io/asio_loop.hpp"
#include "net/io/http_server.hpp"
#include "net/io/key_watch.hpp"
#include "net/io/signals.hpp"
#include "net/io/tcp_streams.hpp"
#include "store/data_dir.hpp"

#include <CLI/CLI.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>

namespace banyan {
namespace {

/// Makes this program an app host: a flag for the peer itself.
constexpr const char* app_host_flag = "--app-host";
constexpr int exit_fault = 1;
constexpr int exit_usage = 2;
constexpr int exit_data = 3;
/// For calls that were under way: longer than a call's usual deadline.
constexpr duration door_patience = std::chrono::seconds{6};
/// A check of the state that says nothing for so long has lost itself in it.
constexpr duration check_patience = std::chrono::seconds{60};

int fail(int code, const std::string& why) {
  std::fprintf(stderr, "banyan-peer: %s\n", why.c_str());
  return code;
}

void add_flags(CLI::App& app, peer_settings& s, std::string& config) {
  app.add_option("--config", config, "a TOML file; flags override it");
  app.add_option("--data", s.data, "directory of this peer's state");
  app.add_option("--listen", s.listen, "HOST:PORT for links; port 0: any");
  app.add_option("--join", s.join, "[ID@]HOST:PORT of a peer")
      ->allow_extra_args(false);
  app.add_option("--http", s.http, "HOST:PORT for the HTTP API");
  app.add_option("--advertise", s.advertise, "HOST:PORT that others dial");
  app.add_option("--mesh-file", s.mesh_file, "NAME.mesh of `banyan init`");
  app.add_option("--region", s.region, "where this peer is");
  app.add_option("--zone", s.zone, "where in its region");
  app.add_option("--apps", s.apps, "a directory of modules")
      ->allow_extra_args(false);
  app.add_option("--http-cert", s.http_cert, "certificate (PEM)");
  app.add_option("--http-key", s.http_key, "its key (PEM)");
  app.add_flag_callback(
      "--http-plain", [&s] { s.http_plain = true; },
      "HTTP off loopback without TLS: behind a proxy");
  app.add_option("--log-level", s.log_level, "debug, info, warning or error");
  app.add_option("--log-format", s.log_format, "text or json");
}

/// The admin token of this data directory, made on first start.
result<std::string, std::string> admin_token(const std::filesystem::path& dir,
                                             random_source& random) {
  const auto file = dir / "admin.token";
  auto found = key_file::read(file);
  if (found.ok()) {
    std::string token = to_text(*found);
    while (!token.empty() && token.back() == '\n')
      token.pop_back();
    return token;
  }
  if (found.error().code != key_file_errc::missing)
    return failure{found.error().message};
  auto token = to_base32(random.array<20>());
  const auto made = key_file::create(file, to_bytes(token + "\n"));
  if (!made.ok())
    return failure{made.error().message};
  return token;
}

/// Signals that ask this thread, and those it makes meanwhile, to stop.
void hold_stop_signals(bool hold) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

/// Connections, files of logs and pipes to hosts: the usual 1,024 are few.
void raise_descriptors() {
  rlimit l{};
  if (::getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == l.rlim_max)
    return;
  l.rlim_cur = l.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &l);
}

/// Asked by the loop's thread: permille of a CPU that it used since last time.
std::function<std::uint16_t()> loop_share() {
  return [last = timespec{}, at = std::chrono::steady_clock::now()]() mutable {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    const auto now = std::chrono::steady_clock::now();
    const auto busy = static_cast<double>(used.tv_sec - last.tv_sec)
                      + static_cast<double>(used.tv_nsec - last.tv_nsec) / 1e9;
    const auto passed = std::chrono::duration<double>(now - at).count();
    last = used;
    at = now;
    return static_cast<std::uint16_t>(
        std::clamp(passed > 0 ? 1000 * busy / passed : 0.0, 0.0, 1000.0));
  };
}

std::string host_port(const std::string& text) {
  return text.empty() ? "-" : text;
}

class running_peer {
public:
  explicit running_peer(peer_config c)
      : config_{std::move(c)}, logger_{config_.log_level, config_.log_json} {}

  int run() {
    if (const int code = open(); code != 0)
      return code;
    std::printf("ready node=%s listen=%s http=%s data=%s\n",
                to_string(peer_->id()).c_str(),
                to_string(peer_->listening()).c_str(),
                host_port(tcp_http_ ? tcp_http_->address() : "").c_str(),
                config_.data.c_str());
    std::fflush(stdout);
    loop_.run();
    return close();
  }

private:
  int open() {
    auto mesh = mesh_file::local();
    if (config_.mesh_file) {
      auto loaded = mesh_file::load(*config_.mesh_file);
      if (!loaded.ok())
        return fail(exit_usage, loaded.error().message);
      mesh = std::move(*loaded);
    }
    auto dir = store::data_dir::open(config_.data);
    if (!dir.ok())
      return fail(exit_data, dir.error().message);
    dir_.emplace(std::move(*dir));
    auto key = identity::load_or_create(dir_->path() / "node.key", random_);
    if (!key.ok())
      return fail(key.error().code == key_file_errc::exposed ? exit_usage
                                                             : exit_data,
                  key.error().message);
    auto token = admin_token(dir_->path(), random_);
    if (!token.ok())
      return fail(exit_data, token.error());
    store::disk_options options;
    options.post = [this](std::function<void()> f) {
      loop_.post(std::move(f), "disk");
    };
    marks_ = {actors::inode_of((dir_->path() / "node.key").string()),
              dir_->was_clean()};
    check_.emplace(
        loop_, check_status_,
        [](const std::filesystem::path& state,
           actors::state_check_status& status, const std::atomic<bool>& stop) {
          return bin::check_in_child(state, status, stop, "/proc/self/exe",
                                     check_patience);
        });
    options.state_check = check_->function();
    options.log_is_void = [this](const store::documents& d) {
      return actors::forgetful(d, marks_).has_value();
    };
    auto disk = store::open_disk(*dir_, options);
    if (!disk.ok())
      return fail(exit_data, disk.error().message);
    return assemble(std::move(mesh), std::move(*key), std::move(*disk),
                    std::move(*token));
  }

  int assemble(mesh_file mesh, identity key, store::disk disk,
               std::string token) {
    actors::node_settings settings;
    settings.mesh_name = mesh.name;
    settings.mesh = mesh.id;
    settings.region = config_.region;
    settings.zone = config_.zone;
    settings.version = BANYAN_VERSION;
    settings.marks = marks_;
    settings.state_check = check_status_;
    settings.scrub.bytes_per_second = config_.scrub_mib_per_s << 20;
    settings.log = logger_.function();
    settings.unix_ms = [] {
      return static_cast<std::int64_t>(
          std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now().time_since_epoch())
              .count());
    };
    settings.busy = loop_share();
    std::vector<std::string> directories;
    for (const auto& d : config_.apps)
      directories.push_back(d.string());
    const auto trails = dir_->path() / "hosts";
    std::error_code error;
    std::filesystem::create_directory(trails, error);
    settings.left_trails = take_trails(trails);
    auto hosts = std::make_unique<actors::module_directory>(
        loop_, std::move(directories), nullptr,
        actors::module_directory::host_program{
            loop_, "/proc/self/exe", {app_host_flag}});
    hosts->keep_trails_in(trails.string());
    auto streams = std::make_unique<io::tcp_streams>(loop_, workers_);
    actors::peer_parts parts{loop_,
                             random_,
                             std::move(key),
                             std::move(mesh),
                             std::move(settings),
                             std::move(disk),
                             std::move(streams),
                             std::move(hosts)};
    parts.listen = config_.listen;
    if (config_.advertise)
      parts.advertise = *config_.advertise;
    for (const auto& j : config_.join)
      parts.seeds.push_back({j.at, j.pinned});
    parts.capacity.cores =
        static_cast<std::uint32_t>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    parts.admin_token = std::move(token);
    parts.probe = std::make_shared<actors::machine_probe>(
        workers_, dir_->path().string());
    parts.fatal = [this](int code, const std::string& why) {
      fail(code, why);
      code_ = code;
      if (code != actors::exit_excluded)
        return loop_.stop();
      // Nothing is wrong with it: it says goodbye.
      if (!std::exchange(stopping_, true))
        stop();
    };
    if (const auto words =
            actors::kept_out(*parts.disk.documents, parts.settings.unix_ms()))
      return fail(actors::exit_excluded, *words);
    peer_ = std::make_unique<actors::peer>(std::move(parts));
    std::string why;
    if (!peer_->begin(why))
      return fail(exit_usage, why);
    if (code_ != 0)
      return code_;
    return open_http();
  }

  int open_http() {
    io::http_server_config control;
    control.unix_socket = dir_->path() / "control.sock";
    auto server =
        io::http_server::open(loop_, std::move(control), peer_->http());
    if (!server.ok())
      return fail(exit_data, server.error().message);
    control_http_ = std::move(*server);
    if (config_.http) {
      io::http_server_config tcp;
      tcp.host = config_.http->host;
      tcp.port = config_.http->port;
      if (config_.http_cert)
        tcp.cert = *config_.http_cert;
      if (config_.http_key)
        tcp.key = *config_.http_key;
      tcp.host_names = config_.http_hosts;
      tcp.limits.rate_per_address = config_.http_rate;
      if (config_.http_plain) // one proxy has all the connections
        tcp.limits.connections_per_address = 0;
      auto opened = io::http_server::open(loop_, std::move(tcp), peer_->http());
      if (!opened.ok())
        return fail(exit_usage, opened.error().message);
      tcp_http_ = std::move(*opened);
      if (config_.http_cert)
        keys_.emplace(loop_, workers_, *config_.http_cert, *config_.http_key,
                      [this](result<io::tls_keys, io::net_error> keys) {
                        take_keys(keys);
                      });
    }
    peer_->count_http([this] {
      io::http_counters all;
      for (const auto* door : {&control_http_, &tcp_http_})
        if (*door)
          all += (*door)->counters();
      return all;
    });
    signals_.emplace(loop_, std::initializer_list<int>{SIGTERM, SIGINT},
                     [this](int) {
                       if (std::exchange(stopping_, true))
                         return;
                       stop();
                     });
    return 0;
  }

  // The files of `--http-cert` and `--http-key` have changed.
  void take_keys(const result<io::tls_keys, io::net_error>& keys) {
    auto& context = peer_->context();
    if (keys.ok()) {
      tcp_http_->use_keys(*keys);
      context.settings.log(actors::log_level::info,
                           "http: new connections use the changed keys");
      context.event(event_kind::keys_taken, {},
                    "HTTP has taken up its changed certificate and key");
    } else {
      const auto why =
          "HTTP keeps its old certificate and key: " + keys.error().message;
      context.settings.log(actors::log_level::warning, why);
      context.event(event_kind::keys_refused, {}, why);
    }
  }

  // Whoever called gets an answer, and whatever is led is handed over, before
  // this peer says goodbye.
  void stop() {
    const auto left = std::make_shared<int>(1);
    const auto step = [this, left] {
      if (--*left == 0)
        peer_->leave([this] { loop_.stop(); });
    };
    for (auto* door : {&control_http_, &tcp_http_})
      if (*door) {
        ++*left;
        (*door)->wind_down(door_patience, step);
      }
    peer_->hand_over(step);
  }

  // A further SIGTERM must not end the process in the middle of this: they are
  // taken until the peer is gone, and held from then on.
  int close() {
    keys_.reset();
    control_http_.reset();
    tcp_http_.reset();
    peer_.reset();
    check_.reset();
    hold_stop_signals(true);
    signals_.reset();
    if (code_ == 0 || code_ == actors::exit_excluded)
      static_cast<void>(dir_->mark_clean());
    return code_;
  }

  peer_config config_;
  bin::peer_logger logger_;
  system_random random_;
  io::asio_loop loop_{io::asio_loop::thread::caller};
  io::thread_workers workers_{loop_};
  std::optional<store::data_dir> dir_;
  std::shared_ptr<actors::state_check_status> check_status_ =
      std::make_shared<actors::state_check_status>();
  std::optional<actors::state_checker> check_;
  actors::directory_marks marks_;
  std::unique_ptr<actors::peer> peer_;
  std::unique_ptr<io::http_server> control_http_;
  std::unique_ptr<io::http_server> tcp_http_;
  std::optional<io::key_watch> keys_;
  std::optional<io::signals> signals_;
  bool stopping_ = false;
  int code_ = 0;
};

int run(int argc, char** argv) {
  CLI::App app{"Banyan: one peer of a mesh that keeps apps alive"};
  app.set_version_flag("--version", std::string{BANYAN_VERSION});
  peer_settings flags;
  std::string config;
  std::string verify;
  add_flags(app, flags, config);
  app.add_option("--verify-state", verify)->group(""); // for this program alone
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : exit_usage;
  }
  if (!verify.empty())
    return bin::verify_state_child(verify);
  peer_settings file;
  if (!config.empty()) {
    auto loaded = load_peer_toml(config);
    if (!loaded.ok())
      return fail(exit_usage, loaded.error().message);
    file = std::move(*loaded);
  }
  process_place place;
  place.root = geteuid() == 0;
  if (const char* home = std::getenv("HOME")) // NOLINT(concurrency-mt-unsafe):
    place.home = home;                        // no thread has started yet
  auto checked = check_settings(
      override_settings(std::move(file), std::move(flags)), place);
  if (!checked.ok())
    return fail(exit_usage, checked.error().message);
  raise_descriptors();
  hold_stop_signals(true); // in the threads of log and workers, for ever
  running_peer peer{std::move(*checked)};
  hold_stop_signals(false);
  return peer.run();
}

} // namespace
} // namespace banyan

int main(int argc, char** argv) {
  if (argc == 2 && argv[1] == std::string_view{banyan::app_host_flag})
    return banyan::run_host_child();
  std::signal(SIGCHLD, SIG_DFL); // whoever started this may ignore it
  try {
    return banyan::run(argc, argv);
  } catch (const std::exception& e) {
    return banyan::fail(banyan::exit_fault, e.what());
  }
}
