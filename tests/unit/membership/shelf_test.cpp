// Reports by observer and by subject.
#include "base/random.hpp"
#include "net/membership/shelf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace banyan::net {
namespace {

using index = report_shelf::index;

shared_report numbered(std::uint64_t n) {
  report r;
  r.number = n;
  return std::make_shared<const report>(r);
}

TEST(number_table, holds_what_a_map_holds) {
  number_table table;
  std::map<index, std::uint32_t> known;
  seeded_random random{5};
  for (std::uint32_t step = 0; step < 20'000; ++step) {
    // Few numbers, so that they are set, found and erased many times.
    const auto key = static_cast<index>(random.below(300));
    if (random.below(3) == 0) {
      table.erase(key);
      known.erase(key);
    } else {
      table.set(key, step);
      known[key] = step;
    }
    const auto other = static_cast<index>(random.below(300));
    const auto at = known.find(other);
    ASSERT_EQ(table.get(other),
              at == known.end() ? number_table::none : at->second);
  }
  for (index key = 0; key < 300; ++key)
    ASSERT_EQ(table.get(key) != number_table::none, known.count(key) > 0);
}

TEST(report_shelf, finds_by_observer_and_by_subject) {
  report_shelf shelf;
  std::map<std::pair<index, index>, std::uint64_t> known;
  seeded_random random{6};
  for (std::uint64_t step = 1; step < 6'000; ++step) {
    const auto observer = static_cast<index>(random.below(20));
    const auto subject = static_cast<index>(random.below(20));
    if (random.below(3) == 0) {
      shelf.drop(observer, subject);
      known.erase({observer, subject});
    } else {
      shelf.put(observer, subject, numbered(step));
      known[{observer, subject}] = step;
    }
    const auto one = static_cast<index>(random.below(20));
    std::set<std::uint64_t> by, about, expected_by, expected_about;
    for (const auto& [who, number] : known) {
      if (who.first == one)
        expected_by.insert(number);
      if (who.second == one)
        expected_about.insert(number);
    }
    shelf.by(one, [&](index, const auto& r) { by.insert(r->number); });
    shelf.about(one, [&](index, const auto& r) { about.insert(r->number); });
    ASSERT_EQ(by, expected_by);
    ASSERT_EQ(about, expected_about);
    ASSERT_EQ(shelf.count_by(one), expected_by.size());
    ASSERT_EQ(shelf.any_about(one), !expected_about.empty());
    const auto* held = shelf.find(observer, subject);
    ASSERT_EQ(held != nullptr, known.count({observer, subject}) > 0);
    if (held != nullptr) {
      ASSERT_EQ(held->number, (known[{observer, subject}]));
    }
  }
  std::size_t all = 0;
  shelf.each([&](index, index, const auto&) { ++all; });
  EXPECT_EQ(all, known.size());
}

TEST(report_shelf, what_one_said_stays_in_the_order_in_which_it_was_said) {
  report_shelf shelf;
  for (const index subject : {7U, 3U, 9U, 1U})
    shelf.put(5, subject, numbered(subject));
  shelf.put(5, 3, numbered(30)); // anew, at its old place
  shelf.drop(5, 9);
  shelf.put(5, 2, numbered(2));
  std::vector<index> order;
  shelf.by(5, [&](index subject, const auto&) { order.push_back(subject); });
  EXPECT_EQ(order, (std::vector<index>{7, 3, 1, 2}));
  EXPECT_EQ(shelf.find(5, 3)->number, 30U);
}

} // namespace
} // namespace banyan::net
