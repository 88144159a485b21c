// Whole nodes in a mesh that is too large for everybody to be linked with
// everybody: who has nothing of a group finds its leader, documents reach all,
// links stay few.
#include "actors/node/gateway.hpp"
#include "actors/node/reach.hpp"
#include "actors/node/uptime.hpp"
#include "actors/testing/sim/harm.hpp"
#include "base/codec.hpp"
#include "crypto/mesh_key.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace banyan::sim {
namespace {

class far_world {
public:
  far_world(std::uint64_t seed, std::size_t machines)
      : w{world_options{seed, machines, {}, {}, {}}}, dice{seed} {
    add_apps(w.catalog);
  }

  actors::node_context& context(std::size_t n) {
    return w.at(n).peer().context();
  }
  void boot(std::size_t first, std::size_t last) {
    for (auto n = first; n < last; ++n)
      w.at(n).boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 20s));
  }
  bool all_met() {
    for (const auto& m : w.machines)
      for (const auto& other : w.machines)
        if (m->up() && other->up()
            && m->peer().context().members->state_of(other->id())
                   != net::member_state::alive)
          return false;
    return true;
  }
  std::size_t links_of(std::size_t n) {
    return context(n).links->links().size();
  }
  /// Has no replica of any group.
  bool bare(std::size_t n) {
    return w.at(n).up() && context(n).replicas.empty();
  }

  void deploy(std::size_t by, const std::string& name, bool stateless = false,
              std::uint32_t replicas = 3) {
    actors::deploy_in d;
    d.spec.name = name;
    d.spec.module = stateless          ? "hello"
                    : name == "ledger" ? "ledger"
                                       : "counter";
    d.spec.shards = stateless ? 1 : 3;
    d.spec.replicas = replicas;
    d.spec.kind = stateless ? app_kind::stateless : app_kind::durable;
    d.spec.replace_after = 2s;
    d.spec.isolation = app_isolation::none;
    d.spec.turn_time_max = turn_time_most;
    bool done = false;
    d.done = [&](const actors::deploy_answer& a) {
      done = true;
      ASSERT_EQ(a.status, reply_status::ok) << a.message;
      for (std::uint32_t s = 0; !stateless && s < a.voters.size(); ++s)
        w.logs.born({a.app, s}, a.voters[s]);
    };
    caf::anon_send(context(by).supervisor, std::move(d));
    ASSERT_TRUE(w.run_until([&] { return done; }, 10s));
    ASSERT_TRUE(w.run_until([&] { return known_to_all(name, true); }, 10s));
  }
  bool known_to_all(const std::string& name, bool there) {
    for (const auto& m : w.machines)
      if (m->up()
          && (m->peer().context().known.find_app(name) != nullptr) != there)
        return false;
    return true;
  }
  /// One command, whose answer counts.
  reply call(std::size_t by, call_request r, duration limit = 20s) {
    std::optional<reply> got;
    w.at(by).peer().call(std::move(r),
                         [&](const reply& a, std::uint32_t) { got = a; });
    EXPECT_TRUE(w.run_until([&] { return got.has_value(); }, limit));
    return got.value_or(reply{});
  }
  void add(std::size_t by, const std::string& app, int key) {
    call_request r;
    r.app = app;
    r.key = "c" + std::to_string(key);
    r.command = "add";
    writer{r.argument}.map(1).text("n").sint(1);
    const auto a = call(by, std::move(r));
    EXPECT_EQ(a.status, reply_status::ok)
        << "machine " << by << ": " << a.message;
    added[{app, key}] += 1;
  }
  /// Of the app `ledger`.
  std::int64_t money(std::size_t by, const std::string& key) {
    call_request r;
    r.app = "ledger";
    r.key = key;
    r.command = "balance";
    r.kind = request_kind::query;
    const auto a = call(by, std::move(r));
    EXPECT_EQ(a.status, reply_status::ok) << a.message;
    reader in{a.result};
    return in.sint();
  }
  void pay(std::size_t by, const std::string& key, const std::string& to) {
    call_request r;
    r.app = "ledger";
    r.key = key;
    r.command = to.empty() ? "deposit" : "transfer";
    writer out{r.argument};
    out.map(to.empty() ? 1 : 2).text("cents").sint(to.empty() ? 100 : 1);
    if (!to.empty())
      out.text("to").text(to);
    const auto a = call(by, std::move(r));
    EXPECT_EQ(a.status, reply_status::ok) << a.message;
  }
  std::int64_t count(std::size_t by, const std::string& app, int key) {
    call_request r;
    r.app = app;
    r.key = "c" + std::to_string(key);
    r.command = "get";
    r.kind = request_kind::query;
    const auto a = call(by, std::move(r));
    EXPECT_EQ(a.status, reply_status::ok)
        << "machine " << by << ": " << a.message;
    reader in{a.result};
    return in.sint();
  }
  std::size_t leader_of(const std::string& app, int key) {
    for (std::size_t n = 0; n < w.machines.size(); ++n) {
      if (!w.at(n).up())
        continue;
      const auto& c = context(n);
      const auto* a = c.known.find_app(app);
      if (a == nullptr)
        continue;
      const group_id g{a->id, shard_of("c" + std::to_string(key), a->shards)};
      const auto l = c.known.leader(g);
      if (c.replicas.count(g) != 0 && l == w.at(n).id())
        return n;
    }
    return w.machines.size();
  }
  void judge() {
    std::size_t by = 0;
    while (!w.at(by).up())
      ++by;
    for (const auto& [what, n] : added)
      EXPECT_EQ(count(by, what.first, what.second), n) << what.first;
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }

  world w;
  seeded_random dice;
  std::map<std::pair<std::string, int>, std::int64_t> added;
};

TEST(far_mesh, whoever_has_nothing_of_a_group_calls_it) {
  far_world d{501, 24};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 24));
  ASSERT_FALSE(d.context(0).full_mesh());
  ASSERT_NO_FATAL_FAILURE(d.deploy(5, "counter"));
  d.w.run_for(70s); // links that nothing needs are closed
  std::size_t bare = 0;
  std::size_t all_links = 0;
  for (std::size_t n = 0; n < 24; ++n) {
    bare += d.bare(n) ? 1 : 0;
    all_links += d.links_of(n);
  }
  EXPECT_GE(bare, 8U);
  EXPECT_LT(all_links, 24U * 18); // of 23 each
  for (std::size_t n = 0; n < 24; ++n)
    d.add(n, "counter", static_cast<int>(n % 5));
  const auto leader = d.leader_of("counter", 1);
  ASSERT_LT(leader, 24U);
  d.w.at(leader).kill(machine::end::process);
  for (std::size_t n = 0; n < 24; ++n)
    if (d.w.at(n).up())
      d.add(n, "counter", 1);
  d.w.run_for(20s); // the lost voter is replaced
  for (std::size_t n = 0; n < 24; ++n)
    if (d.w.at(n).up())
      d.add(n, "counter", 1);
  d.judge();
}

TEST(far_mesh, documents_and_what_becomes_of_them_reach_everybody) {
  far_world d{502, 30};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 30));
  ASSERT_NO_FATAL_FAILURE(d.deploy(3, "counter"));
  d.add(29, "counter", 1);
  d.w.run_for(40s);
  // Who was away for all of it.
  d.w.at(7).kill(machine::end::process);
  d.w.run_for(5s);
  ASSERT_NO_FATAL_FAILURE(d.deploy(11, "door", true));
  actors::remove_in gone;
  gone.app = "counter";
  bool done = false;
  gone.done = [&](const actors::deploy_answer& a) {
    EXPECT_EQ(a.status, reply_status::ok) << a.message;
    done = true;
  };
  caf::anon_send(d.context(19).supervisor, std::move(gone));
  ASSERT_TRUE(d.w.run_until(
      [&] { return done && d.known_to_all("counter", false); }, 10s));
  d.w.at(7).boot();
  EXPECT_TRUE(d.w.run_until(
      [&] {
        return d.known_to_all("counter", false) && d.known_to_all("door", true);
      },
      15s));
  d.w.run_for(60s);
  for (std::size_t n = 0; n < 30; n += 3) { // a stateless app, from anywhere
    call_request r;
    r.app = "door";
    r.command = "greet";
    r.kind = request_kind::query;
    writer{r.argument}.map(1).text("name").text("you");
    const auto a = d.call(n, std::move(r));
    EXPECT_EQ(a.status, reply_status::ok) << "machine " << n << a.message;
  }
  // The owner's policy is a document as any other: who missed it as it was told
  // hears of it as sums are compared.
  const auto version = [&](std::size_t n) {
    return d.context(n).uptime->policies().version();
  };
  auto* deaf = std::exchange(d.context(13).uptime, nullptr);
  d.context(2).uptime->take_policy(
      sign_policy(local_mesh_owner(), d.w.mesh().id, 1, mesh_policy{}).document,
      [](reply_status, const std::string&) {});
  ASSERT_TRUE(d.w.run_until(
      [&] {
        for (std::size_t n = 0; n < 30; ++n)
          if (n != 13 && version(n) != 1)
            return false;
        return true;
      },
      10s));
  d.w.run_for(500ms); // it was told by all its neighbours
  d.context(13).uptime = deaf;
  ASSERT_EQ(version(13), 0U);
  // Its own turn to compare comes every five seconds.
  EXPECT_TRUE(d.w.run_until([&] { return version(13) == 1; }, 6s));
  EXPECT_TRUE(d.w.problems.empty());
}

TEST(far_mesh, a_call_that_takes_minutes_keeps_its_link) {
  far_world d{505, 24};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 24));
  ASSERT_NO_FATAL_FAILURE(d.deploy(11, "door", true, 1));
  d.w.run_for(70s);
  const auto app = d.context(0).known.find_app("door")->id;
  std::size_t at = 0;
  while (d.context(at).instances.count(app) == 0)
    ASSERT_LT(++at, 24U);
  std::size_t by = 0; // has no link to it
  while (by == at || d.context(by).is_linked(d.w.at(at).id()))
    ASSERT_LT(++by, 24U);
  const auto ask = [&](duration deadline) {
    call_request r;
    r.app = "door";
    r.command = "greet";
    r.kind = request_kind::query;
    r.deadline = deadline;
    writer{r.argument}.map(1).text("name").text("you");
    return d.call(by, std::move(r), 3min);
  };
  ASSERT_EQ(ask(10s).status, reply_status::ok);
  const auto& routes = *d.context(by).routes;
  const auto repeated = routes.retries();
  d.w.at(at).host_delays(150s, 150s + 1ms);
  const auto before = d.w.now();
  const auto slow = ask(4min);
  EXPECT_EQ(slow.status, reply_status::ok) << slow.message;
  EXPECT_GE(d.w.now() - before, 150s);
  EXPECT_EQ(routes.retries(), repeated); // it ran once
  EXPECT_TRUE(d.context(by).is_linked(d.w.at(at).id()));
  d.w.run_for(70s); // and not for longer
  EXPECT_FALSE(d.context(by).is_linked(d.w.at(at).id()));
  EXPECT_TRUE(d.w.problems.empty());
}

TEST(far_mesh, nobody_places_anything_on_a_drained_node) {
  far_world d{506, 24};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 24));
  ASSERT_NO_FATAL_FAILURE(d.deploy(5, "counter"));
  d.w.run_for(70s); // links that nothing needs are closed
  const std::size_t drained = 9;
  const auto who = d.w.at(drained).id();
  const auto weight = [&](std::size_t n) {
    return d.context(n).members->find(who)->record.capacity.weight;
  };
  const auto usual = weight(0);
  ASSERT_NE(usual, 0U);
  const auto order = [&](operator_wish what) {
    actors::operate_in in;
    in.what = what;
    in.from = who;
    std::optional<reply_status> got;
    in.done = [&](const actors::operate_answer& a) { got = a.status; };
    caf::anon_send(d.context(0).supervisor, std::move(in));
    EXPECT_TRUE(d.w.run_until([&] { return got.has_value(); }, 10s));
    EXPECT_EQ(got, reply_status::ok);
  };
  const auto all_say = [&](std::uint32_t is) {
    for (std::size_t n = 0; n < 24; ++n)
      if (weight(n) != is)
        return false;
    return true;
  };
  order(operator_wish::drain);
  ASSERT_TRUE(
      d.w.run_until([&] { return all_say(0) && d.bare(drained); }, 40s));
  std::size_t far = 0; // hears no notice
  while (far == drained || d.context(far).is_linked(who))
    ASSERT_LT(++far, 24U);
  EXPECT_FALSE(d.context(far).is_drained(who));
  for (const auto* name : {"one", "two", "three", "four"}) {
    ASSERT_NO_FATAL_FAILURE(d.deploy(far, name, false, 5));
    d.w.run_for(3s);
    EXPECT_TRUE(d.bare(drained)) << name;
  }
  // Asked how far that is, it makes the link.
  actors::look_for_drains(d.context(far));
  EXPECT_TRUE(d.w.run_until(
      [&] {
        const auto& c = d.context(far);
        return c.is_drained(who) && c.draining.at(who).done;
      },
      5s));
  order(operator_wish::keep);
  EXPECT_TRUE(d.w.run_until(
      [&] {
        for (std::size_t n = 0; n < 24; ++n)
          if (d.context(n).is_drained(who))
            return false;
        return all_say(usual);
      },
      10s));
  d.judge();
}

TEST(far_mesh, whoever_asked_nobody_knows_all_leaders_once_it_is_a_full_one) {
  far_world d{504, 18};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 18));
  ASSERT_FALSE(d.context(0).full_mesh());
  ASSERT_NO_FATAL_FAILURE(d.deploy(5, "counter"));
  d.w.run_for(70s);
  const auto strangers = [&] { // to some group of the app
    std::size_t n = 0;
    for (std::size_t m = 0; m < 18; ++m) {
      if (!d.w.at(m).up())
        continue;
      const auto& known = d.context(m).known;
      const auto* app = known.find_app("counter");
      for (std::uint32_t s = 0; app != nullptr && s < app->shards; ++s)
        if (!known.leader({app->id, s})) {
          ++n;
          break;
        }
    }
    return n;
  };
  ASSERT_GT(strangers(), 0U);
  std::size_t last = 17;
  while (!d.bare(last))
    --last;
  d.w.at(last).kill(machine::end::process);
  EXPECT_TRUE(d.w.run_until(
      [&] { return d.context(0).full_mesh() && strangers() == 0; }, 30s));
  d.judge();
}

/// A leader that sends to a group of which it is told nothing: it has no
/// replica of it, and is no keeper.
struct far_stream {
  group_id to;
  std::size_t sender = 0;   ///< leads the group of `from_key`
  std::size_t receiver = 0; ///< leads `to`
  std::size_t next = 0;     ///< another voter of `to`, which leads nothing
  replica_ref its;          ///< on `next`
  std::string from_key;
  std::string to_key;
};

std::optional<far_stream> find_stream(far_world& d, std::uint32_t shards) {
  const auto app = d.context(0).known.find_app("ledger")->id;
  std::map<std::uint32_t, std::string> keys;
  for (int k = 0; keys.size() < shards; ++k) {
    const auto key = "k" + std::to_string(k);
    keys.emplace(shard_of(key, shards), key);
  }
  std::set<std::size_t> leading;
  for (std::uint32_t s = 0; s < shards; ++s)
    if (const auto n = d.w.leaders.serving({app, s}))
      leading.insert(*n);
  for (std::uint32_t a = 0; a < shards; ++a)
    for (std::uint32_t b = 0; b < shards; ++b) {
      const auto sender = d.w.leaders.serving({app, a});
      const auto receiver = d.w.leaders.serving({app, b});
      if (!sender || !receiver || d.context(*sender).replicas.count({app, b}))
        continue;
      const auto keepers = d.context(*sender).far->keepers_of({app, b});
      if (std::count(keepers.begin(), keepers.end(), d.w.at(*sender).id()) != 0)
        continue;
      for (const auto& v : d.w.logs.configuration({app, b})->voters)
        for (std::size_t n = 0; n < d.w.machines.size(); ++n)
          if (d.w.at(n).id() == v.node && leading.count(n) == 0)
            return far_stream{{app, b}, *sender, *receiver, n,
                              v,        keys[a], keys[b]};
    }
  return std::nullopt;
}

// In a large mesh nobody tells the sender who leads next, and who led before
// lives on: it asks the keepers.
TEST(far_mesh, a_stream_finds_the_next_leader_of_where_it_goes) {
  constexpr std::uint32_t shards = 3;
  far_world d{505, 24};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 24));
  ASSERT_NO_FATAL_FAILURE(d.deploy(5, "ledger"));
  d.w.run_for(5s);
  const auto found = find_stream(d, shards);
  ASSERT_TRUE(found);
  const auto& f = *found;
  d.pay(f.sender, f.from_key, {});
  d.pay(f.sender, f.from_key, f.to_key);
  ASSERT_TRUE(
      d.w.run_until([&] { return d.money(f.receiver, f.to_key) == 1; }, 10s));
  const auto& sender = d.context(f.sender);
  ASSERT_EQ(sender.known.leader(f.to), d.w.at(f.receiver).id());

  actors::group_order over;
  over.who = f.its;
  d.context(f.receiver).tell_replica(f.to, std::move(over));
  ASSERT_TRUE(
      d.w.run_until([&] { return d.w.leaders.serving(f.to) == f.next; }, 10s));
  d.w.run_for(1s);
  ASSERT_EQ(sender.known.leader(f.to), d.w.at(f.receiver).id())
      << "somebody told it";
  for (int n = 0; n < 3; ++n)
    d.pay(f.sender, f.from_key, f.to_key);
  EXPECT_TRUE(
      d.w.run_until([&] { return d.money(f.next, f.to_key) == 4; }, 20s))
      << "what it has sent never arrives";
  EXPECT_EQ(sender.known.leader(f.to), d.w.at(f.next).id());
  EXPECT_EQ(d.money(f.sender, f.from_key), 96);
  EXPECT_EQ(d.w.leaders.serving(f.to), f.next);
  EXPECT_TRUE(d.w.at(f.receiver).up());
  d.judge();
}

TEST(far_mesh, serves_while_it_grows_beyond_a_full_one_and_shrinks_again) {
  far_world d{503, 24};
  ASSERT_NO_FATAL_FAILURE(d.boot(0, 15));
  ASSERT_TRUE(d.context(0).full_mesh());
  ASSERT_NO_FATAL_FAILURE(d.deploy(2, "counter"));
  for (int k = 0; k < 5; ++k)
    d.add(static_cast<std::size_t>(k), "counter", k);
  ASSERT_NO_FATAL_FAILURE(d.boot(15, 24));
  EXPECT_TRUE(
      d.w.run_until([&] { return d.known_to_all("counter", true); }, 10s));
  for (std::size_t n = 0; n < 24; ++n)
    d.add(n, "counter", static_cast<int>(n % 5));
  d.w.run_for(70s);
  for (std::size_t n = 0; n < 24; ++n)
    d.add(n, "counter", static_cast<int>(n % 5));
  for (std::size_t n = 23; n >= 14; --n) { // one by one: none is the last copy
    d.w.at(n).kill(machine::end::process);
    d.w.run_for(8s);
    d.add(n % 14, "counter", static_cast<int>(n % 5));
  }
  EXPECT_TRUE(d.context(0).full_mesh());
  for (std::size_t n = 0; n < 14; ++n) {
    EXPECT_EQ(d.links_of(n), 13U);
    d.add(n, "counter", static_cast<int>(n % 5));
  }
  d.judge();
}

} // namespace
} // namespace banyan::sim
