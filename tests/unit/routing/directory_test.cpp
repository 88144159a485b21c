#include "tests/unit/routing/support.hpp"

#include <gtest/gtest.h>

namespace banyan::routing_tests {
namespace {

const group_id group{app(1), 0};

TEST(directory, a_later_term_or_number_is_news) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  EXPECT_TRUE(d.put_view(view_of(group, 5, 1, 3)));
  EXPECT_FALSE(d.put_view(view_of(group, 5, 2, 3)));
  EXPECT_FALSE(d.put_view(view_of(group, 5, 2, 2)));
  EXPECT_FALSE(d.put_view(view_of(group, 4, 2, 900)));
  EXPECT_EQ(d.leader(group), node(1));
  EXPECT_TRUE(d.put_view(view_of(group, 5, 1, 4)));
  EXPECT_TRUE(d.put_view(view_of(group, 6, 3, 1))); // a term counts anew
  EXPECT_EQ(d.leader(group), node(3));
}

TEST(directory, candidates_begin_with_the_leader_and_name_nobody_twice) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  EXPECT_EQ(d.candidates(group),
            (std::vector<node_id>{node(1), node(2), node(3)})); // as born
  EXPECT_FALSE(d.leader(group));
  d.put_view(view_of(group, 1, 3));
  EXPECT_EQ(d.candidates(group),
            (std::vector<node_id>{node(3), node(1), node(2)}));
  d.put_view(view_of(group, 2, 0)); // stepped down
  EXPECT_FALSE(d.leader(group));
  EXPECT_EQ(d.candidates(group),
            (std::vector<node_id>{node(1), node(2), node(3)}));
  EXPECT_TRUE(d.candidates(group_id{app(7), 0}).empty());
  EXPECT_TRUE(d.candidates(group_id{app(1), 9}).empty());
}

TEST(directory, a_view_of_a_shard_that_the_app_lacks_is_refused) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  EXPECT_FALSE(d.put_view(view_of({app(1), 1}, 1, 1)));
}

TEST(directory, views_of_unknown_apps_are_kept_up_to_a_bound) {
  directory d;
  for (std::uint32_t s = 0; s < directory::unknown_views_max; ++s)
    ASSERT_TRUE(d.put_view(view_of({app(4), s}, 1, 1)));
  EXPECT_FALSE(d.put_view(view_of({app(5), 0}, 1, 1)));
  d.put_app(one_group(1, "ledger")); // known ones are never refused
  EXPECT_TRUE(d.put_view(view_of(group, 1, 2)));
  d.put_app(one_group(4, "early"));
  EXPECT_EQ(d.leader({app(4), 0}), node(1));
}

TEST(directory, an_app_goes_with_its_views) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  d.put_view(view_of(group, 1, 1));
  d.remove_app(app(1));
  EXPECT_EQ(d.find_app("ledger"), nullptr);
  EXPECT_EQ(d.find_app(app(1)), nullptr);
  EXPECT_EQ(d.view(group), nullptr);
  d.remove_app(app(1));
}

TEST(directory, one_name_is_one_app) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  d.put_view(view_of(group, 1, 1));
  d.put_app(one_group(2, "ledger"));
  EXPECT_EQ(d.find_app(app(1)), nullptr);
  EXPECT_EQ(d.find_app("ledger")->id, app(2));
  EXPECT_EQ(d.view(group), nullptr);
  d.remove_app(app(1)); // an old one's end leaves the new one alone
  EXPECT_NE(d.find_app("ledger"), nullptr);
}

} // namespace
} // namespace banyan::routing_tests
