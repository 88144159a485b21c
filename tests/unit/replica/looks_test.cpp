// What is asked of the state itself: `_state`, `_watch` and `_ls`.
#include "base/codec.hpp"
#include "rules.hpp"

namespace banyan::test {
namespace {

struct replica_looks : replica_rules {
  request_frame look(std::string_view what, std::string key,
                     bytes argument = {}) {
    auto r = w.command(std::move(key), std::string{what}, "");
    r.kind = request_kind::query;
    r.argument = std::move(argument);
    return r;
  }
  static bytes behind(std::uint64_t index) {
    bytes b;
    writer{b}.uint(index);
    return b;
  }
  static bytes page(std::string_view prefix, std::string_view after,
                    std::uint64_t limit) {
    bytes b;
    writer{b}.array(3).text(prefix).text(after).uint(limit);
    return b;
  }
  struct shown {
    std::uint64_t index = 0;
    std::optional<std::string> state;
  };
  static shown read(const reply& r) {
    EXPECT_EQ(r.status, reply_status::ok) << r.message;
    shown s;
    reader in{r.result};
    EXPECT_EQ(in.array(2), 2U);
    s.index = in.uint();
    if (in.peek() == reader::kind::nil)
      in.nil();
    else
      s.state = to_text(in.blob(SIZE_MAX));
    EXPECT_TRUE(in.done());
    return s;
  }
  std::string list(std::string_view prefix, std::string_view after,
                   std::uint64_t limit, bool* more = nullptr) {
    const auto r =
        w.ask(leader, look(look_list, "*", page(prefix, after, limit)));
    EXPECT_EQ(r.status, reply_status::ok) << r.message;
    std::string out;
    reader in{r.result};
    EXPECT_EQ(in.array(2), 2U);
    for (auto n = in.array(1000); n > 0; --n)
      out += std::string{in.text(255)} + ",";
    const bool there_is_more = in.boolean();
    if (more != nullptr)
      *more = there_is_more;
    EXPECT_TRUE(in.done());
    return out;
  }
};

TEST_F(replica_looks, a_state_is_shown_without_the_apps_code) {
  boot();
  const auto written = w.ask(leader, w.command("a", "append", "x"));
  ASSERT_EQ(written.status, reply_status::ok);
  w.kill_host(leader);
  const auto s = read(w.ask(leader, look(look_state, "a")));
  EXPECT_EQ(s.index, written.index.value());
  ASSERT_TRUE(s.state);
  EXPECT_NE(s.state->find('x'), std::string::npos);
  EXPECT_FALSE(read(w.ask(leader, look(look_state, "nobody"))).state);
}

TEST_F(replica_looks, a_state_is_linearizable) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  cut_off(leader);
  const auto call = w.call(leader, look(look_state, "a"));
  w.run_for(300ms);
  EXPECT_FALSE(w.answered(call)); // no quorum confirms this leader
}

TEST_F(replica_looks, a_stale_state_comes_from_any_voter) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  w.run_for(1s);
  auto q = look(look_state, "a");
  q.max_staleness = 10s;
  const auto follower = (leader + 1) % 3;
  w.ask(follower, q);
  w.run_for(500ms);
  EXPECT_TRUE(read(w.ask(follower, q)).state);
}

TEST_F(replica_looks, a_parked_app_still_shows_its_states) {
  boot();
  ASSERT_EQ(status(w.command("a", "append", "x")), reply_status::ok);
  replica_effects out;
  w.nodes[leader].core->set_parked(true, w.now, out);
  w.carry(leader, out);
  EXPECT_EQ(status(w.command("a", "append", "y")), reply_status::parked);
  EXPECT_TRUE(read(w.ask(leader, look(look_state, "a"))).state);
  EXPECT_EQ(list("", "", 10), "a,");
}

TEST_F(replica_looks, a_watch_is_answered_by_the_next_commit) {
  boot();
  const auto first = w.ask(leader, w.command("a", "append", "x"));
  const auto before = read(w.ask(leader, look(look_watch, "a")));
  EXPECT_EQ(before.index, first.index.value()) << "at once, without an index";
  const auto call = w.call(leader, look(look_watch, "a", behind(before.index)));
  w.run_for(500ms);
  EXPECT_FALSE(w.answered(call));
  ASSERT_EQ(status(w.command("b", "append", "y")), reply_status::ok);
  w.run_for(100ms);
  EXPECT_FALSE(w.answered(call)) << "another actor's";
  const auto second = w.ask(leader, w.command("a", "append", "z"));
  w.run_for(100ms);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(read(*w.answered(call)).index, second.index.value());
}

TEST_F(replica_looks, a_watch_shows_nothing_that_is_not_committed) {
  boot();
  const auto before = w.ask(leader, w.command("a", "append", "x")).index;
  const auto call =
      w.call(leader, look(look_watch, "a", behind(before.value())));
  w.run_for(10ms);
  cut_off(leader);
  w.call(leader, w.command("a", "append", "y"));
  w.run_for(300ms);
  const auto a = w.answered(call);
  EXPECT_TRUE(!a || a->status != reply_status::ok);
}

TEST_F(replica_looks, a_watch_ends_in_time_and_with_the_leadership) {
  boot();
  const auto index = w.ask(leader, w.command("a", "append", "x")).index.value();
  auto short_one = look(look_watch, "a", behind(index));
  short_one.deadline_left = 200ms;
  EXPECT_EQ(w.ask(leader, short_one).status, reply_status::deadline);
  const auto call = w.call(leader, look(look_watch, "a", behind(index)));
  w.run_for(10ms);
  replica_effects out;
  w.nodes[leader].core->transfer_leadership(1, std::nullopt, w.now, out);
  w.carry(leader, out);
  w.run_for(1s);
  ASSERT_TRUE(w.answered(call));
  EXPECT_EQ(w.answered(call)->status, reply_status::not_leader);
  const auto next = w.await_leader();
  const auto again = w.call(next, look(look_watch, "a", behind(index)));
  w.run_for(10ms);
  ASSERT_EQ(w.ask(next, w.command("a", "append", "y")).status,
            reply_status::ok);
  w.run_for(100ms);
  EXPECT_TRUE(w.answered(again));
}

TEST_F(replica_looks, watches_are_bounded_and_take_no_room_from_queries) {
  boot();
  const auto index = w.ask(leader, w.command("a", "append", "x")).index.value();
  std::size_t refused = 0;
  std::vector<std::uint64_t> calls;
  for (int i = 0; i < 1100; ++i)
    calls.push_back(w.call(leader, look(look_watch, "a", behind(index))));
  w.run_for(100ms);
  for (const auto c : calls)
    if (const auto a = w.answered(c))
      refused += a->status == reply_status::overloaded ? 1 : 0;
  EXPECT_GT(refused, 0U);
  EXPECT_EQ(w.words("a"), "x,");
  ASSERT_EQ(status(w.command("a", "append", "y")), reply_status::ok);
  w.run_for(200ms);
  std::size_t seen = 0;
  for (const auto c : calls)
    if (const auto a = w.answered(c))
      seen += a->status == reply_status::ok ? 1 : 0;
  EXPECT_EQ(seen + refused, calls.size());
}

TEST_F(replica_looks, actors_are_listed_in_order_from_state_and_overlay) {
  boot();
  for (const auto* key : {"ab", "b", "aa", "c"})
    ASSERT_EQ(status(w.command(key, "append", "x")), reply_status::ok);
  w.run_for(3s); // the state has them
  for (const auto* key : {"ac", "a"})
    ASSERT_EQ(status(w.command(key, "append", "x")), reply_status::ok);
  ASSERT_EQ(status(w.command("b", "remove", "")), reply_status::ok);
  EXPECT_EQ(list("", "", 100), "a,aa,ab,ac,c,");
  EXPECT_EQ(list("a", "", 100), "a,aa,ab,ac,");
  EXPECT_EQ(list("a", "aa", 100), "ab,ac,");
  bool more = false;
  EXPECT_EQ(list("", "", 2, &more), "a,aa,");
  EXPECT_TRUE(more);
  EXPECT_EQ(list("", "aa", 3, &more), "ab,ac,c,");
  EXPECT_FALSE(more);
  EXPECT_EQ(list("z", "", 10), "");
}

TEST_F(replica_looks, many_actors_are_listed_page_by_page) {
  boot();
  for (int i = 0; i < 60; ++i)
    ASSERT_EQ(status(w.command("k" + std::to_string(100 + i), "append", "x")),
              reply_status::ok);
  w.run_for(3s);
  std::string all;
  std::string after;
  for (bool more = true; more;) {
    const auto some = list("k", after, 7, &more);
    ASSERT_FALSE(some.empty());
    all += some;
    after = some.substr(some.rfind('k'));
    after.pop_back();
  }
  EXPECT_EQ(std::count(all.begin(), all.end(), ','), 60);
}

TEST_F(replica_looks, what_makes_no_sense_is_refused) {
  boot();
  EXPECT_EQ(status(look("_other", "a")), reply_status::not_found);
  EXPECT_EQ(status(look(look_state, "a", {0x01})),
            reply_status::invalid_argument);
  EXPECT_EQ(status(look(look_watch, "a", {0xc3})),
            reply_status::invalid_argument);
  for (const auto& bad :
       {bytes{}, page("", "", 0), page("", "", 1001), bytes{0x93}})
    EXPECT_EQ(status(look(look_list, "*", bad)),
              reply_status::invalid_argument);
  auto stale = look(look_watch, "a");
  stale.max_staleness = 1s;
  EXPECT_EQ(status(stale), reply_status::invalid_argument);
}

} // namespace
} // namespace banyan::test
