// The frames of relayed streams, and what a forwarder lets through.
#include "net/link/relay_ends.hpp"
#include "net/link/relay_forwarder.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace banyan::net {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, node_id::size> id{};
  id.fill(n);
  return node_id{id};
}

const node_id self = node(9);
const node_id ann = node(1);
const node_id bob = node(2);

relay_frame frame(relay_word w, const node_id& far, std::uint64_t number = 0,
                  const_bytes data = {}, bool by_opener = true) {
  relay_frame f;
  f.word = w;
  f.far = far;
  f.stream = 7;
  f.by_opener = by_opener;
  f.number = number;
  f.data = data;
  return f;
}

struct sent {
  node_id to;
  relay_frame f;
  bytes data;
};

class RelayForwarder : public ::testing::Test {
protected:
  RelayForwarder()
      : forwarder{limits(),
                  self,
                  {[this](const node_id& to, const relay_frame& f) {
                     if (mute.count(to) != 0)
                       return false;
                     out.push_back({to, f, f.data.copy()});
                     return true;
                   },
                   [this](const node_id& n) { return mute.count(n) == 0; },
                   [](const node_id& n) { return n != node(66); }},
                  counters} {}

  static relay_limits limits() {
    relay_limits l;
    l.window = 1000;
    l.pieces_max = 100;
    l.streams_max = 8;
    l.streams_per_opener = 4;
    l.pair_bytes_per_second = 10'000;
    l.pair_burst = 2000;
    l.total_bytes_per_second = 20'000;
    l.total_burst = 4000;
    return l;
  }
  void open(const node_id& from = ann, const node_id& to = bob) {
    forwarder.on_frame(from, frame(relay_word::open, to), now);
  }
  void data(std::uint64_t at, std::size_t n) {
    forwarder.on_frame(ann, frame(relay_word::data, bob, at, bytes(n, 'd')),
                       now);
  }
  void credit(std::uint64_t n) {
    forwarder.on_frame(bob, frame(relay_word::credit, ann, n, {}, false), now);
  }
  std::size_t bytes_out() const {
    std::size_t n = 0;
    for (const auto& s : out)
      n += s.data.size();
    return n;
  }
  void expect_ended(relay_end why) {
    EXPECT_EQ(forwarder.streams(), 0U);
    std::set<node_id> told;
    for (const auto& s : out)
      if (s.f.word == relay_word::close
          && s.f.number == static_cast<std::uint64_t>(why))
        told.insert(s.to);
    EXPECT_EQ(told, (std::set<node_id>{ann, bob}));
  }

  relay_counters counters;
  std::set<node_id> mute;
  std::vector<sent> out;
  relay_forwarder forwarder;
  time_point now{1h};
};

TEST_F(RelayForwarder, TurnsFramesRoundAndMarksThem) {
  open();
  data(0, 5);
  forwarder.on_frame(bob, frame(relay_word::data, ann, 0, bytes(3, 'x'), false),
                     now);
  ASSERT_EQ(out.size(), 3U);
  EXPECT_EQ(out[1].to, bob);
  EXPECT_EQ(out[1].f.far, ann);
  EXPECT_TRUE(out[1].f.forwarded && out[1].f.by_opener);
  EXPECT_EQ(out[2].to, ann);
  EXPECT_EQ(out[2].f.far, bob);
  EXPECT_FALSE(out[2].f.by_opener);
  forwarder.on_frame(bob, frame(relay_word::close, ann, 1, {}, false), now);
  EXPECT_EQ(out.back().to, ann);
  EXPECT_EQ(forwarder.streams(), 0U);
}

TEST_F(RelayForwarder, NoCirclesNoStrangersNoUnlinkedNodes) {
  for (const auto& far : {self, ann, node(66)}) {
    open(ann, far);
    EXPECT_EQ(out.back().to, ann);
    EXPECT_EQ(out.back().f.word, relay_word::close);
    EXPECT_EQ(out.back().f.number,
              static_cast<std::uint64_t>(relay_end::not_allowed));
  }
  mute.insert(bob);
  open();
  EXPECT_EQ(out.back().f.number,
            static_cast<std::uint64_t>(relay_end::not_linked));
  EXPECT_EQ(counters.refused, 4U);
  EXPECT_EQ(forwarder.streams(), 0U);
}

TEST_F(RelayForwarder, StreamsAreBoundedPerOpenerAndInAll) {
  for (std::uint8_t n = 20; n < 30; ++n)
    open(ann, node(n));
  EXPECT_EQ(forwarder.streams(), 4U);
  for (std::uint8_t n = 30; n < 40; ++n)
    open(node(n), bob);
  EXPECT_EQ(forwarder.streams(), 8U);
  // What nobody has used for a minute makes room.
  now += 61s;
  open(node(50), bob);
  EXPECT_EQ(forwarder.streams(), 1U);
}

TEST_F(RelayForwarder, ARationHoldsBackAndDoesNotLose) {
  open();
  std::size_t given = 0;
  std::size_t passed = 0;
  const auto begun = now;
  while (now < begun + 2s) {
    while (given + 250 <= passed + 1000) { // an honest opener
      data(given, 250);
      given += 250;
    }
    passed = bytes_out();
    credit(passed);
    now += 1ms;
    if (forwarder.deadline() != never)
      now = std::max(now, forwarder.deadline());
    forwarder.on_time(now);
  }
  // 250 of 314 bytes are data, and a credit costs 64.
  EXPECT_GE(passed, 10'000U);
  EXPECT_LE(passed, 22'000U);
  std::uint64_t next = 0;
  for (const auto& s : out) {
    if (s.f.word != relay_word::data)
      continue;
    EXPECT_EQ(s.f.number, next); // in order, none lost
    next += s.data.size();
  }
  EXPECT_EQ(counters.overruns, 0U);
  EXPECT_GT(counters.held, 0U);
}

TEST_F(RelayForwarder, MoreThanTheWindowEndsTheStream) {
  open();
  data(0, 900);
  data(900, 101);
  expect_ended(relay_end::overrun);
  EXPECT_EQ(counters.overruns, 1U);
}

TEST_F(RelayForwarder, TheSameBytesAgainCantFillTheQueue) {
  open();
  for (int i = 0; i < 100 && forwarder.streams() != 0; ++i)
    data(0, 500);
  expect_ended(relay_end::overrun);
  EXPECT_LE(bytes_out(), 3000U);
}

TEST_F(RelayForwarder, ShortFramesAreBoundedInNumber) {
  open();
  std::uint64_t n = 0;
  while (forwarder.streams() != 0 && n < 1000)
    data(n++, 1);
  expect_ended(relay_end::overrun);
  EXPECT_LE(n, 100 + 2000 / 65 + 2U); // those that the burst let through
}

TEST_F(RelayForwarder, CreditForWhatWasNeverSentEndsTheStream) {
  open();
  data(0, 100);
  credit(101);
  expect_ended(relay_end::overrun);
}

TEST_F(RelayForwarder, WordsWithoutDataAreRationedToo) {
  open();
  data(0, 1000);
  std::uint64_t n = 0;
  while (forwarder.streams() != 0 && n < 1000)
    credit(++n);
  EXPECT_LT(n, 100U);
  // Nor does it help to begin anew.
  open();
  EXPECT_EQ(forwarder.streams(), 0U);
  EXPECT_EQ(out.back().f.number,
            static_cast<std::uint64_t>(relay_end::overloaded));
}

TEST_F(RelayForwarder, AFullQueueOrALostLinkEndsTheStreamForBoth) {
  open();
  mute.insert(bob);
  data(0, 10);
  EXPECT_EQ(forwarder.streams(), 0U);
  EXPECT_EQ(out.back().to, ann);
  EXPECT_EQ(out.back().f.word, relay_word::close);
  mute.clear();
  open();
  forwarder.link_gone(bob, now);
  EXPECT_EQ(forwarder.streams(), 0U);
  EXPECT_EQ(out.back().f.word, relay_word::close);
}

TEST_F(RelayForwarder, ACloseComesBehindWhatWaits) {
  open();
  data(0, 1000);
  credit(1000);
  data(1000, 1000); // the burst is used up: from now on frames wait
  credit(2000);
  data(2000, 400);
  forwarder.on_frame(ann, frame(relay_word::close, bob, 1), now);
  EXPECT_EQ(forwarder.streams(), 1U);
  now += 1s;
  forwarder.on_time(now);
  EXPECT_EQ(forwarder.streams(), 0U);
  EXPECT_EQ(bytes_out(), 2400U);
  EXPECT_EQ(out.back().to, bob);
  EXPECT_EQ(out.back().f.word, relay_word::close);
}

TEST(RelayFrame, KeepsWhatItSaysAndSkipsWhatIsNewer) {
  const auto text = to_bytes("sealed");
  const auto f = frame(relay_word::data, bob, 70'000, text, false);
  bytes out;
  writer w{out};
  encode(f, w);
  relay_frame again;
  ASSERT_TRUE(decode(out, again));
  EXPECT_EQ(again.word, f.word);
  EXPECT_EQ(again.far, bob);
  EXPECT_EQ(again.stream, 7U);
  EXPECT_EQ(again.number, 70'000U);
  EXPECT_FALSE(again.forwarded || again.by_opener);
  EXPECT_EQ(again.data.copy(), text);
  out[0] = 0x98; // one element more
  out.push_back(0x01);
  EXPECT_TRUE(decode(out, again));
  out.pop_back();
  EXPECT_FALSE(decode(out, again));
}

TEST(RelayFrame, RefusesWhatNoPeerSays) {
  const auto refused = [](const relay_frame& f) {
    bytes out;
    writer w{out};
    encode(f, w);
    relay_frame again;
    return !decode(out, again);
  };
  EXPECT_TRUE(refused(frame(relay_word::data, bob)));
  EXPECT_TRUE(refused(frame(relay_word::open, bob, 1)));
  EXPECT_TRUE(refused(frame(relay_word::open, bob, 0, {}, false)));
  EXPECT_TRUE(refused(frame(relay_word::open, node_id{})));
  EXPECT_TRUE(refused(frame(relay_word::close, bob, 0)));
  EXPECT_TRUE(refused(frame(relay_word::close, bob, 7)));
  EXPECT_TRUE(refused(frame(relay_word::credit, bob, 1, to_bytes("x"))));
  EXPECT_TRUE(
      refused(frame(relay_word::data, bob, UINT64_MAX - 1, to_bytes("over"))));
}

// ---- ends -------------------------------------------------------------------

class RelayEnds : public ::testing::Test {
protected:
  RelayEnds()
      : ends{relay_limits{},
             [this](const node_id& to, const relay_frame& f) {
               out.push_back({to, f, f.data.copy()});
               return true;
             },
             counters} {
    ends.begin_at(7);
    id = ends.open(self, bob);
    EXPECT_TRUE(ends.take_event());
  }
  void came(std::uint64_t at, const bytes& data) {
    auto f = frame(relay_word::data, bob, at, data, false);
    f.forwarded = true;
    ends.on_frame(self, f);
  }
  std::string read() {
    std::string all;
    while (auto e = ends.take_event())
      if (e->what == relay_ends::event::kind::data)
        all += as_text(e->data);
    return all;
  }

  relay_counters counters;
  std::vector<sent> out;
  relay_ends ends;
  stream_id id;
};

TEST_F(RelayEnds, PutsInOrderWhatOvertookAndDropsWhatComesTwice) {
  came(3, to_bytes("def"));
  EXPECT_EQ(read(), "");
  came(0, to_bytes("abc"));
  came(0, to_bytes("abc"));
  came(3, to_bytes("def"));
  came(6, to_bytes("g"));
  EXPECT_EQ(read(), "abcdefg");
}

TEST_F(RelayEnds, ManyShortFramesThatOvertookOneAreAllKept) {
  for (std::uint64_t n = 1; n < 1000; ++n)
    came(n, to_bytes("x"));
  came(0, to_bytes("x"));
  EXPECT_EQ(read(), std::string(1000, 'x'));
}

TEST_F(RelayEnds, WhatOverlapsCantFillMoreThanAWindow) {
  const bytes big(15'000, 'x');
  for (std::uint64_t n = 1; n < 5; ++n)
    came(n, big);
  EXPECT_FALSE(ends.has_events());
  came(5, big);
  const auto e = ends.take_event();
  ASSERT_TRUE(e);
  EXPECT_EQ(e->what, relay_ends::event::kind::closed);
  EXPECT_EQ(e->why, relay_end::overrun);
  EXPECT_EQ(out.back().f.word, relay_word::close);
}

TEST_F(RelayEnds, SendsAWindowAndGoesOnWithCredit) {
  const bytes big(100'000, 'x');
  ends.write(id, big);
  EXPECT_EQ(ends.unsent(id), big.size() - relay_limits{}.window);
  auto f = frame(relay_word::credit, bob, 50'000, {}, false);
  f.forwarded = true;
  ends.on_frame(self, f);
  EXPECT_EQ(ends.unsent(id), 0U);
  const auto e = ends.take_event();
  ASSERT_TRUE(e);
  EXPECT_EQ(e->what, relay_ends::event::kind::drained);
  f.number = 100'001; // it can't have what was never sent
  ends.on_frame(self, f);
  ASSERT_EQ(ends.take_event()->what, relay_ends::event::kind::closed);
  EXPECT_EQ(counters.misplaced, 1U);
}

TEST_F(RelayEnds, WhatComesFarTooEarlyEndsTheStream) {
  came(relay_limits{}.window, to_bytes("x"));
  EXPECT_EQ(ends.take_event()->why, relay_end::overrun);
  EXPECT_EQ(out.back().f.word, relay_word::close);
}

TEST_F(RelayEnds, ManyEarlyPiecesAreNotKept) {
  for (std::uint64_t i = 1; i < 1000; ++i)
    came(2 * i, to_bytes("x"));
  came(0, to_bytes("ab"));
  EXPECT_LE(read().size(), 3U);
}

TEST_F(RelayEnds, AClosedStreamSendsItsRestForAWhile) {
  ends.write(id, bytes(100'000, 'x'));
  ends.close(id, time_point{1h});
  EXPECT_EQ(ends.deadline(), time_point{1h} + 2s);
  EXPECT_NE(out.back().f.word, relay_word::close);
  ends.on_time(time_point{1h} + 2s);
  EXPECT_EQ(out.back().f.word, relay_word::close);
  EXPECT_EQ(ends.deadline(), never);
  EXPECT_FALSE(ends.has_events());
}

} // namespace
} // namespace banyan::net
