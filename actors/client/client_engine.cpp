#include "actors/client/client_engine.hpp"

#include "actors/client/client_core.hpp"
#include "actors/client/outcome.hpp"
#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"
#include "net/io/tcp_streams.hpp"
#include "net/link/link_table.hpp"

#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

namespace banyan::detail {
namespace {

system_random& randomness() {
  static system_random r;
  return r;
}

/// The shell around `client_core`: a loop on a thread of its own, the links of
/// a client, timers. Any thread may call; the constructor and the destructor
/// are not for the loop's own.
class engine final : public client_engine, public net::link_events {
public:
  engine(client_file key, const std::vector<net::address>& peers);
  ~engine() override;

  /// False: no link came up in time.
  bool wait_linked(std::chrono::milliseconds patience);
  void start(call_order order, call_done done) override;
  [[nodiscard]] engine_counters counters() override;

private:
  void on_link_up(const net::link_info& info, net::link_id replaces) override;
  void on_link_down(const net::link_info& info, net::link_end why) override;
  void on_frames(const net::link_info& info,
                 const std::vector<net::frame_view>& frames) override;
  void on_dial_failed(const net::dial_target&, net::dial_error,
                      time_point) override {}
  void on_writable(const net::link_info&, net::lane) override {}
  void on_probed(std::uint64_t,
                 const result<net::probe_answer, net::dial_error>&) override {}

  template <class F>
  void input(F f) {
    f(*core_, loop_.now(), effects_);
    carry_out();
  }
  void take_in();
  void carry_out();
  void carry(client_send& e);
  void carry(client_answer& e);
  void arm();
  /// One that is armed too early costs an idle turn; arming costs each time.
  template <class F>
  static void arm(io::timer& timer, time_point& armed, time_point due, F f,
                  const char* what) {
    if (due >= armed)
      return;
    armed = due;
    timer.arm(
        due,
        [&armed, f = std::move(f)] {
          armed = never;
          f();
        },
        what);
  }
  void on_loop(const std::function<void()>& f);

  io::asio_loop loop_;
  std::unique_ptr<io::thread_workers> workers_;
  std::unique_ptr<io::tcp_streams> streams_;
  std::unique_ptr<net::link_table> links_;
  std::unique_ptr<io::timer> core_timer_;
  std::unique_ptr<io::timer> link_timer_;
  std::unique_ptr<client_core> core_;
  time_point core_armed_ = never;
  time_point link_armed_ = never;
  client_core::effects effects_;
  client_core::effects carried_; ///< while `carry_out` is at it
  bool carrying_ = false;
  bytes frame_;
  std::vector<call_done> waiting_; ///< by token
  std::vector<std::uint64_t> free_tokens_;
  std::uint64_t calls_ = 0;
  std::uint64_t links_lost_ = 0;

  /// Calls that other threads have made since the loop looked: one wake-up for
  /// all of them.
  struct made_call {
    client_request request;
    call_done done;
  };
  std::mutex made_mutex_;
  std::vector<made_call> made_; ///< under the mutex
  std::vector<made_call> taken_;
  bool flush_asked_ = false;
  std::mutex linked_mutex_;
  std::condition_variable linked_;
  bool up_ = false; ///< under the mutex: some link has come up
};

engine::engine(client_file key, const std::vector<net::address>& peers) {
  on_loop([&] {
    auto& random = randomness();
    net::link_config config{identity::generate(random),
                            key.mesh_name,
                            key.mesh,
                            {},
                            std::move(key.key),
                            incarnation{1},
                            net::boot_id{random.array<16>()},
                            0,
                            {}};
    net::link_limits limits;
    limits.backoff_max = 1s;
    workers_ = std::make_unique<io::thread_workers>(loop_, 1);
    streams_ = std::make_unique<io::tcp_streams>(loop_, *workers_);
    links_ = std::make_unique<net::link_table>(std::move(config), limits,
                                               *streams_, random, *this);
    core_timer_ = std::make_unique<io::timer>(loop_);
    link_timer_ = std::make_unique<io::timer>(loop_);
    core_ = std::make_unique<client_core>((random.next() >> 16) << 8);
    for (const auto& p : peers)
      links_->want(p, std::nullopt, loop_.now());
    arm();
  });
}

engine::~engine() {
  on_loop([this] {
    core_->close(effects_);
    carry_out();
    links_->flush(loop_.now());
    links_->stop(loop_.now());
    core_timer_.reset();
    link_timer_.reset();
    links_.reset();
    streams_.reset();
    workers_.reset();
    waiting_.clear();
    core_.reset();
  });
}

void engine::on_loop(const std::function<void()>& f) {
  std::promise<void> done;
  loop_.post(
      [&] {
        f();
        done.set_value();
      },
      "client");
  done.get_future().wait();
}

bool engine::wait_linked(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> g{linked_mutex_};
  return linked_.wait_for(g, patience, [&] { return up_; });
}

void engine::start(call_order order, call_done done) {
  if (const auto* why = why_unsendable(order))
    return done(make_error(call_errc::invalid_argument, why));
  client_request r;
  r.app = std::move(order.app);
  r.key = std::move(order.key);
  r.command = std::move(order.command);
  r.argument = std::move(order.argument);
  r.query = order.query;
  r.idempotency_key = std::move(order.options.idempotency_key);
  r.deadline = order.options.deadline;
  r.max_staleness = order.options.max_staleness;
  bool first = false;
  {
    const std::lock_guard<std::mutex> g{made_mutex_};
    first = made_.empty();
    made_.push_back({std::move(r), std::move(done)});
  }
  if (first)
    loop_.post([this] { take_in(); }, "calls");
}

void engine::take_in() {
  if (core_ == nullptr)
    return; // made by a callback of the client's end
  {
    const std::lock_guard<std::mutex> g{made_mutex_};
    taken_.swap(made_);
  }
  const auto now = loop_.now();
  for (auto& made : taken_) {
    auto& token = made.request.token;
    if (free_tokens_.empty()) {
      token = waiting_.size();
      waiting_.push_back(std::move(made.done));
    } else {
      token = free_tokens_.back();
      free_tokens_.pop_back();
      waiting_[token] = std::move(made.done);
    }
    ++calls_;
    core_->call(std::move(made.request), now, effects_);
  }
  taken_.clear();
  carry_out();
}

engine_counters engine::counters() {
  engine_counters c;
  on_loop([&] {
    c.calls = calls_;
    c.repeated = core_->repeated();
    c.sessions = core_->sessions();
    c.refused = core_->refused();
    c.links_lost = links_lost_;
    c.linked = core_->linked();
  });
  return c;
}

void engine::carry_out() {
  if (std::exchange(carrying_, true))
    return; // a link ended as it was to carry something
  while (!effects_.empty()) {
    carried_.swap(effects_);
    for (auto& e : carried_)
      std::visit([this](auto& x) { carry(x); }, e);
    carried_.clear();
  }
  carrying_ = false;
  arm();
}

void engine::carry(client_send& e) {
  frame_.clear();
  encode(e.frame, frame_);
  if (links_->send(e.to, net::channel::request, frame_).ok()) {
    if (!std::exchange(flush_asked_, true))
      loop_.flush_later([this] {
        flush_asked_ = false;
        if (links_ != nullptr)
          links_->flush(loop_.now());
        if (core_timer_ != nullptr)
          arm();
      });
    return;
  }
  client_reply_frame refused; // no link, or its queue is full: try elsewhere
  refused.call = e.frame.call;
  refused.reply.status = reply_status::no_quorum;
  refused.reply.message = "that peer's link takes no more";
  core_->on_reply(e.to, std::move(refused), loop_.now(), effects_);
}

void engine::carry(client_answer& e) {
  BANYAN_ASSERT(e.token < waiting_.size() && waiting_[e.token]);
  const auto done = std::exchange(waiting_[e.token], nullptr);
  free_tokens_.push_back(e.token);
  if (e.unreachable)
    return done(make_error(call_errc::unreachable, "no peer could be reached"));
  done(outcome_of(std::move(e.reply)));
}

void engine::arm() {
  arm(
      *core_timer_, core_armed_, core_->deadline(),
      [this] {
        input([](auto& c, auto now, auto& out) { c.on_tick(now, out); });
      },
      "client");
  arm(
      *link_timer_, link_armed_, links_->deadline(),
      [this] {
        links_->on_time(loop_.now());
        arm();
      },
      "links");
}

void engine::on_link_up(const net::link_info& info, net::link_id) {
  input(
      [&](auto& c, auto now, auto& out) { c.on_peer_up(info.node, now, out); });
  const std::lock_guard<std::mutex> g{linked_mutex_};
  up_ = true;
  linked_.notify_all();
}

void engine::on_link_down(const net::link_info& info, net::link_end why) {
  if (why == net::link_end::replaced)
    return;
  ++links_lost_;
  input([&](auto& c, auto now, auto& out) {
    c.on_peer_down(info.node, now, out);
  });
}

void engine::on_frames(const net::link_info& info,
                       const std::vector<net::frame_view>& frames) {
  const auto now = loop_.now();
  for (const auto& f : frames) {
    if (f.channel != net::channel::reply)
      continue;
    client_reply_frame r;
    if (decode(f.payload, r))
      core_->on_reply(info.node, std::move(r), now, effects_);
  }
  carry_out();
}

} // namespace

call_result<std::unique_ptr<client_engine>>
client_engine::connect(const std::vector<std::string>& peers,
                       const std::string& client_key_file,
                       std::chrono::milliseconds patience) {
  std::vector<net::address> at;
  for (const auto& p : peers) {
    const auto a = net::parse_address(p);
    if (!a || a->port == 0)
      return make_error(call_errc::invalid_argument,
                        "'" + p + "' is no HOST:PORT of a peer");
    at.push_back(*a);
  }
  if (at.empty())
    return make_error(call_errc::invalid_argument,
                      "a client needs the HOST:PORT of a peer, or of several");
  client_file key{std::string{local_mesh_name}, local_mesh_id(),
                  derive_psk(local_mesh_key(), link_role::client)};
  if (!client_key_file.empty()) {
    auto loaded = client_file::load(client_key_file);
    if (!loaded.ok())
      return make_error(call_errc::invalid_argument, loaded.error().message);
    key = std::move(*loaded);
  }
  const auto mesh = key.mesh_name;
  auto made = std::make_unique<engine>(std::move(key), at);
  if (!made->wait_linked(patience))
    return make_error(call_errc::unreachable,
                      "no peer of " + mesh + " answered at " + peers.front()
                          + (peers.size() > 1 ? " and the others" : "")
                          + ": is one running, with this mesh and key?");
  return std::unique_ptr<client_engine>{std::move(made)};
}

} // namespace banyan::detail
