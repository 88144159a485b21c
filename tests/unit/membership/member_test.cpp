#include "net/membership/messages.hpp"
#include "tests/unit/membership/mesh.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::net::testing {
namespace {

template <class Effect>
std::size_t count(const membership_effects& effects) {
  return std::size_t(
      std::count_if(effects.begin(), effects.end(), [](const auto& e) {
        return std::holds_alternative<Effect>(e);
      }));
}

TEST(incarnations, are_on_disk_before_they_are_used) {
  mesh m{1};
  m.add();
  membership_config cfg{m[0].key.clone()};
  cfg.disk_incarnation = incarnation{7};
  cfg.listen = {"10.0.0.1", 7600};
  cfg.seeds.push_back({{"10.0.0.2", 7600}, std::nullopt});
  seeded_random random{1};
  membership core{std::move(cfg), random, m.now};
  membership_effects out;
  core.start(m.now, out);
  ASSERT_EQ(out.size(), 1U);
  EXPECT_EQ(std::get<persist_incarnation>(out[0]).value, incarnation{8});
  link_info early;
  early.node = m[0].key.id();
  core.on_link_up(early, m.now, out);
  core.on_tick(m.now + 1s, out);
  EXPECT_EQ(out.size(), 1U); // nothing else before it is there
  core.on_incarnation_persisted(incarnation{6}, m.now, out);
  EXPECT_EQ(out.size(), 1U); // not the one asked for
  core.on_incarnation_persisted(incarnation{8}, m.now, out);
  EXPECT_EQ(count<incarnation_ready>(out), 1U);
  EXPECT_EQ(count<want_seed>(out), 1U);
  EXPECT_EQ(core.own().incarnation, incarnation{8});
}

TEST(incarnations, an_older_disk_goes_above_the_mesh_and_says_rolled_back) {
  mesh m{2};
  m.found(5);
  m.run_for(2s);
  const auto known = m.boot_from_old_image(4);
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  EXPECT_GT(m.core(4).own().incarnation, known);
  m.run_for(300ms); // no clone explains it
  EXPECT_EQ(m.all<rolled_back>(4).size(), 1U);
  EXPECT_TRUE(m.all<cloned>(4).empty());
}

// The verdict that a boot was told of must not silence what its successor, an
// older image, has to hear: both within the second of `membership_patience`.
TEST(incarnations, an_image_restored_right_after_a_verdict_says_rolled_back) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    mesh m{60 + seed};
    m.found(3);
    const auto image = m[2].members_on_disk;
    const auto disk = m[2].disk;
    m.kill(2);
    ASSERT_TRUE(
        m.run_until([&] { return m.all_see(2, member_state::dead); }, 10s));
    m.start(2);
    ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
    m.kill(2);
    ASSERT_TRUE(
        m.run_until([&] { return m.all_see(2, member_state::dead); }, 10s));
    m[2].disk = disk;
    m[2].members_on_disk = image;
    m[2].log.clear();
    m.start(2);
    ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
    m.run_for(300ms);
    EXPECT_EQ(m.all<rolled_back>(2).size(), 1U) << "seed " << seed;
  }
}

TEST(incarnations, a_lost_incarnation_file_is_noticed_by_the_node_itself) {
  mesh m{28};
  m.found(3);
  m.kill(2);
  m.start(2);
  m.run_for(5s);
  m.kill(2);
  m[2].disk = incarnation{};
  m[2].log.clear();
  m.start(2);
  EXPECT_EQ(m.all<rolled_back>(2).size(), 1U);
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  EXPECT_EQ(m.all<rolled_back>(2).size(), 1U);
}

TEST(incarnations, an_ordinary_restart_is_no_rollback) {
  mesh m{3};
  m.found(5);
  m.kill(4);
  m.run_for(100ms);
  m[4].log.clear();
  m.start(4);
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  EXPECT_TRUE(m.all<rolled_back>(4).empty());
  EXPECT_TRUE(m.all<cloned>(4).empty());
}

TEST(clones, both_stop_and_name_both_addresses) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    mesh m{40 + seed};
    m.found(5);
    const auto copy = m.clone_of(3, {"10.0.9.9", 7600});
    m.start(copy, 0);
    m.run_for(10s);
    ASSERT_EQ(m.all<cloned>(copy).size(), 1U) << seed;
    ASSERT_EQ(m.all<cloned>(3).size(), 1U) << seed;
    EXPECT_TRUE(m.all<rolled_back>(3).empty()) << "exit 3, not a fault";
    EXPECT_TRUE(m.all<rolled_back>(copy).empty());
    EXPECT_EQ(m.all<cloned>(copy)[0].second.theirs, m[3].at);
    EXPECT_EQ(m.all<cloned>(3)[0].second.theirs, m[copy].at);
  }
}

TEST(left, is_known_to_all_and_no_death) {
  mesh m{4};
  m.found(5);
  m.call(2, [&](auto& c, auto& out) { c.leave(m.now, out); });
  m.run_for(5ms);
  m.kill(2);
  m.run_for(5s);
  EXPECT_TRUE(m.all_see(2, member_state::left));
  for (const std::size_t i : {0, 1, 3, 4}) {
    EXPECT_EQ(m.core(i).find(m.id(2))->accusers, 0U);
    EXPECT_EQ(m.all<unwant_link>(i).size(), 1U);
    const auto gone = m.all<peer_gone>(i);
    ASSERT_EQ(gone.size(), 1U); // the replicas hear of it all the same
    EXPECT_EQ(gone[0].second.evidence, evidence::end_of_stream);
  }
  m.start(2);
  EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
}

TEST(liveness_streams, are_fast_between_nodes_that_share_a_group) {
  mesh m{5};
  m.found(3);
  const auto beats_in_10_s = [&] {
    const auto before = m.core(0).counters().beats_out;
    m.run_for(10s);
    return m.core(0).counters().beats_out - before;
  };
  EXPECT_NEAR(double(beats_in_10_s()), 200, 4); // two peers, 10 each second
  m.core(0).set_shares_group(m.id(1), true);
  EXPECT_NEAR(double(beats_in_10_s()), 300, 6);
}

TEST(liveness_streams, tell_leads_fsync_and_who_is_heard) {
  mesh m{6};
  m.found(3);
  m.core(0).set_leads(m.id(1), 4711);
  m.core(0).set_oldest_fsync(m.now - 1500ms);
  membership_effects seen;
  m.run_for(150ms);
  EXPECT_GE(m.core(1).fsync_age(m.id(0)), 1500ms);
  EXPECT_TRUE(m.core(1).hears(m.id(0), m.id(2)));
  EXPECT_TRUE(m.core(1).hears(m.id(0)));
  m.sever(0, 2);
  m.run_for(1s);
  EXPECT_FALSE(m.core(1).hears(m.id(0), m.id(2)));
  EXPECT_FALSE(m.core(1).hears(m.id(2), m.id(0)));
  EXPECT_TRUE(m.core(1).hears(m.id(2)));
}

TEST(evidence, end_of_stream_acts_at_once) {
  mesh m{7};
  m.found(3);
  const auto killed = m.now;
  m.kill(1);
  m.run_for(1s);
  const auto gone = m.all<peer_gone>(0);
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0].second.evidence, evidence::end_of_stream);
  EXPECT_LE(gone[0].first - killed, 1ms);
}

TEST(evidence, a_refused_dial_after_a_goodbye_acts_at_once) {
  mesh m{8};
  m.found(3);
  membership_effects out;
  m.call(0, [&](auto& c, auto& effects) {
    c.on_dial_failed(m.id(1), dial_error::refused, m.now, effects);
  });
  EXPECT_TRUE(m.all<peer_gone>(0).empty()); // a link is up: an old address
}

TEST(evidence, silence_and_return_reach_the_replicas) {
  mesh m{9};
  m.found(3);
  m[0].log.clear();
  m.freeze(1);
  m.run_for(350ms);
  EXPECT_EQ(m.all<peer_silent>(0).size(), 1U);
  EXPECT_FALSE(m.core(0).hears(m.id(1)));
  m.thaw(1);
  m.run_for(5ms);
  EXPECT_EQ(m.all<peer_back>(0).size(), 1U);
  EXPECT_TRUE(m.core(0).hears(m.id(1)));
}

TEST(evidence, a_restart_is_seen_although_the_old_link_said_nothing) {
  mesh m{10};
  m.found(5);
  m.unplug(4); // power loss: no end of stream
  m[4].core.reset();
  m.run_for(50ms);
  m.split({4}, false);
  m[0].log.clear();
  m.start(4, 1);
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  const auto gone = m.all<peer_gone>(0);
  ASSERT_GE(gone.size(), 1U);
  EXPECT_EQ(gone[0].second.evidence, evidence::restarted);
}

TEST(local_health_rule, a_stalled_observer_accuses_nobody) {
  mesh m{11};
  m.found(5);
  m[0].log.clear();
  for (const auto stall : {250ms, 1000ms, 8000ms}) {
    m.freeze(0);
    m.run_for(stall);
    m.thaw(0);
    m.run_for(3s);
    EXPECT_TRUE(m.all<peer_silent>(0).empty()) << stall.count();
  }
  EXPECT_GT(m.core(0).counters().stalls, 0U);
  EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
}

TEST(doubts, reach_everybody_with_the_record_and_are_taken_back) {
  mesh m{41};
  m.found(4);
  for (const auto& doubts :
       {std::vector<member_doubt>{{member_doubt::start_of(m.id(2)), 1}},
        std::vector<member_doubt>{}}) {
    m.call(1, [&](auto& c, auto& out) { c.set_doubts(doubts, m.now, out); });
    EXPECT_TRUE(m.run_until(
        [&] {
          for (std::size_t n = 0; n < 4; ++n)
            if (m.core(n).find(m.id(1))->record.doubts != doubts)
              return false;
          return true;
        },
        5s));
  }
}

TEST(observers, are_all_others_in_a_full_mesh_and_ring_places_above) {
  for (const std::size_t n : {5, 24}) {
    mesh m{42};
    m.found_again(n);
    const auto& subject = m.id(2);
    const auto all = m.core(0).observers(subject);
    EXPECT_EQ(std::set<node_id>(all.begin(), all.end()).size(), all.size());
    EXPECT_EQ(std::count(all.begin(), all.end(), subject), 0);
    EXPECT_EQ(m.core(1).observers(subject), all); // of one view, one answer
    if (n == 5) {
      EXPECT_EQ(all.size(), 4U);
    } else {
      EXPECT_GE(all.size(), 2U);
      EXPECT_LE(all.size(), ring_count);
    }
  }
}

TEST(reports_rule, make_the_other_observers_ping_at_once) {
  mesh m{12};
  m.found(4);
  const auto r = m.says(2, 1, 100);
  membership_effects out;
  m.core(0).on_frame(m.id(2), channel::membership,
                     encode(news_message{{}, {r}}), m.now, out);
  bool pinged = false;
  for (const auto& e : out)
    if (const auto* f = std::get_if<send_frame>(&e);
        f != nullptr && f->channel == channel::beat && f->to == m.id(1)) {
      beat_message b;
      ASSERT_TRUE(decode(f->payload, b));
      pinged = pinged || b.answer;
    }
  EXPECT_TRUE(pinged);
  EXPECT_EQ(m.sees(0, 1), member_state::suspect);
}

TEST(reports_rule, one_lying_member_evicts_nobody) {
  mesh m{13};
  m.found(5);
  for (std::uint64_t n = 1; n < 50; ++n) {
    for (const std::size_t subject : {0, 1, 2, 3})
      for (const std::size_t to : {0, 1, 2, 3})
        m.inject(4, to, channel::membership,
                 encode(news_message{{}, {m.says(4, subject, 1000 + n)}}));
    m.run_for(100ms);
  }
  for (const std::size_t i : {0, 1, 2, 3})
    for (const std::size_t j : {0, 1, 2, 3})
      EXPECT_NE(m.sees(i, j), member_state::dead);
}

TEST(reports_rule, a_flapping_link_costs_two_reports_a_second_at_most) {
  mesh m{14};
  m.found(4);
  const auto before = m.core(3).counters().reports_new;
  for (int i = 0; i < 100; ++i) { // 20 s
    m.call(0, [&](auto& c, auto& out) {
      link_info l;
      l.id = link_id{std::uint64_t(1000 + i)};
      l.node = m.id(1);
      l.boot = m[1].boot;
      l.incarnation = m.core(1).own().incarnation;
      c.on_link_up(l, m.now, out);
      c.on_link_down(l, link_end::reset, m.now, out);
      l.id = link_id{std::uint64_t(2000 + i)};
      c.on_link_up(l, m.now, out);
    });
    m.run_for(200ms);
  }
  EXPECT_LE(m.core(3).counters().reports_new - before, 42U);
  EXPECT_NE(m.sees(3, 1), member_state::dead);
}

TEST(foreign_input, forged_records_cost_the_sender_and_change_nothing) {
  mesh m{15};
  m.found(4);
  m[0].log.clear();
  auto r = m.core(2).own();
  r.number += 5;
  r.region = "stolen";
  auto d = member_document::make(m[1].key, m.mesh_name(), r);
  m.inject(1, 0, channel::membership, encode(news_message{{d}, {}}));
  const auto blamed = m.all<misbehaved>(0);
  ASSERT_EQ(blamed.size(), 1U);
  EXPECT_EQ(blamed[0].second.node, m.id(1));
  EXPECT_EQ(m.core(0).find(m.id(2))->record.region, "");
  EXPECT_EQ(m.core(0).counters().signatures_bad, 1U);
}

/// Machine 0 completes a handshake with somebody whom no machine runs.
void meets(mesh& m, const node_id& stranger) {
  link_info l;
  l.id = link_id{~0ULL};
  l.node = stranger;
  l.up_since = m.now;
  m.call(0, [&](auto& c, auto& out) { c.on_link_up(l, m.now, out); });
}

TEST(foreign_input, a_member_nobody_shook_hands_with_is_not_let_in) {
  mesh m{16};
  m.found(4);
  seeded_random random{99};
  const auto stranger = identity::generate(random);
  member_record r;
  r.node = stranger.id();
  r.incarnation = incarnation{1};
  auto d = member_document::make(stranger, m.mesh_name(), r);
  const auto offer = [&] {
    m.inject(1, 0, channel::membership, encode(news_message{{d}, {}}));
    return m.core(0).find(stranger.id()).has_value();
  };
  EXPECT_FALSE(offer());
  d.admitted = admission::make(stranger, m.mesh_name(), stranger.id());
  EXPECT_FALSE(offer()); // by itself
  d.admitted = admission::make(m[1].key, m.mesh_name(), stranger.id());
  EXPECT_FALSE(offer()); // one member's word
  meets(m, stranger.id());
  EXPECT_TRUE(m.core(0).find(stranger.id()));
}

TEST(allowed_nodes, others_become_no_members_and_members_stay) {
  mesh m{31};
  m.found(4);
  seeded_random random{97};
  const auto stranger = identity::generate(random);
  const auto out_of_list = m.id(2);
  bool listed = false;
  m.core(0).set_allowed([&](const node_id& n) {
    return listed || (n != stranger.id() && n != out_of_list);
  });
  member_record r;
  r.node = stranger.id();
  r.incarnation = incarnation{1};
  auto d = member_document::make(stranger, m.mesh_name(), r);
  d.admitted = admission::make(m[1].key, m.mesh_name(), stranger.id());
  m.inject(1, 0, channel::membership, encode(news_message{{d}, {}}));
  EXPECT_FALSE(m.core(0).find(stranger.id()));
  EXPECT_EQ(m.core(0).counters().admissions_unlisted, 1U);
  m.kill(2);
  m.start(2, 1);
  EXPECT_TRUE(m.run_until(
      [&] { return m.sees(0, 2) == member_state::alive && m.linked(0, 2); },
      20s));
}

TEST(foreign_input, a_member_whose_sponsor_comes_later_waits_for_it) {
  mesh m{29};
  m.found(4);
  m[0].log.clear();
  seeded_random random{98};
  const auto sponsor = identity::generate(random);
  const auto stranger = identity::generate(random);
  const auto document = [&](const identity& of, const identity& by) {
    member_record r;
    r.node = of.id();
    r.incarnation = incarnation{1};
    auto d = member_document::make(of, m.mesh_name(), r);
    d.admitted = admission::make(by, m.mesh_name(), of.id());
    return d;
  };
  const auto offer = [&](const member_document& d) {
    m.inject(1, 0, channel::membership, encode(news_message{{d}, {}}));
  };
  auto forged = document(stranger, sponsor);
  forged.admitted->by = forged.by;
  offer(forged);
  EXPECT_EQ(m.all<misbehaved>(0).size(), 1U); // nothing bad waits
  offer(document(stranger, sponsor));
  EXPECT_FALSE(m.core(0).find(stranger.id()));
  offer(document(sponsor, m[1].key));
  EXPECT_FALSE(m.core(0).find(sponsor.id()));
  meets(m, sponsor.id());
  EXPECT_TRUE(m.core(0).find(sponsor.id()));
  EXPECT_FALSE(m.core(0).find(stranger.id()));
  meets(m, stranger.id()); // it waited for its sponsor, then for this
  EXPECT_TRUE(m.core(0).find(stranger.id()));
}

TEST(foreign_input, whoever_is_no_member_yet_can_only_say_hello) {
  mesh m{17};
  m.found(3);
  const auto i = m.add();
  link_info l;
  l.id = link_id{999};
  l.node = m.id(i);
  l.boot = boot_id{std::array<std::uint8_t, 16>{1}};
  l.incarnation = incarnation{1};
  membership_effects out;
  m.core(0).on_link_up(l, m.now, out);
  out.clear();
  m.core(0).on_frame(l.node, channel::membership, encode(summary_message{1}),
                     m.now, out);
  EXPECT_EQ(count<send_frame>(out), 0U);
  member_record r;
  r.node = m.id(1); // another's
  r.incarnation = incarnation{9};
  m.core(0).on_frame(
      l.node, channel::membership,
      encode(
          hello_message{member_document::make(m[i].key, m.mesh_name(), r), {}}),
      m.now, out);
  EXPECT_EQ(count<misbehaved>(out), 1U);
}

TEST(foreign_input, garbage_is_counted_and_survived) {
  mesh m{18};
  m.found(3);
  seeded_random random{5};
  for (int i = 0; i < 2000; ++i) {
    bytes b(random.below(200));
    random.fill(b.data(), b.size());
    m.inject(1, 0, i % 2 == 0 ? channel::membership : channel::beat, b);
  }
  EXPECT_GT(m.core(0).counters().frames_bad, 1000U);
  EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
}

TEST(foreign_input, a_replayed_old_report_is_ignored) {
  mesh m{19};
  m.found(4);
  const auto old = m.says(2, 1, 1);
  const auto back = m.says(2, 1, 2, false);
  m.inject(2, 0, channel::membership, encode(news_message{{}, {back}}));
  m.inject(3, 0, channel::membership, encode(news_message{{}, {old}}));
  EXPECT_EQ(m.sees(0, 1), member_state::alive);
}

TEST(gossip, a_digest_mends_what_a_flood_missed) {
  mesh m{20};
  m.found(4);
  // Only node 2 gets it, as if all its other frames had been lost.
  auto r = m.core(3).own();
  r.number += 1;
  r.region = "north";
  const auto d = member_document::make(m[3].key, m.mesh_name(), r);
  m.sever(0, 2);
  m.sever(1, 2);
  m.inject(3, 2, channel::membership, encode(news_message{{d}, {}}));
  m.run_for(100ms);
  EXPECT_EQ(m.core(0).find(m.id(3))->record.region, "");
  m.sever(0, 2, false);
  m.sever(1, 2, false);
  EXPECT_TRUE(m.run_until(
      [&] {
        return m.core(0).find(m.id(3))->record.region == "north"
               && m.core(1).find(m.id(3))->record.region == "north";
      },
      10s));
}

TEST(gossip, settled_views_are_equal_and_calm) {
  mesh m{21};
  m.found(10);
  m.run_for(5s);
  const auto digests = [&] {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < m.size(); ++i)
      n += m.core(i).counters().digests;
    return n;
  };
  const auto before = digests();
  const auto sent = m.frame_bytes;
  m.run_for(10s);
  EXPECT_EQ(digests(), before);
  EXPECT_LT((m.frame_bytes - sent) / 10 / m.size(), 8192U); // per s and node
}

TEST(gossip, one_seed_gives_one_course_of_events) {
  const auto run = [](std::uint64_t seed) {
    mesh m{seed};
    m.found(7);
    m.freeze(3);
    m.run_for(1s);
    m.thaw(3);
    m.kill(1);
    m.run_for(1s);
    return m.trace;
  };
  EXPECT_EQ(run(22), run(22));
  EXPECT_NE(run(22), run(23));
}

TEST(addresses, a_wildcard_listen_advertises_what_was_dialled_back) {
  mesh m{23};
  m.found(3);
  const auto i = m.add();
  m.start(i, 0, [](membership_config& c) { c.listen = {"0.0.0.0", 7600}; });
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  EXPECT_EQ(m.core(i).own().address, m[i].at);
  EXPECT_EQ(m.core(2).find(m.id(i))->record.address, m[i].at);
  EXPECT_EQ(m.all<advertised>(i).size(), 1U);
}

TEST(addresses, what_cannot_be_dialled_back_is_not_advertised) {
  mesh m{24};
  m.found(3);
  const auto i = m.add();
  m.start(i, 0, [](membership_config& c) { c.listen = {"0.0.0.0", 9999}; });
  m.run_for(5s);
  EXPECT_TRUE(m.core(i).own().address.empty());
}

TEST(addresses, advertise_goes_before_listen) {
  mesh m{25};
  m.found(2);
  const auto i = m.add();
  m.start(i, 0, [&](membership_config& c) {
    c.listen = {"127.0.0.1", 1};
    c.advertise = m[i].at;
  });
  ASSERT_TRUE(m.run_until([&] { return m.settled(); }, 10s));
  EXPECT_EQ(m.core(1).find(m.id(i))->record.address, m[i].at);
}

TEST(founding, a_newcomer_gets_to_show_its_admission_later) {
  mesh m{26};
  m.found(3);
  m.run_for(3s);
  // All but node 2 forget everything; it still carries who let it in.
  reader r{m[2].members_on_disk};
  EXPECT_EQ(r.array(2), 2U);
  r.uint();
  bool admitted = false;
  for (auto n = r.array(10); n > 0; --n) {
    member_document d;
    ASSERT_TRUE(member_document::decode(r, d));
    if (d.record.node == m.id(2))
      admitted = d.admitted && d.admitted->verify(m.mesh_name(), m.id(2));
  }
  EXPECT_TRUE(admitted);
}

TEST(founding, two_meshes_of_one_key_become_one_when_they_meet) {
  mesh m{27};
  for (int i = 0; i < 8; ++i)
    m.add();
  for (std::size_t i = 0; i < 4; ++i)
    m.start(i, 0);
  for (std::size_t i = 4; i < 7; ++i)
    m.start(i, 4);
  m.run_for(5s);
  EXPECT_FALSE(m.sees(0, 5).has_value());
  m.start(7, 1, [&](membership_config& c) {
    c.seeds.push_back({m[6].at, std::nullopt});
  });
  EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 20s));
}

TEST(resurrection, no_seed_brings_a_dead_member_back_without_its_word) {
  for (std::uint64_t seed = 100; seed < 110; ++seed) {
    mesh m{seed};
    m.found(6);
    m.kill(5);
    m.run_for(1s);
    for (int i = 0; i < 5; ++i) {
      const auto victim = std::size_t(i);
      m.freeze(victim);
      m.run_for(400ms);
      m.thaw(victim);
      m.run_for(900ms);
      for (std::size_t j = 0; j < 5; ++j)
        EXPECT_EQ(m.sees(j, 5), member_state::dead) << seed << " " << j;
    }
    EXPECT_TRUE(m.run_until([&] { return m.settled(); }, 20s)) << seed;
  }
}

} // namespace
} // namespace banyan::net::testing
