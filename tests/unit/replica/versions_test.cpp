// Which version of its app a group runs (DESIGN sections 4 and 6): entries that
// only later builds know, the switch, the way back and where it ends.
#include "actors/pure/replica/entry_codec.hpp"
#include "rules.hpp"

namespace banyan::test {
namespace {

app_edition edition(std::uint64_t number, std::uint32_t state_version = 1) {
  return {number, state_version, to_bytes("spec " + std::to_string(number))};
}

struct replica_versions : replica_rules {
  replica_versions() {
    w.base.base_version = 1;
    w.hosts = {1, 2, 3};
    w.base.state_commit_interval = 200ms;
  }
  change_done give(version_order o) {
    const auto n = ++number;
    replica_effects out;
    core().set_version(n, std::move(o), w.now, out);
    return ended(n, out);
  }
  change_done ask_for(feature_bits bits) {
    const auto n = ++number;
    replica_effects out;
    core().set_features(n, bits, w.now, out);
    return ended(n, out);
  }
  /// As it was ordered, not waited for.
  std::uint64_t begin(version_order o) {
    replica_effects out;
    core().set_version(++number, std::move(o), w.now, out);
    w.carry(leader, out);
    w.touch(leader);
    return number;
  }
  change_done ended(std::uint64_t n, replica_effects& out) {
    w.carry(leader, out);
    w.touch(leader);
    const auto& all = w.nodes[leader].changes;
    const auto is = [&](const change_done& d) { return d.number == n; };
    w.run_until([&] { return std::any_of(all.begin(), all.end(), is); }, 5s);
    const auto it = std::find_if(all.begin(), all.end(), is);
    return it == all.end() ? change_done{n, false, "no answer"} : *it;
  }
  bool has_ended(std::uint64_t n) {
    const auto& all = w.nodes[leader].changes;
    return std::any_of(all.begin(), all.end(),
                       [&](const change_done& d) { return d.number == n; });
  }
  static version_order record(std::uint32_t state_version = 1,
                              bool written = false) {
    version_order o;
    o.edition = edition(1, state_version);
    o.written = written;
    return o;
  }
  static version_order take(std::uint64_t n, std::uint32_t state_version,
                            bool watched = true) {
    version_order o;
    o.what = version_order::kind::take;
    o.edition = edition(n, state_version);
    o.watched = watched;
    return o;
  }
  static version_order settle(std::uint64_t refused = 0) {
    version_order o;
    o.what = version_order::kind::settle;
    o.refused = refused;
    o.why = refused == 0 ? "" : "it throws";
    return o;
  }
  static version_order go_back(std::uint64_t refused) {
    version_order o;
    o.what = version_order::kind::go_back;
    o.refused = refused;
    o.why = "it throws";
    return o;
  }
  /// Features and the first version are in the log.
  void begin_versions() {
    ASSERT_TRUE(ask_for(feature::versions).done);
    ASSERT_TRUE(give(record()).done);
  }
  replica_core& core() { return *w.nodes[leader].core; }
  const version_changed& told(std::size_t n) { return w.nodes[n].version; }
  std::size_t follower(std::size_t n = 1) const { return (leader + n) % 3; }
  void reboot(std::size_t n, std::optional<feature_bits> bits = {}) {
    w.crash(n);
    if (bits)
      w.features[n] = *bits;
    w.boot(n);
  }
  std::uint64_t number = 100;
};

// ---- what only later builds know --------------------------------------------

TEST_F(replica_versions, an_entry_of_a_later_build_is_not_appended) {
  w.features[2] = 0;
  boot();
  if (leader == 2) {
    w.crash(2);
    leader = w.await_leader();
    w.boot(2);
    w.run_for(1s);
  }
  ASSERT_TRUE(ask_for(feature::versions).done);
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(1s);
  ASSERT_EQ(w.nodes[2].refused.size(), 1U); // said once
  EXPECT_NE(w.nodes[2].refused[0].why.find("needs a newer version"),
            std::string::npos);
  EXPECT_LT(w.nodes[2].core->status().last, core().status().last);
  // It knows them by now, and goes on where it was.
  reboot(2, features_known);
  w.run_for(3s);
  EXPECT_FALSE(w.nodes[2].failed);
  w.check_states_equal();
}

TEST_F(replica_versions, a_log_of_a_later_build_is_no_damage) {
  boot();
  begin_versions();
  w.run_for(1s);
  const auto n = follower();
  reboot(n, 0);
  ASSERT_TRUE(w.nodes[n].failed);
  EXPECT_TRUE(w.nodes[n].failed->newer);
  EXPECT_FALSE(w.nodes[n].failed->at_start);
  EXPECT_NE(w.nodes[n].failed->message.find(
                "was written by a newer version of banyan-peer"),
            std::string::npos)
      << w.nodes[n].failed->message;
  w.run_for(1s); // and does nothing at all
  w.nodes[n].failed.reset();
  reboot(n, features_known);
  EXPECT_FALSE(w.nodes[n].failed);
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.check_states_equal();
}

TEST_F(replica_versions, a_state_of_a_later_build_is_no_damage) {
  w.base.log_kept_entries = 0;
  boot();
  begin_versions();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(2s); // the log begins behind those entries now
  const auto n = follower();
  for (const auto& e : w.nodes[n].log.entries)
    ASSERT_FALSE(replica::is_later(e.data.view(), 0));
  reboot(n, 0);
  ASSERT_TRUE(w.nodes[n].failed);
  EXPECT_TRUE(w.nodes[n].failed->newer);
  EXPECT_TRUE(w.nodes[n].meta); // kept
}

// Its rows may mean what this build can't know: they are not put in.
TEST_F(replica_versions, a_snapshot_of_a_later_build_is_not_installed) {
  w.base.log_kept_entries = 0;
  boot();
  const auto n = follower();
  w.crash(n);
  begin_versions();
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(2s); // the log begins behind all that
  w.features[n] = 0;
  w.boot(n);
  w.run_for(3s);
  EXPECT_FALSE(w.nodes[n].failed);
  ASSERT_EQ(w.nodes[n].refused.size(), 1U); // said once
  EXPECT_NE(w.nodes[n].refused[0].why.find("needs a newer version"),
            std::string::npos)
      << w.nodes[n].refused[0].why;
  EXPECT_FALSE(told(n).versions);
  reboot(n, features_known);
  w.run_for(3s);
  ASSERT_TRUE(told(n).versions);
  w.check_states_equal();
}

TEST_F(replica_versions, later_entries_are_told_from_bad_ones) {
  using replica::is_later;
  replica::entry e;
  EXPECT_FALSE(is_later(replica::encode(e), 0));
  e.body = replica::features_entry{feature::versions};
  EXPECT_TRUE(is_later(replica::encode(e), 0));
  EXPECT_FALSE(is_later(replica::encode(e), features_known));
  e.body = replica::features_entry{feature::versions | 1ULL << 63};
  EXPECT_TRUE(is_later(replica::encode(e), features_known));
  bytes kind;
  writer{kind}.array(4).uint(1).uint(0).uint(200).nil();
  EXPECT_TRUE(is_later(kind, features_known));
  bytes version;
  writer{version}.array(3).uint(2).uint(0).nil();
  EXPECT_TRUE(is_later(version, features_known));
  bytes bad;
  writer{bad}.array(3).uint(1).uint(0).uint(1);
  EXPECT_FALSE(is_later(bad, features_known));
  EXPECT_FALSE(is_later(to_bytes("rubbish"), features_known));
}

TEST_F(replica_versions, entries_come_back_as_they_were) {
  replica::entry e;
  replica::version_entry v;
  v.versions.now = edition(7, 3);
  v.versions.former = edition(5, 2);
  v.versions.refused = 6;
  v.versions.why = "it throws";
  v.written = true;
  e.body = v;
  replica::entry back;
  ASSERT_TRUE(replica::decode(replica::encode(e), back));
  EXPECT_TRUE(std::get<replica::version_entry>(back.body).versions
              == v.versions);
  EXPECT_TRUE(std::get<replica::version_entry>(back.body).written);
  replica::turn_entry t;
  t.first_of_state_version = 3;
  e.body = t;
  ASSERT_TRUE(replica::decode(replica::encode(e), back));
  EXPECT_EQ(std::get<replica::turn_entry>(back.body).first_of_state_version,
            3U);
}

TEST_F(replica_versions, a_version_needs_the_groups_word_first) {
  boot();
  const auto r = give(record());
  EXPECT_FALSE(r.done);
  EXPECT_EQ(r.why, "the group's log asks for no such entries yet");
  EXPECT_FALSE(ask_for(1ULL << 63).done); // what this node doesn't know
  begin_versions();
  EXPECT_EQ(told(leader).features, feature::versions);
  w.run_for(1s);
  EXPECT_EQ(told(follower()).features, feature::versions);
  ASSERT_TRUE(told(follower()).versions);
  EXPECT_EQ(told(follower()).versions->now.number, 1U);
}

// ---- the switch -------------------------------------------------------------

TEST_F(replica_versions, turns_run_on_the_host_of_the_groups_version) {
  boot();
  begin_versions();
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  ASSERT_TRUE(give(take(2, 1)).done);
  ASSERT_EQ(status(w.command("a", "append", "2")), reply_status::ok);
  EXPECT_EQ(w.nodes[leader].ran_on[1], 1U);
  EXPECT_EQ(w.nodes[leader].ran_on[2], 1U);
  EXPECT_EQ(core().health(w.now).version, 2U);
  EXPECT_EQ(core().health(w.now).now.turns, 1U);
  EXPECT_EQ(core().health(w.now).before.turns, 1U);
  // The next leader runs it as well.
  w.crash(leader);
  leader = w.await_leader();
  ASSERT_EQ(status(w.command("a", "append", "3")), reply_status::ok);
  EXPECT_EQ(w.nodes[leader].ran_on[1], 0U);
  EXPECT_EQ(w.nodes[leader].ran_on[2], 1U);
  EXPECT_EQ(w.words("a"), "1,2,3,");
}

TEST_F(replica_versions, turns_that_run_end_first_and_later_ones_wait) {
  boot();
  begin_versions();
  w.hold_turns = true;
  const auto early = w.call(leader, w.command("a", "append", "1"));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1U);
  const auto order = begin(take(2, 1));
  const auto late = w.call(leader, w.command("b", "append", "2"));
  w.run_for(100ms);
  EXPECT_EQ(w.nodes[leader].held.size(), 1U); // the later one isn't handed out
  EXPECT_FALSE(has_ended(order));
  replica_effects out;
  core().on_turn_results({run_app(w.nodes[leader].held[0])}, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(100ms);
  EXPECT_TRUE(has_ended(order));
  ASSERT_EQ(w.nodes[leader].held.size(), 2U);
  EXPECT_EQ(w.nodes[leader].held_version, 2U);
  core().on_turn_results({run_app(w.nodes[leader].held[1])}, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(100ms);
  for (const auto call : {early, late}) {
    ASSERT_TRUE(w.answered(call));
    EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  }
}

TEST_F(replica_versions, a_turn_that_does_not_end_puts_the_switch_off) {
  boot();
  begin_versions();
  w.hold_turns = true;
  w.call(leader, w.command("a", "append", "1"));
  w.run_for(5ms);
  const auto r = give(take(2, 1));
  EXPECT_FALSE(r.done);
  EXPECT_EQ(r.why, "turns run for too long: later");
  w.call(leader, w.command("b", "append", "2"));
  w.run_for(5ms); // and calls go on
  EXPECT_EQ(w.nodes[leader].held.size(), 2U);
  EXPECT_EQ(w.nodes[leader].held_version, 1U);
}

TEST_F(replica_versions, a_version_without_a_host_is_not_taken) {
  boot();
  begin_versions();
  const auto r = give(take(9, 1));
  EXPECT_FALSE(r.done);
  EXPECT_EQ(r.why, "its host isn't up here");
  EXPECT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
}

TEST_F(replica_versions, a_lost_term_takes_the_switch_with_it) {
  boot();
  begin_versions();
  w.run_for(1s);
  const auto old = leader;
  cut_off(old);
  begin(take(2, 1));
  w.run_for(20ms);
  EXPECT_EQ(told(old).versions->now.number, 2U); // in its log
  w.run_for(3s);
  EXPECT_EQ(told(old).versions->now.number, 1U);
  leader = w.await_leader();
  ASSERT_NE(leader, old);
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  EXPECT_EQ(w.nodes[leader].ran_on[2], 0U);
  w.heal();
  w.run_for(2s);
  EXPECT_EQ(told(old).versions->now.number, 1U);
  w.check_states_equal();
}

// What only an uncommitted entry says may be taken back: nothing that can't be
// may rest on it.
TEST_F(replica_versions, a_version_is_told_as_committed_once_it_is) {
  boot();
  EXPECT_FALSE(told(leader).committed); // it has none
  ASSERT_TRUE(ask_for(feature::versions).done);
  cut_off(leader);
  begin(record());
  w.run_for(20ms);
  ASSERT_TRUE(told(leader).versions);
  EXPECT_FALSE(told(leader).committed);
  w.heal();
  ASSERT_TRUE(w.run_until([&] { return told(leader).committed; }, 5s));
  EXPECT_EQ(told(leader).versions->now.number, 1U);
  w.run_for(1s);
  EXPECT_TRUE(told(follower()).committed);
  const auto old = leader;
  cut_off(old);
  begin(take(2, 1));
  w.run_for(20ms);
  EXPECT_EQ(told(old).versions->now.number, 2U);
  EXPECT_FALSE(told(old).committed);
  w.run_for(3s); // it steps down
  EXPECT_EQ(told(old).versions->now.number, 1U);
  EXPECT_TRUE(told(old).committed);
  w.heal();
  w.run_for(2s); // all is stored
  reboot(old);
  w.run_for(1s);
  ASSERT_TRUE(told(old).versions);
  EXPECT_TRUE(told(old).committed);
}

// ---- the way back -----------------------------------------------------------

TEST_F(replica_versions, goes_back_before_the_first_write_and_remembers_why) {
  boot();
  begin_versions();
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  ASSERT_TRUE(give(take(2, 2)).done);
  // An entry, but no write: what throws changes nothing.
  EXPECT_EQ(status(w.command("a", "throw", "")), reply_status::app_failed);
  EXPECT_EQ(core().health(w.now).now.failed, 1U);
  ASSERT_TRUE(give(go_back(2)).done);
  const auto& v = told(leader).versions;
  EXPECT_EQ(v->now.number, 1U);
  EXPECT_FALSE(v->former);
  EXPECT_EQ(v->refused, 2U);
  EXPECT_EQ(v->why, "it throws");
  EXPECT_FALSE(give(take(2, 2)).done); // never again
  EXPECT_TRUE(give(take(3, 2)).done);  // a fix
}

TEST_F(replica_versions,
       no_way_back_behind_the_first_write_of_a_state_version) {
  boot();
  begin_versions();
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  ASSERT_TRUE(give(take(2, 2)).done);
  const auto first = w.ask(leader, w.command("a", "append", "2"));
  ASSERT_EQ(first.status, reply_status::ok);
  ASSERT_EQ(status(w.command("a", "append", "3")), reply_status::ok);
  const auto r = give(go_back(2));
  EXPECT_FALSE(r.done);
  EXPECT_EQ(r.why, "can't go back: state version 2 was written at index "
                       + std::to_string(first.index.value()));
  ASSERT_TRUE(give(settle(2)).done); // it stays, though it failed
  EXPECT_EQ(told(leader).versions->now.number, 2U);
  EXPECT_EQ(told(leader).versions->refused, 2U);
  EXPECT_FALSE(told(leader).versions->former);
  // Nor forward to one that would read less.
  EXPECT_FALSE(give(take(3, 1)).done);
  EXPECT_TRUE(give(take(3, 2)).done);
  w.run_for(1s);
  w.check_states_equal();
}

// A turn that ends between the order and its entry may be that first write.
TEST_F(replica_versions, no_way_back_over_what_is_written_meanwhile) {
  boot();
  begin_versions();
  ASSERT_TRUE(give(take(2, 2)).done);
  w.hold_turns = true;
  const auto call = w.call(leader, w.command("a", "append", "1"));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1U);
  const auto order = begin(go_back(2));
  w.run_for(20ms);
  EXPECT_FALSE(has_ended(order));
  replica_effects out;
  core().on_turn_results({run_app(w.nodes[leader].held[0])}, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(100ms);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  ASSERT_TRUE(has_ended(order));
  const auto& ended_as = w.nodes[leader].changes.back();
  EXPECT_FALSE(ended_as.done);
  EXPECT_EQ(ended_as.why, "a later state version was written meanwhile");
  EXPECT_EQ(told(leader).versions->now.number, 2U);
}

// Turns whose host died are nowhere: the group goes back with them, at once.
TEST_F(replica_versions, the_way_back_from_a_dead_host_waits_for_no_turn) {
  boot();
  begin_versions();
  ASSERT_TRUE(give(take(2, 1)).done);
  w.hold_turns = true;
  const auto one = w.call(leader, w.command("a", "append", "1"));
  const auto two = w.call(leader, w.command("b", "append", "2"));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 2U);
  w.nodes[leader].held.clear();
  replica_effects out;
  core().on_host_down({true, std::nullopt}, w.now, out, 2);
  w.carry(leader, out);
  w.touch(leader);
  const auto order = begin(go_back(2));
  w.run_for(100ms);
  EXPECT_TRUE(has_ended(order));
  EXPECT_EQ(told(leader).versions->now.number, 1U);
  ASSERT_EQ(w.nodes[leader].held.size(), 2U);
  EXPECT_EQ(w.nodes[leader].held_version, 1U);
  for (const auto& o : w.nodes[leader].held)
    core().on_turn_results({run_app(o)}, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(100ms);
  for (const auto call : {one, two}) {
    ASSERT_TRUE(w.answered(call));
    EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  }
}

TEST_F(replica_versions, what_ran_unnamed_counts_as_written) {
  boot();
  EXPECT_TRUE(told(leader).newborn);
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  EXPECT_FALSE(told(leader).newborn);
  ASSERT_TRUE(ask_for(feature::versions).done);
  ASSERT_TRUE(give(record(2, true)).done);
  ASSERT_TRUE(told(leader).written);
  EXPECT_EQ(told(leader).written->state_version, 2U);
  EXPECT_FALSE(give(take(2, 1)).done);
}

TEST_F(replica_versions, a_settled_version_has_no_former) {
  boot();
  begin_versions();
  ASSERT_TRUE(give(take(2, 1)).done);
  ASSERT_TRUE(told(leader).versions->former);
  ASSERT_TRUE(give(settle()).done);
  EXPECT_FALSE(told(leader).versions->former);
  EXPECT_FALSE(give(go_back(2)).done);
  ASSERT_TRUE(give(take(3, 1, false)).done); // unwatched
  EXPECT_FALSE(told(leader).versions->former);
}

// ---- it lasts ---------------------------------------------------------------

TEST_F(replica_versions, a_restart_knows_its_version) {
  boot();
  begin_versions();
  ASSERT_TRUE(give(take(2, 2)).done);
  ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  w.run_for(2s); // stored
  for (std::size_t n = 0; n < 3; ++n)
    w.crash(n);
  for (auto& nd : w.nodes)
    nd.version = {};
  boot();
  ASSERT_TRUE(told(leader).versions);
  EXPECT_EQ(told(leader).versions->now.number, 2U);
  EXPECT_EQ(told(leader).versions->former->number, 1U);
  ASSERT_EQ(status(w.command("a", "append", "2")), reply_status::ok);
  EXPECT_FALSE(give(go_back(2)).done);
}

TEST_F(replica_versions, a_snapshot_brings_the_version) {
  w.base.log_kept_entries = 0;
  boot();
  begin_versions();
  const auto n = follower();
  w.crash(n);
  ASSERT_TRUE(give(take(2, 2)).done);
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(status(w.command("a", "append", "1")), reply_status::ok);
  w.run_for(2s);
  w.boot(n);
  w.run_for(3s);
  ASSERT_TRUE(told(n).versions);
  EXPECT_EQ(told(n).versions->now.number, 2U);
  ASSERT_TRUE(told(n).written);
  EXPECT_EQ(told(n).written->state_version, 2U);
  w.check_states_equal();
}

TEST_F(replica_versions, only_the_host_of_its_version_counts) {
  boot();
  begin_versions();
  ASSERT_TRUE(give(take(2, 1)).done);
  w.hold_turns = true;
  const auto call = w.call(leader, w.command("a", "append", "1"));
  w.run_for(5ms);
  ASSERT_EQ(w.nodes[leader].held.size(), 1U);
  replica_effects out;
  core().on_host_down({}, w.now, out, 1); // the old one ends
  w.carry(leader, out);
  w.run_for(5ms);
  EXPECT_EQ(core().health(w.now).now.crashes, 0U);
  core().on_turn_results({run_app(w.nodes[leader].held[0])}, w.now, out);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(100ms);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::ok);
  core().on_host_down({}, w.now, out, 2);
  w.carry(leader, out);
  EXPECT_EQ(core().health(w.now).now.crashes, 1U);
  w.call(leader, w.command("a", "append", "2"));
  w.run_for(5ms);
  EXPECT_EQ(w.nodes[leader].held.size(), 1U); // waits for its host
  core().on_host_up(w.now, out, 2);
  w.carry(leader, out);
  w.touch(leader);
  w.run_for(5ms);
  EXPECT_EQ(w.nodes[leader].held.size(), 2U);
}

} // namespace
} // namespace banyan::test
