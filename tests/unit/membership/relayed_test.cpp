// Peers that can't be dialled (DESIGN 5, ADR 0037): link tables and membership
// together, as a node wires them, on a virtual network.
#include "net/membership/membership.hpp"
#include "tests/unit/link/support.hpp"

#include <gtest/gtest.h>

#include <set>

namespace banyan::net {
namespace {

using test::clock_queue;
using test::fixed_secret;

class peer final : public link_events {
public:
  peer(std::uint8_t number, virtual_network& network, clock_queue& clock,
       seeded_random& random, const std::vector<std::uint8_t>& seeds,
       bool wildcard)
      : host{"10.0.0." + std::to_string(number)}, clock_{clock},
        io_{network.attach(host)} {
    const auto mesh = make_mesh_id("garden", owner_id{});
    const boot_id boot{random.array<16>()};
    auto key = identity::from_seed(fixed_secret(number));
    id = key.id();
    const address at{host, 7600};
    link_config config{key.clone(), "garden",      mesh,
                       {},          std::nullopt,  incarnation{1},
                       boot,        feature_relay, at};
    config.mesh_keys.push_back(fixed_secret(1));
    links = std::make_unique<link_table>(std::move(config), link_limits{}, *io_,
                                         random, *this);
    EXPECT_TRUE(links->listen(at).ok());
    membership_config m{std::move(key)};
    m.mesh = mesh;
    m.boot = boot;
    m.features = feature_relay;
    m.listen = wildcard ? address{"0.0.0.0", 7600} : at;
    for (const auto s : seeds)
      m.seeds.push_back({{"10.0.0." + std::to_string(s), 7600}, std::nullopt});
    core = std::make_unique<membership>(std::move(m), random, clock.now());
    links->set_relaying([c = core.get()](const node_id& n) {
      const auto s = c->state_of(n);
      return s && *s != member_state::left;
    });
  }

  template <class F>
  void input(F f) {
    membership_effects out;
    f(*core, clock_.now(), out);
    for (auto& e : out)
      std::visit([&](auto& x) { carry(x); }, e);
  }

  void on_link_up(const link_info& l, link_id) override {
    input([&](auto& m, auto now, auto& out) { m.on_link_up(l, now, out); });
  }
  void on_link_down(const link_info& l, link_end why) override {
    input([&](auto& m, auto now, auto& out) {
      m.on_link_down(l, why, now, out);
    });
  }
  void on_frames(const link_info& l,
                 const std::vector<frame_view>& frames) override {
    for (const auto& f : frames) {
      if (f.channel == channel::raft) {
        got.push_back(to_text(f.payload));
        continue;
      }
      input([&](auto& m, auto now, auto& out) {
        m.on_frame(l.node, f.channel, f.payload, now, out);
      });
    }
  }
  void on_dial_failed(const dial_target& t, dial_error why,
                      time_point) override {
    if (!t.node.is_none())
      input([&](auto& m, auto now, auto& out) {
        m.on_dial_failed(t.node, why, now, out);
      });
  }
  void on_writable(const link_info&, lane) override {}
  void on_probed(std::uint64_t token,
                 const result<probe_answer, dial_error>& answer) override {
    input([&](auto& m, auto now, auto& out) {
      m.on_probed(token, answer, now, out);
    });
  }

  void carry(send_frame& e) {
    static_cast<void>(links->send(e.to, e.channel, e.payload));
  }
  void carry(want_link& e) {
    links->want(e.node, e.at, e.relays, e.wait, clock_.now());
  }
  void carry(unwant_link& e) { links->unwant(e.node); }
  void carry(want_seed& e) { links->want(e.at, e.pinned, clock_.now()); }
  void carry(hurry_link& e) { links->hurry(e.node, clock_.now()); }
  void carry(cut_link& e) { links->cut(e.node, clock_.now()); }
  void carry(close_link& e) { links->close(e.node, clock_.now()); }
  void carry(probe_address& e) { links->probe(e.at, e.token, clock_.now()); }
  void carry(persist_incarnation& e) {
    input([&](auto& m, auto now, auto& out) {
      m.on_incarnation_persisted(e.value, now, out);
    });
  }
  void carry(incarnation_ready& e) { links->set_incarnation(e.value); }
  void carry(advertised& e) { links->set_listen(e.at); }
  void carry(peer_silent& e) { lost.emplace(e.node, evidence::silence); }
  void carry(peer_gone& e) { lost.emplace(e.node, e.evidence); }
  void carry(member_changed& e) {
    if (e.to == member_state::dead)
      dead.insert(e.node);
  }
  template <class Other>
  void carry(Other&) {}

  std::string host;
  node_id id;
  std::unique_ptr<link_table> links;
  std::unique_ptr<membership> core;
  std::vector<std::string> got;
  std::set<std::pair<node_id, evidence>> lost;
  std::set<node_id> dead; ///< ever, in this node's view
  bool up = true;

private:
  clock_queue& clock_;
  std::unique_ptr<streams> io_;
};

class Relayed : public ::testing::Test {
protected:
  peer& add(std::uint8_t number, const std::vector<std::uint8_t>& seeds = {},
            bool wildcard = false) {
    all.push_back(std::make_unique<peer>(number, network, clock, random, seeds,
                                         wildcard));
    all.back()->input([](auto& m, auto now, auto& out) { m.start(now, out); });
    return *all.back();
  }
  peer& add_hidden(std::uint8_t number, const std::vector<std::uint8_t>& seeds,
                   bool wildcard = false) {
    network.hide("10.0.0." + std::to_string(number));
    return add(number, seeds, wildcard);
  }
  void kill(peer& p) {
    network.kill(p.host);
    p.up = false;
  }
  void run_for(duration d) {
    const auto until = clock.now() + d;
    for (;;) {
      auto due = clock.next();
      for (auto& p : all)
        if (p->up) {
          p->links->flush(clock.now());
          due = std::min({due, p->links->deadline(), p->core->deadline()});
        }
      if (due > until)
        break;
      if (clock.next() <= due)
        clock.run_one();
      else
        clock.advance(due);
      for (auto& p : all) {
        if (p->up && p->links->deadline() <= clock.now())
          p->links->on_time(clock.now());
        if (p->up && p->core->deadline() <= clock.now())
          p->input([](auto& m, auto now, auto& out) { m.on_tick(now, out); });
      }
    }
    clock.advance(until);
  }
  template <class Condition>
  bool comes(Condition&& c, duration most) {
    const auto end = clock.now() + most;
    while (!c() && clock.now() < end)
      run_for(1ms);
    return c();
  }
  static const link_info* link(const peer& from, const peer& to) {
    return from.links->find(to.id);
  }
  static bool alive(const peer& in, const peer& who) {
    return in.core->state_of(who.id) == member_state::alive;
  }

  clock_queue clock;
  seeded_random random{17};
  virtual_network network{{},
                          random,
                          [this](duration d, std::function<void()> f) {
                            clock.after(d, std::move(f));
                          },
                          [this] { return clock.now(); }};
  std::vector<std::unique_ptr<peer>> all;
};

TEST_F(Relayed, WhoCantBeDialledSaysWhoForwardsToIt) {
  for (const bool wildcard : {false, true}) {
    SCOPED_TRACE(wildcard);
    all.clear();
    auto& a = add(1);
    auto& b = add(2, {1});
    auto& h = add_hidden(3, {1}, wildcard);
    ASSERT_TRUE(comes([&] { return !h.core->own().relays.empty(); }, 30s));
    run_for(10s);
    EXPECT_EQ(h.core->own().relays.size(), 2U);
    EXPECT_EQ(h.core->own().address.empty(), wildcard);
    EXPECT_EQ(a.core->find(h.id)->record.relays, h.core->own().relays);
    // It keeps the links that it dialled, and the others dial each other.
    for (const auto* p : {&a, &b}) {
      ASSERT_NE(link(h, *p), nullptr);
      EXPECT_FALSE(link(h, *p)->relayed());
      EXPECT_TRUE(p->core->own().relays.empty());
      EXPECT_TRUE(alive(*p, h));
      EXPECT_TRUE(p->dead.empty());
    }
  }
}

TEST_F(Relayed, WhoCanBeDialledAfterAllSaysSo) {
  auto& a = add(1);
  auto& h = add_hidden(2, {1});
  ASSERT_TRUE(comes([&] { return !h.core->own().relays.empty(); }, 30s));
  network.hide(h.host, false);
  ASSERT_TRUE(comes([&] { return h.core->own().relays.empty(); }, 2min));
  run_for(1s);
  EXPECT_TRUE(a.core->find(h.id)->record.relays.empty());
}

TEST_F(Relayed, TwoHiddenPeersAreLinkedThroughANeighbour) {
  auto& a = add(1);
  auto& b = add(2, {1});
  auto& h = add_hidden(3, {1});
  auto& i = add_hidden(4, {1, 2}, true);
  ASSERT_TRUE(comes([&] { return link(h, i) && link(i, h); }, 60s));
  EXPECT_TRUE(link(h, i)->relayed());
  run_for(20s);
  ASSERT_NE(link(h, i), nullptr);
  for (const auto* p : {&a, &b, &h, &i})
    for (const auto* q : {&a, &b, &h, &i})
      EXPECT_TRUE(alive(*p, *q));
  EXPECT_TRUE(h.core->hears(i.id));
  ASSERT_TRUE(h.links->send(i.id, channel::raft, to_bytes("vote")).ok());
  run_for(10ms);
  EXPECT_EQ(i.got, std::vector<std::string>{"vote"});
}

// DESIGN 5 acts at once on the end of a stream: of one that a neighbour
// forwards it is that neighbour's, or its word.
TEST_F(Relayed, TheDeathOfARelayIsNotThatOfWhoIsBehindIt) {
  auto& a = add(1);
  auto& b = add(2, {1});
  auto& h = add_hidden(3, {1});
  auto& i = add_hidden(4, {1});
  ASSERT_TRUE(comes([&] { return link(h, i) && link(i, h); }, 60s));
  run_for(10s);
  for (auto* p : {&h, &i})
    p->lost.clear();
  auto& by = link(h, i)->via == a.id ? a : b;
  auto& other = &by == &a ? b : a;
  kill(by);
  ASSERT_TRUE(comes(
      [&] { return link(h, i) != nullptr && link(h, i)->via == other.id; },
      500ms));
  run_for(10s);
  for (auto* p : {&h, &i}) {
    for (const auto& [node, what] : p->lost)
      EXPECT_EQ(node, by.id) << to_string(what);
    EXPECT_EQ(p->dead, std::set<node_id>{by.id});
  }
  EXPECT_TRUE(alive(h, i) && alive(i, h) && alive(other, h));
}

TEST_F(Relayed, ARelayThatFallsSilentIsTriedAgainElsewhereFirst) {
  auto& a = add(1);
  auto& b = add(2, {1});
  auto& h = add_hidden(3, {1});
  auto& i = add_hidden(4, {1});
  ASSERT_TRUE(comes([&] { return link(h, i) && link(i, h); }, 60s));
  run_for(10s);
  for (auto* p : {&h, &i})
    p->lost.clear();
  auto& by = link(h, i)->via == a.id ? a : b;
  network.freeze(by.host);
  by.up = false;
  run_for(5s);
  EXPECT_NE(link(h, i), nullptr);
  for (auto* p : {&h, &i})
    for (const auto& [node, what] : p->lost)
      EXPECT_EQ(node, by.id) << to_string(what);
  EXPECT_TRUE(alive(h, i) && alive(i, h));
}

TEST_F(Relayed, ADeadPeerBehindARelayIsKnownForDeadAllTheSame) {
  auto& a = add(1);
  auto& b = add(2, {1});
  auto& h = add_hidden(3, {1});
  auto& i = add_hidden(4, {1});
  ASSERT_TRUE(comes([&] { return link(h, i) && link(i, h); }, 60s));
  run_for(10s);
  h.lost.clear();
  kill(i);
  // Its neighbours saw its stream end; h has only silence, after a second.
  ASSERT_TRUE(
      comes([&] { return a.dead.count(i.id) && b.dead.count(i.id); }, 500ms));
  EXPECT_EQ(h.lost.count({i.id, evidence::end_of_stream}), 0U);
  EXPECT_EQ(h.lost.count({i.id, evidence::reset}), 0U);
  ASSERT_TRUE(comes(
      [&] {
        return h.lost.count({i.id, evidence::silence}) > 0;
      },
      3s));
  EXPECT_TRUE(comes([&] { return h.dead.count(i.id) > 0; }, 1s));
  run_for(10s);
  EXPECT_EQ(h.lost.count({i.id, evidence::refused}), 0U);
}

// Above `full_mesh_max` not everybody is linked with everybody.
TEST_F(Relayed, OnTheRingsALinkOnDemandGoesThroughARelayAtOnce) {
  add(1);
  for (std::uint8_t n = 2; n <= 28; ++n)
    add(n, {1});
  auto& h = add_hidden(29, {1, 2});
  auto& i = add_hidden(30, {3, 4});
  ASSERT_TRUE(comes(
      [&] {
        return std::all_of(all.begin(), all.end(), [&](auto& p) {
          const auto seen_h = p->core->find(h.id);
          const auto seen_i = p->core->find(i.id);
          return seen_h && seen_i && !seen_h->record.relays.empty()
                 && !seen_i->record.relays.empty();
        });
      },
      60s));
  run_for(90s); // links that nobody needs any more are closed
  int linked = 0;
  for (auto& p : all) {
    if (p->id == h.id)
      continue;
    p->input([&](auto& m, auto now, auto& out) { m.use_link(h.id, now, out); });
    EXPECT_TRUE(comes([&] { return link(*p, h) != nullptr; }, 2s)) << p->host;
    const auto* l = link(*p, h);
    linked += l != nullptr && l->relayed() ? 1 : 0;
  }
  EXPECT_GE(linked, 3); // who isn't its neighbour on a ring
  for (auto& p : all)
    EXPECT_TRUE(p->dead.empty());
}

} // namespace
} // namespace banyan::net
