// An app's documents that meet others of it, and how long a removed one's data
// is kept.
#include "actors/docs/sign_app.hpp"
#include "actors/pure/papers.hpp"
#include "actors/pure/retention.hpp"
#include "base/random.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

using outcome = papers_meeting::outcome;

struct papers : ::testing::Test {
  app_record opened(const app_papers& p) const {
    auto o = open_papers(p, mesh, {owner.owner()});
    EXPECT_TRUE(o.ok());
    return std::move(*o);
  }
  app_record born() {
    app_spec spec;
    spec.name = spec.module = "ledger";
    spec.shards = 1;
    spec.replicas = 1;
    prepared_app where;
    where.voters = {{{owner.id(), replica_id{random.array<16>()}}}};
    const auto p = sign_birth(owner, mesh, spec, where, random);
    EXPECT_TRUE(p.ok());
    return opened(*p);
  }
  app_record updated(const app_record& old, std::uint64_t number,
                     duration replace_after = 1h) const {
    auto spec = old.version.spec;
    spec.replace_after = replace_after;
    return opened(sign_update(owner, mesh, old, spec, number));
  }
  app_record removed(const app_record& old) const {
    return opened(sign_removal(owner, mesh, old));
  }
  app_record taken_back(const app_record& old) const {
    return opened(sign_undeletion(owner, mesh, old));
  }
  /// What is here after `brought` came.
  app_record met(const app_record& here, const app_record& brought) const {
    const auto m = meet(here, brought);
    return m.is == outcome::newer ? opened(m.merged) : here;
  }

  seeded_random random{5};
  identity owner = identity::generate(random);
  mesh_id mesh{std::array<std::uint8_t, 32>{3}};
};

TEST_F(papers, an_update_and_a_deletion_that_cross_are_both_kept) {
  const auto first = born();
  const auto update = updated(first, first.number + 1);
  const auto deletion = removed(first);
  const auto a = met(met(first, update), deletion);
  const auto b = met(met(first, deletion), update);
  EXPECT_EQ(a.papers.encode(), b.papers.encode());
  EXPECT_TRUE(a.deleted);
  EXPECT_EQ(a.number, update.number);
  EXPECT_EQ(met(a, b).papers.encode(), a.papers.encode());
}

TEST_F(papers, of_any_order_come_to_the_same) {
  const auto first = born();
  const auto second = updated(first, first.number + 1);
  const auto gone = removed(second);
  const auto back = taken_back(gone);
  const std::vector<app_record> all{first, second, gone, back, removed(back)};
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  std::optional<bytes> settled;
  do {
    auto here = all[order[0]];
    for (const auto i : order)
      here = met(here, all[i]);
    EXPECT_TRUE(here.deleted);
    if (!settled)
      settled = here.papers.encode();
    EXPECT_EQ(here.papers.encode(), *settled);
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(papers, that_bring_nothing_are_the_same) {
  const auto first = born();
  EXPECT_EQ(meet(first, first).is, outcome::same);
  const auto second = updated(first, first.number + 1);
  const auto gone = removed(second);
  EXPECT_EQ(meet(gone, gone).is, outcome::same);
  EXPECT_EQ(meet(gone, removed(second)).is, outcome::same);
}

TEST_F(papers, refused_say_why_and_what_to_do) {
  const auto first = born();
  const auto second = updated(first, first.number + 1);
  const auto other = updated(first, first.number + 1, 3h);
  const auto twice = meet(second, other);
  EXPECT_EQ(twice.is, outcome::refused);
  EXPECT_EQ(twice.status, reply_status::conflict);
  EXPECT_EQ(twice.why, "version " + std::to_string(second.number)
                           + " exists with other contents: sign a higher one");
  EXPECT_EQ(meet(second, first).why, "version " + std::to_string(second.number)
                                         + " is there, "
                                         + std::to_string(first.number)
                                         + " is lower: sign a number above "
                                         + std::to_string(second.number));
  EXPECT_EQ(meet(removed(first), first).why,
            "the app was removed; `banyan undelete ledger` takes that back");
}

// A version that an owner signed without knowing of the removal takes nothing
// back.
TEST_F(papers, of_a_removed_app_stay_removed_until_the_removal_is_taken_back) {
  const auto first = born();
  const auto gone = removed(first);
  EXPECT_TRUE(met(gone, updated(first, first.number + 7)).deleted);
  const auto back = met(gone, taken_back(gone));
  EXPECT_FALSE(back.deleted);
  EXPECT_FALSE(met(back, gone).deleted) << "the old removal comes again";
  EXPECT_TRUE(met(back, removed(back)).deleted) << "a new one";
}

TEST(retention, keeps_data_for_seven_days_of_running_time) {
  const retention r;
  duration kept{};
  int steps = 0;
  for (; !r.over(kept); ++steps)
    kept = r.counted(kept, r.step());
  EXPECT_EQ(r.step() * steps, 7 * 24h);
  EXPECT_EQ(r.left(kept), 0s);
  EXPECT_EQ(r.left(24h), 6 * 24h);
  EXPECT_EQ(r.counted(kept, 1h), kept);
}

TEST(retention, does_not_count_while_the_process_stands_still) {
  const retention r;
  EXPECT_LE(r.counted({}, 30 * 24h), 2 * r.step());
}

} // namespace
} // namespace banyan
