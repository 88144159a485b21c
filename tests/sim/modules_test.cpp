// Where apps' code is, on virtual machines: brought to one peer, fetched by the
// others through faults, found rotten, dropped (DESIGN section 8).
#include "actors/docs/sign_app.hpp"
#include "actors/node/modules.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "base/target.hpp"
#include "crypto/hash.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

constexpr const char* other_target = "aarch64-linux";

/// What passes for a library of that target, of so many bytes.
bytes library(const std::string& target, std::size_t size,
              std::uint64_t seed = 1) {
  bytes b{0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
  b.resize(16);
  const auto machine = target == other_target ? 183 : 62;
  b.insert(b.end(), {3, 0, static_cast<std::uint8_t>(machine), 0});
  bytes rest(size - b.size());
  seeded_random random{seed};
  random.fill(rest.data(), rest.size());
  append(b, rest);
  return b;
}

struct code : ::testing::Test {
  void begin(std::size_t machines, std::size_t booted,
             std::vector<std::string> targets = {}, std::uint64_t seed = 5) {
    world_options o;
    o.seed = seed;
    o.machines = machines;
    o.owned = true;
    o.targets = std::move(targets);
    w = std::make_unique<world>(std::move(o));
    add_apps(w->catalog);
    for (std::size_t n = 0; n < booted; ++n)
      w->at(n).boot();
    ASSERT_TRUE(w->run_until([&] { return all_met(); }, 10s));
  }
  void TearDown() override {
    if (w)
      for (const auto& p : w->problems)
        ADD_FAILURE() << p;
  }
  actors::node_context& context(std::size_t n) {
    return w->at(n).peer().context();
  }
  actors::module_shell& modules(std::size_t n) { return *context(n).modules; }
  bool all_met() {
    for (const auto& m : w->machines)
      for (const auto& other : w->machines)
        if (m->up() && other->up() && other->id() != m->id()
            && !m->peer().context().members->hears(other->id()))
          return false;
    return true;
  }
  actors::module_shell::answer upload_piece(std::size_t n, const digest& name,
                                            std::uint64_t offset,
                                            std::uint64_t size,
                                            const_bytes piece) {
    std::optional<actors::module_shell::answer> got;
    modules(n).upload(name, offset, size, piece.copy(),
                      [&](const auto& a) { got = a; });
    EXPECT_TRUE(w->run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(actors::module_shell::answer{});
  }
  void upload(std::size_t n, const bytes& b) {
    constexpr std::size_t piece = 300'000;
    for (std::size_t at = 0; at < b.size(); at += piece) {
      const auto a = upload_piece(
          n, hash(b), at, b.size(),
          const_bytes{b}.from(at).first(std::min(piece, b.size() - at)));
      ASSERT_EQ(a.status, reply_status::ok) << a.message;
      ASSERT_EQ(a.complete, at + piece >= b.size());
    }
  }
  app_spec spec_with(const std::vector<bytes>& libraries) {
    app_spec s;
    s.name = s.module = "counter";
    s.shards = 2;
    s.isolation = app_isolation::none;
    s.replace_after = 2s;
    for (const auto& b : libraries)
      s.modules.push_back({target_of_library(b), hash(b), b.size()});
    return s;
  }
  actors::deploy_answer plan(std::size_t n, const app_spec& s, bool prepare) {
    std::optional<actors::deploy_answer> got;
    actors::plan_in p;
    p.spec = s;
    p.prepare = prepare;
    p.done = [&](const actors::deploy_answer& a) { got = a; };
    caf::anon_send(context(n).supervisor, std::move(p));
    EXPECT_TRUE(w->run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(actors::deploy_answer{});
  }
  actors::deploy_answer bring(std::size_t n, const app_papers& papers) {
    std::optional<actors::deploy_answer> got;
    actors::papers_in p;
    p.papers = papers;
    p.done = [&](const actors::deploy_answer& a) { got = a; };
    caf::anon_send(context(n).supervisor, std::move(p));
    EXPECT_TRUE(w->run_until([&] { return got.has_value(); }, 10s));
    return got.value_or(actors::deploy_answer{});
  }
  void deploy(std::size_t n, const app_spec& s) {
    const auto where = plan(n, s, true);
    ASSERT_EQ(where.status, reply_status::ok) << where.message;
    const auto papers = sign_birth(w->owner, w->mesh().id, s,
                                   {where.nonce, where.voters}, w->random);
    ASSERT_TRUE(papers.ok());
    const auto done = bring(n, *papers);
    ASSERT_EQ(done.status, reply_status::ok) << done.message;
  }
  void remove_app(std::size_t n) {
    app_papers p;
    ASSERT_TRUE(app_papers::decode(context(n).papers.at("counter"), p));
    const auto record =
        open_papers(p, w->mesh().id, {w->owner.owner()}).value();
    const auto done = bring(n, sign_removal(w->owner, w->mesh().id, record));
    ASSERT_EQ(done.status, reply_status::ok) << done.message;
  }
  bool everywhere(const bytes& b) {
    for (std::size_t n = 0; n < w->machines.size(); ++n)
      if (w->at(n).up() && !modules(n).here(hash(b)))
        return false;
    return true;
  }
  std::set<std::size_t> voters() {
    std::set<std::size_t> out;
    for (std::size_t n = 0; n < w->machines.size(); ++n)
      if (w->at(n).up() && !context(n).replicas.empty())
        out.insert(n);
    return out;
  }
  /// A command, asked of that machine until it is done.
  void add(std::size_t n) {
    bool done = false;
    for (int i = 0; i < 20 && !done; ++i) {
      call_request r;
      r.app = "counter";
      r.key = "a";
      r.command = "add";
      r.identity = idempotency_request{"call-" + std::to_string(calls_)};
      writer{r.argument}.map(1).text("n").sint(1);
      bool answered = false;
      w->at(n).peer().call(std::move(r), [&](const reply& a, std::uint32_t) {
        answered = true;
        done = a.status == reply_status::ok;
      });
      ASSERT_TRUE(w->run_until([&] { return answered; }, 20s));
    }
    ++calls_;
    EXPECT_TRUE(done);
  }

  std::unique_ptr<world> w;

private:
  int calls_ = 0;
};

TEST_F(code, a_peer_that_never_saw_it_takes_over_the_app) {
  begin(4, 3);
  const auto b = library(target_here(), 1'500'000);
  upload(0, b);
  deploy(0, spec_with({b}));
  ASSERT_TRUE(w->run_until([&] { return everywhere(b); }, 10s));
  add(1);
  w->at(3).boot();
  w->at(0).kill(machine::end::power); // the one that it was brought to
  ASSERT_TRUE(w->run_until(
      [&] {
        return voters() == std::set<std::size_t>{1, 2, 3};
      },
      30s));
  EXPECT_TRUE(modules(3).here(hash(b)));
  w->run_for(5s);
  w->at(1).kill(machine::end::power);
  add(3);
  EXPECT_EQ(context(3).handlers.count("counter"), 1U);
}

TEST_F(code, a_fetch_goes_on_through_a_bad_network_and_deaths) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    begin(4, 4, {}, seed);
    const auto b = library(target_here(), 2'000'000, seed);
    upload(0, b);
    auto bad = w->how.within;
    bad.delay_low = 1ms;
    bad.delay_high = 20ms;
    for (const auto& x : w->machines)
      for (const auto& y : w->machines)
        if (x != y)
          w->net.set_path(x->host(), y->host(), bad);
    deploy(0, spec_with({b}));
    seeded_random random{seed};
    for (int round = 0; round < 6; ++round) {
      w->run_for(std::chrono::milliseconds{random.below(60)});
      const auto victim = 1 + random.below(3);
      w->at(victim).kill(random.below(2) == 0 ? machine::end::power
                                              : machine::end::process);
      w->run_for(std::chrono::milliseconds{random.below(30)});
      w->at(victim).boot();
    }
    EXPECT_TRUE(w->run_until([&] { return everywhere(b); }, 60s)) << seed;
    add(2);
    TearDown();
  }
}

TEST_F(code, that_rotted_is_found_at_the_start_and_fetched_again) {
  begin(3, 3);
  const auto b = library(target_here(), 200'000);
  upload(0, b);
  deploy(0, spec_with({b}));
  ASSERT_TRUE(w->run_until([&] { return everywhere(b); }, 10s));
  w->at(1).kill(machine::end::process);
  ASSERT_TRUE(w->at(1).disk().rot_module());
  w->at(1).boot();
  ASSERT_TRUE(w->run_until([&] { return everywhere(b); }, 20s));
  EXPECT_EQ(modules(1).counted().damaged, 1U);
  EXPECT_EQ(modules(1).counted().fetched, 1U);
  add(1);
}

TEST_F(code, that_no_app_names_any_more_is_dropped) {
  begin(3, 3);
  const auto b = library(target_here(), 100'000);
  upload(0, b);
  deploy(0, spec_with({b}));
  ASSERT_TRUE(w->run_until([&] { return everywhere(b); }, 10s));
  remove_app(1);
  w->run_for(4min);
  EXPECT_TRUE(everywhere(b)); // a deploy may name it again
  w->run_for(2min);
  for (std::size_t n = 0; n < 3; ++n)
    EXPECT_TRUE(modules(n).on_disk().empty()) << n;
}

TEST_F(code, that_was_brought_for_no_app_is_dropped_and_not_handed_out) {
  begin(2, 2);
  const auto b = library(target_here(), 100'000);
  upload(0, b);
  w->run_for(9min);
  EXPECT_EQ(modules(0).on_disk().size(), 1U);
  w->run_for(8min);
  EXPECT_TRUE(modules(0).on_disk().empty());
  EXPECT_TRUE(modules(1).on_disk().empty());
}

TEST_F(code, of_a_full_disk_is_a_typed_error_and_leaves_nothing) {
  begin(1, 1);
  const auto b = library(target_here(), 100'000);
  w->at(0).disk().set_full(true);
  const auto a = upload_piece(0, hash(b), 0, b.size(), b);
  EXPECT_EQ(a.status, reply_status::disk_full);
  w->at(0).disk().set_full(false);
  EXPECT_TRUE(modules(0).on_disk().empty());
  upload(0, b);
}

TEST_F(code, a_full_disk_that_gets_room_again_fetches_on) {
  begin(3, 3);
  const auto b = library(target_here(), 100'000);
  upload(0, b);
  const auto s = spec_with({b});
  const auto where = plan(0, s, true);
  const auto papers = sign_birth(w->owner, w->mesh().id, s,
                                 {where.nonce, where.voters}, w->random);
  w->run_for(1s);
  bring(0, *papers);
  w->at(1).disk().set_full(true);
  w->run_for(5s);
  w->at(1).disk().set_full(false);
  EXPECT_TRUE(w->run_until([&] { return everywhere(b); }, 30s));
}

// ---- targets ---------------------------------------------------------------

TEST_F(code, each_node_gets_the_one_for_its_target) {
  begin(4, 4, {target_here(), target_here(), other_target, other_target});
  const auto mine = library(target_here(), 50'000, 1);
  const auto theirs = library(other_target, 60'000, 2);
  upload(0, theirs);
  upload(0, mine);
  deploy(0, spec_with({theirs, mine}));
  ASSERT_TRUE(w->run_until(
      [&] {
        return modules(1).here(hash(mine)) && modules(2).here(hash(theirs))
               && modules(3).here(hash(theirs));
      },
      20s));
  EXPECT_FALSE(modules(1).here(hash(theirs)));
  EXPECT_FALSE(modules(2).here(hash(mine)));
  add(3);
}

TEST_F(code, a_node_without_one_for_its_target_is_no_candidate) {
  begin(4, 4, {target_here(), other_target, target_here(), target_here()});
  const auto b = library(target_here(), 50'000);
  upload(0, b);
  deploy(0, spec_with({b}));
  w->run_for(2s);
  EXPECT_EQ(voters(), (std::set<std::size_t>{0, 2, 3}));
  w->at(3).kill(machine::end::power);
  w->run_for(20s);
  EXPECT_EQ(voters(), (std::set<std::size_t>{0, 2})); // nobody else could
  const auto foreign = library(other_target, 50'000);
  auto s = spec_with({foreign});
  s.regions = {"nowhere"};
  EXPECT_EQ(plan(0, s, false).status, reply_status::invalid_argument);
}

TEST_F(code, a_module_that_is_another_targets_is_refused) {
  begin(1, 1);
  const auto foreign = library(other_target, 50'000);
  upload(0, foreign);
  auto s = spec_with({foreign});
  s.replicas = 1;
  s.modules[0].target = target_here(); // as its deployer says
  const auto where = plan(0, s, true);
  ASSERT_EQ(where.status, reply_status::ok) << where.message;
  const auto papers = sign_birth(w->owner, w->mesh().id, s,
                                 {where.nonce, where.voters}, w->random);
  const auto a = bring(0, *papers);
  EXPECT_EQ(a.status, reply_status::invalid_argument);
  EXPECT_NE(a.message.find("is compiled for aarch64-linux"), std::string::npos)
      << a.message;
  EXPECT_EQ(context(0).specs.count("counter"), 0U);
}

TEST_F(code, papers_whose_module_is_not_here_are_refused) {
  begin(1, 1);
  auto s = spec_with({library(target_here(), 1000)});
  s.replicas = 1;
  const auto where = plan(0, s, true);
  const auto papers = sign_birth(w->owner, w->mesh().id, s,
                                 {where.nonce, where.voters}, w->random);
  const auto a = bring(0, *papers);
  EXPECT_EQ(a.status, reply_status::invalid_argument);
  EXPECT_NE(a.message.find("uploads it first"), std::string::npos);
}

// ---- a leader without it ---------------------------------------------------

TEST_F(code, a_leader_that_lost_it_gives_way_to_a_voter_that_has_it) {
  begin(3, 3);
  const auto b = library(target_here(), 5'000'000); // takes a while
  auto slow = w->how.within;
  slow.delay_low = 30ms;
  slow.delay_high = 50ms;
  for (const auto& x : w->machines)
    for (const auto& y : w->machines)
      if (x != y)
        w->net.set_path(x->host(), y->host(), slow);
  upload(0, b);
  auto s = spec_with({b});
  s.shards = 1;
  deploy(0, s);
  ASSERT_TRUE(w->run_until([&] { return everywhere(b); }, 30s));
  add(0);
  const auto group = context(0).replicas.begin()->first;
  const auto leader = [&](std::size_t seen_by) {
    const auto* v = context(seen_by).known.view(group);
    return v == nullptr ? node_id{} : v->leader.node;
  };
  // All have forgotten the code but one, which the others can't reach at first.
  for (const std::size_t n : {0, 1}) {
    w->at(n).kill(machine::end::process);
    ASSERT_TRUE(w->at(n).disk().rot_module());
  }
  w->at(2).pause();
  for (const std::size_t n : {0, 1})
    w->at(n).boot();
  w->run_for(4s);
  EXPECT_NE(leader(0), w->at(2).id());
  EXPECT_FALSE(modules(0).here(hash(b)) || modules(1).here(hash(b)));
  w->at(2).resume();
  EXPECT_TRUE(w->run_until([&] { return leader(0) == w->at(2).id(); }, 5s));
  add(0);
  EXPECT_TRUE(w->run_until([&] { return everywhere(b); }, 20s));
}

} // namespace
} // namespace banyan::sim
