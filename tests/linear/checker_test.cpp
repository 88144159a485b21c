#include "base/random.hpp"
#include "history_file.hpp"
#include "linear/checker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

namespace {

using namespace banyan;
using namespace banyan::linear;

std::string slurp(const std::string& path) {
  std::ifstream in{path};
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// All that verdicts.json in `folder` tells of. @returns how many there were.
std::size_t judge(const std::string& folder, const std::string& data) {
  const auto verdicts = read_verdicts(slurp(folder + "/verdicts.json"));
  std::size_t configurations = 0;
  std::size_t operations = 0;
  for (const auto& [name, good] : verdicts) {
    const auto text = slurp(folder + data + "/" + name);
    EXPECT_FALSE(text.empty()) << name;
    const auto found = check<kv_model>(
        name.rfind("jepsen", 0) == 0 ? read_jepsen(text) : read_edn(text));
    EXPECT_EQ(
        to_string(found.what),
        to_string(good ? verdict::linearizable : verdict::not_linearizable))
        << name << ": " << found.key << ' ' << found.why;
    EXPECT_GT(found.operations, 0U) << name;
    configurations += found.configurations;
    operations += found.operations;
  }
  std::cout << verdicts.size() << " histories of " << operations
            << " operations, " << configurations << " configurations\n";
  return verdicts.size();
}

TEST(linear, our_own_histories) {
  EXPECT_GE(judge(BANYAN_SOURCE_DIR "/tests/linear/histories", ""), 16U);
}

TEST(linear, histories_of_jepsen_and_porcupine) {
  const char* set = std::getenv("BANYAN_VECTORS");
  const auto folder =
      std::string{set ? set : BANYAN_VECTORS_DEFAULT} + "/linearizability";
  if (!std::ifstream{folder + "/verdicts.json"}) {
    std::cout << "not run: no " << folder << "; our own are\n";
    return;
  }
  EXPECT_EQ(judge(folder, "/test_data"), 108U);
}

/// The definition, word by word: some order of some of the calls, with all the
/// answered ones, in which nothing stands before what it was called after.
template <class Model>
bool by_brute_force(const std::vector<call<typename Model::operation>>& all,
                    std::vector<bool>& taken, const typename Model::state& s) {
  tick first_answer = unknown;
  bool rest = false;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!taken[i] && all[i].answered != unknown) {
      first_answer = std::min(first_answer, all[i].answered);
      rest = true;
    }
  if (!rest)
    return true;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (taken[i] || all[i].invoked > first_answer)
      continue;
    auto after = s;
    if (!Model::step(after, all[i].op, all[i].answered != unknown))
      continue;
    taken[i] = true;
    const bool good = by_brute_force<Model>(all, taken, after);
    taken[i] = false;
    if (good)
      return true;
  }
  return false;
}

/// Random calls that take effect between invocation and answer, so that the
/// history is linearizable; then some answers are changed or forgotten.
template <class Model, class Make, class Answer, class Change>
void compare(std::uint64_t seed, int rounds, Make make, Answer answer,
             Change change) {
  seeded_random random{seed};
  std::map<bool, int> seen;
  for (int round = 0; round < rounds; ++round) {
    std::vector<call<typename Model::operation>> all;
    const auto n = 2 + random.below(6);
    std::vector<std::pair<tick, std::size_t>> effects;
    for (std::size_t i = 0; i < n; ++i) {
      const auto from = static_cast<tick>(random.below(20));
      const auto until = from + static_cast<tick>(random.below(12));
      all.push_back({make(random), from, until});
      effects.emplace_back(
          from
              + static_cast<tick>(
                  random.below(static_cast<std::uint64_t>(until - from) + 1)),
          i);
    }
    std::sort(effects.begin(), effects.end());
    typename Model::state s{};
    for (const auto& [at, i] : effects) {
      const bool lost = random.below(5) == 0;
      if (lost)
        all[i].answered = unknown;
      if (!lost || random.below(2) == 0)
        answer(s, all[i].op);
    }
    if (random.below(3) != 0)
      change(random, all[random.below(all.size())].op);
    std::vector<bool> taken(all.size());
    const bool good = by_brute_force<Model>(all, taken, {});
    const auto found = check<Model>(all);
    ASSERT_EQ(
        to_string(found.what),
        to_string(good ? verdict::linearizable : verdict::not_linearizable))
        << "round " << round << ": " << found.why;
    ++seen[good];
  }
  // Neither verdict is rare, or the comparison says little.
  EXPECT_GT(seen[true], rounds / 5);
  EXPECT_GT(seen[false], rounds / 20);
}

TEST(linear, agrees_with_brute_force_on_kv) {
  using kind = kv_operation::kind;
  const auto text = [](seeded_random& r) {
    return std::string(1, static_cast<char>('a' + r.below(3)));
  };
  compare<kv_model>(
      1, 20'000,
      [&](seeded_random& r) {
        kv_operation o;
        o.what = static_cast<kind>(1 + r.below(5));
        o.value = text(r);
        if (r.below(3) != 0)
          o.expected = text(r);
        return o;
      },
      [](kv_model::state& s, kv_operation& o) {
        o.read = s;
        o.swapped = s == o.expected;
        EXPECT_TRUE(kv_model::step(s, o, true));
      },
      [&](seeded_random& r, kv_operation& o) {
        o.swapped = !o.swapped;
        o.read = text(r);
      });
}

TEST(linear, agrees_with_brute_force_on_counters) {
  using kind = counter_operation::kind;
  compare<counter_model>(
      2, 20'000,
      [](seeded_random& r) {
        counter_operation o;
        o.what = static_cast<kind>(1 + r.below(2));
        o.amount = static_cast<std::int64_t>(r.below(3)) - 1;
        return o;
      },
      [](counter_model::state& s, counter_operation& o) {
        o.value = s + (o.what == kind::add ? o.amount : 0);
        EXPECT_TRUE(counter_model::step(s, o, true));
      },
      [](seeded_random& r, counter_operation& o) {
        o.value += static_cast<std::int64_t>(r.below(3)) - 1;
      });
}

TEST(linear, agrees_with_brute_force_on_lists) {
  using kind = list_operation::kind;
  compare<list_model>(
      3, 20'000,
      [](seeded_random& r) {
        list_operation o;
        o.what = static_cast<kind>(1 + r.below(2));
        o.element = static_cast<std::int64_t>(r.below(4));
        return o;
      },
      [](list_model::state& s, list_operation& o) {
        EXPECT_TRUE(list_model::step(s, o, false));
        if (o.what == kind::read)
          o.list = s;
      },
      [](seeded_random& r, list_operation& o) {
        if (o.list && !o.list->empty())
          (*o.list)[r.below(o.list->size())] ^= 1;
      });
}

counter_operation add(std::int64_t value) {
  return {counter_operation::kind::add, "c", 1, value};
}

/// What a soak hands over: one key, many calls, some of which stay open.
TEST(linear, long_histories_are_judged_fast_and_in_little_memory) {
  std::vector<call<counter_operation>> all;
  seeded_random random{4};
  for (std::int64_t i = 1; i <= 50'000; ++i) {
    const tick at = i * 10;
    all.push_back({add(i), at - static_cast<tick>(random.below(40)),
                   at + static_cast<tick>(random.below(40))});
  }
  for (std::size_t i = 0; i < 10; ++i)
    all.push_back({add(0), static_cast<tick>(i * 50'000), unknown});
  EXPECT_TRUE(check<counter_model>(all).ok());
  // As if an addition had been lost: its answer comes twice. The open calls
  // could explain a gap anywhere, so that each has to be tried everywhere.
  all.resize(all.size() - 7);
  all[40'000].op.value -= 1;
  const auto found = check<counter_model>(all);
  EXPECT_EQ(found.what, verdict::not_linearizable) << found.why;
}

TEST(linear, gives_up_rather_than_fill_the_memory) {
  // Each order of these is another state, and the last one never fits.
  std::vector<call<list_operation>> all;
  for (std::int64_t i = 0; i < 12; ++i)
    all.push_back({{list_operation::kind::append, "l", i, {}}, 0, 100});
  all.push_back({{list_operation::kind::read, "l", 0, {{}}}, 101, 102});
  all.back().op.list = std::vector<std::int64_t>{99};
  const auto found = check<list_model>(all, {std::size_t{1} << 20});
  EXPECT_EQ(found.what, verdict::gave_up) << found.why;
}

TEST(linear, a_finding_says_what_has_no_place) {
  const auto found = check<counter_model>(
      {{add(1), 0, 1}, {add(2), 2, 3}, {add(2), 4, 5}, {add(3), 6, 7}});
  EXPECT_EQ(found.what, verdict::not_linearizable);
  EXPECT_EQ(found.key, "c");
  EXPECT_EQ(found.why, "after 2 of 4 operations, with 2, there is no place for "
                       "c: add 1 -> 2");
}

} // namespace
