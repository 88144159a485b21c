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

TEST(directory, what_others_say_of_a_leader_counts_less_than_its_own_word) {
  directory d;
  EXPECT_FALSE(d.put_told(view_of(group, 5, 1))); // of no app that is known
  d.put_app(one_group(1, "ledger"));
  EXPECT_TRUE(d.put_told(view_of(group, 900, 1, 3)));
  EXPECT_TRUE(d.at_second_hand(group));
  EXPECT_FALSE(d.put_told(view_of(group, 6, 2, 3))); // it is older
  EXPECT_TRUE(d.put_view(view_of(group, 6, 2, 3)));  // its own word
  EXPECT_FALSE(d.at_second_hand(group));
  EXPECT_FALSE(d.put_told(view_of(group, 6, 3, 3)));
  EXPECT_EQ(d.leader(group), node(2));
  EXPECT_TRUE(d.put_told(view_of(group, 7, 3, 1)));
  EXPECT_EQ(d.leader(group), node(3));
}

TEST(directory, who_is_in_doubt_gives_way_to_whatever_is_told_next) {
  directory d;
  d.put_app(one_group(1, "ledger"));
  ASSERT_TRUE(d.put_told(view_of(group, 900, 1, 3))); // a lie
  EXPECT_FALSE(d.put_told(view_of(group, 6, 2, 3)));
  const auto changed = d.views_changed();
  d.doubt(group);
  EXPECT_TRUE(d.put_told(view_of(group, 6, 2, 3)));
  EXPECT_EQ(d.leader(group), node(2));
  EXPECT_NE(d.views_changed(), changed);
  EXPECT_FALSE(d.put_told(view_of(group, 5, 1, 3))); // no doubt is left
}

TEST(directory, instances_are_told_all_but_those_that_speak_for_themselves) {
  directory d;
  directory::app a = one_group(1, "hello");
  a.stateless = true;
  d.put_app(a);
  const auto itself = [](const node_id& n) { return n == node(1); };
  d.put_instance(app(1), node(1), true, 4);
  d.put_instance(app(1), node(2), true, 4);
  d.put_instances_told(app(1), {{node(1), 9}, {node(3), 5}}, itself);
  EXPECT_EQ(d.instances(app(1)), (std::set<node_id>{node(1), node(3)}));
  EXPECT_EQ(d.instance_number(app(1), node(1)), 4U);
  EXPECT_EQ(d.instance_number(app(1), node(3)), 5U);
  d.put_instances_told(app(2), {{node(3), 5}}, itself); // no app that is known
  EXPECT_TRUE(d.instances(app(2)).empty());
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

directory::app served(std::uint8_t n, const char* name) {
  directory::app a;
  a.id = app(n);
  a.name = name;
  a.shards = 1;
  a.born.resize(1);
  a.stateless = true;
  return a;
}

TEST(directory, instances_come_and_go_by_their_own_nodes_word) {
  directory d;
  d.put_instance(app(3), node(1), true, 2); // before its documents
  d.put_app(served(3, "hello"));
  d.put_instance(app(3), node(2), true, 1);
  EXPECT_EQ(d.instances(app(3)), (std::set<node_id>{node(1), node(2)}));
  EXPECT_EQ(d.instance_number(app(3), node(1)), 2U);
  d.put_instance(app(3), node(1), true, 3);
  EXPECT_EQ(d.instance_number(app(3), node(1)), 3U);
  d.put_instance(app(3), node(1), false, 3);
  EXPECT_EQ(d.instances(app(3)), std::set<node_id>{node(2)});
  EXPECT_EQ(d.instance_number(app(3), node(1)), 0U);
  d.put_instance(app(3), node(9), false); // never was
  d.forget_instances(node(2));
  d.forget_instances(node(7));
  EXPECT_TRUE(d.instances(app(3)).empty());
  d.put_instance(app(3), node(2), true);
  d.remove_app(app(3));
  EXPECT_TRUE(d.instances(app(3)).empty());
}

TEST(directory, only_instances_that_are_heard_are_candidates) {
  directory d;
  d.put_app(served(3, "hello"));
  EXPECT_TRUE(d.candidates({app(3), 0}).empty());
  for (const int n : {1, 2})
    d.put_instance(app(3), node(static_cast<std::uint8_t>(n)), true);
  d.set_liveness([](const node_id& n) { return n == node(2); });
  EXPECT_EQ(d.candidates({app(3), 0}), std::vector<node_id>{node(2)});
}

TEST(directory, a_stranger_names_no_more_apps_than_its_bound) {
  directory d;
  const auto many = [](std::size_t i) {
    std::array<std::uint8_t, 32> a{};
    a[0] = static_cast<std::uint8_t>(i >> 8);
    a[1] = static_cast<std::uint8_t>(i);
    a[31] = 1;
    return app_id{a};
  };
  for (std::size_t i = 0; i < directory::told_apps_max; ++i)
    d.put_instance(many(i), node(1), true);
  d.put_instance(many(directory::told_apps_max), node(1), true);
  EXPECT_TRUE(d.instances(many(directory::told_apps_max)).empty());
  d.put_app(served(3, "hello"));
  d.put_instance(app(3), node(1), true); // known ones are never dropped
  EXPECT_EQ(d.instances(app(3)).size(), 1U);
}

TEST(directory, without_regions_everybody_is_near) {
  directory d;
  EXPECT_TRUE(d.near(node(2)));
  d.set_nearness([](const node_id& n) { return n == node(1); });
  EXPECT_TRUE(d.near(node(1)));
  EXPECT_FALSE(d.near(node(2)));
}

TEST(directory, of_two_apps_of_one_name_the_smaller_id_is_shown_and_contested) {
  for (const bool first : {false, true}) {
    const std::uint8_t one = first ? 1 : 2;
    const std::uint8_t other = first ? 2 : 1;
    directory d;
    d.put_app(one_group(one, "ledger"));
    EXPECT_FALSE(d.find_app("ledger")->contested);
    d.put_app(one_group(other, "ledger"));
    d.put_app(one_group(2, "ledger")); // a new version of one of them
    EXPECT_EQ(d.find_app("ledger")->id, app(1));
    EXPECT_TRUE(d.find_app("ledger")->contested);
    EXPECT_EQ(d.apps().size(), 1U);
    ASSERT_NE(d.find_app(app(2)), nullptr);
    EXPECT_TRUE(d.find_app(app(2))->contested);
    EXPECT_TRUE(d.put_view(view_of({app(2), 0}, 1, 3)));
    EXPECT_TRUE(d.put_view(view_of({app(1), 0}, 1, 2)));
    d.remove_app(app(1)); // the other one, with what is known of it
    EXPECT_EQ(d.find_app(app(1)), nullptr);
    EXPECT_EQ(d.leader({app(1), 0}), std::nullopt);
    ASSERT_NE(d.find_app("ledger"), nullptr);
    EXPECT_EQ(d.find_app("ledger")->id, app(2));
    EXPECT_FALSE(d.find_app("ledger")->contested);
    EXPECT_EQ(d.leader({app(2), 0}), node(3));
  }
}

TEST(directory, of_three_apps_of_one_name_two_are_contested_still) {
  directory d;
  d.put_app(one_group(2, "ledger"));
  d.put_app(one_group(3, "ledger"));
  d.put_app(one_group(1, "ledger"));
  d.remove_app(app(2));
  EXPECT_EQ(d.find_app("ledger")->id, app(1));
  EXPECT_TRUE(d.find_app("ledger")->contested);
  d.remove_app(app(1));
  EXPECT_EQ(d.find_app("ledger")->id, app(3));
  EXPECT_FALSE(d.find_app("ledger")->contested);
  d.remove_app(app(3));
  EXPECT_EQ(d.find_app("ledger"), nullptr);
}

} // namespace
} // namespace banyan::routing_tests
