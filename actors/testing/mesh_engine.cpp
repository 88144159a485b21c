#include "actors/testing/mesh_engine.hpp"

#include "actors/client/outcome.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/docs/sign_app.hpp"
#include "actors/testing/engine_views.hpp"
#include "actors/testing/mesh_node.hpp"

#include <caf/send.hpp>

#include <cstdlib>
#include <future>
#include <set>
#include <stdexcept>
#include <thread>

namespace banyan::testing::detail {
namespace {

using milliseconds = std::chrono::milliseconds;
using actors::deploy_answer;
using banyan::detail::call_order;
using banyan::detail::call_outcome;

constexpr milliseconds formation_max{10'000};
constexpr milliseconds deploy_max{15'000};
constexpr milliseconds look_every{1};

[[noreturn]] void fail(const std::string& why) {
  throw std::runtime_error{"local_mesh: " + why};
}

app_spec spec_of(const engine_app& a) {
  app_spec s;
  s.name = a.name;
  s.module = a.module.empty() ? a.name : a.module;
  s.shards = a.shards;
  s.replicas = a.replicas;
  if (a.stateless) {
    s.kind = app_kind::stateless;
    s.shards = 1;
    s.replicas = a.instances;
  }
  s.replace_after = a.replace_after;
  s.spread = a.spread_regions ? app_spread::regions : app_spread::none;
  s.isolation = app_isolation::none;
  return s;
}

class temporary_directory {
public:
  temporary_directory() {
    auto name =
        (std::filesystem::temp_directory_path() / "banyan-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      fail("can't make a directory in "
           + std::filesystem::temp_directory_path().string());
    path_ = name;
  }
  ~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

class engine final : public mesh_engine, private engine_views {
public:
  explicit engine(engine_options o);

  void add_table(const banyan_app_v1& table) override;
  void deploy(const engine_app& app) override;
  call_outcome call(std::size_t node, call_order order) override;
  void kill(std::size_t node) override { at(node).kill(); }
  void stop(std::size_t node) override { at(node).stop(); }
  void restart(std::size_t node) override;
  void wipe(std::size_t node) override;
  void freeze(std::size_t node) override { at(node).freeze(); }
  void thaw(std::size_t node) override { at(node).thaw(); }
  void partition(const std::vector<std::vector<std::size_t>>& groups) override;
  std::size_t leader_of(const std::string& app, const std::string& key,
                        milliseconds patience) override;
  std::vector<std::size_t> voters_of(const std::string& app,
                                     const std::string& key) override {
    return find_voters(app, key);
  }
  void wait_healthy(milliseconds patience) override;
  void run_for(milliseconds d) override { std::this_thread::sleep_for(d); }
  [[nodiscard]] std::size_t size() const override { return nodes_.size(); }
  [[nodiscard]] bool running(std::size_t node) const override {
    return at(node).running();
  }
  [[nodiscard]] std::string address(std::size_t node) const override {
    return to_string(at(node).address());
  }
  [[nodiscard]] std::string id(std::size_t node) const override {
    return to_string(at(node).id());
  }
  [[nodiscard]] std::string directory(std::size_t node) const override {
    return at(node).directory().string();
  }
  [[nodiscard]] std::string client_key_file() const override {
    return client_file_.string();
  }
  [[nodiscard]] std::vector<engine_member> members(std::size_t node) override;
  [[nodiscard]] std::string fault(std::size_t node) const override {
    return at(node).fault();
  }

private:
  [[nodiscard]] mesh_node& at(std::size_t node) const {
    if (node >= nodes_.size())
      fail("there is no peer " + std::to_string(node));
    return *nodes_[node];
  }
  [[nodiscard]] std::size_t count() const override { return nodes_.size(); }
  [[nodiscard]] bool awake(std::size_t n) const override {
    return at(n).running() && !at(n).frozen();
  }
  [[nodiscard]] node_id id_of(std::size_t n) const override {
    return at(n).id();
  }
  bool look(std::size_t n,
            const std::function<void(actors::peer&)>& f) const override {
    return at(n).ask(f);
  }
  mesh_node& any_awake() const;
  [[nodiscard]] std::vector<net::address> seeds_for(std::size_t node) const;
  /// Looks until `done` gives no reason why not.
  void until(milliseconds patience, const char* what,
             const std::function<std::string()>& done);
  deploy_answer ask_supervisor(
      const std::function<void(actors::peer&, actors::deploy_function)>& ask);
  deploy_answer sign_and_deploy(const app_spec& spec);

  temporary_directory directory_;
  mesh_shared shared_;
  std::filesystem::path owner_file_;
  std::filesystem::path client_file_;
  std::set<std::string> deployed_;
  std::vector<std::unique_ptr<mesh_node>> nodes_;
};

engine::engine(engine_options o) {
  if (o.nodes == 0)
    fail("a mesh has one peer at least");
  shared_.apps = std::move(o.apps);
  // Read before this mesh has a thread that could change the environment.
  shared_.log = std::getenv("BANYAN_MESH_LOG") != nullptr; // NOLINT
  if (o.with_mesh_file) {
    system_random random;
    const auto made = init_mesh(directory_.path(), "testing", random);
    if (!made.ok())
      fail(made.error().message);
    shared_.mesh_file = made->mesh;
    owner_file_ = made->owner_file;
    const auto client = make_client_key(made->mesh);
    if (!client.ok())
      fail(client.error().message);
    client_file_ = *client;
  }
  for (std::size_t i = 0; i < o.nodes; ++i) {
    std::string region = "local";
    if (!o.regions.empty())
      region = o.regions[std::min(i, o.regions.size() - 1)];
    nodes_.push_back(std::make_unique<mesh_node>(
        shared_, i, region, directory_.path() / ("peer" + std::to_string(i))));
    nodes_.back()->start(seeds_for(i));
  }
  until(formation_max, "the peers to find each other",
        [this] { return why_unformed(); });
}

mesh_node& engine::any_awake() const {
  const auto n = first_awake();
  if (n == any)
    fail("no peer runs");
  return at(n);
}

std::vector<net::address> engine::seeds_for(std::size_t node) const {
  std::vector<net::address> out;
  for (std::size_t i = 0; i < nodes_.size() && out.size() < 2; ++i)
    if (i != node && nodes_[i]->running())
      out.push_back(nodes_[i]->address());
  return out;
}

void engine::until(milliseconds patience, const char* what,
                   const std::function<std::string()>& done) {
  const auto end = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto why_not = done();
    if (why_not.empty())
      return;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (auto f = nodes_[i]->fault(); !f.empty() && nodes_[i]->running())
        fail("peer " + std::to_string(i) + " ended by itself: " + f);
    if (std::chrono::steady_clock::now() > end)
      fail("waited " + std::to_string(patience.count()) + " ms for " + what
           + ": " + why_not);
    std::this_thread::sleep_for(look_every);
  }
}

// ---- apps ------------------------------------------------------------------

void engine::add_table(const banyan_app_v1& table) {
  // The catalog is read on the loops: changed on each of them in turn would
  // not do, so all of them stand still meanwhile.
  std::vector<std::size_t> held;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (awake(i)) {
      nodes_[i]->freeze();
      held.push_back(i);
    }
  shared_.linked.add(table);
  for (const auto i : held)
    nodes_[i]->thaw();
}

deploy_answer engine::ask_supervisor(
    const std::function<void(actors::peer&, actors::deploy_function)>& ask) {
  auto answer = std::make_shared<std::promise<deploy_answer>>();
  auto coming = answer->get_future();
  any_awake().ask([&](actors::peer& p) {
    ask(p, [answer](deploy_answer a) { answer->set_value(std::move(a)); });
  });
  answer.reset();
  if (coming.wait_for(deploy_max) != std::future_status::ready)
    fail("the peer doesn't answer the deploy");
  return coming.get();
}

deploy_answer engine::sign_and_deploy(const app_spec& spec) {
  auto owner = owner_file::load(owner_file_);
  if (!owner.ok())
    fail(owner.error().message);
  auto planned = ask_supervisor([&](actors::peer& p, auto done) {
    caf::anon_send(p.context().supervisor,
                   actors::plan_in{spec, true, std::move(done)});
  });
  if (planned.status != reply_status::ok)
    return planned;
  system_random random;
  auto papers = sign_birth(owner->key, owner->mesh, spec,
                           {planned.nonce, planned.voters}, random);
  if (!papers.ok())
    fail("the group secret can't be sealed to a peer");
  return ask_supervisor([&](actors::peer& p, auto done) {
    caf::anon_send(p.context().supervisor,
                   actors::papers_in{*papers, std::move(done)});
  });
}

void engine::deploy(const engine_app& app) {
  const auto spec = spec_of(app);
  const auto answer =
      owner_file_.empty() ? ask_supervisor([&](actors::peer& p, auto done) {
        caf::anon_send(p.context().supervisor,
                       actors::deploy_in{spec, false, std::move(done)});
      })
                          : sign_and_deploy(spec);
  if (answer.status != reply_status::ok)
    fail("deploy of " + app.name + ": " + to_string(answer.status) + ": "
         + answer.message);
  deployed_.insert(app.name);
  until(deploy_max, "the app to serve",
        [&] { return why_unserved(app.name, false); });
}

call_outcome engine::call(std::size_t node, call_order order) {
  if (const auto* why = why_unsendable(order))
    return make_error(call_errc::invalid_argument, why);
  const auto patience = order.options.deadline + milliseconds{1000};
  auto r = request_of(order);
  auto answer = std::make_shared<std::promise<call_outcome>>();
  auto coming = answer->get_future();
  auto ask = [r = std::move(r), answer](actors::peer& p) mutable {
    p.call(std::move(r), [answer](reply a, std::uint32_t) {
      answer->set_value(outcome_of(std::move(a)));
    });
  };
  answer.reset();
  if (node == any)
    for (std::size_t i = 0; i < nodes_.size() && node == any; ++i)
      if (awake(i))
        node = i;
  if (node == any || !at(node).post(std::move(ask)))
    return make_error(call_errc::unreachable, "that peer doesn't run");
  if (coming.wait_for(patience) != std::future_status::ready)
    return make_error(call_errc::unknown,
                      "the peer says nothing: it may have taken effect");
  try {
    return coming.get();
  } catch (const std::future_error&) {
    return make_error(call_errc::unknown,
                      "the peer died: it may have taken effect");
  }
}

// ---- faults ----------------------------------------------------------------

void engine::restart(std::size_t node) {
  at(node).kill();
  at(node).start(seeds_for(node));
}

void engine::wipe(std::size_t node) {
  at(node).kill();
  std::error_code failed;
  std::filesystem::remove_all(at(node).directory(), failed);
  if (failed)
    fail("can't remove " + at(node).directory().string());
}

void engine::partition(const std::vector<std::vector<std::size_t>>& groups) {
  for (const auto& g : groups)
    for (const auto node : g)
      static_cast<void>(at(node));
  shared_.cuts.cut(groups);
  for (const auto& n : nodes_)
    n->apply_cuts();
}

// ---- views -----------------------------------------------------------------

std::size_t engine::leader_of(const std::string& app, const std::string& key,
                              milliseconds patience) {
  std::optional<std::size_t> found;
  until(patience, "a leader", [&]() -> std::string {
    found = find_leader(app, key);
    return found ? "" : "no running peer leads the group of " + app + "/" + key;
  });
  return *found;
}

void engine::wait_healthy(milliseconds patience) {
  until(patience, "a healthy mesh",
        [this] { return why_unhealthy(deployed_); });
}

std::vector<engine_member> engine::members(std::size_t node) {
  if (!running(node))
    fail("peer " + std::to_string(node) + " doesn't run");
  return members_known_to(node);
}

} // namespace

std::unique_ptr<mesh_engine> mesh_engine::make(engine_options options) {
  return std::make_unique<engine>(std::move(options));
}

} // namespace banyan::testing::detail
