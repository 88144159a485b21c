#include "actors/testing/mesh_node.hpp"

#include "actors/docs/key_files.hpp"

#include <chrono>
#include <cstdio>
#include <future>
#include <stdexcept>

namespace banyan::testing::detail {

struct mesh_node::ice {
  std::mutex mutex;
  std::condition_variable melts;
  bool gone = false;

  void wait() {
    std::unique_lock<std::mutex> g{mutex};
    melts.wait(g, [&] { return gone; });
  }
  void melt() {
    const std::lock_guard<std::mutex> g{mutex};
    gone = true;
    melts.notify_all();
  }
};

mesh_node::mesh_node(mesh_shared& shared, std::size_t number,
                     std::string region, std::filesystem::path directory)
    : shared_{shared}, number_{number}, region_{std::move(region)},
      directory_{std::move(directory)}, address_{"127.0.0.1", 0},
      loop_{std::make_unique<io::asio_loop>()} {
}

mesh_node::~mesh_node() {
  kill();
}

void mesh_node::log(actors::log_level level, const std::string& line) const {
  if (!shared_.log)
    return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  std::fprintf(stderr, "%9.3f node %zu %s %s\n",
               static_cast<double>(us % 1'000'000'000) / 1000, number_,
               level >= actors::log_level::warning ? "!" : " ", line.c_str());
}

void mesh_node::start(const std::vector<net::address>& seeds) {
  {
    const std::lock_guard<std::mutex> g{mutex_};
    fault_.clear();
  }
  try {
    assemble(seeds);
  } catch (...) {
    kill();
    throw;
  }
}

void mesh_node::assemble(const std::vector<net::address>& seeds) {
  const auto fail = [this](const std::string& why) {
    throw std::runtime_error{"local_mesh: peer " + std::to_string(number_)
                             + " doesn't start: " + why};
  };
  auto mesh = mesh_file::local();
  if (!shared_.mesh_file.empty()) {
    auto loaded = mesh_file::load(shared_.mesh_file);
    if (!loaded.ok())
      fail(loaded.error().message);
    mesh = std::move(*loaded);
  }
  auto dir = store::data_dir::open(directory_);
  if (!dir.ok())
    fail(dir.error().message);
  dir_.emplace(std::move(*dir));
  auto key = identity::load_or_create(directory_ / "node.key", random_);
  if (!key.ok())
    fail(key.error().message);
  id_ = key->id();
  store::disk_options options;
  options.post = [l = loop_.get()](std::function<void()> f) {
    l->post(std::move(f), "disk");
  };
  options.segment_bytes = std::size_t{4} << 20; // many peers share this disk
  options.map_bytes = std::size_t{4} << 30;
  const actors::directory_marks marks{
      actors::inode_of((directory_ / "node.key").string()), dir_->was_clean()};
  const auto status = std::make_shared<actors::state_check_status>();
  check_ = std::make_unique<actors::state_checker>(*loop_, status,
                                                   actors::check_here);
  options.state_check = check_->function();
  options.log_is_void = [marks](const store::documents& d) {
    return actors::forgetful(d, marks).has_value();
  };
  auto disk = store::open_disk(*dir_, options);
  if (!disk.ok())
    fail(disk.error().message);

  actors::node_settings settings;
  settings.mesh_name = mesh.name;
  settings.mesh = mesh.id;
  settings.region = region_;
  settings.version = "local_mesh";
  settings.marks = marks;
  settings.state_check = status;
  settings.log = [this](actors::log_level l, const std::string& line) {
    log(l, line);
  };
  settings.unix_ms = [] {
    return static_cast<std::int64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now().time_since_epoch())
            .count());
  };
  workers_ = std::make_unique<io::thread_workers>(*loop_, 1);
  auto streams = std::make_unique<cut_streams>(
      *loop_, std::make_unique<io::tcp_streams>(*loop_, *workers_),
      shared_.cuts, number_);
  streams_ = streams.get();
  actors::peer_parts parts{*loop_,
                           random_,
                           std::move(*key),
                           std::move(mesh),
                           std::move(settings),
                           std::move(*disk),
                           std::move(streams),
                           std::make_unique<actors::module_directory>(
                               *loop_, shared_.apps, &shared_.linked)};
  parts.listen = address_;
  for (const auto& s : seeds)
    parts.seeds.push_back({s, std::nullopt});
  parts.capacity.cores = 1;
  parts.admin_token = "local_mesh";
  parts.fatal = [this](int code, const std::string& why) {
    log(actors::log_level::error, why);
    const std::lock_guard<std::mutex> g{mutex_};
    fault_ = "exit " + std::to_string(code) + ": " + why;
  };
  auto made = std::make_unique<actors::peer>(std::move(parts));
  std::string error;
  bool begun = false;
  actors::on_loop(*loop_, [&] { begun = made->begin(error); });
  if (begun) {
    address_ = made->listening();
    shared_.cuts.put_node(number_, address_);
  }
  {
    const std::lock_guard<std::mutex> g{mutex_};
    peer_ = std::move(made);
  }
  if (!begun)
    fail(error);
}

void mesh_node::destroy(std::unique_ptr<actors::peer> p, bool clean) {
  if (p != nullptr) {
    streams_->sever();
    thaw();
    p.reset();
    streams_ = nullptr;
  }
  if (workers_ != nullptr)
    actors::on_loop(*loop_, [this] { workers_.reset(); });
  check_.reset();
  if (clean && dir_)
    static_cast<void>(dir_->mark_clean());
  dir_.reset();
}

void mesh_node::kill() {
  std::unique_ptr<actors::peer> p;
  {
    const std::lock_guard<std::mutex> g{mutex_};
    p = std::move(peer_);
  }
  destroy(std::move(p));
}

void mesh_node::stop() {
  bool asked = false;
  auto done = std::make_shared<std::promise<void>>();
  auto stopped = done->get_future();
  if (ask([&](actors::peer& p) { p.stop([done] { done->set_value(); }); })) {
    // 30 s is what the peer itself grants; then it is killed.
    asked =
        stopped.wait_for(std::chrono::seconds{35}) == std::future_status::ready;
  }
  std::unique_ptr<actors::peer> p;
  {
    const std::lock_guard<std::mutex> g{mutex_};
    p = std::move(peer_);
  }
  destroy(std::move(p), asked);
}

void mesh_node::freeze() {
  auto block = std::make_shared<ice>();
  {
    const std::lock_guard<std::mutex> g{mutex_};
    if (peer_ == nullptr || ice_ != nullptr)
      return;
    ice_ = block;
  }
  std::promise<void> frozen;
  loop_->post(
      [&frozen, block] {
        frozen.set_value();
        block->wait();
      },
      "frozen");
  frozen.get_future().wait();
}

void mesh_node::thaw() {
  const std::lock_guard<std::mutex> g{mutex_};
  if (ice_ != nullptr)
    ice_->melt();
  ice_ = nullptr;
}

void mesh_node::apply_cuts() {
  if (!running())
    return;
  auto* s = streams_;
  if (frozen())
    post([s](actors::peer&) { s->apply(); });
  else
    actors::on_loop(*loop_, [s] { s->apply(); });
}

bool mesh_node::ask(const std::function<void(actors::peer&)>& f) {
  std::promise<void> done;
  {
    const std::lock_guard<std::mutex> g{mutex_};
    if (peer_ == nullptr || ice_ != nullptr)
      return false;
    loop_->post(
        [&, p = peer_.get()] {
          f(*p);
          done.set_value();
        },
        "question");
  }
  done.get_future().wait();
  return true;
}

bool mesh_node::post(std::function<void(actors::peer&)> f) {
  const std::lock_guard<std::mutex> g{mutex_};
  if (peer_ == nullptr)
    return false;
  // Before the peer's end, which is posted behind this.
  loop_->post([p = peer_.get(), f = std::move(f)] { f(*p); }, "call");
  return true;
}

bool mesh_node::running() const {
  const std::lock_guard<std::mutex> g{mutex_};
  return peer_ != nullptr;
}

bool mesh_node::frozen() const {
  const std::lock_guard<std::mutex> g{mutex_};
  return ice_ != nullptr;
}

std::string mesh_node::fault() const {
  const std::lock_guard<std::mutex> g{mutex_};
  return fault_;
}

} // namespace banyan::testing::detail
