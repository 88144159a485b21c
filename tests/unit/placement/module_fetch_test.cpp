// Which modules are fetched, from whom, and what becomes of peers that are
// slow, gone, or wrong.
#include "actors/pure/module_fetch.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

constexpr std::uint64_t piece = 1000;

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}
digest module(std::uint8_t n) {
  return digest{std::array<std::uint8_t, 32>{n}};
}

module_fetch_config small() {
  module_fetch_config c;
  c.piece_bytes = piece;
  c.window = 4;
  return c;
}

struct fetching : ::testing::Test {
  void step() {
    effects.clear();
    f.step(now, effects);
  }
  template <class T>
  std::vector<T> got() const {
    std::vector<T> out;
    for (const auto& e : effects)
      if (const auto* x = std::get_if<T>(&e))
        out.push_back(*x);
    return out;
  }
  void want(std::uint8_t m, std::uint64_t size) {
    wanted[module(m)] = size;
    f.want(wanted);
  }
  void has(std::uint8_t who, std::set<digest> what) {
    f.on_peer(node(who), std::move(what));
  }
  /// The peer answers, piece for piece, and the disk keeps up.
  bool bring(std::uint8_t who, std::uint8_t m, std::uint64_t offset,
             std::uint64_t size = piece) {
    if (!f.on_piece(node(who), module(m), offset, size, now))
      return false;
    f.on_stored(module(m), offset + size);
    return true;
  }
  /// All that the core asks for, until it asks no more.
  void serve_all() {
    for (step(); !got<module_ask>().empty();) {
      const auto asks = got<module_ask>();
      for (const auto& a : asks) {
        ASSERT_TRUE(f.on_piece(a.from, a.hash, a.offset, a.size, now));
        f.on_stored(a.hash, a.offset + a.size);
      }
      now += 1ms;
      step();
    }
  }
  void checked(std::uint8_t m, bool right) {
    effects.clear();
    f.on_checked(module(m), right, now, effects);
  }

  module_fetch f{small()};
  module_fetch_effects effects;
  std::map<digest, std::uint64_t> wanted;
  time_point now{1h};
};

TEST_F(fetching, a_window_of_pieces_in_order_then_the_hash) {
  want(1, 10'500);
  step();
  EXPECT_TRUE(effects.empty()); // nobody has it
  has(1, {module(1)});
  step();
  auto asks = got<module_ask>();
  ASSERT_EQ(asks.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(asks[i].offset, i * piece);
    EXPECT_EQ(asks[i].size, piece);
  }
  ASSERT_TRUE(bring(1, 1, 0));
  step();
  asks = got<module_ask>();
  ASSERT_EQ(asks.size(), 1U);
  EXPECT_EQ(asks[0].offset, 4 * piece);
  for (std::uint64_t at = piece; at < 10 * piece; at += piece) {
    ASSERT_TRUE(bring(1, 1, at));
    step();
  }
  EXPECT_TRUE(got<module_finish>().empty());
  EXPECT_FALSE(bring(1, 1, 10 * piece)); // the last one is shorter
  has(1, {module(1)});
  now += 1s; // its pause
  step();
  ASSERT_TRUE(bring(1, 1, 10 * piece, 500));
  step();
  ASSERT_EQ(got<module_finish>().size(), 1U);
  EXPECT_TRUE(f.under_way().at(module(1)).checking);
  checked(1, true);
  step();
  EXPECT_TRUE(effects.empty());
  EXPECT_TRUE(f.under_way().empty());
  EXPECT_EQ(f.deadline(now), never);
}

TEST_F(fetching, goes_on_from_what_is_on_disk) {
  want(1, 10 * piece);
  f.on_held(module(1), 7 * piece + 1, false);
  has(1, {module(1)});
  step();
  const auto asks = got<module_ask>();
  ASSERT_EQ(asks.size(), 3U);
  EXPECT_EQ(asks[0].offset, 7 * piece + 1);
  EXPECT_EQ(asks[2].size, piece - 1);
  EXPECT_EQ(f.under_way().at(module(1)).bytes, 7 * piece + 1);
}

TEST_F(fetching, what_is_whole_is_not_fetched) {
  want(1, 10 * piece);
  f.on_held(module(1), 0, true);
  has(1, {module(1)});
  step();
  EXPECT_TRUE(effects.empty());
  f.on_held(module(1), 0, false); // it had rotted
  step();
  EXPECT_FALSE(got<module_ask>().empty());
}

TEST_F(fetching, only_the_next_piece_of_the_peer_that_was_asked_is_taken) {
  want(1, 10 * piece);
  has(1, {module(1)});
  has(2, {module(1)});
  step();
  ASSERT_EQ(got<module_ask>()[0].from, node(1));
  EXPECT_FALSE(bring(2, 1, 0));
  EXPECT_FALSE(bring(1, 1, piece));
  EXPECT_FALSE(bring(1, 2, 0));
  EXPECT_TRUE(bring(1, 1, 0));
  EXPECT_FALSE(bring(1, 1, 0));
  for (const std::uint64_t at : {1, 2, 3})
    EXPECT_TRUE(bring(1, 1, at * piece));
  EXPECT_FALSE(bring(1, 1, 4 * piece)); // not asked for yet
}

TEST_F(fetching, a_silent_peer_is_left_for_another_that_goes_on) {
  want(1, 10 * piece);
  has(1, {module(1)});
  has(2, {module(1)});
  step();
  ASSERT_TRUE(bring(1, 1, 0));
  step();
  EXPECT_EQ(f.deadline(now), now + small().patience);
  now = f.deadline(now);
  step();
  const auto asks = got<module_ask>();
  ASSERT_FALSE(asks.empty());
  EXPECT_EQ(asks[0].from, node(2));
  EXPECT_EQ(asks[0].offset, piece);
}

TEST_F(fetching, the_only_peer_is_asked_again_after_growing_pauses) {
  want(1, 10 * piece);
  has(1, {module(1)});
  duration last{0};
  for (int n = 0; n < 12; ++n) {
    step();
    ASSERT_FALSE(got<module_ask>().empty()) << n;
    f.on_refused(node(1), module(1), false, now);
    step();
    ASSERT_TRUE(got<module_ask>().empty());
    const auto pause = f.deadline(now) - now;
    EXPECT_GE(pause, last);
    EXPECT_LE(pause, small().retry_max);
    last = pause;
    now = f.deadline(now);
  }
  EXPECT_EQ(last, small().retry_max);
}

TEST_F(fetching, a_peer_that_has_it_not_is_not_asked_again) {
  want(1, 10 * piece);
  has(1, {module(1)});
  step();
  f.on_refused(node(1), module(1), true, now);
  step();
  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(f.deadline(now), never);
  has(1, {module(1)}); // it says so anew
  step();
  EXPECT_FALSE(got<module_ask>().empty());
}

TEST_F(fetching, a_peer_that_is_gone_is_replaced_at_once) {
  want(1, 10 * piece);
  has(1, {module(1)});
  has(2, {module(1)});
  step();
  f.on_peer_gone(node(1));
  step();
  ASSERT_FALSE(got<module_ask>().empty());
  EXPECT_EQ(got<module_ask>()[0].from, node(2));
}

TEST_F(fetching, wrong_bytes_of_one_peer_accuse_it) {
  want(1, 3 * piece);
  has(1, {module(1)});
  serve_all();
  checked(1, false);
  ASSERT_EQ(got<module_wrong>().size(), 1U);
  EXPECT_EQ(got<module_wrong>()[0].from, node(1));
  step();
  EXPECT_TRUE(got<module_ask>().empty());
  has(2, {module(1)});
  step();
  ASSERT_FALSE(got<module_ask>().empty());
  EXPECT_EQ(got<module_ask>()[0].from, node(2));
  EXPECT_EQ(got<module_ask>()[0].offset, 0U);
  f.on_peer_gone(node(2));
  now += small().wrong_pause; // it may have been mended
  step();
  ASSERT_FALSE(got<module_ask>().empty());
  EXPECT_EQ(got<module_ask>()[0].from, node(1));
}

TEST_F(fetching, wrong_bytes_of_many_accuse_nobody_and_come_from_one_next) {
  want(1, 6 * piece);
  has(1, {module(1)});
  step();
  ASSERT_TRUE(bring(1, 1, 0));
  f.on_peer_gone(node(1));
  has(2, {module(1)});
  serve_all();
  checked(1, false);
  EXPECT_TRUE(effects.empty());
  step();
  const auto one = got<module_ask>()[0].from;
  ASSERT_TRUE(f.on_piece(one, module(1), 0, piece, now));
  f.on_stored(module(1), piece);
  f.on_peer_gone(one);
  has(3, {module(1)});
  has(2, {});
  step();
  ASSERT_EQ(got<module_discard>().size(), 1U); // another begins anew
  EXPECT_EQ(got<module_ask>()[0].offset, 0U);
}

TEST_F(fetching, bytes_of_an_earlier_process_accuse_nobody) {
  want(1, 3 * piece);
  f.on_held(module(1), piece, false);
  has(1, {module(1)});
  serve_all();
  checked(1, false);
  EXPECT_TRUE(effects.empty());
  serve_all();
  checked(1, false);
  EXPECT_EQ(got<module_wrong>().size(), 1U);
}

TEST_F(fetching, a_full_disk_gets_its_space_back_and_rest) {
  want(1, 10 * piece);
  has(1, {module(1)});
  step();
  ASSERT_TRUE(f.on_piece(node(1), module(1), 0, piece, now));
  effects.clear();
  f.on_store_failed(module(1), now, effects);
  ASSERT_EQ(got<module_discard>().size(), 1U);
  step();
  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(f.deadline(now), now + small().store_pause);
  now += small().store_pause;
  step();
  ASSERT_FALSE(got<module_ask>().empty());
  EXPECT_EQ(got<module_ask>()[0].offset, 0U);
}

TEST_F(fetching, two_at_once_and_from_two_peers) {
  for (std::uint8_t m = 1; m <= 4; ++m)
    want(m, 3 * piece);
  const std::set<digest> all{module(1), module(2), module(3), module(4)};
  has(1, all);
  has(2, all);
  step();
  std::set<std::pair<digest, node_id>> who;
  for (const auto& a : got<module_ask>())
    who.emplace(a.hash, a.from);
  ASSERT_EQ(who.size(), 2U);
  EXPECT_NE(who.begin()->second, who.rbegin()->second);
  serve_all();
  EXPECT_EQ(f.under_way().size(), 4U);
  for (std::uint8_t m = 1; m <= 2; ++m)
    checked(m, true);
  serve_all();
  for (std::uint8_t m = 3; m <= 4; ++m)
    checked(m, true);
  EXPECT_TRUE(f.under_way().empty());
}

TEST_F(fetching, a_size_that_was_a_lie_begins_anew) {
  want(1, 3 * piece);
  has(1, {module(1)});
  step();
  for (const std::uint64_t at : {0, 1, 2})
    ASSERT_TRUE(bring(1, 1, at * piece));
  want(1, 2 * piece);
  step();
  EXPECT_EQ(got<module_discard>().size(), 1U);
  ASSERT_FALSE(got<module_ask>().empty());
  EXPECT_EQ(got<module_ask>()[0].offset, 0U);
  want(1, 5 * piece); // and back
  serve_all();
  EXPECT_TRUE(f.under_way().at(module(1)).checking);
}

TEST_F(fetching, what_nobody_wants_any_more_ends) {
  want(1, 10 * piece);
  has(1, {module(1)});
  step();
  wanted.clear();
  f.want(wanted);
  EXPECT_FALSE(bring(1, 1, 0));
  step();
  EXPECT_TRUE(effects.empty());
  EXPECT_EQ(f.deadline(now), never);
}

TEST_F(fetching, an_operator_who_brings_it_comes_first) {
  want(1, 10 * piece);
  has(1, {module(1)});
  step();
  f.pause(module(1), now + 15s);
  EXPECT_FALSE(bring(1, 1, 0));
  f.on_held(module(1), 10 * piece, false);
  f.pause(module(1), now + 15s);
  step();
  EXPECT_TRUE(effects.empty());
  now += 15s;
  step();
  EXPECT_EQ(got<module_finish>().size(), 1U);
}

} // namespace
} // namespace banyan
