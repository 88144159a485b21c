// Answers of many actors, added up.
#include "actors/pure/all_jobs.hpp"
#include "actors/pure/all_query.hpp"
#include "base/codec.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace banyan {
namespace {

bytes encoded(const std::function<void(writer&)>& f) {
  bytes b;
  writer w{b};
  f(w);
  return b;
}
bytes integer(std::int64_t n) {
  return encoded([&](writer& w) { w.sint(n); });
}
bytes sum_of(const std::vector<bytes>& values, std::string* why = nullptr) {
  answer_sum s;
  std::string reason;
  bytes out;
  for (const auto& v : values)
    if (!s.add(v, reason)) {
      if (why != nullptr)
        *why = reason;
      return {};
    }
  if (!s.write(out, reason)) {
    if (why != nullptr)
      *why = reason;
    return {};
  }
  return out;
}

/// An app whose actors answer their own number, in shards by hand.
struct asked_app {
  explicit asked_app(std::vector<std::vector<std::string>> keys,
                     bool as_list = false, std::size_t argument_bytes = 0)
      : shards{std::move(keys)}, core{static_cast<std::uint32_t>(shards.size()),
                                      as_list, argument_bytes} {}
  void carry(const all_query::list& l) {
    std::vector<std::string> page;
    bool more = false;
    for (const auto& k : shards[l.shard])
      if (k > l.after) {
        more = page.size() == page_size;
        if (more)
          break;
        page.push_back(k);
      }
    reply r;
    r.result = encoded([&](writer& w) {
      w.array(2).array(page.size());
      for (const auto& k : page)
        w.text(k);
      w.boolean(more);
    });
    core.listed(l.shard, r);
  }
  void carry(const all_query::ask& a) {
    reply r;
    r.index = log_index{10 * a.shard + ++asks};
    r.result = integer(std::stoi(a.key));
    if (a.key == refuses) {
      r = {};
      r.status = reply_status::app_failed;
      r.message = "it threw";
    }
    core.answered(a, r);
  }
  /// To the end, answers in the order of the questions.
  std::optional<bytes> run(bool stale = false) {
    std::deque<all_query::step> open;
    for (;;) {
      while (const auto s = core.next())
        open.push_back(*s);
      most = std::max(most, open.size());
      if (open.empty())
        break;
      const auto s = open.front();
      open.pop_front();
      std::visit([&](const auto& what) { carry(what); }, s);
    }
    EXPECT_TRUE(core.over());
    return core.result(stale, why);
  }
  std::vector<std::vector<std::string>> shards; ///< sorted
  std::size_t page_size = 3;
  std::string refuses;
  all_query core;
  std::uint64_t asks = 0;
  std::size_t most = 0;
  reply why;
};

} // namespace

TEST(answer_sum, integers_floats_and_maps_are_added) {
  EXPECT_EQ(sum_of({integer(5), integer(-8), integer(1)}), integer(-2));
  EXPECT_EQ(sum_of({integer(5), encoded([](auto& w) { w.number(0.5); })}),
            encoded([](auto& w) { w.number(5.5); }));
  EXPECT_EQ(sum_of({encoded([](auto& w) { w.nil(); })}),
            encoded([](auto& w) { w.nil(); }));
  const auto map = [](std::int64_t a, std::int64_t b) {
    return encoded([&](writer& w) {
      w.map(2).text("a").sint(a).text("b").map(1).text("c").sint(b);
    });
  };
  EXPECT_EQ(sum_of({map(1, 2), map(10, 20),
                    encoded([](auto& w) { w.map(1).text("a").sint(100); })}),
            map(111, 22));
}

TEST(answer_sum, what_is_beyond_64_bits_says_so) {
  std::string why;
  EXPECT_EQ(sum_of({integer(INT64_MAX), integer(1), integer(-1)}),
            integer(INT64_MAX)); // on the way it may be
  EXPECT_EQ(sum_of({integer(INT64_MIN), integer(-1)}, &why), bytes{});
  EXPECT_NE(why.find("64 bits"), std::string::npos);
  EXPECT_EQ(sum_of({encoded([](auto& w) { w.number(1e308); }),
                    encoded([](auto& w) { w.number(1e308); })},
                   &why),
            bytes{});
}

TEST(answer_sum, what_is_no_number_is_refused) {
  std::string why;
  for (const auto& bad :
       {encoded([](auto& w) { w.text("x"); }),
        encoded([](auto& w) { w.boolean(true); }),
        encoded([](auto& w) { w.array(0); }), bytes{0xc1}, bytes{},
        encoded([](auto& w) { w.map(1).uint(1).uint(1); })}) {
    why.clear();
    EXPECT_EQ(sum_of({integer(1), bad}, &why), bytes{});
    EXPECT_FALSE(why.empty());
  }
  EXPECT_EQ(sum_of({integer(1), encoded([](auto& w) { w.map(0); })}, &why),
            bytes{});
  EXPECT_NE(why.find("different kinds"), std::string::npos);
  bytes deep;
  for (int i = 0; i < 25; ++i)
    writer{deep}.map(1).text("k");
  writer{deep}.uint(1);
  EXPECT_EQ(sum_of({deep}, &why), bytes{});
}

TEST(answer_sum, the_keys_of_maps_have_their_bound) {
  std::vector<bytes> values;
  for (char c = 'a'; c <= 'c'; ++c)
    values.push_back(encoded([&](writer& w) {
      w.map(1).text(std::string(answer_sum::key_bytes_max / 2, c)).uint(1);
    }));
  std::string why;
  EXPECT_NE(sum_of({values[0], values[1], values[0]}), bytes{});
  EXPECT_EQ(sum_of(values, &why), bytes{});
  EXPECT_NE(why.find("1 MiB"), std::string::npos);
}

TEST(all_query, every_actor_of_every_shard_is_asked_once) {
  asked_app a{{{"1", "2", "3", "4", "5", "6", "7"}, {}, {"8", "9"}}};
  const auto r = a.run();
  ASSERT_TRUE(r);
  EXPECT_EQ(a.asks, 9U);
  reader in{*r};
  EXPECT_EQ(in.map(4), 4U);
  EXPECT_EQ(in.text(10), "result");
  EXPECT_EQ(in.sint(), 45);
  EXPECT_EQ(in.text(10), "actors");
  EXPECT_EQ(in.uint(), 9U);
  EXPECT_EQ(in.text(20), "consistency");
  EXPECT_EQ(in.text(100), "linearizable per actor, no cut");
  EXPECT_EQ(in.text(10), "shards");
  ASSERT_EQ(in.array(10), 3U);
  for (const std::uint64_t actors : {7, 0, 2}) {
    EXPECT_EQ(in.map(4), 4U);
    EXPECT_EQ(in.text(10), "shard");
    const auto shard = in.uint();
    EXPECT_EQ(in.text(10), "actors");
    EXPECT_EQ(in.uint(), actors);
    EXPECT_EQ(in.text(10), "from");
    const auto from = in.uint();
    EXPECT_EQ(in.text(10), "to");
    const auto to = in.uint();
    EXPECT_LE(from, to);
    EXPECT_EQ(to > 10 * shard, actors > 0);
  }
  EXPECT_TRUE(in.done());
}

TEST(all_query, an_app_without_actors_has_no_sum) {
  asked_app a{{{}, {}}};
  const auto r = a.run(true);
  ASSERT_TRUE(r);
  reader in{*r};
  in.map(4);
  EXPECT_EQ(in.text(10), "result");
  in.nil();
  EXPECT_EQ(in.text(10), "actors");
  EXPECT_EQ(in.uint(), 0U);
  in.text(20);
  EXPECT_EQ(in.text(10), "stale");
}

TEST(all_query, so_many_are_asked_at_once_and_no_more) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 1500; ++i)
    keys.push_back(std::to_string(i));
  asked_app a{{keys, keys}};
  a.page_size = 1000;
  ASSERT_TRUE(a.run());
  EXPECT_GE(a.most, all_query::asked_at_once);
  EXPECT_LE(a.most, all_query::asked_at_once + all_query::lists_at_once);
}

TEST(all_query, large_arguments_go_out_a_few_at_a_time) {
  std::vector<std::string> keys;
  for (int i = 1000; i < 1100; ++i)
    keys.push_back(std::to_string(i));
  asked_app a{{keys}, false, all_query::asked_bytes_max / 3};
  a.page_size = 1000;
  ASSERT_TRUE(a.run());
  EXPECT_EQ(a.asks, 100U);
  EXPECT_EQ(a.most, 3U);
  asked_app huge{{keys}, false, 2 * all_query::asked_bytes_max};
  huge.page_size = 1000;
  ASSERT_TRUE(huge.run());
  EXPECT_EQ(huge.most, 1U);
}

TEST(all_query, a_few_pages_of_keys_are_held_whatever_the_shards) {
  std::vector<std::string> keys;
  for (int i = 10'000; i < 12'000; ++i)
    keys.push_back(std::to_string(i));
  asked_app a{std::vector<std::vector<std::string>>(20, keys)};
  a.page_size = all_query::page;
  std::deque<all_query::ask> asked;
  std::size_t listed = 0;
  std::size_t most = 0;
  for (;;) { // shards list at once, actors take their time
    if (const auto s = a.core.next()) {
      if (const auto* l = std::get_if<all_query::list>(&*s)) {
        a.carry(*l);
        listed += all_query::page;
      } else {
        asked.push_back(std::get<all_query::ask>(*s));
      }
      most = std::max<std::size_t>(most, listed - a.asks);
      continue;
    }
    if (asked.empty())
      break;
    a.carry(asked.front());
    asked.pop_front();
  }
  EXPECT_TRUE(a.core.over());
  EXPECT_EQ(a.asks, 40'000U);
  EXPECT_LE(most, all_query::lists_at_once * all_query::page
                      + all_query::asked_at_once);
}

TEST(all_jobs, a_client_an_app_and_a_peer_have_their_bounds) {
  all_jobs jobs;
  const auto app = [](std::uint8_t n) {
    return app_id{std::array<std::uint8_t, 32>{n}};
  };
  for (std::size_t i = 0; i < all_jobs::client_max; ++i)
    EXPECT_EQ(jobs.begin(app(1), "greedy"), nullptr);
  EXPECT_NE(jobs.begin(app(1), "greedy"), nullptr);
  EXPECT_NE(jobs.begin(app(2), "greedy"), nullptr);
  EXPECT_EQ(jobs.begin(app(1), "modest"), nullptr);
  while (jobs.under_way() < all_jobs::jobs_max)
    ASSERT_EQ(jobs.begin(app(1), ""), nullptr);
  EXPECT_NE(jobs.begin(app(1), ""), nullptr);
  // Though none of these ends, another app has its share.
  for (std::size_t i = 0; i < all_jobs::jobs_max / 2; ++i)
    EXPECT_EQ(jobs.begin(app(2), ""), nullptr);
  EXPECT_NE(jobs.begin(app(2), ""), nullptr);
  jobs.ended(app(1), "greedy");
  EXPECT_NE(jobs.begin(app(1), "greedy"), nullptr); // its app has too many yet
  for (std::size_t i = 0; i < all_jobs::jobs_max / 2; ++i)
    jobs.ended(app(2), "");
  EXPECT_EQ(jobs.begin(app(1), "greedy"), nullptr);
  EXPECT_EQ(jobs.under_way(), all_jobs::jobs_max);
}

TEST(all_query, one_that_fails_fails_all_and_is_named) {
  asked_app a{{{"1", "2"}, {"3"}}};
  a.refuses = "2";
  EXPECT_FALSE(a.run());
  EXPECT_EQ(a.why.status, reply_status::app_failed);
  EXPECT_EQ(a.why.message, "2: it threw");

  asked_app away{{{"1"}}};
  reply gone;
  gone.status = reply_status::no_quorum;
  ASSERT_TRUE(away.core.next());
  away.core.listed(0, gone);
  EXPECT_TRUE(away.core.over());
  EXPECT_FALSE(away.core.result(false, away.why));
  EXPECT_EQ(away.why.status, reply_status::no_quorum);
  EXPECT_EQ(away.why.message.substr(0, 7), "shard 0");

  asked_app rubbish{{{"1"}}};
  reply odd;
  odd.result = {0xc1};
  ASSERT_TRUE(rubbish.core.next());
  rubbish.core.listed(0, odd);
  EXPECT_FALSE(rubbish.core.result(false, rubbish.why));
}

TEST(all_query, a_list_has_them_by_key_within_its_bound) {
  asked_app a{{{"3"}, {"1", "2"}}, true};
  const auto r = a.run();
  ASSERT_TRUE(r);
  reader in{*r};
  in.map(4);
  in.text(10);
  ASSERT_EQ(in.array(9), 3U);
  for (const auto n : {1, 2, 3}) {
    EXPECT_EQ(in.array(2), 2U);
    EXPECT_EQ(in.text(9), std::to_string(n));
    EXPECT_EQ(in.sint(), n);
  }
  all_query big{1, true};
  ASSERT_TRUE(big.next());
  reply keys;
  keys.result = encoded(
      [](auto& w) { w.array(2).array(2).text("a").text("b").boolean(false); });
  big.listed(0, keys);
  reply large;
  large.result.resize(700'000, 0xc0);
  for (int i = 0; i < 2; ++i)
    big.answered(std::get<all_query::ask>(*big.next()), large);
  reply why;
  EXPECT_FALSE(big.result(false, why));
  EXPECT_EQ(why.status, reply_status::too_large);
}

} // namespace banyan
