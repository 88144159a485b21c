// Rules that a node keeps about its own replicas, on virtual machines: what
// makes one, what may not, and what a restored image does (DESIGN section 7,
// "Amnesia").
#include "actors/docs/app_documents.hpp"
#include "actors/node/names.hpp"
#include "actors/pure/admission.hpp"
#include "actors/testing/sim/world.hpp"
#include "base/codec.hpp"
#include "crypto/sealed_box.hpp"
#include "sim/apps.hpp"

#include <caf/send.hpp>
#include <gtest/gtest.h>

namespace banyan::sim {
namespace {

using actors::document_kind;

struct nodes : ::testing::Test {
  /// Machine 3 has no replica of the one group.
  void SetUp() override {
    add_apps(w.catalog);
    for (const auto& m : w.machines)
      m->boot();
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
    actors::deploy_in d;
    d.spec.name = d.spec.module = "counter";
    d.spec.shards = 1;
    d.spec.replace_after = 1h;
    d.spec.isolation = app_isolation::none;
    bool done = false;
    d.done = [&](const actors::deploy_answer& a) {
      done = true;
      EXPECT_EQ(a.status, reply_status::ok) << a.message;
    };
    caf::anon_send(context(0).supervisor, std::move(d));
    ASSERT_TRUE(w.run_until([&] { return done; }, 10s));
    ASSERT_TRUE(w.run_until([&] { return members().size() == 3; }, 10s));
    w.run_for(1s);
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (context(n).replicas.empty())
        outside = n;
    group = context(members()[0]).replicas.begin()->first;
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
  std::vector<std::size_t> members() {
    std::vector<std::size_t> out;
    for (std::size_t n = 0; n < w.machines.size(); ++n)
      if (w.at(n).up() && !context(n).replicas.empty())
        out.push_back(n);
    return out;
  }
  store::documents::listed documents(std::size_t n, document_kind kind) {
    return context(n).disk.documents->list(static_cast<std::uint8_t>(kind));
  }
  /// A leader's wish for an empty replica, as its frame brings it.
  void ask_to_make(std::size_t n, const std::vector<std::uint32_t>& shards) {
    auto& member = context(members()[0]);
    app_papers papers;
    app_genesis genesis;
    ASSERT_TRUE(app_papers::decode(member.papers.at("counter"), papers));
    ASSERT_TRUE(app_genesis::decode(papers.genesis.body, genesis));
    sealed_secret box;
    ASSERT_TRUE(seal_secret(w.at(n).id(), group_secret_context(genesis.nonce),
                            *member.guard.secret(group.app), w.random, box));
    make(n, group.app, {}, shards, box);
  }
  void make(std::size_t n, const app_id& app,
            const std::array<std::uint8_t, 16>& nonce,
            const std::vector<std::uint32_t>& shards,
            const std::optional<sealed_secret>& box) {
    make_replicas wanted;
    wanted.token = ++token;
    wanted.app = app;
    wanted.nonce = nonce;
    wanted.shards = shards;
    wanted.secret = box;
    actors::control_in m{w.at((n + 1) % 4).id(), std::move(wanted)};
    caf::anon_send(context(n).supervisor, std::move(m));
  }
  void reboot(std::size_t n) {
    w.at(n).kill(machine::end::power);
    w.run_for(100ms);
    w.at(n).boot();
  }
  std::size_t the_leader() {
    for (const auto n : members())
      if (const auto* v = context(n).known.view(group);
          v != nullptr && v->leader.node == w.at(n).id())
        return n;
    ADD_FAILURE() << "no leader";
    return members()[0];
  }
  std::size_t a_follower() {
    const auto all = members();
    return all[0] == the_leader() ? all[1] : all[0];
  }
  replica_ref ref_of(std::size_t n) {
    replica_ref r{w.at(n).id(), {}};
    if (const auto named = documents(n, document_kind::replica);
        named.size() == 1)
      static_cast<void>(replica_id::from(named[0].second.view(), r.replica));
    return r;
  }
  /// That machine knows it as a voter of the group.
  bool names(std::size_t n, const replica_ref& who) {
    const auto* v = context(n).known.view(group);
    return v != nullptr
           && std::any_of(v->voters.begin(), v->voters.end(),
                          [&](const auto& x) { return x.who == who; });
  }
  /// Some acknowledged commands.
  void write(std::size_t n) {
    for (int i = 0; i < 5; ++i) {
      call_request r;
      r.app = "counter";
      r.key = "a";
      r.command = "add";
      writer{r.argument}.map(1).text("n").sint(1);
      bool done = false;
      w.at(n).peer().call(std::move(r), [&](const reply& a, std::uint32_t) {
        done = true;
        EXPECT_EQ(a.status, reply_status::ok) << a.message;
      });
      ASSERT_TRUE(w.run_until([&] { return done; }, 5s));
    }
    w.run_for(500ms); // the other follower has them, too
  }
  void
  put_back(std::size_t n,
           const std::shared_ptr<const store::virtual_disk::image>& image) {
    w.logs.loses(w.at(n).id());
    w.at(n).expect_fatal();
    w.at(n).kill(machine::end::power);
    w.at(n).disk().restore(image);
    w.at(n).boot();
  }
  void TearDown() override {
    for (const auto& p : w.problems)
      ADD_FAILURE() << p;
  }
  world w{world_options{9, 4, {}, {}, {}}};
  group_id group;
  std::size_t outside = 0;
  std::uint64_t token = 1'000'000;
};

// ---- making replicas --------------------------------------------------------

TEST_F(nodes, make_no_replica_of_a_shard_that_the_app_has_not) {
  ask_to_make(outside, {99});
  ask_to_make(outside, {0, 1});
  w.run_for(1s);
  EXPECT_TRUE(context(outside).replicas.empty());
  EXPECT_TRUE(documents(outside, document_kind::replica).empty());
}

TEST_F(nodes, a_replica_under_way_is_not_made_again) {
  w.at(outside).disk().set_sync_delay(100ms);
  ask_to_make(outside, {0});
  for (int i = 0; i < 30; ++i) {
    w.run_for(10ms);
    ask_to_make(outside, {0});
  }
  w.at(outside).disk().set_sync_delay({});
  w.run_for(1s);
  ASSERT_EQ(context(outside).replicas.count(group), 1u);
  ASSERT_EQ(documents(outside, document_kind::replica).size(), 1u);
  w.at(outside).kill(machine::end::process);
  auto disk = w.at(outside).disk().open();
  std::size_t found = 0;
  for (const auto& l : disk.recovered_logs.logs)
    if (l.group == group) {
      ++found;
      const auto named = disk.documents->list(
          static_cast<std::uint8_t>(document_kind::replica));
      EXPECT_TRUE(named.at(0).second.view() == l.replica.view());
    }
  EXPECT_EQ(found, 1u);
  w.at(outside).disk().kill();
}

/// Two leaders wish for the same replica, this many ms apart.
struct two_wishes : nodes, ::testing::WithParamInterface<int> {};
TEST_P(two_wishes, make_one_replica) {
  w.at(outside).disk().set_sync_delay(20ms);
  ask_to_make(outside, {0});
  w.run_for(std::chrono::milliseconds{GetParam()});
  ask_to_make(outside, {0});
  w.run_for(300ms);
  const auto named = documents(outside, document_kind::replica);
  ASSERT_EQ(named.size(), 1u);
  w.at(outside).kill(machine::end::process);
  auto disk = w.at(outside).disk().open();
  std::size_t found = 0;
  for (const auto& l : disk.recovered_logs.logs)
    if (l.group == group) {
      ++found;
      EXPECT_TRUE(named.at(0).second.view() == l.replica.view());
    }
  EXPECT_EQ(found, 1u);
  w.at(outside).disk().kill();
}
INSTANTIATE_TEST_SUITE_P(ms, two_wishes, ::testing::Range(0, 60, 6));

TEST_F(nodes, reserve_only_so_many_replicas) {
  constexpr std::size_t reservations_max = 16'384;
  std::vector<std::uint32_t> shards(1000);
  for (std::uint32_t s = 0; s < shards.size(); ++s)
    shards[s] = s;
  for (std::uint8_t i = 0; i < 20; ++i) {
    make(outside, {}, {i}, shards, {});
    w.run_for(100ms);
  }
  const auto kept = documents(outside, document_kind::reservation).size();
  EXPECT_GT(kept, reservations_max - shards.size());
  EXPECT_LE(kept, reservations_max);
}

TEST_F(nodes, a_replica_begins_with_its_own_first_write_alone) {
  auto& disk = w.at(outside).disk();
  disk.set_sync_delay(1s);
  ask_to_make(outside, {0});
  // The secret is stored, and now the first write of the log is under way.
  w.run_for(1050ms);
  disk.set_sync_delay({});
  store::log_done done; // of the replica that was here before
  done.order = {group, replica_id{w.random.array<16>()}, {}, 0};
  caf::anon_send(context(outside).supervisor, actors::log_done_in{done});
  w.run_for(500ms);
  EXPECT_EQ(context(outside).replicas.count(group), 0u);
  EXPECT_TRUE(documents(outside, document_kind::replica).empty());
  w.run_for(2s);
  EXPECT_EQ(context(outside).replicas.count(group), 1u);
  EXPECT_EQ(documents(outside, document_kind::replica).size(), 1u);
}

// ---- replicas that are left out ---------------------------------------------

TEST_F(nodes, a_replica_that_no_leader_took_in_goes_again) {
  ask_to_make(outside, {0});
  ASSERT_TRUE(
      w.run_until([&] { return context(outside).replicas.size() == 1; }, 2s));
  EXPECT_TRUE(w.run_until(
      [&] {
        return context(outside).replicas.empty()
               && documents(outside, document_kind::replica).empty();
      },
      10s));
}

/// Has no room for the first drops.
class no_room_to_drop final : public store::log {
public:
  no_room_to_drop(std::unique_ptr<store::log> inner, actors::node_context& node)
      : inner_{std::move(inner)}, node_{node} {}

  void on_done(done_handler handler) override {
    inner_->on_done(std::move(handler));
  }
  void submit(store::log_write write) override {
    inner_->submit(std::move(write));
  }
  void cut(const group_id& g, const replica_id& r, log_index i) override {
    inner_->cut(g, r, i);
  }
  void drop(store::order_id order) override {
    if (++drops > refused)
      return inner_->drop(order);
    store::log_done done;
    done.order = order;
    done.error = store::store_errc::full;
    caf::anon_send(node_.supervisor, actors::log_done_in{done});
  }
  void scrub(store::log_place from, std::size_t n, scrub_done done) override {
    inner_->scrub(from, n, std::move(done));
  }
  [[nodiscard]] time_point oldest_pending() const override {
    return inner_->oldest_pending();
  }

  static constexpr std::size_t refused = 4;
  std::size_t drops = 0;

private:
  std::unique_ptr<store::log> inner_;
  actors::node_context& node_;
};

TEST_F(nodes, a_log_that_found_no_room_to_be_dropped_is_dropped_later) {
  auto& c = context(outside);
  auto full = std::make_unique<no_room_to_drop>(std::move(c.disk.log), c);
  const auto& drops = full->drops;
  c.disk.log = std::move(full);
  ask_to_make(outside, {0});
  ASSERT_TRUE(w.run_until([&] { return c.replicas.size() == 1; }, 2s));
  const auto there = [&] {
    return w.at(outside).disk().log_synced(group).has_value();
  };
  ASSERT_TRUE(w.run_until([&] { return c.replicas.empty(); }, 10s));
  w.run_for(100ms); // no leader took it in
  EXPECT_EQ(drops, 1u);
  EXPECT_TRUE(there());
  EXPECT_TRUE(w.run_until([&] { return !there(); }, 5s));
  EXPECT_EQ(drops, no_room_to_drop::refused + 1);
  w.run_for(20s);
  EXPECT_EQ(drops, no_room_to_drop::refused + 1); // done once
}

TEST_F(nodes, a_replica_that_was_replaced_while_away_learns_of_it) {
  const auto leads = [&](std::size_t n) {
    const auto* v = context(n).known.view(group);
    return v != nullptr && v->leader.node == w.at(n).id();
  };
  const auto before = members();
  const auto away = *std::find_if(before.begin(), before.end(), [&](auto n) { //
    return !leads(n);
  });
  const auto leader = *std::find_if(before.begin(), before.end(), leads);
  const auto ref_of = [&](std::size_t n) {
    const auto named = documents(n, document_kind::replica);
    replica_ref r{w.at(n).id(), {}};
    EXPECT_TRUE(named.size() == 1
                && replica_id::from(named[0].second.view(), r.replica));
    return r;
  };
  const auto old = ref_of(away);
  w.at(away).kill(machine::end::process);
  ask_to_make(outside, {0});
  ASSERT_TRUE(
      w.run_until([&] { return context(outside).replicas.size() == 1; }, 2s));
  actors::group_order replace;
  replace.what = actors::group_order::kind::change_voters;
  replace.number = 77;
  replace.in = {ref_of(outside)};
  replace.out = {old};
  context(leader).tell_replica(group, std::move(replace));
  ASSERT_TRUE(w.run_until([&] { return !names(leader, old); }, 10s));
  w.run_for(10s); // it was told by then, as often as it is told unasked
  w.at(away).boot();
  EXPECT_TRUE(w.run_until(
      [&] {
        return context(away).replicas.empty()
               && documents(away, document_kind::replica).empty();
      },
      15s));
  EXPECT_EQ(members().size(), 3u);
}

// ---- disks that are older than what they said -------------------------------

// No incarnation tells of it: but its leader had its acknowledgements.
TEST_F(nodes, a_disk_rolled_back_within_one_boot_makes_a_new_replica) {
  const auto leader = the_leader();
  const auto n = a_follower();
  const auto old = ref_of(n);
  const auto image = w.at(n).disk().copy();
  write(leader);
  put_back(n, image);
  EXPECT_TRUE(w.run_until(
      [&] {
        return !names(leader, old) && members().size() == 3
               && documents(n, document_kind::replica).size() <= 1
               && ref_of(n) != old;
      },
      15s));
}

// It ends before it has stored that its disk is an old one; the next boot's
// incarnation is above all that the mesh has seen.
TEST_F(nodes, a_restored_image_that_hides_the_evidence_makes_a_new_replica) {
  const auto leader = the_leader();
  const auto n = a_follower();
  const auto old = ref_of(n);
  const auto image = w.at(n).disk().copy();
  reboot(n);
  ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
  write(leader);
  put_back(n, image);
  reboot(n);
  reboot(n);
  ASSERT_EQ(ref_of(n), old);
  EXPECT_TRUE(w.run_until(
      [&] {
        return w.at(n).up() && !names(leader, old) && members().size() == 3
               && ref_of(n) != old;
      },
      20s));
}

// ---- restored images --------------------------------------------------------

// From the first evidence on no replica of a restored image votes; and whenever
// its power goes, the disk either still shows the evidence or names no replica.
TEST_F(nodes, a_replica_whose_log_is_gone_or_bad_is_given_up) {
  for (const bool gone : {true, false}) {
    const auto n = members()[0];
    const auto id_at = [&]() -> std::optional<replica_id> {
      const auto known = documents(n, document_kind::replica);
      replica_id id;
      if (known.size() != 1 || !replica_id::from(known[0].second.view(), id))
        return std::nullopt;
      return id;
    };
    const auto before = id_at();
    ASSERT_TRUE(before);
    w.logs.loses(w.at(n).id());
    w.at(n).expect_fatal();
    if (!gone) {
      ASSERT_TRUE(w.at(n).disk().rot_log(group));
    }
    w.at(n).kill(machine::end::process);
    if (gone) {
      const auto disk = w.at(n).disk().open();
      disk.log->drop({group, *before, {}, 1});
      w.run_for(200ms);
      w.at(n).disk().kill();
    }
    w.at(n).boot();
    w.run_for(1s);
    EXPECT_TRUE(context(n).replicas.empty() || id_at() != before) << gone;
  }
}

// Else the next voter whose log rots would give it up, too, and take the
// majority with it.
TEST_F(nodes, a_replica_that_was_given_up_counts_for_nobody) {
  const auto n = members()[0];
  const auto other = members()[1];
  const auto known = documents(n, document_kind::replica);
  replica_ref me{w.at(n).id(), {}};
  ASSERT_TRUE(known.size() == 1
              && replica_id::from(known[0].second.view(), me.replica));
  EXPECT_EQ(context(other).state_of(group, me), state_phase::whole);
  w.logs.loses(w.at(n).id());
  w.at(n).expect_fatal();
  ASSERT_TRUE(w.at(n).disk().rot_log(group));
  w.at(n).kill(machine::end::process);
  w.at(n).boot();
  EXPECT_TRUE(w.run_until(
      [&] { return context(other).state_of(group, me) == state_phase::lost; },
      2s));
}

// Each of two asked only whether the others seemed well, both were, and both
// went: the group had no majority for ever.
TEST_F(nodes, logs_that_rot_at_once_are_given_up_one_after_the_other) {
  const auto voters = members();
  const auto id_at = [&](std::size_t n) {
    const auto known = documents(n, document_kind::replica);
    return known.empty() ? bytes{} : known[0].second.view().copy();
  };
  std::map<std::size_t, bytes> before;
  for (const auto n : voters)
    before[n] = id_at(n);
  for (std::size_t i = 0; i < 2; ++i) {
    w.logs.loses(w.at(voters[i]).id());
    w.at(voters[i]).expect_fatal();
    ASSERT_TRUE(w.at(voters[i]).disk().rot_log(group));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    actors::verify_in m;
    m.begin = true;
    caf::anon_send(context(voters[i]).scrub, std::move(m));
  }
  std::size_t fewest = voters.size();
  const auto replaced = [&](std::size_t n) {
    const auto now = id_at(n);
    return context(n).replicas.count(group) == 0 || now != before[n];
  };
  EXPECT_TRUE(w.run_until(
      [&] {
        std::size_t running = 0;
        for (const auto n : voters)
          running += context(n).replicas.count(group);
        fewest = std::min(fewest, running);
        return replaced(voters[0]) && replaced(voters[1])
               && members().size() >= 3;
      },
      60s));
  EXPECT_EQ(fewest, 2u);
  EXPECT_EQ(id_at(voters[2]), before[voters[2]]);
  w.run_for(5s);
  const auto* v = context(voters[2]).known.view(group);
  ASSERT_NE(v, nullptr);
  EXPECT_EQ(v->voters.size(), 3u);
  EXPECT_EQ(v->health, group_health::healthy);
}

TEST_F(nodes, a_restored_image_gives_up_its_replicas_at_the_first_evidence) {
  const auto n = members()[0];
  for (int boots = 0; boots < 3; ++boots) {
    reboot(n);
    ASSERT_TRUE(w.run_until([&] { return all_met(); }, 10s));
  }
  const auto known = context(n).incarnation;
  w.at(n).kill(machine::end::process);
  const auto incarnation_of = [](const store::documents& d) {
    reader r{d.find(static_cast<std::uint8_t>(document_kind::incarnation), {})
                 .value()
                 .view()};
    return incarnation{r.uint()};
  };
  { // as it stood before those boots
    auto disk = w.at(n).disk().open();
    bytes low;
    writer{low}.uint(1);
    std::vector<store::documents::change> old;
    old.push_back(
        {static_cast<std::uint8_t>(document_kind::incarnation), {}, low});
    old.push_back(
        {static_cast<std::uint8_t>(document_kind::members), {}, std::nullopt});
    ASSERT_TRUE(disk.documents->put_now(std::move(old)).ok());
    w.at(n).disk().kill();
  }
  w.run_for(200ms);
  w.at(n).disk().set_sync_delay(20ms);
  w.at(n).expect_fatal();
  w.at(n).boot();
  std::size_t voted_late = 0;
  std::size_t hidden = 0;
  std::optional<time_point> evidence;
  const auto until = w.now() + 3s;
  bool began = false;
  while (w.now() < until && w.at(n).up() && w.step(until)) {
    if (!w.at(n).up())
      break; // it ended itself, as a restored image does
    const auto& d = *context(n).disk.documents;
    const auto stored = incarnation_of(d);
    began = began || !context(n).replicas.empty();
    if (stored > known && !documents(n, document_kind::replica).empty())
      ++hidden;
    if (!evidence && context(n).members->own().incarnation > known)
      evidence = w.now();
    if (evidence && !context(n).replicas.empty())
      ++voted_late;
  }
  EXPECT_TRUE(began); // it ran until it knew better
  EXPECT_TRUE(evidence);
  EXPECT_EQ(hidden, 0u);
  EXPECT_EQ(voted_late, 0u);
  EXPECT_FALSE(w.at(n).fault().empty()); // it said so, and gave up
  w.run_for(1s);
  ASSERT_TRUE(w.at(n).up());
  w.run_for(2s);
  EXPECT_TRUE(w.at(n).fault().empty());
}

// DESIGN section 4: every queue is bounded. What calls hold is counted from the
// door to their end.
TEST_F(nodes, arguments_count_at_the_door_until_their_calls_are_over) {
  const auto all = members();
  for (std::size_t i = 0; i < 2; ++i) // no majority is left: calls hang
    w.at(all[i]).kill(machine::end::power);
  auto& here = context(outside);
  std::size_t held = 0;
  std::size_t over = 0;
  constexpr std::size_t kept = 700;
  for (std::size_t i = 0; i < 3; ++i) {
    actors::call_in in;
    in.request.app = "counter";
    in.request.key = "k" + std::to_string(i);
    in.request.command = "add";
    in.request.deadline = 3s;
    writer{in.request.argument}.text(std::string(1000 + i, 'x'));
    held += in.request.argument.size() + kept;
    in.kept = kept;
    in.answer = [&](const reply& r, std::uint32_t) {
      EXPECT_NE(r.status, reply_status::ok);
      ++over;
    };
    caf::anon_send(here.router, std::move(in));
  }
  w.run_for(1s);
  EXPECT_EQ(over, 0U);
  ASSERT_NE(here.door, nullptr);
  EXPECT_EQ(here.door->bytes(), held);
  EXPECT_EQ(here.door->under_way(), 3U);
  ASSERT_TRUE(w.run_until([&] { return over == 3; }, 10s));
  EXPECT_EQ(here.door->bytes(), 0U);
}

// DESIGN section 9: load is shed at the door, and one hot app starves no other.
TEST_F(nodes, a_hot_app_leaves_room_for_another) {
  actors::deploy_in d;
  d.spec.name = d.spec.module = "kv";
  d.spec.shards = 1;
  d.spec.isolation = app_isolation::none;
  bool there = false;
  d.done = [&](const actors::deploy_answer& a) { there = a.message.empty(); };
  caf::anon_send(context(0).supervisor, std::move(d));
  ASSERT_TRUE(w.run_until([&] { return there; }, 10s));
  const auto request = [](std::string app, std::string key) {
    call_request q;
    q.key = std::move(key);
    q.command = app == "kv" ? "put" : "add";
    writer v{q.argument};
    if (app == "kv")
      v.map(1).text("value").text("x");
    else
      v.map(1).text("n").sint(1);
    q.app = std::move(app);
    return q;
  };
  bool served = false;
  const auto ask_other = [&] {
    served = false;
    w.at(outside).peer().call(
        request("kv", "a"), [&](const reply& r, std::uint32_t) {
          EXPECT_EQ(r.status, reply_status::ok) << r.message;
          served = true;
        });
  };
  ask_other(); // its group leads, and its session is open
  ASSERT_TRUE(w.run_until([&] { return served; }, 10s));
  for (const auto& m : w.machines)
    m->host_delays(1ms, 2ms);
  constexpr std::size_t hot = 3000;
  std::size_t answered = 0;
  std::size_t good = 0;
  for (std::size_t i = 0; i < hot; ++i)
    w.at(outside).peer().call(request("counter", "k" + std::to_string(i)),
                              [&](const reply& r, std::uint32_t) {
                                ++answered;
                                good += r.status == reply_status::ok ? 1 : 0;
                              });
  ask_other();
  ASSERT_TRUE(w.run_until([&] { return served; }, 10s));
  EXPECT_LT(answered, hot / 2);
  EXPECT_TRUE(w.run_until([&] { return answered == hot; }, 10s));
  EXPECT_EQ(good, hot);
}

} // namespace
} // namespace banyan::sim
