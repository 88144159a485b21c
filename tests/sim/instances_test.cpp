// Stateless apps on virtual machines: N instances whatever happens, and callers
// that never notice.
#include "actors/docs/app_documents.hpp"
#include "actors/docs/app_secrets.hpp"
#include "actors/node/instance.hpp"
#include "actors/node/uptime.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "crypto/mesh_key.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

struct instances : ::testing::Test {
  void SetUp() override {
    add_apps(w.catalog);
    for (const auto& m : w.machines)
      m->boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  actors::node_context& context(std::size_t n) {
    return w.at(n).peer().context();
  }
  bool all_met() {
    for (const auto& m : w.machines)
      for (const auto& other : w.machines)
        if (other->id() != m->id()
            && !m->peer().context().members->hears(other->id()))
          return false;
    return true;
  }
  static app_spec spec_of(std::uint32_t count) {
    app_spec s;
    s.name = s.module = "hello";
    s.kind = app_kind::stateless;
    s.shards = 1;
    s.replicas = count;
    s.isolation = app_isolation::none;
    return s;
  }
  actors::deploy_answer deploy(std::uint32_t count) {
    return deploy(spec_of(count));
  }
  actors::deploy_answer deploy(app_spec spec) {
    actors::deploy_in d;
    d.spec = std::move(spec);
    std::optional<actors::deploy_answer> answer;
    d.done = [&](const actors::deploy_answer& a) { answer = a; };
    caf::anon_send(context(0).supervisor, std::move(d));
    EXPECT_TRUE(w.run_until([&] { return answer.has_value(); }, 10s));
    if (answer)
      app = answer->app;
    return answer.value_or(actors::deploy_answer{});
  }
  /// The next version, with a secret that these machines can open.
  void deploy_sealed(std::uint32_t count, const std::set<std::size_t>& to) {
    app_papers papers;
    app_genesis genesis;
    ASSERT_TRUE(app_papers::decode(context(0).papers.at("hello"), papers));
    ASSERT_TRUE(app_genesis::decode(papers.genesis.body, genesis));
    std::set<node_id> nodes;
    for (const auto n : to)
      nodes.insert(w.at(n).id());
    secret_values values;
    values.put("db", to_bytes(std::string{"one"}));
    auto spec = spec_of(count);
    spec.secrets = {"db"};
    ASSERT_EQ(seal_secrets(spec, genesis.nonce, values, nodes, w.random), "");
    const auto a = deploy(spec);
    ASSERT_EQ(a.status, reply_status::ok) << a.message;
  }
  bool all_run(std::uint64_t version) {
    for (const auto& m : w.machines)
      for (const auto n : seen_by(0))
        if (m->up()
            && m->peer().context().known.instance_number(app, w.at(n).id())
                   != version)
          return false;
    return true;
  }
  /// The machines where instances are up, as this one has heard.
  std::set<std::size_t> seen_by(std::size_t n) {
    std::set<std::size_t> out;
    for (const auto& node : context(n).known.candidates({app, 0}))
      for (std::size_t m = 0; m < w.machines.size(); ++m)
        if (w.at(m).id() == node)
          out.insert(m);
    return out;
  }
  /// Everybody that runs knows of the same `count` instances.
  bool settled(std::size_t count) {
    std::optional<std::set<std::size_t>> first;
    for (std::size_t n = 0; n < w.machines.size(); ++n) {
      if (!w.at(n).up())
        continue;
      auto seen = seen_by(n);
      if (seen.size() != count || (first && *first != seen))
        return false;
      first = std::move(seen);
    }
    return first.has_value();
  }
  void ask(std::size_t by, std::function<void(const reply&)> done,
           duration deadline = 5s) {
    call_request r;
    r.app = "hello";
    r.kind = request_kind::query;
    r.key = "-";
    r.command = "greet";
    r.deadline = deadline;
    writer{r.argument}.map(1).text("name").text("Ann");
    w.at(by).peer().call(
        std::move(r),
        [done = std::move(done)](const reply& a, std::uint32_t) { done(a); });
  }
  reply call(std::size_t by) {
    std::optional<reply> got;
    ask(by, [&](const reply& a) { got = a; });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, 6s));
    return got ? *got : reply{};
  }
  void cut(const std::set<std::size_t>& one, bool heal) {
    for (std::size_t a = 0; a < w.machines.size(); ++a)
      for (std::size_t b = 0; b < w.machines.size(); ++b) {
        if (one.count(a) == one.count(b))
          continue;
        if (heal) {
          w.net.heal_one_way(w.at(a).host(), w.at(b).host());
          w.mended(a, b);
        } else {
          w.net.cut_one_way(w.at(a).host(), w.at(b).host());
          w.troubled(a, b, 24h);
        }
      }
  }

  /// How machines stand by the policy, as this one reads it.
  void stand(std::size_t by, std::function<standing(std::size_t)> as) {
    context(by).standing_of = [this, as = std::move(as)](const node_id& who) {
      for (std::size_t n = 0; n < w.machines.size(); ++n)
        if (w.at(n).id() == who)
          return as(n);
      return standing::normal;
    };
  }

  world w{world_options{23, 5, {}, {}, {}}};
  app_id app;
};

TEST_F(instances, any_peer_answers_and_groups_there_are_none) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  for (std::size_t n = 0; n < 5; ++n) {
    EXPECT_EQ(call(n).status, reply_status::ok) << n;
    EXPECT_TRUE(context(n).replicas.empty());
    EXPECT_EQ(context(n).instances.size(), seen_by(n).count(n));
  }
}

TEST_F(instances, heal_to_n_after_kills_and_cuts) {
  ASSERT_EQ(deploy(3).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(3); }, 10s));
  const auto born = seen_by(0);
  // Two of three die at once: others take over.
  auto victim = born.begin();
  const auto one = *victim++;
  const auto two = *victim;
  w.at(one).kill(machine::end::process);
  w.at(two).kill(machine::end::power);
  ASSERT_TRUE(w.run_until([&] { return settled(3); }, 30s));
  // They come back: their places are theirs again, and the surplus ends.
  w.at(one).boot();
  w.at(two).boot();
  ASSERT_TRUE(
      w.run_until([&] { return settled(3) && seen_by(0) == born; }, 60s));
  // Two sides that don't hear each other: each keeps what it can have.
  cut({0, 1}, false);
  ASSERT_TRUE(w.run_until(
      [&] { return seen_by(0).size() == 2 && seen_by(4).size() == 3; }, 60s));
  EXPECT_EQ(call(1).status, reply_status::ok);
  EXPECT_EQ(call(3).status, reply_status::ok);
  cut({0, 1}, true);
  ASSERT_TRUE(
      w.run_until([&] { return settled(3) && seen_by(0) == born; }, 60s));
}

// [6] A surplus heals by itself, and leaves no gap where its successor can't
// serve.
TEST_F(instances, one_stays_until_its_successor_serves) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  const auto born = seen_by(0);
  const auto home = *born.rbegin();
  const auto by = home == 4 ? std::size_t{3} : std::size_t{4};
  w.at(home).kill(machine::end::process);
  ASSERT_TRUE(w.run_until(
      [&] { return settled(2) && seen_by(by).count(home) == 0; }, 30s));
  const auto now = seen_by(by);
  w.at(home).lacks("hello");
  w.at(home).boot();
  ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
  w.run_for(30s);
  EXPECT_EQ(seen_by(by), now) << "its place is back, its module isn't";
  w.at(home).kill(machine::end::process);
  w.at(home).lacks("");
  w.at(home).boot();
  EXPECT_TRUE(
      w.run_until([&] { return settled(2) && seen_by(by) == born; }, 60s));
}

// The mesh's policy takes no app down: on hold means no new replicas, and who
// is evacuated serves until others do.
TEST_F(instances, go_on_where_no_machine_is_good_enough) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  const auto born = seen_by(0);
  mesh_policy p;
  p.enforce = true;
  p.min_tier = 3; // the highest there is
  bool taken = false;
  context(0).uptime->take_policy(
      sign_policy(local_mesh_owner(), w.mesh().id, 1, p).document,
      [&](reply_status s, std::string) { taken = s == reply_status::ok; });
  ASSERT_TRUE(w.run_until(
      [&] {
        bool all = taken;
        for (const auto& m : w.machines)
          all = all && m->peer().context().uptime->policies().version() == 1;
        return all;
      },
      10s));
  w.run_for(20s);
  EXPECT_TRUE(settled(2));
  EXPECT_EQ(seen_by(0), born);
}

TEST_F(instances, leave_the_evacuated_once_others_serve) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  const auto born = seen_by(0);
  std::set<std::size_t> good;
  for (std::size_t by = 0; by < 5; ++by)
    stand(by, [&](std::size_t n) {
      return good.count(n) == 0 ? standing::evacuate : standing::normal;
    });
  w.run_for(20s);
  EXPECT_TRUE(context(*born.begin()).is_drained(w.at(*born.begin()).id()));
  EXPECT_EQ(seen_by(0), born);
  for (std::size_t n = 0; n < 5 && good.size() < 2; ++n)
    if (born.count(n) == 0)
      good.insert(n);
  EXPECT_TRUE(
      w.run_until([&] { return settled(2) && seen_by(0) == good; }, 60s));
}

// Served from a node on hold is better than not at all.
TEST_F(instances, begin_anew_where_every_node_is_kept_by_the_policy) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  for (const auto as : {standing::hold, standing::evacuate}) {
    for (const auto& m : w.machines)
      m->kill(machine::end::power);
    for (std::size_t n = 0; n < 5; ++n) {
      w.at(n).boot();
      stand(n, [as](std::size_t) { return as; });
    }
    EXPECT_TRUE(w.run_until([&] { return all_met() && settled(2); }, 60s))
        << to_string(as);
    EXPECT_EQ(call(3).status, reply_status::ok);
  }
}

// Its host is down for longer than a surplus lasts: it is needed all the same.
TEST_F(instances, one_on_hold_comes_back_after_its_host_was_down) {
  ASSERT_EQ(deploy(5).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(5); }, 10s));
  for (std::size_t by = 0; by < 5; ++by)
    stand(by, [](std::size_t n) {
      return n == 4 ? standing::hold : standing::normal;
    });
  w.run_for(12s);
  ASSERT_TRUE(settled(5));
  int killed = 0;
  for (int s = 0; s < 15; ++s) { // whenever it is started again
    killed += w.at(4).kill_a_host() ? 1 : 0;
    w.run_for(1s);
  }
  EXPECT_GT(killed, 0);
  EXPECT_TRUE(w.run_until([&] { return settled(5); }, 120s));
}

TEST_F(instances, calls_go_on_while_machines_die) {
  ASSERT_EQ(deploy(3).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(3); }, 10s));
  std::size_t asked = 0;
  std::size_t answered = 0;
  std::vector<std::string> failed;
  const auto caller = *[&] {
    for (std::size_t n = 0; n < 5; ++n) // one without an instance
      if (seen_by(0).count(n) == 0)
        return std::optional{n};
    return std::optional<std::size_t>{};
  }();
  const auto until = w.now() + 20s;
  std::function<void()> next = [&] {
    if (w.now() >= until)
      return;
    ++asked;
    ask(caller, [&](const reply& a) {
      ++answered;
      if (a.status != reply_status::ok)
        failed.push_back(std::string{to_string(a.status)} + ": " + a.message);
    });
    w.after(10ms, next);
  };
  next();
  for (int round = 0; round < 4; ++round) { // one at a time
    std::size_t victim = caller;
    for (const auto n : seen_by(caller))
      victim = n == caller ? victim : n;
    ASSERT_NE(victim, caller);
    w.at(victim).kill(machine::end::process);
    w.run_for(2s);
    w.at(victim).boot();
    w.run_for(3s);
  }
  ASSERT_TRUE(w.run_until([&] { return answered == asked; }, 10s));
  EXPECT_GT(asked, 1900U);
  EXPECT_TRUE(failed.empty()) << failed.size() << ", " << failed.front();
}

// [9] A peer of an earlier build neither hosts nor routes: it is left out.
TEST_F(instances, an_older_peer_is_no_candidate) {
  w.at(4).kill(machine::end::process);
  w.at(4).set_features(features_known & ~feature::stateless);
  w.run_for(200ms);
  w.at(4).boot();
  ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
  const auto planned = deploy(5);
  ASSERT_EQ(planned.status, reply_status::ok);
  ASSERT_EQ(planned.warnings.size(), 2U);
  EXPECT_EQ(planned.warnings[0], "degraded: 4 of 5 instances");
  EXPECT_NE(planned.warnings[1].find("not know of stateless apps"),
            std::string::npos);
  ASSERT_TRUE(w.run_until([&] { return settled(4); }, 10s));
  EXPECT_EQ(seen_by(0).count(4), 0U);
  w.run_for(5s);
  EXPECT_TRUE(settled(4));
}

TEST_F(instances, a_host_that_dies_of_a_call_dies_once) {
  ASSERT_EQ(deploy(3).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(3); }, 10s));
  for (const auto& m : w.machines)
    m->deadly("greet");
  EXPECT_EQ(call(0).status, reply_status::app_failed);
  std::uint64_t dead = 0;
  for (std::size_t n = 0; n < 5; ++n)
    dead += context(n).counters.hosts_failed;
  EXPECT_EQ(dead, 1U);
  for (const auto& m : w.machines)
    m->deadly("");
  EXPECT_EQ(call(0).status, reply_status::ok);
}

// [12] Secrets are sealed, never told in clear: they come to who should run the
// app, and to nobody else.
TEST_F(instances, secrets_come_to_who_joins_later) {
  ASSERT_EQ(deploy(4).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(4); }, 10s));
  std::size_t away = 0; // one that has a place
  for (const auto n : seen_by(0))
    away = n;
  w.at(away).kill(machine::end::process);
  ASSERT_TRUE(w.run_until(
      [&] { return settled(4) && seen_by(0).count(away) == 0; }, 30s));
  std::set<std::size_t> here;
  for (std::size_t n = 0; n < 5; ++n)
    if (n != away)
      here.insert(n);
  ASSERT_NO_FATAL_FAILURE(deploy_sealed(4, here));
  ASSERT_TRUE(w.run_until([&] { return settled(4) && all_run(2); }, 10s));
  w.at(away).boot();
  ASSERT_TRUE(w.run_until(
      [&] { return settled(4) && seen_by(0).count(away) == 1 && all_run(2); },
      60s));
  EXPECT_EQ(call(away).status, reply_status::ok);
  // Who is no place for it has no answer.
  std::size_t outside = 0;
  while (seen_by(0).count(outside) != 0)
    ++outside;
  const auto asked = (outside + 1) % 5;
  const auto before = context(asked).counters.frames_unproven;
  context(outside).send(w.at(asked).id(), net::channel::group,
                        encoded_control(secret_wanted{app, 2}));
  w.run_for(200ms);
  EXPECT_EQ(context(asked).counters.frames_unproven, before + 1);
}

// [6] What actors send to a stateless app runs at least once, whatever dies,
// and each answer takes effect exactly once, in order.
TEST_F(instances, take_what_actors_send) {
  ASSERT_EQ(deploy(2).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(2); }, 10s));
  const auto home = seen_by(0);
  const auto instance_app = app;
  app_spec spec;
  spec.name = spec.module = "greeter";
  spec.shards = 1;
  spec.isolation = app_isolation::none;
  spec.replace_after = 1h;
  ASSERT_EQ(deploy(spec).status, reply_status::ok);
  const auto guests = app;
  app = instance_app;
  std::size_t by = 0; // is never killed
  const auto leader = [&] {
    const auto* v = context(by).known.view({guests, 0});
    for (std::size_t n = 0; v != nullptr && n < 5; ++n)
      if (w.at(n).id() == v->leader.node)
        return n;
    return std::size_t{5};
  };
  ASSERT_TRUE(w.run_until([&] { return leader() != 5; }, 10s));
  const auto request = [&](const std::string& command, request_kind kind) {
    call_request r;
    r.app = "greeter";
    r.kind = kind;
    r.key = "book";
    r.command = command;
    return r;
  };
  const auto done = [&](call_request r) {
    std::optional<reply> got;
    w.at(by).peer().call(std::move(r),
                         [&](const reply& a, std::uint32_t) { got = a; });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, 6s));
    return got.value_or(reply{});
  };
  constexpr int invited = 60;
  for (int i = 0; i < invited; ++i) {
    auto r = request("invite", request_kind::command);
    writer{r.argument}.map(1).text("name").text(
        i % 10 == 9 ? "" : "guest " + std::to_string(i));
    ASSERT_EQ(done(std::move(r)).status, reply_status::ok) << i;
    if (i % 20 == 10) { // the leader and an instance, with calls under way
      auto victims = seen_by(by);
      victims.insert(leader());
      victims.erase(by);
      for (const auto v : victims)
        if (v < 5 && w.at(v).up())
          w.at(v).kill(machine::end::process);
      w.run_for(1s);
      for (const auto v : victims)
        if (v < 5)
          w.at(v).boot();
    }
  }
  std::vector<std::string> lines;
  ASSERT_TRUE(w.run_until(
      [&] {
        const auto r = done(request("lines", request_kind::query));
        reader in{r.result};
        lines.assign(in.array(1000), {});
        for (auto& l : lines)
          l = in.text(100);
        return lines.size() >= invited;
      },
      60s));
  w.run_for(10s);
  std::vector<std::string> expected;
  for (int i = 0; i < invited; ++i)
    expected.push_back(i % 10 == 9 ? "nobody"
                                   : "hello, guest " + std::to_string(i));
  EXPECT_EQ(lines, expected);
  const auto r = done(request("lines", request_kind::query));
  reader in{r.result};
  EXPECT_EQ(in.array(1000), invited) << "an answer took effect twice";
}

TEST_F(instances, say_what_becomes_of_them) {
  ASSERT_EQ(deploy(1).status, reply_status::ok);
  ASSERT_TRUE(w.run_until([&] { return settled(1); }, 10s));
  const auto home = *seen_by(0).begin();
  const auto by = (home + 1) % 5;
  const auto heard = [&](const std::string& kind, std::size_t about) {
    std::size_t n = 0;
    context(by).events.each_after(0, [&](const mesh_event& e) {
      n += e.kind == kind && e.app == "hello" && e.about == w.at(about).id();
      return true;
    });
    return n;
  };
  EXPECT_TRUE(
      w.run_until([&] { return heard("instance_started", home) == 1; }, 10s));
  EXPECT_EQ(call(by).status, reply_status::ok);
  ASSERT_TRUE(w.at(home).kill_a_host());
  EXPECT_TRUE(
      w.run_until([&] { return heard("instance_stopped", home) == 1; }, 10s));
  EXPECT_TRUE(
      w.run_until([&] { return heard("instance_started", home) == 2; }, 10s));
  EXPECT_EQ(call(by).status, reply_status::ok);
  const auto shown = [&](std::size_t n, const std::string& line) {
    return actors::instance_metrics(context(n)).find("\n" + line + "\n")
           != std::string::npos;
  };
  EXPECT_TRUE(shown(home, "banyan_instances{app=\"hello\"} 1"));
  EXPECT_TRUE(shown(home, "banyan_instance_turns_total{app=\"hello\"} 2"));
  EXPECT_TRUE(shown(home, "banyan_instance_restarts_total{app=\"hello\"} 1"));
  EXPECT_TRUE(shown(by, "banyan_instances{app=\"hello\"} 0"));
  // Another takes its place, and gives it back.
  w.at(home).kill(machine::end::process);
  std::size_t other = home;
  ASSERT_TRUE(w.run_until(
      [&] {
        const auto seen = seen_by(by);
        other = seen.size() == 1 ? *seen.begin() : home;
        return other != home;
      },
      30s));
  w.at(home).boot();
  EXPECT_TRUE(
      w.run_until([&] { return heard("instance_gave_way", other) == 1; }, 60s));
}

} // namespace
} // namespace banyan::sim
