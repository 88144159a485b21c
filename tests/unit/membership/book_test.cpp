#include "net/membership/book.hpp"

#include <gtest/gtest.h>

namespace banyan::net {
namespace {

/// A book in the hands of node 0, with `n` members.
class book_of {
public:
  explicit book_of(std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
      keys.push_back(identity::generate(random));
    book.emplace(id(0), mesh, cfg());
    book->put_trusted(document(0));
    for (std::size_t i = 1; i < n; ++i)
      EXPECT_EQ(book->put(document(i, 1, 1, 0), now), put_outcome::added);
    count();
  }

  const node_id& id(std::size_t i) const { return keys[i].id(); }
  const membership_config& cfg() {
    if (!config)
      config.emplace(keys[0].clone());
    return *config;
  }
  member_record record(std::size_t i, std::uint64_t inc = 1,
                       std::uint64_t number = 1) {
    member_record r;
    r.node = id(i);
    r.incarnation = incarnation{inc};
    r.number = number;
    return r;
  }
  member_document document(std::size_t i, std::uint64_t inc = 1,
                           std::uint64_t number = 1,
                           std::optional<std::size_t> sponsor = {}) {
    auto d = member_document::make(keys[i], mesh, record(i, inc, number));
    if (sponsor)
      d.admitted = admission::make(keys[*sponsor], mesh, id(i));
    return d;
  }
  report says(std::size_t observer, std::size_t subject, bool down,
              std::uint64_t number, std::uint64_t subject_incarnation = 1) {
    report r;
    r.observer = id(observer);
    r.subject = id(subject);
    r.observer_incarnation = incarnation{1};
    r.subject_incarnation = incarnation{subject_incarnation};
    r.number = number;
    r.down = down;
    r.sign(keys[observer], mesh);
    return r;
  }
  report_outcome put(const report& r) {
    const auto o = book->put(r);
    count();
    return o;
  }
  void down(std::size_t observer, std::size_t subject,
            std::uint64_t number = 1) {
    EXPECT_EQ(put(says(observer, subject, true, number)),
              report_outcome::stored);
  }
  void count() {
    changes.clear();
    book->recount(changes);
  }
  member_state state(std::size_t i) { return book->find(id(i))->state; }

  seeded_random random{3};
  mesh_id mesh{std::array<std::uint8_t, 32>{5}};
  std::vector<identity> keys;
  std::optional<membership_config> config;
  std::optional<member_book> book;
  std::vector<member_book::change> changes;
  time_point now = time_point{} + 1h;
};

TEST(counting, dead_is_more_than_half_of_the_observers) {
  book_of b{6};
  b.down(0, 5);
  EXPECT_EQ(b.state(5), member_state::suspect);
  b.down(1, 5);
  EXPECT_EQ(b.state(5), member_state::suspect);
  b.down(2, 5); // three of five
  EXPECT_EQ(b.state(5), member_state::dead);
}

TEST(counting, at_least_two_while_two_live) {
  book_of b{3};
  b.down(0, 2);
  EXPECT_EQ(b.state(2), member_state::suspect);
  b.down(1, 2);
  EXPECT_EQ(b.state(2), member_state::dead);
  book_of pair{2};
  pair.down(0, 1); // nobody else lives
  EXPECT_EQ(pair.state(1), member_state::dead);
}

TEST(counting, an_observer_with_two_reports_against_itself_is_left_out) {
  book_of b{6};
  b.down(3, 5);
  b.down(4, 5);
  b.down(1, 5); // 3 of 5
  EXPECT_EQ(b.state(5), member_state::dead);
  book_of c{6};
  c.down(0, 3);
  c.down(1, 3);
  c.down(3, 5); // does not count: two accuse it
  EXPECT_EQ(c.state(5), member_state::alive);
  c.down(0, 5);
  c.down(1, 5); // two of the other four
  EXPECT_EQ(c.state(5), member_state::suspect);
  c.down(2, 5); // three of four
  EXPECT_EQ(c.state(5), member_state::dead);
}

TEST(counting, taking_back_ends_suspicion) {
  book_of b{5};
  b.down(1, 4);
  EXPECT_EQ(b.state(4), member_state::suspect);
  EXPECT_EQ(b.put(b.says(1, 4, false, 2)), report_outcome::stored);
  EXPECT_EQ(b.state(4), member_state::alive);
}

TEST(counting, dead_ends_only_with_a_higher_incarnation) {
  book_of b{5};
  for (const std::size_t i : {0, 1, 2})
    b.down(i, 4);
  EXPECT_EQ(b.state(4), member_state::dead);
  for (const std::size_t i : {0, 1, 2})
    b.put(b.says(i, 4, false, 2));
  EXPECT_EQ(b.state(4), member_state::dead);
  EXPECT_EQ(b.book->put(b.document(4, 1, 2), b.now), put_outcome::replaced);
  b.count();
  EXPECT_EQ(b.state(4), member_state::dead);
  EXPECT_EQ(b.book->put(b.document(4, 2, 1), b.now), put_outcome::replaced);
  b.count();
  EXPECT_EQ(b.state(4), member_state::alive);
}

TEST(counting, the_dead_do_not_observe) {
  book_of b{4};
  b.down(0, 3);
  b.down(1, 3);
  EXPECT_EQ(b.state(3), member_state::dead);
  b.down(0, 2);
  b.down(1, 2); // both of the two that are left
  EXPECT_EQ(b.state(2), member_state::dead);
}

TEST(counting, this_node_does_not_count_itself_dead_but_knows) {
  book_of b{4};
  for (const std::size_t i : {1, 2, 3})
    b.down(i, 0);
  EXPECT_EQ(b.state(0), member_state::alive);
  EXPECT_TRUE(b.book->find(b.id(0))->condemned);
}

TEST(reports, the_newest_number_wins_and_a_replay_changes_nothing) {
  book_of b{5};
  const auto old = b.says(1, 4, true, 1);
  EXPECT_EQ(b.put(old), report_outcome::stored);
  EXPECT_EQ(b.put(b.says(1, 4, false, 2)), report_outcome::stored);
  EXPECT_EQ(b.put(old), report_outcome::known);
  EXPECT_EQ(b.state(4), member_state::alive);
}

TEST(reports, of_an_earlier_incarnation_are_stale) {
  book_of b{5};
  b.down(1, 4);
  EXPECT_EQ(b.book->put(b.document(4, 2, 1), b.now), put_outcome::replaced);
  b.count();
  EXPECT_EQ(b.state(4), member_state::alive);
  EXPECT_EQ(b.put(b.says(1, 4, true, 9)), report_outcome::stale);
  EXPECT_EQ(b.put(b.says(1, 4, true, 9, 3)), report_outcome::unplaced);
}

TEST(reports, forged_are_refused) {
  book_of b{5};
  auto r = b.says(1, 4, true, 1);
  r.observer = b.id(2);
  EXPECT_EQ(b.put(r), report_outcome::forged);
  r = b.says(1, 4, false, 1);
  r.down = true;
  EXPECT_EQ(b.put(r), report_outcome::forged);
  EXPECT_EQ(b.state(4), member_state::alive);
}

TEST(reports, by_or_about_strangers_are_not_kept) {
  book_of b{3};
  b.keys.push_back(identity::generate(b.random));
  EXPECT_EQ(b.put(b.says(3, 1, true, 1)), report_outcome::unplaced);
  EXPECT_EQ(b.put(b.says(1, 3, true, 1)), report_outcome::unplaced);
  EXPECT_EQ(b.put(b.says(1, 1, true, 1)), report_outcome::unplaced);
}

TEST(admission_rule, needs_the_countersignature_of_a_member) {
  book_of b{2};
  b.keys.push_back(identity::generate(b.random));
  b.keys.push_back(identity::generate(b.random));
  EXPECT_EQ(b.book->put(b.document(2), b.now), put_outcome::unsponsored);
  EXPECT_EQ(b.book->put(b.document(2, 1, 1, 2), b.now),
            put_outcome::unsponsored); // its own
  EXPECT_EQ(b.book->put(b.document(2, 1, 1, 3), b.now),
            put_outcome::unsponsored); // a stranger's
  auto d = b.document(2, 1, 1, 1);
  d.admitted->by = b.document(1, 1, 1, 1).admitted->by;
  EXPECT_EQ(b.book->put(d, b.now), put_outcome::forged);
  EXPECT_EQ(b.book->put(b.document(2, 1, 1, 1), b.now), put_outcome::added);
  EXPECT_EQ(b.book->put(b.document(3, 1, 1, 2), b.now), put_outcome::added);
}

TEST(admission_rule, is_given_once_per_node) {
  book_of b{3};
  EXPECT_EQ(b.book->put(b.document(2, 2, 1), b.now), put_outcome::replaced);
  EXPECT_EQ(b.book->find(b.id(2))->document().admitted->sponsor, b.id(0));
  EXPECT_EQ(b.book->put(b.document(2, 3, 1, 1), b.now), put_outcome::replaced);
  EXPECT_EQ(b.book->find(b.id(2))->document().admitted->sponsor, b.id(0));
}

TEST(admission_rule, is_rationed_per_sponsor) {
  book_of b{3};
  b.config->admissions_burst = 4;
  for (std::size_t i = 3; i < 20; ++i)
    b.keys.push_back(identity::generate(b.random));
  std::size_t in = 0;
  for (std::size_t i = 3; i < 12; ++i)
    in += b.book->put(b.document(i, 1, 1, 1), b.now) == put_outcome::added;
  EXPECT_EQ(in, 4U);
  EXPECT_EQ(b.book->put(b.document(12, 1, 1, 2), b.now), put_outcome::added);
  EXPECT_EQ(b.book->put(b.document(13, 1, 1, 1), b.now + 1s),
            put_outcome::added);
  EXPECT_EQ(b.book->put(b.document(14, 1, 1, 1), b.now + 1s),
            put_outcome::rationed);
}

TEST(admission_rule, members_are_bounded) {
  book_of b{3};
  b.config->members_max = 3;
  b.keys.push_back(identity::generate(b.random));
  EXPECT_EQ(b.book->put(b.document(3, 1, 1, 1), b.now), put_outcome::full);
}

TEST(record_rule, nobody_forges_or_downgrades_anothers) {
  book_of b{3};
  auto forged = b.document(2, 5, 1);
  forged.by = b.document(1, 5, 1).by;
  EXPECT_EQ(b.book->put(forged, b.now), put_outcome::forged);
  EXPECT_EQ(b.book->put(b.document(2, 5, 1), b.now), put_outcome::replaced);
  EXPECT_EQ(b.book->put(b.document(2, 4, 9), b.now), put_outcome::older);
  EXPECT_EQ(b.book->put(b.document(2, 5, 1), b.now), put_outcome::known);
  auto r = b.record(2, 5, 1);
  r.boot = boot_id{std::array<std::uint8_t, 16>{1}};
  EXPECT_EQ(b.book->put(member_document::make(b.keys[2], b.mesh, r), b.now),
            put_outcome::conflict);
}

TEST(record_rule, left_is_signed_and_ends_with_an_incarnation) {
  book_of b{3};
  auto r = b.record(2, 1, 2);
  r.word = member_word::left;
  b.book->put(member_document::make(b.keys[2], b.mesh, r), b.now);
  b.count();
  EXPECT_EQ(b.state(2), member_state::left);
  EXPECT_FALSE(b.book->observes(b.id(2), b.id(1)));
  b.book->put(b.document(2, 2, 1), b.now);
  b.count();
  EXPECT_EQ(b.state(2), member_state::alive);
}

TEST(summary, is_equal_for_equal_views_only) {
  book_of a{5};
  book_of b{5};
  EXPECT_EQ(a.book->summary(), b.book->summary());
  a.down(1, 4);
  EXPECT_NE(a.book->summary(), b.book->summary());
  b.down(1, 4);
  EXPECT_EQ(a.book->summary(), b.book->summary());
  a.book->put(a.document(2, 1, 2), a.now);
  EXPECT_NE(a.book->summary(), b.book->summary());
}

} // namespace
} // namespace banyan::net
