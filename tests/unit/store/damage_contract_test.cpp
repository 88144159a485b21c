// What the handling of damage rests on, on the real disk and the simulated one:
// digests, scrubs, a state that opens later.
#include "contract_rig.hpp"

namespace banyan::store::test {
namespace {

template <class Disk>
class damage_contract : public contract<Disk> {};
using disks = testing::Types<real_disk, simulated_disk>;
TYPED_TEST_SUITE(damage_contract, disks);

state_digest digest_of(
    std::uint8_t group,
    const std::vector<std::tuple<std::string, std::uint64_t, std::string>>&
        rows) {
  state_digest sum;
  for (const auto& [key, index, value] : rows)
    add(sum, row_hash(group_number(group), as_bytes(key), log_index{index},
                      as_bytes(value)));
  return sum;
}

TEST(state_digest, adds_without_order_and_takes_away) {
  const auto a =
      row_hash(group_number(1), as_bytes("a"), log_index{1}, as_bytes("x"));
  const auto b =
      row_hash(group_number(1), as_bytes("b"), log_index{1}, as_bytes("x"));
  EXPECT_NE(a, b);
  // Key and value can't be taken for each other.
  EXPECT_NE(row_hash(group_number(1), as_bytes("ab"), {}, as_bytes("c")),
            row_hash(group_number(1), as_bytes("a"), {}, as_bytes("bc")));
  state_digest one;
  add(one, a);
  add(one, b);
  state_digest two;
  add(two, b);
  add(two, a);
  EXPECT_EQ(one, two);
  subtract(one, a);
  subtract(one, b);
  EXPECT_TRUE(one.is_none());
  // The same row twice isn't no row.
  add(one, a);
  add(one, a);
  EXPECT_FALSE(one.is_none());
}

TYPED_TEST(damage_contract, commits_tell_the_digest_of_each_group) {
  auto got = this->commit({this->rows(1, 5, {{"a", "1"}, {"b", "2"}}),
                           this->rows(2, 9, {{"a", "other"}})});
  ASSERT_TRUE(got.ok());
  ASSERT_EQ(got->size(), 2u);
  EXPECT_EQ((*got)[0].group, group_number(1));
  EXPECT_EQ((*got)[0].index, log_index{5});
  EXPECT_EQ((*got)[0].digest, digest_of(1, {{"a", 5, "1"}, {"b", 5, "2"}}));
  EXPECT_EQ((*got)[1].digest, digest_of(2, {{"a", 9, "other"}}));
  // Overwritten, erased, erased without having been there.
  got = this->commit({this->rows(1, 6, {{"a", "new"}}, {"b", "none"})});
  EXPECT_EQ((*got)[0].digest, digest_of(1, {{"a", 6, "new"}}));
  // Put back without meta: the index stays.
  auto back = this->rows(1, 9, {{"c", "back"}});
  back.meta.reset();
  got = this->commit({back});
  EXPECT_EQ((*got)[0].index, log_index{6});
  const auto now = digest_of(1, {{"a", 6, "new"}, {"c", 9, "back"}});
  EXPECT_EQ((*got)[0].digest, now);
  // The same group twice in one batch.
  got = this->commit({this->rows(2, 10, {{"a", "x"}, {"b", "y"}}),
                      this->rows(2, 11, {{"b", "z"}}, {"a"})});
  ASSERT_EQ(got->size(), 2u);
  EXPECT_EQ((*got)[1].digest, digest_of(2, {{"b", 11, "z"}}));
  EXPECT_EQ((*got)[1].index, log_index{11});
  this->rig.restart();
  const auto& found = this->rig.use().recovered_states;
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].meta.index, log_index{6});
  EXPECT_EQ(found[0].digest, now);
  EXPECT_EQ(found[1].digest, digest_of(2, {{"b", 11, "z"}}));
  EXPECT_EQ(this->scrub_all(1), true);
  EXPECT_EQ(this->scrub_all(2), true);
}

TYPED_TEST(damage_contract, a_staged_install_has_the_senders_digest_or_fails) {
  ASSERT_TRUE(this->commit({this->rows(1, 1, {{"old", "o"}})}).ok());
  const order_id order{group_number(1), replica_number(2), term{4}, 77};
  const auto stage = [&] {
    ASSERT_TRUE(
        this->wait([&](auto f) { this->s().stage_begin(order, f); }).ok());
    for (const auto& part :
         {this->rows(1, 8, {{"k", "new"}, {"gone", "x"}}, {}),
          this->rows(1, 9, {{"k", "newer"}}, {"gone"})})
      ASSERT_TRUE(
          this->wait([&](auto f) { this->s().stage_put(order, part.rows, f); })
              .ok());
  };
  const auto meta = *this->rows(1, 9, {}).meta;
  const auto right = digest_of(1, {{"k", 9, "newer"}});
  stage();
  const auto wrong = this->finish(order, meta, digest_of(1, {{"k", 9, "no"}}));
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, store_errc::mismatch);
  EXPECT_EQ(this->text(1, "old"), "o"); // nothing was switched
  EXPECT_EQ(this->finish(order, meta).error().code, store_errc::stale);
  stage();
  const auto switched = this->finish(order, meta, right);
  ASSERT_TRUE(switched.ok());
  EXPECT_EQ(switched->digest, right);
  EXPECT_EQ(switched->index, log_index{9});
  EXPECT_EQ(this->text(1, "k"), "newer");
  EXPECT_EQ(this->scrub_all(1), true);
}

TYPED_TEST(damage_contract, a_scrub_reads_in_pieces_while_commits_go_on) {
  std::vector<std::pair<std::string, std::string>> put;
  for (int i = 0; i < 100; ++i)
    put.push_back({"k" + std::to_string(1000 + i), std::string(50, 'v')});
  ASSERT_TRUE(this->commit({this->rows(1, 1, put)}).ok());
  seeded_random random{3};
  for (int round = 0; round < 20; ++round) {
    scrub_page page;
    std::uint64_t rows = 0;
    do {
      page = this->scrub(1, page.next, 600);
      rows += page.rows;
      EXPECT_GT(page.bytes_read, 0u);
      const auto key = "k" + std::to_string(950 + random.below(200));
      auto more = random.below(3) == 0
                      ? this->rows(1, 2, {}, {key})
                      : this->rows(1, 2, {{key, std::to_string(rows)}});
      ASSERT_TRUE(this->commit({more}).ok());
    } while (!page.next.empty());
    EXPECT_EQ(page.digest_matches, true);
    EXPECT_GT(rows, 50u);
  }
  // A piece out of its pass tells nothing about the digest.
  EXPECT_FALSE(this->scrub(1, to_bytes("k11"), 1 << 20).digest_matches);
  EXPECT_EQ(this->scrub(9, {}, 100).rows, 0u);
}

TYPED_TEST(damage_contract, on_open_tells_what_is_there_in_its_order) {
  ASSERT_TRUE(this->commit({this->rows(1, 5, {{"a", "1"}})}).ok());
  this->rig.restart();
  std::vector<std::string> seen;
  this->rig.use().on_state_open([&](const state_opening& o) {
    seen.push_back("open");
    ASSERT_EQ(o.groups.size(), 1u);
    EXPECT_EQ(o.groups[0].meta.index, log_index{5});
    EXPECT_EQ(o.groups[0].digest, digest_of(1, {{"a", 5, "1"}}));
    EXPECT_FALSE(o.set_aside);
    EXPECT_FALSE(o.error);
  });
  this->s().read(group_number(1), to_bytes("a"),
                 [&](auto r) { seen.push_back(r.ok() ? "read" : "error"); });
  EXPECT_TRUE(seen.empty());
  this->rig.run_until([&] { return seen.size() == 2; });
  EXPECT_EQ(seen, (std::vector<std::string>{"open", "read"}));
}

TYPED_TEST(damage_contract, orders_wait_for_the_check_and_log_and_votes_dont) {
  ASSERT_TRUE(this->commit({this->rows(1, 5, {{"a", "1"}})}).ok());
  this->rig.check_takes_long();
  this->rig.restart();
  EXPECT_TRUE(this->rig.use().recovered_states.empty());
  std::vector<std::string> seen;
  this->rig.use().on_state_open([&](const state_opening& o) {
    EXPECT_EQ(o.groups.size(), 1u);
    seen.push_back("open");
  });
  this->s().read(group_number(1), to_bytes("a"), [&](auto r) {
    seen.push_back(r.ok() && *r ? to_text((*r)->value.view()) : "error");
  });
  this->s().commit({this->rows(1, 6, {{"a", "2"}})}, [&](auto r) {
    seen.push_back(r.front() ? "commit" : "no");
  });
  this->listen();
  for (std::uint64_t i = 1; i <= 20; ++i) {
    this->l().submit(this->order(1, {entry_at(i, 1, "e")}));
    this->wait_for(i);
  }
  EXPECT_TRUE(seen.empty());
  this->rig.end_check("");
  this->rig.run_until([&] { return seen.size() == 3; });
  EXPECT_EQ(seen, (std::vector<std::string>{"open", "1", "commit"}));
}

TYPED_TEST(damage_contract, a_bad_state_is_set_aside_and_kept) {
  ASSERT_TRUE(this->commit({this->rows(1, 5, {{"a", "1"}})}).ok());
  this->rig.check_takes_long();
  this->rig.damage_state();
  this->rig.restart();
  std::optional<state_opening> opening;
  this->rig.use().on_state_open([&](const state_opening& o) { opening = o; });
  this->rig.end_check("pages make no sense");
  this->rig.run_until([&] { return opening.has_value(); });
  EXPECT_TRUE(opening->groups.empty());
  EXPECT_FALSE(opening->error);
  EXPECT_EQ(opening->set_aside, "state-1");
  EXPECT_FALSE(opening->damage.empty());
  EXPECT_EQ(this->text(1, "a"), "nothing");
  // The group begins anew, under the replica id that it has.
  ASSERT_TRUE(this->commit({this->rows(1, 9, {{"a", "2"}})}).ok());
  using listed = result<std::vector<aside::item>, store_error>;
  const auto list = [&] {
    return this->template wait_for_result<listed>(
        [&](auto f) { this->rig.use().aside->list(f); });
  };
  auto kept = list();
  ASSERT_TRUE(kept.ok());
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ((*kept)[0].name, "state-1");
  EXPECT_GT((*kept)[0].bytes, 0u);
  // Another one gets another name; what is dropped is gone.
  this->rig.damage_state();
  this->rig.restart();
  opening.reset();
  this->rig.use().on_state_open([&](const state_opening& o) { opening = o; });
  this->rig.end_check("pages make no sense");
  this->rig.run_until([&] { return opening.has_value(); });
  EXPECT_EQ(opening->set_aside, "state-2");
  using dropped = result<void, store_error>;
  ASSERT_TRUE(this->template wait_for_result<dropped>([&](auto f) {
                    this->rig.use().aside->drop("state-1", f);
                  })
                  .ok());
  kept = list();
  ASSERT_EQ(kept->size(), 1u);
  EXPECT_EQ((*kept)[0].name, "state-2");
}

TYPED_TEST(damage_contract, nothing_waits_for_a_check_that_never_ends) {
  ASSERT_TRUE(this->commit({this->rows(1, 5, {{"a", "1"}})}).ok());
  this->rig.check_takes_long();
  this->rig.restart();
  bool called = false;
  this->rig.use().on_state_open([&](const auto&) { called = true; });
  this->s().read(group_number(1), to_bytes("a"), [&](auto) { called = true; });
  this->rig.restart();
  this->rig.end_check("");
  EXPECT_EQ(this->text(1, "a"), "1");
  EXPECT_FALSE(called);
}

TYPED_TEST(damage_contract, a_scrub_of_the_log_reads_all_that_is_synced) {
  this->listen();
  std::uint64_t last = 0;
  for (; last < 300; ++last)
    this->l().submit(
        this->order(1, {entry_at(last + 1, 1, std::string(5000, 'e'))}));
  this->wait_for(300);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1} << 30}) {
    std::uint64_t read = 0;
    std::optional<log_place> from = log_place{};
    while (from) {
      const auto got = this->template wait_for_result<log_scrub>(
          [&](auto f) { this->l().scrub(*from, piece, f); });
      EXPECT_TRUE(got.damage.empty());
      EXPECT_TRUE(got.groups.empty());
      read += got.bytes_read;
      from = got.next;
    }
    EXPECT_GT(read, 300u * 5000u);
  }
  // Writing goes on between the pieces.
  bool scrubbed = false;
  this->l().scrub({}, 1 << 16, [&](const auto&) { scrubbed = true; });
  this->l().submit(this->order(1, {entry_at(last + 1, 1, "e")}));
  this->wait_for(301);
  this->rig.run_until([&] { return scrubbed; });
}

} // namespace
} // namespace banyan::store::test
