// What nodes tell each other about groups and apps: each frame as it was sent,
// and nothing else.
#include "actors/pure/control_wire.hpp"
#include "base/codec.hpp"
#include "crypto/mesh_key.hpp"
#include "tests/unit/routing/support.hpp"

#include <limits>

namespace banyan::routing_tests {
namespace {

const group_id shard_3{app(1), 3};

make_replicas wish() {
  make_replicas m;
  m.token = 77;
  m.app = app(1);
  m.nonce = {1, 2, 3};
  m.shards = {0, 3, 1023};
  m.secret = sealed_secret{std::array<std::uint8_t, 80>{9}};
  return m;
}

failover_record failover() {
  failover_record f;
  f.app = "ledger";
  f.group = shard_3;
  f.term = term{4};
  f.leader = node(2);
  f.old_leader = node(1);
  f.elected_ms = 12.5;
  f.first_commit_ms = 14;
  f.first_reply_ms = 0.0;
  f.at_unix_ms = 1'700'000'000'000;
  return f;
}

app_papers papers() {
  const auto owner = local_mesh_owner();
  const auto paper = [&](sign_kind k) {
    return signed_document::make(owner, k, local_mesh_id(), 1, {0x90});
  };
  return {paper(sign_kind::genesis), paper(sign_kind::spec),
          paper(sign_kind::deletion)};
}

logs_held lines() {
  logs_held f;
  f.token = 7;
  f.lines.push_back({5, 1'700'000'000'000, log_source::log, "alice", "paid"});
  f.lines.push_back({9, 1'700'000'000'001, log_source::out, "", "\x1b\xff"});
  f.more = true;
  return f;
}

event_told event_of_2() {
  event_told f;
  f.what.number = 1'700'000'000'000 * 1024;
  f.what.at_unix_ms = 1'700'000'000'000;
  f.what.node = node(2);
  f.what.kind = "host_failed";
  f.what.app = "ledger";
  f.what.shard = 3;
  f.what.about = node(1);
  f.what.text = "killed by SIGSEGV";
  return f;
}

digest module(std::uint8_t n) {
  return digest{std::array<std::uint8_t, 32>{n}};
}
owner_id owner(std::uint8_t n) {
  return owner_id{std::array<std::uint8_t, 32>{n}};
}

challenge_nonce nonce_of_9() {
  return challenge_nonce{std::array<std::uint8_t, 32>{9}};
}

version_word word_of_3() {
  version_word f;
  f.group = shard_3;
  f.term = banyan::term{9};
  f.running = 2;
  f.state_version = 2;
  f.written = state_written{2, log_index{77}};
  f.number = 3;
  f.state = update_state::waiting;
  f.why = "update waits for node n3";
  f.health = {1000, 3, 1, 120us, 4ms};
  return f;
}

surviving_replica standing() {
  surviving_replica s;
  s.group = {app(1), 3};
  s.who.replica = at(1).replica;
  s.term = term{4};
  s.last = log_index{9};
  s.whole = true;
  s.voters = {at(1), at(2)};
  s.outgoing = {at(1), at(3)};
  s.pending = true;
  return s;
}

std::vector<control_frame> one_of_each() {
  return {
      secret_proof{shard_3, digest{std::array<std::uint8_t, 32>{5}}},
      view_of(shard_3, 4, 2),
      documents_held{{{app(1), {3, false}}, {app(2), {1, true}}}},
      papers(),
      wish(),
      replicas_made{77, {{0, at(1).replica}, {3, at(2).replica}}, ""},
      failover(),
      host_state{"ledger", true},
      host_wear{"ledger", true},
      unready_replicas{{{shard_3, at(1).replica, state_phase::lost},
                        {{app(2), 0}, at(2).replica, state_phase::pending}}},
      compare_wanted{shard_3},
      stay_wanted{shard_3, at(1).replica, 7},
      stay_promised{shard_3, at(2).replica, at(1).replica, 7},
      modules_held{{{module(1), 0}, {module(2), 1000}}},
      module_wanted{module(1), 1 << 20, 300},
      module_refused{module(1), 1 << 20, module_refused::reason::not_here},
      owners_trusted{{owner(1), owner(2)}},
      drain_notice{true, false, 3, 12, 40U, {"ledger/3 has no leader"}},
      drain_notice{},
      operator_order{9, 3, shard_3, node(1), node(2), true},
      operator_answer{9, operator_progress::under_way, reply_status::ok, 480,
                      ""},
      recovery_told{papers().genesis},
      standings_told{9, app(1), true, {standing()}},
      backup_wanted{9, shard_3, backup_wanted::step::entries, 4, {7, 8}},
      backup_given{9, 4, backup_wanted::step::entries, true, {1, 2, 3}, ""},
      backup_given{9, 4, backup_wanted::step::begin, false, {}, "no replica"},
      logs_wanted{7, "ledger", 5, 1'700'000'000'000},
      lines(),
      event_of_2(),
      secret_wanted{app(1), 3},
      secret_key{app(1), 3, sealed_secret{std::array<std::uint8_t, 80>{9}}},
      version_ready{app(1), 3, {true, 2, ""}},
      instance_word{app(1), 3, true},
      node_load{1000, 12, 3'400},
      distances_told{{{node(1), 250us}, {node(2), 80ms}}},
      view_wanted{shard_3},
      instances_told{app(1), {{node(1), 3}, {node(2), 4}}},
      documents_sum{12, UINT64_MAX},
      days_wanted{{}, {{20'000, 7}, {20'001, 9}}, {}},
      days_wanted{node(1), {}, day_archive::place{20'000, node(2)}},
      days_given{{}, true, {papers().genesis, papers().version}},
      policy_told{papers().genesis},
      pinned_replicas{{{app(1), 0}, {app(1), 3}, {app(2), 1}}},
      pin_wanted{shard_3, at(1).replica},
      hardware_challenge{5, challenge_kind::memory, nonce_of_9(), 256},
      hardware_challenge{6, challenge_kind::bandwidth, nonce_of_9(), 1024},
      hardware_answer{5, challenge_outcome::done, module(3), {}},
      hardware_answer{6, challenge_outcome::done, module(3), {1, 2, 3}},
      hardware_answer{7, challenge_outcome::unable, {}, {}},
      word_of_3()};
}

/// A frame that isn't of a later kind: it can be encoded again.
struct known {
  control_frame frame;
};
void encode(const known& f, bytes& out) {
  encode(f.frame, out);
}
bool decode(const_bytes in, known& out) {
  return decode(in, out.frame)
         && !std::holds_alternative<unknown_control>(out.frame);
}

template <class T>
T through_the_wire(const T& sent) {
  control_frame out;
  EXPECT_TRUE(decode(encoded_control(sent), out));
  return std::get<T>(out);
}
bool refused(const control_frame& f) {
  control_frame out;
  return !decode(encoded_control(f), out);
}

TEST(control_wire, every_kind_survives_the_wire_and_its_damage) {
  for (const auto& f : one_of_each()) {
    control_frame out;
    ASSERT_TRUE(decode(encoded_control(f), out)) << f.index();
    EXPECT_EQ(out.index(), f.index());
    survives_damage(known{f});
  }
}

TEST(control_wire, every_field_comes_as_it_was_sent) {
  const auto m = through_the_wire(wish());
  EXPECT_EQ(m.token, 77U);
  EXPECT_EQ(m.app, app(1));
  EXPECT_EQ(m.nonce, wish().nonce);
  EXPECT_EQ(m.shards, (std::vector<std::uint32_t>{0, 3, 1023}));
  EXPECT_EQ(m.secret, wish().secret);
  const auto f = through_the_wire(failover());
  EXPECT_EQ(f.app, "ledger");
  EXPECT_EQ(f.group, shard_3);
  EXPECT_EQ(f.leader, node(2));
  EXPECT_EQ(f.old_leader, node(1));
  EXPECT_EQ(f.elected_ms, 12.5);
  EXPECT_EQ(f.first_commit_ms, 14);
  EXPECT_EQ(f.first_reply_ms, 0.0);
  EXPECT_EQ(f.at_unix_ms, 1'700'000'000'000);
  const auto held =
      through_the_wire(documents_held{{{app(1), {3, false}}, {app(2), {}}}});
  EXPECT_EQ(held.apps.at(app(1)).number, 3U);
  EXPECT_FALSE(held.apps.at(app(1)).deleted);
  EXPECT_EQ(held.apps.size(), 2U);
}

TEST(control_wire, an_operators_words_come_as_they_were_sent) {
  const drain_notice n{true, true, 3, 12, 40U, {"a", "b"}};
  EXPECT_EQ(through_the_wire(n), n);
  const auto o =
      through_the_wire(operator_order{9, 250, shard_3, node(1), {}, true});
  EXPECT_EQ(o.token, 9U);
  EXPECT_EQ(o.what, 250); // of a later version: answered, not refused here
  EXPECT_EQ(o.group, shard_3);
  EXPECT_EQ(o.from, node(1));
  EXPECT_TRUE(o.to.is_none());
  EXPECT_TRUE(o.force);
  const auto a = through_the_wire(
      operator_answer{9, operator_progress::refused, reply_status::conflict, 7,
                      "no\nnode" + std::string(2000, 'x')});
  EXPECT_EQ(a.progress, operator_progress::refused);
  EXPECT_EQ(a.status, reply_status::conflict);
  EXPECT_EQ(a.permille, 7);
  EXPECT_EQ(a.message.substr(0, 8), "no?nodex");
  EXPECT_EQ(a.message.size(), operator_text_bytes_max);
  drain_notice many;
  many.blocked.assign(drain_blocked_max + 1, "x");
  EXPECT_EQ(through_the_wire(many).blocked.size(), drain_blocked_max);
}

TEST(control_wire, lines_and_events_come_as_they_were_sent) {
  const auto l = through_the_wire(lines());
  EXPECT_EQ(l.token, 7U);
  ASSERT_EQ(l.lines.size(), 2U);
  EXPECT_EQ(l.lines[0].actor, "alice");
  EXPECT_EQ(l.lines[0].source, log_source::log);
  EXPECT_EQ(l.lines[1].text, "\x1b\xff") << "any bytes: made harmless later";
  EXPECT_TRUE(l.more);
  const auto e = through_the_wire(event_of_2()).what;
  EXPECT_EQ(e.kind, "host_failed");
  EXPECT_EQ(e.app, "ledger");
  EXPECT_EQ(e.shard, 3U);
  EXPECT_EQ(e.about, node(1));
  EXPECT_EQ(e.text, "killed by SIGSEGV");
  auto bare = event_of_2();
  bare.what.app.clear();
  bare.what.shard.reset();
  bare.what.about.reset();
  EXPECT_FALSE(through_the_wire(bare).what.shard);
  EXPECT_FALSE(through_the_wire(bare).what.about);
}

TEST(control_wire, what_operators_are_shown_is_bounded_and_plain) {
  auto e = event_of_2();
  e.what.kind = "Host failed";
  EXPECT_TRUE(refused(e));
  e = event_of_2();
  e.what.text = "two\nlines";
  EXPECT_TRUE(refused(e));
  e.what.text = std::string(mesh_event::text_bytes_max + 1, 'x');
  EXPECT_TRUE(refused(e));
  auto l = lines();
  std::swap(l.lines[0].number, l.lines[1].number);
  EXPECT_TRUE(refused(l)) << "numbers must ascend";
  l = lines();
  l.lines[1].text = std::string(log_line::text_bytes_max + 1, 'x');
  EXPECT_TRUE(refused(l));
  l.lines.assign(log_lines_max + 1, {});
  EXPECT_TRUE(refused(l));
  EXPECT_TRUE(refused(logs_wanted{1, "No App", 0, 0}));
}

TEST(control_wire, versions_come_as_they_were_sent) {
  const auto w = through_the_wire(word_of_3());
  EXPECT_TRUE(same_word(w, word_of_3()));
  EXPECT_EQ(w.written->index, log_index{77});
  EXPECT_EQ(w.health.turns, 1000U);
  EXPECT_EQ(w.health.p99, 4ms);
  auto unwritten = word_of_3();
  unwritten.written.reset();
  EXPECT_FALSE(through_the_wire(unwritten).written);
  const auto r =
      through_the_wire(version_ready{app(1), 3, {false, 0, "no module"}});
  EXPECT_EQ(r.number, 3U);
  EXPECT_FALSE(r.ready.ok);
  EXPECT_EQ(r.ready.why, "no module");
  auto bad = word_of_3();
  bad.group.shard = shards_max;
  EXPECT_TRUE(refused(bad));
  bad = word_of_3();
  bad.state = static_cast<update_state>(9);
  EXPECT_TRUE(refused(bad));
}

TEST(control_wire, words_for_the_door_come_as_they_were_sent) {
  const auto w = through_the_wire(instance_word{app(1), 3, true});
  EXPECT_EQ(w.app, app(1));
  EXPECT_EQ(w.number, 3U);
  EXPECT_TRUE(w.up);
  const auto l = through_the_wire(node_load{250, 12, 3'400});
  EXPECT_EQ(l.busy, 250U);
  EXPECT_EQ(l.leads, 12U);
  EXPECT_EQ(l.calls, 3'400U);
  EXPECT_TRUE(refused(node_load{1001, 0, 0}));
}

TEST(control_wire, pinned_replicas_come_each_once) {
  EXPECT_EQ(through_the_wire(pinned_replicas{{shard_3}}).groups.size(), 1U);
  EXPECT_TRUE(refused(pinned_replicas{{shard_3, shard_3}}));
  EXPECT_TRUE(refused(pinned_replicas{{{app(2), 0}, {app(1), 0}}}));
}

TEST(control_wire, distances_come_in_microseconds_and_are_bounded) {
  const auto d = through_the_wire(
      distances_told{{{node(1), 250us}, {node(2), 90s}, {node(3), -1s}}});
  EXPECT_EQ(d.to.size(), 3U);
  EXPECT_EQ(d.to.at(node(1)), 250us);
  EXPECT_EQ(d.to.at(node(2)), 60s);
  EXPECT_EQ(d.to.at(node(3)), 0s);
  distances_told many;
  for (std::uint8_t n = 0; n <= distances_told::nodes_max; ++n)
    many.to[node(n)] = 1ms;
  EXPECT_TRUE(refused(many));
  many.to.erase(many.to.begin());
  EXPECT_FALSE(refused(many));
  // Nodes must ascend, each once.
  bytes twice;
  writer w{twice};
  w.array(2).uint(39).array(2);
  for (int i = 0; i < 2; ++i)
    w.array(2).id(node(1)).uint(5);
  control_frame out;
  EXPECT_FALSE(decode(twice, out));
}

TEST(control_wire, what_is_left_out_stays_out) {
  auto f = failover();
  f.old_leader.reset();
  f.first_reply_ms.reset();
  EXPECT_FALSE(through_the_wire(f).old_leader);
  EXPECT_FALSE(through_the_wire(f).first_reply_ms);
  auto m = wish();
  m.app = {};
  m.secret.reset();
  EXPECT_FALSE(through_the_wire(m).secret);
  EXPECT_TRUE(through_the_wire(unready_replicas{}).replicas.empty());
}

TEST(control_wire, a_later_kind_is_skipped_and_no_kind_is_refused) {
  bytes later;
  writer{later}.array(3).uint(200).text("?").nil();
  control_frame out = compare_wanted{};
  EXPECT_TRUE(decode(later, out));
  EXPECT_TRUE(std::holds_alternative<unknown_control>(out));
  for (const auto& bad : {bytes{}, bytes{0x90}, bytes{0x91}, bytes{0xc0},
                          bytes{0x91, 0xcd, 0x01, 0x00}, bytes(3, 0x99)})
    EXPECT_FALSE(decode(bad, out)) << to_hex(bad);
}

TEST(control_wire, what_makes_no_sense_is_refused) {
  for (const auto* name : {"", "Ledger", "a\x1b[2J", "9"}) {
    auto f = failover();
    f.app = name;
    EXPECT_TRUE(refused(f)) << name;
    EXPECT_TRUE(refused(host_state{name, true})) << name;
  }
  EXPECT_TRUE(refused(host_state{std::string(64, 'a'), true}));
  for (const auto ms : {std::numeric_limits<double>::quiet_NaN(),
                        std::numeric_limits<double>::infinity()}) {
    auto f = failover();
    f.elected_ms = ms;
    EXPECT_TRUE(refused(f));
    f = failover();
    f.first_reply_ms = ms;
    EXPECT_TRUE(refused(f));
  }
  auto f = failover();
  f.first_reply_ms = -2;
  EXPECT_TRUE(refused(f));
  EXPECT_TRUE(refused(compare_wanted{{app(1), 1024}}));
  EXPECT_TRUE(refused(
      unready_replicas{{{shard_3, at(1).replica, state_phase::whole}}}));
}

TEST(control_wire, modules_come_as_they_were_sent_and_within_their_bounds) {
  const auto held =
      through_the_wire(modules_held{{{module(1), 999}, {module(2), 1000}}});
  ASSERT_EQ(held.modules.size(), 2U);
  EXPECT_EQ(held.modules[0].hash, module(1));
  EXPECT_EQ(held.modules[0].permille, 999);
  const auto want = through_the_wire(
      module_wanted{module(3), module_bytes_max, module_piece_bytes_max});
  EXPECT_EQ(want.offset, module_bytes_max);
  EXPECT_EQ(want.size, module_piece_bytes_max);
  EXPECT_EQ(through_the_wire(module_refused{module(3), 5, {}}).offset, 5U);
  EXPECT_EQ(through_the_wire(owners_trusted{{owner(1)}}).owners,
            std::vector<owner_id>{owner(1)});
  EXPECT_TRUE(refused(modules_held{{{module(1), 1001}}}));
  EXPECT_TRUE(refused(modules_held{{{module(2), 1}, {module(1), 1}}}));
  EXPECT_TRUE(refused(modules_held{{{module(1), 1}, {module(1), 1}}}));
  EXPECT_TRUE(refused(module_wanted{module(1), module_bytes_max + 1, 1}));
  EXPECT_TRUE(refused(module_wanted{module(1), 0, 0}));
  EXPECT_TRUE(refused(module_wanted{module(1), 0, module_piece_bytes_max + 1}));
  EXPECT_TRUE(refused(owners_trusted{{owner(2), owner(1)}}));
}

TEST(module_wire, a_piece_comes_as_it_was_sent_and_within_its_bounds) {
  survives_damage(module_piece{module(1), 300, {1, 2, 3}});
  const auto fits = [](std::uint64_t offset, std::size_t size) {
    module_piece out;
    return decode(encoded(module_piece{module(1), offset, bytes(size)}), out);
  };
  EXPECT_TRUE(fits(module_bytes_max - 1, 1));
  EXPECT_FALSE(fits(module_bytes_max - 1, 2));
  EXPECT_FALSE(fits(UINT64_MAX, 1));
  EXPECT_FALSE(fits(0, 0));
  EXPECT_TRUE(fits(0, module_piece_bytes_max));
  EXPECT_FALSE(fits(0, module_piece_bytes_max + 1));
}

TEST(control_wire, shards_are_named_once_in_order_and_within_the_bound) {
  for (const auto& shards : std::vector<std::vector<std::uint32_t>>{
           {}, {1024}, {3, 3}, {3, 1}, std::vector<std::uint32_t>(1025)}) {
    auto m = wish();
    m.shards = shards;
    EXPECT_TRUE(refused(m)) << shards.size();
  }
  EXPECT_TRUE(refused(replicas_made{1, {{1024, at(1).replica}}, ""}));
}

TEST(control_wire, an_error_is_one_line_of_bounded_length) {
  const auto m = through_the_wire(
      replicas_made{1, {}, "no\nmodule\x1b" + std::string(5000, 'x')});
  EXPECT_EQ(m.error.substr(0, 11), "no?module?x");
  EXPECT_EQ(m.error.size(), control_error_bytes_max);
  bytes raw; // from one that doesn't cut
  writer{raw}.array(4).uint(6).uint(1).array(0).text("two\nlines");
  control_frame out;
  EXPECT_FALSE(decode(raw, out));
}

TEST(control_wire, a_count_beyond_the_bytes_left_is_refused) {
  const bytes documents{0x92, 0x03, 0xdd, 0x00, 0x01, 0x00, 0x00};
  const bytes states{0x92, 0x0a, 0xdd, 0x00, 0x01, 0x00, 0x00};
  control_frame out;
  EXPECT_FALSE(decode(documents, out));
  EXPECT_FALSE(decode(states, out));
  // Every byte of the list is there.
  const unready_replicas one{{{shard_3, at(1).replica, state_phase::lost}}};
  const auto item = encoded_control(one);
  for (const auto count : {control_list_max, control_list_max + 1}) {
    bytes all;
    writer w{all};
    w.array(2).uint(10).array(count);
    for (std::size_t i = 0; i < count; ++i)
      w.raw(const_bytes{item}.from(3));
    EXPECT_EQ(decode(all, out), count == control_list_max);
  }
}

} // namespace
} // namespace banyan::routing_tests
