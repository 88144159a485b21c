#pragma once
#include "actors/docs/key_files.hpp"
#include "actors/docs/sign_app.hpp"
#include "actors/node/names.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {

/// Machines with the app `counter`, of one shard with three voters, and what
/// its owner does about it. Mesh `local`: everybody's key signs.
struct counters : ::testing::Test {
  using document_kind = actors::document_kind;

  void begin(std::size_t machines, retention removed = {},
             const std::vector<std::size_t>& older = {}) {
    world_options o;
    o.seed = 31;
    o.machines = machines;
    o.removed = removed;
    held = std::make_unique<world>(std::move(o));
    add_apps(held->catalog);
    for (const auto n : older)
      w().at(n).set_features(feature::versions);
    for (const auto& m : w().machines)
      m->boot();
    ASSERT_TRUE(w().run_until([&] { return all_met(); }, 10s));
    actors::deploy_in d;
    d.spec.name = d.spec.module = "counter";
    d.spec.shards = 1;
    d.spec.replace_after = 1h;
    d.spec.isolation = app_isolation::none;
    const auto a = answered<actors::deploy_answer>(0, std::move(d));
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
    group = {context(0).known.find_app("counter")->id, 0};
    ASSERT_TRUE(w().run_until([&] { return whole(); }, 10s));
  }
  void TearDown() override {
    if (held)
      for (const auto& p : held->problems)
        ADD_FAILURE() << p;
  }

  world& w() { return *held; }
  actors::node_context& context(std::size_t n) {
    return w().at(n).peer().context();
  }
  std::vector<std::size_t> up() {
    std::vector<std::size_t> out;
    for (std::size_t n = 0; n < w().machines.size(); ++n)
      if (w().at(n).up())
        out.push_back(n);
    return out;
  }
  bool all_met() {
    for (const auto a : up())
      for (const auto b : up())
        if (a != b && !context(a).members->hears(w().at(b).id()))
          return false;
    return true;
  }
  std::size_t machine_of(const node_id& id) {
    for (std::size_t n = 0; n < w().machines.size(); ++n)
      if (w().at(n).id() == id)
        return n;
    return w().machines.size();
  }
  const group_view* view(std::size_t n) { return context(n).known.view(group); }
  /// Every machine that is up sees three voters and a leader.
  bool whole() {
    for (const auto n : up())
      if (const auto* v = view(n); v == nullptr || v->voters.size() != 3
                                   || v->health != group_health::healthy)
        return false;
    return true;
  }
  /// The leader first.
  std::vector<std::size_t> voters() {
    const auto* v = view(up().front());
    std::vector<std::size_t> out{machine_of(v->leader.node)};
    for (const auto& r : v->voters)
      if (machine_of(r.who.node) != out.front())
        out.push_back(machine_of(r.who.node));
    return out;
  }
  replica_ref ref(std::size_t n) {
    replica_ref r{w().at(n).id(), {}};
    const auto known = documents(n, document_kind::replica);
    EXPECT_EQ(known.size(), 1U);
    EXPECT_TRUE(!known.empty()
                && replica_id::from(known[0].second.view(), r.replica));
    return r;
  }
  store::documents::listed documents(std::size_t n, document_kind kind) {
    return context(n).disk.documents->list(static_cast<std::uint8_t>(kind));
  }
  void apart(const std::vector<std::size_t>& a,
             const std::vector<std::size_t>& b) {
    for (const auto x : a)
      for (const auto y : b) {
        w().net.cut(w().at(x).host(), w().at(y).host());
        w().troubled(x, y, 1h);
        w().troubled(y, x, 1h);
      }
  }
  void heal() {
    w().net.heal_all();
    w().all_well();
  }
  void reboot(std::size_t n) {
    w().at(n).kill(machine::end::power);
    w().run_for(100ms);
    w().at(n).boot();
  }

  /// Of the app, as that machine knows of.
  std::size_t events(std::size_t n, event_kind k) {
    std::size_t found = 0;
    context(n).events.each_after(0, [&](const mesh_event& e) {
      found += e.kind == to_string(k) && e.app == "counter" ? 1 : 0;
      return true;
    });
    return found;
  }

  // ---- calls
  reply call(std::size_t by, const std::string& command, std::int64_t n = 0) {
    call_request r;
    r.app = called;
    r.key = "hits";
    r.command = command;
    if (command == "add")
      writer{r.argument}.map(1).text("n").sint(n);
    else
      r.kind = request_kind::query;
    std::optional<reply> got;
    w().at(by).peer().call(std::move(r),
                           [&](const reply& a, std::uint32_t) { got = a; });
    EXPECT_TRUE(w().run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(reply{});
  }
  /// What was acknowledged; its index.
  log_index add(std::size_t by, std::int64_t n = 1) {
    const auto r = call(by, "add", n);
    EXPECT_EQ(r.status, reply_status::ok) << r.message;
    return r.index;
  }
  /// -1: no answer.
  std::int64_t value(std::size_t by) {
    const auto r = call(by, "get");
    if (r.status != reply_status::ok)
      return -1;
    reader in{r.result};
    return in.sint();
  }
  void expect_everywhere(std::int64_t n) {
    for (const auto by : up())
      EXPECT_EQ(value(by), n) << "machine " << by;
  }

  // ---- the owner
  /// Sends `m` to that machine's supervisor and waits for the answer.
  template <class Answer, class Message>
  Answer answered(std::size_t by, Message m) {
    std::optional<Answer> got;
    m.done = [&](const Answer& a) { got = a; };
    caf::anon_send(context(by).supervisor, std::move(m));
    EXPECT_TRUE(w().run_until([&] { return got.has_value(); }, 20s));
    return got.value_or(Answer{});
  }
  actors::recover_answer plan(std::size_t by) {
    actors::recover_plan_in m;
    m.app = "counter";
    return answered<actors::recover_answer>(by, std::move(m));
  }
  static signed_document sign(const app_recovery& r) {
    const auto& o = owner();
    return signed_document::make(o.key, sign_kind::recovery, o.mesh, 1,
                                 r.encode());
  }
  /// As `banyan recover --accept-loss` does; tried until the mesh has noticed
  /// what it lost.
  app_recovery recover(std::size_t by) {
    const auto until = w().now() + 30s;
    while (w().now() < until) {
      const auto planned = plan(by);
      if (planned.status == reply_status::ok && planned.shards.size() == 1) {
        actors::recover_in m;
        m.documents = {sign(planned.shards[0])};
        const auto done = answered<actors::recover_answer>(by, std::move(m));
        if (done.status == reply_status::ok)
          return planned.shards[0];
      }
      w().run_for(200ms);
    }
    ADD_FAILURE() << "no recovery: " << plan(by).message;
    return {};
  }
  void tell(std::size_t to, std::size_t from, control_frame f) {
    caf::anon_send(context(to).supervisor,
                   actors::control_in{w().at(from).id(), std::move(f)});
  }
  app_record record(std::size_t n) {
    app_papers p;
    EXPECT_TRUE(app_papers::decode(context(n).papers.at("counter"), p));
    auto opened = open_papers(p, owner().mesh, {owner().key.owner()});
    EXPECT_TRUE(opened.ok());
    return std::move(*opened);
  }
  actors::deploy_answer put(std::size_t by, app_papers p) {
    actors::papers_in m;
    m.papers = std::move(p);
    return answered<actors::deploy_answer>(by, std::move(m));
  }
  actors::deploy_answer undelete(std::size_t by) {
    return put(by, sign_undeletion(owner().key, owner().mesh, record(by)));
  }
  void remove(std::size_t by) {
    actors::remove_in m;
    m.app = "counter";
    const auto a = answered<actors::deploy_answer>(by, std::move(m));
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
  }
  static const owner_file& owner() {
    static const auto o = owner_file::local();
    return o;
  }

  std::unique_ptr<world> held;
  group_id group;
  std::string called = "counter"; ///< the app
};

} // namespace banyan::sim
