// Links through a common neighbour (DESIGN 5, ADR 0037): whole link tables on a
// virtual network in which some hosts can't be dialled.
#include "net/link/relay_forwarder.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

namespace banyan::net::test {
namespace {

node_options relaying() {
  node_options o;
  o.features = 7 | feature_relay;
  return o;
}

/// Nodes of which some can't be dialled; everybody counts as a member.
class relay_mesh : public test_mesh {
public:
  explicit relay_mesh(std::uint64_t seed, virtual_network::options how = {})
      : test_mesh{seed, how} {}

  test_node& add(const std::string& host, const node_options& o = relaying()) {
    auto& n = start(host, o);
    n.table->set_relaying([](const node_id&) { return true; });
    return n;
  }
  test_node& add_hidden(const std::string& host,
                        const node_options& o = relaying()) {
    network.hide(host);
    return add(host, o);
  }
  /// By a relay only: no address is known.
  void want_relayed(test_node& from, const test_node& to,
                    const std::vector<const test_node*>& by) {
    std::vector<node_id> relays;
    for (const auto* r : by)
      relays.push_back(r->table->self());
    from.table->want(to.table->self(), {}, relays, 0ms, clock.now());
  }
  bool link_up(const test_node& a, const test_node& b) {
    return a.table->find(b.table->self()) != nullptr;
  }
};

const link_info& link_of(const test_node& from, const test_node& to) {
  return *from.table->find(to.table->self());
}

bool has(const test_node& n, const std::string& text) {
  return std::any_of(n.got.begin(), n.got.end(), [&](const received& r) {
    return as_text(r.payload) == text;
  });
}

TEST(Relay, WhoCantBeDialledIsReachedThroughACommonNeighbour) {
  relay_mesh mesh{1};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.add("10.0.0.2");
  auto& h = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want(a, h); // as it was before relays
  mesh.run_for(10s);
  EXPECT_FALSE(mesh.link_up(a, h));
  ASSERT_TRUE(mesh.link_up(h, r)); // what it dials itself it keeps

  mesh.want_relayed(a, h, {&r});
  mesh.run_for(10ms);
  ASSERT_TRUE(mesh.link_up(a, h));
  ASSERT_TRUE(mesh.link_up(h, a));
  const auto& at_a = link_of(a, h);
  const auto& at_h = link_of(h, a);
  EXPECT_EQ(at_a.via, r.table->self());
  EXPECT_EQ(at_h.via, r.table->self());
  EXPECT_TRUE(at_a.dialled);
  EXPECT_EQ(at_a.handshake_hash, at_h.handshake_hash);
  EXPECT_TRUE(at_a.seen_as.empty()); // nobody saw where the other is
  EXPECT_TRUE(at_h.seen_as.empty());

  const auto at_relay = r.got.size();
  ASSERT_TRUE(
      a.table->send(h.table->self(), channel::raft, to_bytes("there")).ok());
  ASSERT_TRUE(
      h.table->send(a.table->self(), channel::request, to_bytes("back")).ok());
  mesh.run_for(10ms);
  EXPECT_TRUE(has(h, "there"));
  EXPECT_TRUE(has(a, "back"));
  EXPECT_EQ(r.got.size(), at_relay); // it is told nothing of what it carries
  EXPECT_GE(r.table->counters().relay.bytes, 48U + 864U + 832U);
  EXPECT_EQ(r.table->counters().relay.opened, 1U);
}

// A forwarder of the test's own between two link tables: the real one forwards
// in it, and all that comes and goes is looked at.
TEST(Relay, AForwarderHasOnlySealedBytes) {
  relay_mesh mesh{12};
  auto& a = mesh.add_hidden("10.0.0.1");
  auto& h = mesh.add_hidden("10.0.0.2");
  auto& r = mesh.start("10.0.0.3", relaying()); // its frames come to the test
  relay_counters counters;
  bytes seen; ///< all the data of all frames
  relay_forwarder forwarder{
      {},
      r.table->self(),
      {[&](const node_id& to, const relay_frame& f) {
         bytes b;
         writer w{b};
         encode(f, w);
         append(seen, b);
         return r.table->send(to, channel::relay, b).ok();
       },
       [&](const node_id& n) { return r.table->find(n) != nullptr; },
       [](const node_id&) { return true; }},
      counters};
  std::size_t looked_at = 0;
  r.on_batch = [&](const link_info&) {
    for (; looked_at < r.got.size(); ++looked_at) {
      const auto from = r.got[looked_at].from;
      const auto payload = r.got[looked_at].payload;
      append(seen, payload);
      relay_frame f;
      if (r.got[looked_at].channel != channel::relay)
        continue;
      ASSERT_TRUE(decode(payload, f));
      forwarder.on_frame(from, f, mesh.clock.now());
    }
  };
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.run_for(100ms);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(100ms);
  ASSERT_TRUE(mesh.link_up(a, h));
  EXPECT_EQ(link_of(h, a).via, r.table->self());

  const std::string plain = "what nobody on the way may read";
  const auto knows = [&] {
    return std::search(seen.begin(), seen.end(), plain.begin(), plain.end())
           != seen.end();
  };
  for (const auto c : {channel::raft, channel::bulk, channel::group}) {
    ASSERT_TRUE(a.table->send(h.table->self(), c, to_bytes(plain)).ok());
    ASSERT_TRUE(h.table->send(a.table->self(), c, to_bytes(plain)).ok());
  }
  mesh.run_for(100ms);
  EXPECT_TRUE(has(h, plain));
  EXPECT_TRUE(has(a, plain));
  EXPECT_GE(seen.size(), 2 * 6 * plain.size()); // in and out again
  EXPECT_FALSE(knows());
  // It would have been seen.
  ASSERT_TRUE(
      a.table->send(r.table->self(), channel::raft, to_bytes(plain)).ok());
  mesh.run_for(100ms);
  EXPECT_TRUE(knows());
}

TEST(Relay, TwoThatCantBeDialledMeetAtANeighbourOfBoth) {
  relay_mesh mesh{2};
  auto& r = mesh.add("10.0.0.1");
  auto& a = mesh.add_hidden("10.0.0.2");
  auto& b = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(b, r);
  mesh.want_relayed(a, b, {&r}); // both at once: crossed dials
  mesh.want_relayed(b, a, {&r});
  mesh.run_for(1s);
  ASSERT_TRUE(mesh.link_up(a, b));
  ASSERT_TRUE(mesh.link_up(b, a));
  EXPECT_EQ(link_of(a, b).handshake_hash, link_of(b, a).handshake_hash);
  ASSERT_TRUE(
      a.table->send(b.table->self(), channel::beat, to_bytes("x")).ok());
  mesh.run_for(10ms);
  EXPECT_TRUE(has(b, "x"));
}

TEST(Relay, ADeadRelayIsNoEvidenceAndAnotherTakesItsPlace) {
  relay_mesh mesh{3};
  auto& a = mesh.add("10.0.0.1");
  auto& first = mesh.add("10.0.0.2");
  auto& second = mesh.add("10.0.0.3");
  auto& h = mesh.add_hidden("10.0.0.4");
  for (auto* r : {&first, &second}) {
    mesh.want(a, *r);
    mesh.want(h, *r);
  }
  mesh.run_for(2s);
  mesh.want_relayed(a, h, {&first, &second});
  mesh.run_for(2s);
  ASSERT_TRUE(mesh.link_up(a, h));
  ASSERT_EQ(link_of(a, h).via, first.table->self());
  const auto gone = a.downs.size();
  const auto dead = first.table->self();
  mesh.kill(first);
  const auto back = mesh.run_while(
      [&] {
        const auto* l = a.table->find(h.table->self());
        return l == nullptr || l->via == dead;
      },
      20ms);
  EXPECT_TRUE(back); // three round trips by way of the second one
  EXPECT_EQ(link_of(a, h).via, second.table->self());
  for (auto i = gone; i < a.downs.size(); ++i) {
    const auto& [info, why] = a.downs[i];
    EXPECT_EQ(why,
              info.relayed() ? link_end::relay_lost : link_end::end_of_stream);
  }
  EXPECT_GE(a.table->counters().relay.lost, 1U);
}

TEST(Relay, AKilledPeerIsNoEvidenceThroughARelayEither) {
  relay_mesh mesh{4};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.add("10.0.0.2");
  auto& h = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(1s);
  ASSERT_TRUE(mesh.link_up(a, h));
  const auto id = h.table->self();
  mesh.kill(h);
  mesh.run_for(1s);
  ASSERT_FALSE(a.downs.empty());
  EXPECT_EQ(a.downs.back().first.node, id);
  EXPECT_EQ(a.downs.back().second, link_end::relay_lost);
  ASSERT_FALSE(r.downs.empty());
  EXPECT_EQ(r.downs.back().second, link_end::end_of_stream);
  for (const auto why : a.failures)
    EXPECT_EQ(why, dial_error::unreachable); // never `refused`
}

TEST(Relay, AStreamOfItsOwnReplacesARelayedOneAndIsNotReplacedByOne) {
  relay_mesh mesh{5};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.add("10.0.0.2");
  auto& h = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(1s);
  ASSERT_TRUE(link_of(a, h).relayed());
  mesh.want(h, a); // it can dial, and does
  mesh.run_for(1s);
  ASSERT_TRUE(mesh.link_up(a, h));
  EXPECT_FALSE(link_of(a, h).relayed());
  EXPECT_FALSE(link_of(h, a).relayed());
  EXPECT_EQ(a.downs.back().second, link_end::replaced);
  mesh.run_for(1min);
  EXPECT_FALSE(link_of(a, h).relayed());
  EXPECT_EQ(r.table->counters().relay.opened, 1U);
}

TEST(Relay, NothingIsForwardedForStrangersToItselfOrTwice) {
  relay_mesh mesh{6};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.start("10.0.0.2", relaying());
  auto& s = mesh.add("10.0.0.3");
  auto& h = mesh.add_hidden("10.0.0.4");
  std::set<node_id> members{h.table->self(), s.table->self()};
  r.table->set_relaying(
      [&](const node_id& n) { return members.count(n) != 0; });
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want(s, r);
  mesh.want_relayed(a, h, {&r}); // a is no member there
  mesh.run_for(5s);
  EXPECT_FALSE(mesh.link_up(a, h));
  const auto refused = r.table->counters().relay.refused;
  EXPECT_GE(refused, 1U);
  EXPECT_EQ(r.table->counters().relay.opened, 0U);
  members.insert(a.table->self());
  mesh.run_for(6s);
  ASSERT_TRUE(mesh.link_up(a, h));
  // h is linked with a through r only; s, which isn't linked with a, may not go
  // through h to a: that link is relayed itself.
  mesh.want(s, r);
  mesh.network.hide("10.0.0.3");
  mesh.network.hide("10.0.0.1");
  mesh.want_relayed(s, a, {&h});
  mesh.run_for(5s);
  EXPECT_FALSE(mesh.link_up(s, a));
  EXPECT_EQ(h.table->counters().relay.opened, 0U);
}

TEST(Relay, OlderPeersNeverGetARelayFrame) {
  relay_mesh mesh{7};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.start("10.0.0.2"); // knows nothing of relaying
  auto& h = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(5s);
  EXPECT_FALSE(mesh.link_up(a, h));
  EXPECT_TRUE(mesh.link_up(a, r));
  EXPECT_EQ(r.table->counters().unknown_frames, 0U);
  EXPECT_TRUE(r.got.empty());
}

TEST(Relay, StreamsOutliveTheLinksThatCarryThem) {
  relay_mesh mesh{8};
  auto quick = relaying();
  quick.limits.refresh = 1s; // the neighbours' links are replaced all the time
  auto slow = relaying();
  auto& r = mesh.add("10.0.0.1", quick);
  auto& a = mesh.add_hidden("10.0.0.2", slow);
  auto& h = mesh.add_hidden("10.0.0.3", slow);
  mesh.want(a, r);
  mesh.want(h, r);
  // r dials nobody; so that it refreshes links, it has to have dialled them.
  mesh.network.hide("10.0.0.2", false);
  mesh.network.hide("10.0.0.3", false);
  a.table->unwant(r.table->self());
  h.table->unwant(r.table->self());
  mesh.want(r, a);
  mesh.want(r, h);
  mesh.run_for(100ms);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(100ms);
  ASSERT_TRUE(mesh.link_up(a, h));
  const auto id = link_of(a, h).id;
  const auto replaced = r.table->counters().links_replaced;
  bytes big(200'000, 'b');
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(a.table->send(h.table->self(), channel::bulk, big).ok());
    mesh.run_for(1s);
  }
  EXPECT_GE(r.table->counters().links_replaced, replaced + 10);
  ASSERT_TRUE(mesh.link_up(a, h));
  EXPECT_EQ(link_of(a, h).id, id);
  const auto whole =
      std::count_if(h.got.begin(), h.got.end(),
                    [&](const received& x) { return x.payload == big; });
  EXPECT_EQ(whole, 10);
  EXPECT_EQ(a.table->counters().protocol_errors, 0U);
}

// The ration is 1 MiB/s; 64 KiB are under way and 24 KiB in front of the lanes.
TEST(Relay, ABeatDoesNotWaitForBulk) {
  relay_mesh mesh{9};
  auto& a = mesh.add("10.0.0.1");
  auto& r = mesh.add("10.0.0.2");
  auto& h = mesh.add_hidden("10.0.0.3");
  mesh.want(a, r);
  mesh.want(h, r);
  mesh.want_relayed(a, h, {&r});
  mesh.run_for(1s);
  const bytes big(4 * 1024 * 1024, 'b');
  const auto begun = mesh.clock.now();
  ASSERT_TRUE(a.table->send(h.table->self(), channel::bulk, big).ok());
  duration worst{};
  const auto here = [&] {
    return std::any_of(h.got.begin(), h.got.end(), [](const received& x) {
      return x.channel == channel::bulk;
    });
  };
  for (int i = 0; i < 20; ++i) {
    mesh.run_for(50ms);
    const auto word = "beat " + std::to_string(i);
    const auto said = mesh.clock.now();
    ASSERT_TRUE(
        a.table->send(h.table->self(), channel::beat, to_bytes(word)).ok());
    ASSERT_TRUE(mesh.run_while([&] { return !has(h, word); }, 1s));
    worst = std::max(worst, mesh.clock.now() - said);
  }
  EXPECT_FALSE(here());
  EXPECT_LE(worst, 130ms);
  ASSERT_TRUE(mesh.run_while([&] { return !here(); }, 30s));
  const auto took = mesh.clock.now() - begun;
  EXPECT_GE(took, 3500ms); // 4 MiB less the burst, at 1 MiB/s
  EXPECT_LE(took, 6s);
  // The neighbour's own words to h go past all that.
  EXPECT_EQ(r.table->counters().relay.overruns, 0U);
  EXPECT_GT(r.table->counters().relay.held, 0U);
}

/// A neighbour that forwards by hand, and may change what it forwards.
class false_relay {
public:
  false_relay(test_mesh& mesh, test_node& node) : mesh_{mesh}, node_{node} {
    node.on_batch = [this](const link_info&) { forward(); };
  }
  std::function<void(relay_frame&, bytes&)> change;
  /// Copies, in this order, of what comes; one is honest, none is a drop.
  std::function<int(const relay_frame&)> copies;
  bool swap = false; ///< the next two data frames
  std::uint64_t passed = 0;

  void pass(const node_id& from, const relay_frame& f, const bytes& data) {
    auto on = f;
    on.forwarded = true;
    on.far = from;
    on.data = data;
    bytes out;
    writer w{out};
    encode(on, w);
    static_cast<void>(node_.table->send(f.far, channel::relay, out));
    ++passed;
  }

private:
  void forward() {
    auto batch = std::exchange(node_.got, {});
    for (auto& r : batch) {
      relay_frame f;
      if (r.channel != channel::relay || !decode(r.payload, f))
        continue;
      auto data = f.data.copy();
      if (change)
        change(f, data);
      if (swap && f.word == relay_word::data) {
        if (!kept_) {
          kept_.emplace(r.from, f, std::move(data));
          continue;
        }
        swap = false;
        auto [from, first, its] = std::move(*kept_);
        kept_.reset();
        // Each says that it is where the other was.
        std::swap(first.number, f.number);
        pass(r.from, f, data);
        pass(from, first, its);
        continue;
      }
      for (auto n = copies ? copies(f) : 1; n > 0; --n)
        pass(r.from, f, data);
    }
    node_.table->flush(mesh_.clock.now());
  }

  test_mesh& mesh_;
  test_node& node_;
  std::optional<std::tuple<node_id, relay_frame, bytes>> kept_;
};

struct deceived {
  explicit deceived(std::uint64_t seed)
      : mesh{seed}, a{mesh.add("10.0.0.1")}, r{mesh.start("10.0.0.2",
                                                          relaying())},
        h{mesh.add_hidden("10.0.0.3")}, liar{mesh, r} {
    mesh.want(a, r);
    mesh.want(h, r);
    mesh.want_relayed(a, h, {&r});
    mesh.run_for(1s);
  }
  [[nodiscard]] std::uint64_t noticed() const {
    std::uint64_t n = 0;
    for (const auto* t : {a.table.get(), h.table.get()}) {
      const auto& c = t->counters();
      n += c.protocol_errors + c.refused_proofs + c.refused_strangers
           + c.refused_replays + c.relay.misplaced + c.handshakes_cut
           + c.relay.lost;
    }
    return n;
  }
  void talk(int words) {
    for (int i = 0; i < words; ++i) {
      const auto text = "word " + std::to_string(said++);
      static_cast<void>(
          a.table->send(h.table->self(), channel::raft, to_bytes(text)));
      mesh.run_for(1ms);
    }
  }
  /// All that came was said, once each and in order.
  void expect_only_what_was_said() {
    int last = -1;
    for (const auto& x : h.got) {
      const std::string text{as_text(x.payload)};
      ASSERT_EQ(text.substr(0, 5), "word ");
      const auto n = std::stoi(text.substr(5));
      EXPECT_LT(last, n);
      EXPECT_LT(n, said);
      last = n;
    }
  }

  relay_mesh mesh;
  test_node& a;
  test_node& r;
  test_node& h;
  false_relay liar;
  int said = 0;
};

TEST(Relay, AnHonestNeighbourByHandWorks) {
  deceived d{20};
  ASSERT_TRUE(d.mesh.link_up(d.a, d.h));
  d.talk(10);
  d.mesh.run_for(10ms);
  EXPECT_EQ(d.h.got.size(), 10U);
  EXPECT_EQ(d.noticed(), 0U);
}

TEST(Relay, WhatTheNeighbourFlipsDropsRepeatsOrReordersIsNoticed) {
  for (int way = 0; way < 5; ++way) {
    SCOPED_TRACE(way);
    deceived d{30U + static_cast<unsigned>(way)};
    ASSERT_TRUE(d.mesh.link_up(d.a, d.h));
    d.talk(5);
    const auto before = d.noticed();
    const auto link = link_of(d.a, d.h).id;
    bool once = true;
    const auto first_data = [&](const relay_frame& f) {
      return f.word == relay_word::data && f.by_opener
             && std::exchange(once, false);
    };
    if (way == 0) { // a bit
      d.liar.change = [&](relay_frame& f, bytes& data) {
        if (first_data(f))
          data[data.size() / 2] ^= 1;
      };
    } else if (way == 1) { // a whole frame, the rest moved up to hide the gap
      d.liar.change = [&, lost = std::uint64_t{0}](relay_frame& f,
                                                   bytes& data) mutable {
        if (f.word == relay_word::data && f.by_opener && lost == 0)
          lost = data.size();
        else if (f.word == relay_word::data && f.by_opener)
          f.number -= lost;
      };
      d.liar.copies = [&](const relay_frame& f) {
        return first_data(f) ? 0 : 1;
      };
    } else if (way == 2) { // again, as if it were new
      d.liar.change = [&, shift = std::uint64_t{0}](relay_frame& f,
                                                    bytes& data) mutable {
        if (f.word != relay_word::data || !f.by_opener)
          return;
        f.number += shift;
        if (once) {
          once = false;
          shift = data.size();
          append(data, bytes{data});
        }
      };
    } else if (way == 3) {
      d.liar.swap = true;
    } else { // bytes of its own
      d.liar.change = [&](relay_frame& f, bytes& data) {
        if (first_data(f))
          for (std::size_t i = 2; i < data.size(); ++i) // not the length
            data[i] = 0x5a;
      };
    }
    d.talk(20);
    d.liar.change = nullptr;
    d.liar.copies = nullptr;
    EXPECT_GT(d.noticed(), before);
    d.expect_only_what_was_said();
    // The link died of it, and only the link: the next one works.
    ASSERT_TRUE(
        d.mesh.run_while([&] { return !d.mesh.link_up(d.a, d.h); }, 10s));
    EXPECT_NE(link_of(d.a, d.h).id, link);
    EXPECT_TRUE(d.mesh.link_up(d.a, d.r));
    EXPECT_TRUE(d.mesh.link_up(d.h, d.r));
    const auto got = d.h.got.size();
    d.talk(5);
    d.mesh.run_for(10ms);
    EXPECT_EQ(d.h.got.size(), got + 5);
  }
}

} // namespace
} // namespace banyan::net::test
