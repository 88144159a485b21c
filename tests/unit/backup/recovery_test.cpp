// Lineages, and who is chosen to go on from.
#include "actors/pure/recovery.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan {
namespace {

lineage_id line(std::uint8_t n) {
  return lineage_id{std::array<std::uint8_t, 16>{n}};
}
replica_ref at(std::uint8_t n) {
  return {node_id{std::array<std::uint8_t, 32>{n}},
          replica_id{std::array<std::uint8_t, 16>{n}}};
}
app_recovery recovery(std::uint8_t parent, std::uint8_t child) {
  app_recovery r;
  r.parent = line(parent);
  r.lineage = line(child);
  r.survivor = at(child);
  return r;
}
const app_id app{std::array<std::uint8_t, 32>{9}};

surviving_replica standing(std::uint8_t who, std::uint64_t term,
                           std::uint64_t last) {
  surviving_replica s;
  s.group = {app, 0};
  s.who = at(who);
  s.lineage = line(1);
  s.term = banyan::term{term};
  s.last = log_index{last};
  s.whole = true;
  s.voters = {at(1), at(2), at(3)};
  return s;
}
recovery_choice choose(const std::vector<surviving_replica>& answers,
                       const lineage_state& now = {line(1), {}, {}}) {
  return choose_survivor(app, 0, now, line(50), answers);
}

TEST(lineages, follow_each_other_in_any_order) {
  EXPECT_EQ(resolve_lineage(line(1), {}).lineage, line(1));
  const auto s = resolve_lineage(
      line(1), {recovery(3, 4), recovery(1, 2), recovery(2, 3)});
  EXPECT_EQ(s.lineage, line(4));
  ASSERT_TRUE(s.recovery);
  EXPECT_EQ(s.recovery->survivor, at(4));
  EXPECT_TRUE(s.conflicting.empty());
  EXPECT_EQ(resolve_lineage(line(1), {recovery(7, 8)}).lineage, line(1));
}

TEST(lineages, two_recoveries_of_one_parent_conflict_and_neither_counts) {
  const auto s = resolve_lineage(line(1), {recovery(1, 2), recovery(1, 3)});
  EXPECT_EQ(s.lineage, line(1));
  EXPECT_EQ(s.conflicting.size(), 2U);
}

TEST(lineages, the_one_that_its_owner_recovers_again_is_decided_for) {
  const auto s = resolve_lineage(
      line(1), {recovery(1, 2), recovery(1, 3), recovery(3, 5)});
  EXPECT_EQ(s.lineage, line(5));
  EXPECT_TRUE(s.conflicting.empty());
}

TEST(lineages, a_circle_ends) {
  static_cast<void>(resolve_lineage(line(1), {recovery(1, 2), recovery(2, 1)}));
}

// ---- what it means for a node's replica ------------------------------------

/// What a node does as these become known to it, one after another.
struct lineage_walk {
  explicit lineage_walk(replica_ref r) : who{r} {}
  lineage_step hear(const app_recovery& r) {
    const auto again = [&](const auto& k) { return k.lineage == r.lineage; };
    if (std::none_of(known.begin(), known.end(), again))
      known.push_back(r);
    const auto step = next_step(now(), who, speaks);
    if (step == lineage_step::take_up)
      speaks = now().lineage;
    return step;
  }
  [[nodiscard]] lineage_state now() const {
    return resolve_lineage(line(1), known);
  }
  replica_ref who;
  lineage_id speaks = line(1);
  std::vector<app_recovery> known;
};

TEST(lineage_steps, the_survivor_takes_it_up_once_and_all_others_end) {
  lineage_walk survivor{at(2)};
  EXPECT_EQ(survivor.hear(recovery(1, 2)), lineage_step::take_up);
  EXPECT_EQ(survivor.hear(recovery(1, 2)), lineage_step::none);
  EXPECT_EQ(survivor.hear(recovery(8, 9)), lineage_step::none);
  EXPECT_EQ(lineage_walk{at(7)}.hear(recovery(1, 2)), lineage_step::end);
}

// It counts where they have led to, not which one came last.
TEST(lineage_steps, come_to_the_same_in_any_order) {
  for (const bool newest_first : {false, true}) {
    const auto hear_both = [&](lineage_walk w) {
      const auto one = w.hear(newest_first ? recovery(2, 3) : recovery(1, 2));
      const auto two = w.hear(newest_first ? recovery(1, 2) : recovery(2, 3));
      return std::pair{one, two};
    };
    const auto old = hear_both(lineage_walk{at(7)});
    EXPECT_TRUE(old.first == lineage_step::end
                || old.second == lineage_step::end);
    EXPECT_EQ(hear_both(lineage_walk{at(3)}).second, lineage_step::take_up);
  }
  lineage_walk first{at(2)}; // it was the survivor, and then another one was
  EXPECT_EQ(first.hear(recovery(2, 3)), lineage_step::none);
  EXPECT_EQ(first.hear(recovery(1, 2)), lineage_step::end);
}

TEST(lineage_steps, of_a_conflict_nobody_takes_up_or_ends) {
  lineage_walk one{at(2)};
  EXPECT_EQ(one.hear(recovery(1, 2)), lineage_step::take_up);
  EXPECT_EQ(one.hear(recovery(1, 3)), lineage_step::none);
  lineage_walk neither{at(7)};
  neither.known.push_back(recovery(1, 2));
  EXPECT_EQ(neither.hear(recovery(1, 3)), lineage_step::none);
  // Decided for: the child's survivor goes on, of both sides all others end.
  EXPECT_EQ(one.hear(recovery(2, 5)), lineage_step::end);
  lineage_walk five{at(5)};
  five.known = {recovery(1, 2), recovery(1, 3)};
  EXPECT_EQ(five.hear(recovery(2, 5)), lineage_step::take_up);
}

// The parent of a conflict has a recovery of its own here, whose survivor is
// somebody else: that ended the ones that were to be decided for.
TEST(lineage_steps, of_a_conflict_of_a_recovered_group_nobody_ends_either) {
  for (const auto mine : std::vector<std::uint8_t>{3, 4}) {
    lineage_walk w{at(mine)};
    w.known.push_back(recovery(1, 2));
    EXPECT_EQ(w.hear(recovery(2, mine)), lineage_step::take_up);
    const auto sibling = static_cast<std::uint8_t>(7 - mine);
    EXPECT_EQ(w.hear(recovery(2, sibling)), lineage_step::none);
    EXPECT_EQ(w.now().conflicting.size(), 2U);
  }
}

TEST(lineage_starts, are_in_the_line_in_force_and_take_it_up_once) {
  const auto birth = resolve_lineage(line(1), {});
  auto s = start_in(birth, at(2), {}, line(1));
  EXPECT_EQ(s.step, lineage_step::none);
  EXPECT_EQ(s.lineage, line(1));
  const auto recovered = resolve_lineage(line(1), {recovery(1, 2)});
  s = start_in(recovered, at(2), {}, line(1));
  EXPECT_EQ(s.step, lineage_step::take_up); // a crash came before it led
  EXPECT_EQ(s.lineage, line(2));
  EXPECT_EQ(start_in(recovered, at(2), line(2), line(1)).step,
            lineage_step::none); // or its later voters would count for nothing
  EXPECT_EQ(start_in(recovered, at(7), line(2), line(1)).step,
            lineage_step::none); // made in it
  EXPECT_EQ(start_in(recovered, at(7), {}, line(1)).step, lineage_step::end);
}

TEST(lineage_starts, of_a_conflict_are_in_the_line_of_before) {
  const auto two = resolve_lineage(line(1), {recovery(1, 2), recovery(1, 3)});
  for (const auto was : std::vector<std::uint8_t>{2, 3}) {
    const auto s = start_in(two, at(was), line(was), line(1));
    EXPECT_EQ(s.step, lineage_step::none);
    EXPECT_EQ(s.lineage, line(was));
  }
  EXPECT_EQ(start_in(two, at(7), {}, line(1)).lineage, line(1));
}

TEST(survivor, is_the_one_with_the_last_term_then_the_last_index) {
  auto answers = std::vector<surviving_replica>{standing(1, 4, 90)};
  answers.front().voters = {at(1), at(2), at(3), at(4), at(5)};
  auto other = standing(2, 5, 70);
  other.voters = answers.front().voters;
  answers.push_back(other);
  const auto c = choose(answers);
  ASSERT_TRUE(c.document) << c.why;
  EXPECT_EQ(c.document->survivor, at(2));
  EXPECT_EQ(c.document->term, banyan::term{5});
  EXPECT_EQ(c.document->last, log_index{70});
  EXPECT_EQ(c.document->parent, line(1));
  EXPECT_EQ(c.document->lineage, line(50));
  EXPECT_EQ(c.document->asked.size(), 2U);
  EXPECT_EQ(c.document->silent, (std::vector{at(3), at(4), at(5)}));
}

TEST(survivor, without_a_state_is_only_the_last_choice) {
  auto lost = standing(1, 9, 99);
  lost.whole = false;
  lost.voters = {at(1), at(2), at(3), at(4), at(5)};
  auto whole = standing(2, 3, 50);
  whole.voters = lost.voters;
  EXPECT_EQ(choose({lost, whole}).document->survivor, at(2));
}

TEST(survivor, is_not_looked_for_while_a_majority_answers) {
  const auto c = choose({standing(1, 4, 90), standing(2, 4, 90)});
  EXPECT_FALSE(c.document);
  EXPECT_NE(c.why.find("nothing is lost"), std::string::npos);
  auto leader = standing(1, 4, 90);
  leader.serving = true;
  EXPECT_FALSE(choose({leader}).document);
}

// A joint change needs both majorities: with one of them gone it never elects.
TEST(survivor, is_looked_for_when_one_half_of_a_joint_change_is_gone) {
  auto a = standing(1, 4, 90);
  a.voters = {at(1), at(2), at(4)};
  a.outgoing = {at(1), at(2), at(3)};
  auto d = a;
  d.who = at(4);
  const auto c = choose({a, d});
  ASSERT_TRUE(c.document) << c.why;
  EXPECT_EQ(c.document->silent, (std::vector{at(2), at(3)}));
  auto b = a;
  b.who = at(2);
  EXPECT_FALSE(choose({a, b}).document) << "both majorities answer";
}

// What is still being verified may be the best that there is.
TEST(survivor, is_not_chosen_before_all_that_answer_know_what_they_have) {
  auto whole = standing(1, 3, 50);
  auto pending = standing(2, 9, 99);
  pending.whole = false;
  pending.pending = true;
  whole.voters = pending.voters = {at(1), at(2), at(3), at(4), at(5)};
  const auto c = choose({whole, pending});
  EXPECT_FALSE(c.document);
  EXPECT_NE(c.why.find("ask again"), std::string::npos);
  auto unsure = standing(1, 3, 50);
  unsure.voters.clear();
  EXPECT_FALSE(choose({unsure}).document) << "who votes isn't known yet";
}

TEST(survivor, of_another_lineage_counts_for_nothing) {
  auto old = standing(1, 4, 90);
  old.lineage = line(7);
  const auto c = choose({old});
  EXPECT_FALSE(c.document);
  EXPECT_NE(c.why.find("restore a backup"), std::string::npos);
}

TEST(survivor, of_a_conflict_is_of_either_side) {
  lineage_state now{line(1), {}, {recovery(1, 2), recovery(1, 3)}};
  auto a = standing(1, 4, 90);
  a.lineage = line(2);
  auto b = standing(2, 5, 91);
  b.lineage = line(3);
  const auto c = choose({a, b}, now);
  ASSERT_TRUE(c.document);
  EXPECT_EQ(c.document->parent, line(3));
}

TEST(recovery_document, comes_back_as_it_was_and_bounds_what_it_reads) {
  auto r = recovery(1, 2);
  r.app = app;
  r.shard = 7;
  r.term = banyan::term{3};
  r.asked = {at(1)};
  r.silent = {at(2), at(3)};
  app_recovery out;
  ASSERT_TRUE(app_recovery::decode(r.encode(), out));
  EXPECT_EQ(out.encode(), r.encode());
  EXPECT_EQ(out.silent, r.silent);
  auto same = r;
  same.lineage = same.parent;
  EXPECT_FALSE(app_recovery::decode(same.encode(), out));
  for (std::size_t n = 0; n < r.encode().size(); ++n)
    EXPECT_FALSE(app_recovery::decode(const_bytes{r.encode()}.first(n), out));
}

} // namespace
} // namespace banyan
