// Counting above 17 members: the places of those who observe the subject.
#include "net/membership/book.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::net {
namespace {

/// A book in the hands of node 0, with `n` members whom node 0 let in.
class ring_book {
public:
  explicit ring_book(std::size_t n, std::uint64_t seed = 3) : random{seed} {
    for (std::size_t i = 0; i < n; ++i)
      keys.push_back(identity::generate(random));
    config.emplace(keys[0].clone());
    config->admissions_burst = 10'000;
    book.emplace(id(0), mesh, *config);
    for (std::size_t i = 0; i < n; ++i)
      book->put_trusted(document(i));
    count();
  }

  const node_id& id(std::size_t i) const { return keys[i].id(); }
  std::size_t index_of(const node_id& n) const {
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (id(i) == n)
        return i;
    return keys.size();
  }
  member_document document(std::size_t i, std::uint64_t inc = 1,
                           member_word word = member_word::normal) {
    member_record r;
    r.node = id(i);
    r.incarnation = incarnation{inc};
    r.number = 1;
    r.word = word;
    return member_document::make(keys[i], mesh, r);
  }
  report says(std::size_t observer, std::size_t subject, bool down = true) {
    report r;
    r.observer = id(observer);
    r.subject = id(subject);
    r.observer_incarnation = book->find(id(observer))->record().incarnation;
    r.subject_incarnation = book->find(id(subject))->record().incarnation;
    r.number = ++number;
    r.down = down;
    r.sign(keys[observer], mesh);
    return r;
  }
  void down(std::size_t observer, std::size_t subject) {
    EXPECT_EQ(book->put(says(observer, subject)), report_outcome::stored);
    count();
  }
  void count() {
    changes.clear();
    book->recount(changes);
  }
  member_state state(std::size_t i) { return book->find(id(i))->state; }
  /// Who observes it, each once, and on how many rings.
  std::vector<std::pair<std::size_t, unsigned>> observers(std::size_t subject) {
    std::vector<std::pair<std::size_t, unsigned>> out;
    for (std::size_t i = 0; i < keys.size(); ++i)
      if (const auto p = book->on_rings().places(id(i), id(subject)); p > 0)
        out.emplace_back(i, p);
    return out;
  }
  bool on(std::size_t observer, std::size_t subject) {
    return book->on_rings().places(id(observer), id(subject)) > 0;
  }
  /// A member, not node 0, with eight observers, none of them node 0's.
  std::size_t well_observed() {
    for (std::size_t i = 1; i < keys.size(); ++i)
      if (observers(i).size() == ring_count
          && book->on_rings().places(id(0), id(i)) == 0)
        return i;
    ADD_FAILURE() << "no such member";
    return 0;
  }

  seeded_random random;
  mesh_id mesh{std::array<std::uint8_t, 32>{5}};
  std::vector<identity> keys;
  std::optional<membership_config> config;
  std::optional<member_book> book;
  std::vector<member_book::change> changes;
  std::uint64_t number = 0;
};

TEST(counting_on_rings, dead_is_five_of_eight_and_fewer_is_suspect) {
  ring_book b{60};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  for (std::size_t i = 0; i < 4; ++i) {
    b.down(o[i].first, s);
    EXPECT_EQ(b.state(s), member_state::suspect) << i;
  }
  b.down(o[4].first, s);
  EXPECT_EQ(b.state(s), member_state::dead);
  EXPECT_FALSE(b.book->on_rings().has(b.id(s)));
}

TEST(counting_on_rings, only_observers_count_and_in_the_present_view) {
  ring_book b{60};
  const auto s = b.well_observed();
  for (std::size_t i = 0; i < b.keys.size(); ++i)
    if (i != s && b.book->on_rings().places(b.id(i), b.id(s)) == 0) {
      EXPECT_EQ(b.book->put(b.says(i, s)), report_outcome::stored);
    }
  b.count();
  EXPECT_EQ(b.state(s), member_state::alive);
  // An observer goes; whoever stands behind it has said its word already.
  const auto first = b.observers(s)[0].first;
  b.book->put_trusted(b.document(first, 2, member_word::left));
  b.count();
  EXPECT_EQ(b.state(s), member_state::suspect);
  EXPECT_EQ(b.book->find(b.id(s))->accusers, 1U);
}

TEST(counting_on_rings, an_observer_counts_once_per_place) {
  for (std::uint64_t seed = 1; seed < 200; ++seed) {
    ring_book b{20, seed};
    for (std::size_t s = 1; s < 20; ++s) {
      const auto o = b.observers(s);
      const auto three = std::find_if(o.begin(), o.end(),
                                      [](auto& x) { return x.second == 3; });
      const auto two = std::find_if(o.begin(), o.end(),
                                    [](auto& x) { return x.second == 2; });
      if (three == o.end() || two == o.end())
        continue;
      b.down(three->first, s);
      EXPECT_EQ(b.book->find(b.id(s))->accusers, 3U);
      EXPECT_EQ(b.state(s), member_state::suspect);
      b.down(two->first, s);
      EXPECT_EQ(b.state(s), member_state::dead);
      return;
    }
  }
  FAIL() << "no seed has such a member";
}

TEST(counting_on_rings,
     one_observer_alone_evicts_nobody_in_however_many_places) {
  for (std::uint64_t seed = 1; seed < 2000; ++seed) {
    ring_book b{18, seed};
    for (std::size_t s = 1; s < 18; ++s)
      for (const auto& [o, places] : b.observers(s)) {
        if (places < 5)
          continue;
        b.down(o, s);
        EXPECT_EQ(b.book->find(b.id(s))->accusers, places);
        ASSERT_EQ(b.state(s), member_state::suspect) << "one bad link";
        const auto other = b.observers(s);
        b.down(other[0].first == o ? other[1].first : other[0].first, s);
        EXPECT_EQ(b.state(s), member_state::dead);
        return;
      }
  }
  FAIL() << "no seed has such a pair";
}

/// Enough of its observers accuse it that its own word counts as given.
void discredit(ring_book& b, std::size_t whom, std::size_t but) {
  unsigned places = 0;
  for (const auto& [o, n] : b.observers(whom))
    if (places < 3 && o != but) {
      b.down(o, whom);
      places += n;
    }
  EXPECT_TRUE(b.book->find(b.id(whom))->discredited);
  EXPECT_EQ(b.state(whom), member_state::suspect);
}

TEST(counting_on_rings, one_with_three_reports_against_itself_has_reported) {
  ring_book b{120};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  for (std::size_t i = 0; i < 3; ++i)
    discredit(b, o[i].first, s);
  EXPECT_EQ(b.state(s), member_state::alive);
  b.down(o[3].first, s);
  EXPECT_EQ(b.state(s), member_state::suspect); // four of eight
  b.down(o[4].first, s);
  EXPECT_EQ(b.state(s), member_state::dead);
}

TEST(counting_on_rings, who_is_lost_takes_along_nobody_whom_it_observes) {
  ring_book b{120};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  for (std::size_t i = 0; i < 6; ++i)
    discredit(b, o[i].first, s);
  EXPECT_EQ(b.state(s), member_state::alive);
  b.down(o[6].first, s); // and one bad link
  EXPECT_EQ(b.state(s), member_state::suspect);
}

TEST(counting_on_rings,
     taking_back_ends_suspicion_and_dead_only_an_incarnation) {
  ring_book b{60};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  b.down(o[0].first, s);
  b.book->put(b.says(o[0].first, s, false));
  b.count();
  EXPECT_EQ(b.state(s), member_state::alive);
  for (std::size_t i = 0; i < 5; ++i)
    b.down(o[i].first, s);
  EXPECT_EQ(b.state(s), member_state::dead);
  for (std::size_t i = 0; i < 5; ++i)
    b.book->put(b.says(o[i].first, s, false));
  b.count();
  EXPECT_EQ(b.state(s), member_state::dead);
  b.book->put_trusted(b.document(s, 2));
  b.count();
  EXPECT_EQ(b.state(s), member_state::alive);
  EXPECT_EQ(b.observers(s), o); // where it was
}

TEST(counting_on_rings, who_is_doubted_is_counted_before_who_is_dead) {
  ring_book b{120};
  // The subject comes before those who accuse it, in the order of counting.
  std::size_t s = 0;
  std::vector<std::pair<std::size_t, unsigned>> o;
  for (std::size_t i = 1; i < b.keys.size(); ++i) {
    const auto all = b.observers(i);
    if (all.size() != ring_count || b.on(0, i))
      continue;
    const auto behind =
        std::count_if(all.begin(), all.end(),
                      [&](const auto& x) { return b.id(i) < b.id(x.first); });
    if (behind < 5)
      continue;
    s = i;
    for (const auto& x : all)
      if (b.id(i) < b.id(x.first))
        o.push_back(x);
    break;
  }
  ASSERT_NE(s, 0U);
  // All at once: five say so, and of these four are accused themselves.
  for (std::size_t i = 0; i < 5; ++i) {
    ASSERT_EQ(b.book->put(b.says(o[i].first, s)), report_outcome::stored);
    std::size_t said = 0;
    for (const auto& [x, places] : b.observers(o[i].first))
      if (i < 4 && x != s && said < 3) {
        ASSERT_EQ(b.book->put(b.says(x, o[i].first)), report_outcome::stored);
        said += places;
      }
  }
  b.count();
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_TRUE(b.book->find(b.id(o[i].first))->discredited) << i;
  EXPECT_EQ(b.state(s), member_state::suspect);
}

TEST(counting_on_rings, one_with_five_places_is_no_proof_for_newcomers) {
  for (std::uint64_t seed = 1; seed < 2000; ++seed) {
    ring_book b{20, seed};
    for (std::size_t s = 1; s < 20; ++s) {
      const auto all = b.observers(s);
      const auto many = std::find_if(all.begin(), all.end(), [](const auto& x) {
        return x.first != 0 && x.second >= 5;
      });
      const auto other = std::find_if(all.begin(), all.end(), [&](auto& x) {
        return x.first != many->first && x.first != 0;
      });
      if (many == all.end() || other == all.end())
        continue;
      b.down(many->first, s);
      b.down(other->first, s);
      ASSERT_EQ(b.state(s), member_state::dead);
      EXPECT_TRUE(b.book->proved(b.id(s)));
      b.book->put_trusted(b.document(other->first, 2)); // its word is void
      b.count();
      ASSERT_EQ(b.state(s), member_state::dead);
      EXPECT_FALSE(b.book->proved(b.id(s)));
      EXPECT_TRUE(b.book->lacks_evidence(b.id(other->first), b.id(s)));
      EXPECT_FALSE(b.book->lacks_evidence(b.id(many->first), b.id(s)));
      return;
    }
  }
  FAIL() << "no seed has such a pair";
}

TEST(counting_on_rings, a_node_refutes_what_is_counted_of_itself) {
  ring_book b{60};
  const auto o = b.observers(0);
  for (const auto& [who, places] : o)
    b.down(who, 0);
  EXPECT_EQ(b.state(0), member_state::alive);
  EXPECT_TRUE(b.book->find(b.id(0))->condemned);
  EXPECT_TRUE(b.book->on_rings().has(b.id(0)));
}

TEST(counting_on_rings, seventeen_are_full_and_eighteen_are_not) {
  ring_book b{18};
  EXPECT_FALSE(b.book->on_rings().full());
  std::size_t stranger = 2; // observes nobody that node 1 is
  for (std::size_t i = 2; i < 18; ++i)
    if (b.book->on_rings().places(b.id(i), b.id(1)) == 0)
      stranger = i;
  b.down(stranger, 1);
  EXPECT_EQ(b.state(1), member_state::alive);
  // One leaves: now everybody observes everybody, and that word counts.
  const std::size_t leaver = stranger == 17 ? 16 : 17;
  b.book->put_trusted(b.document(leaver, 1, member_word::left));
  b.count();
  EXPECT_TRUE(b.book->on_rings().full());
  EXPECT_EQ(b.state(1), member_state::suspect);
  b.book->put_trusted(b.document(leaver, 2));
  b.count();
  EXPECT_EQ(b.state(1), member_state::alive);
}

TEST(counting_on_rings, what_a_change_costs_does_not_depend_on_the_size) {
  ring_book b{300};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  for (std::size_t i = 0; i < 5; ++i)
    b.down(o[i].first, s);
  ASSERT_EQ(b.changes.size(), 1U);
  EXPECT_EQ(b.changes[0].node, b.id(s));
  EXPECT_EQ(b.changes[0].to, member_state::dead);
  b.count();
  EXPECT_TRUE(b.changes.empty());
}

/// Counts one subject from nothing: does the book say the same?
void expect_counted(ring_book& b, std::size_t subject) {
  const auto& on = b.book->on_rings();
  const auto says = [&](std::size_t observer, std::size_t about) {
    const auto* r = b.book->find_report(b.id(observer), b.id(about));
    return r != nullptr && r->down;
  };
  const auto explicit_places = [&](std::size_t about) {
    unsigned n = 0;
    for (const auto& [o, places] : b.observers(about))
      n += says(o, about) ? places : 0;
    return n;
  };
  unsigned places = 0;
  std::size_t trusted = 0;
  for (const auto& [o, n] : b.observers(subject)) {
    const bool doubted = explicit_places(o) >= 3;
    places += says(o, subject) || doubted ? n : 0;
    trusted += says(o, subject) && !doubted ? 1U : 0U;
  }
  const auto* m = b.book->find(b.id(subject));
  EXPECT_EQ(m->accusers, explicit_places(subject));
  EXPECT_EQ(m->discredited, m->accusers >= 3);
  EXPECT_EQ(m->condemned, places >= 5 && trusted >= 2);
  if (on.has(b.id(subject)) && subject != 0) {
    EXPECT_FALSE(m->condemned);
    EXPECT_EQ(m->state,
              m->accusers > 0 ? member_state::suspect : member_state::alive);
  }
}

TEST(counting_on_rings, of_what_was_touched_is_the_count_of_all) {
  std::size_t deaths = 0;
  std::size_t on_rings = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    ring_book b{16 + seed % 12, seed};
    seeded_random dice{seed * 7919};
    std::vector<std::uint64_t> incarnations(b.keys.size(), 1);
    for (int step = 0; step < 150; ++step) {
      const auto subject = dice.below(b.keys.size());
      const auto o = b.observers(subject);
      switch (dice.below(8)) {
      case 0: // it starts again, or leaves
        b.book->put_trusted(b.document(subject, ++incarnations[subject],
                                       subject != 0 && dice.chance(0.3)
                                           ? member_word::left
                                           : member_word::normal));
        break;
      case 1: // anybody says anything
        if (const auto any = dice.below(b.keys.size()); any != subject)
          b.book->put(b.says(any, subject, dice.chance(0.7)));
        break;
      default:
        if (!o.empty())
          b.book->put(
              b.says(o[dice.below(o.size())].first, subject, dice.chance(0.8)));
      }
      if (dice.chance(0.3))
        continue; // several changes are counted at once
      b.count();
      for (const auto& c : b.changes)
        deaths += c.to == member_state::dead ? 1U : 0U;
      if (b.book->on_rings().full())
        continue;
      ++on_rings;
      for (std::size_t i = 0; i < b.keys.size(); ++i)
        if (b.book->on_rings().has(b.id(i)))
          expect_counted(b, i);
      if (::testing::Test::HasFailure())
        FAIL() << "seed " << seed << " step " << step;
    }
    // The ranges of a book that came by all this at once.
    ring_book fresh{b.keys.size(), seed};
    b.book->each([&](const node_id&, const auto& m) {
      fresh.book->put_trusted(m.document());
    });
    b.book->each([&](const node_id& node, const auto&) {
      for (const auto& r : b.book->reports_about(node))
        fresh.book->put(*r);
    });
    b.count();
    fresh.count();
    bool same = true;
    b.book->each([&](const node_id& node, const auto& m) {
      same = same && fresh.book->find(node)->state == m.state;
    });
    if (same) { // who is dead depends on the way there
      EXPECT_EQ(b.book->ranges(), fresh.book->ranges()) << seed;
    }
  }
  EXPECT_GT(deaths, 20U);
  EXPECT_GT(on_rings, 200U);
}

TEST(ranges_of_views, are_equal_for_equal_views_however_they_came_about) {
  ring_book a{80};
  ring_book b{80};
  EXPECT_EQ(a.book->root(), b.book->root());
  const auto s = a.well_observed();
  const auto o = a.observers(s);
  std::vector<report> reports;
  for (std::size_t i = 0; i < 5; ++i)
    reports.push_back(a.says(o[i].first, s));
  for (const auto& r : reports) {
    a.book->put(r);
    a.count();
    EXPECT_NE(a.book->root(), b.book->root());
  }
  for (auto r = reports.rbegin(); r != reports.rend(); ++r)
    b.book->put(*r);
  b.count();
  EXPECT_EQ(a.book->ranges(), b.book->ranges());
  a.book->put_trusted(a.document(o[0].first, 7)); // its report is void now
  a.count();
  EXPECT_NE(a.book->root(), b.book->root());
  b.book->put_trusted(b.document(o[0].first, 7));
  b.count();
  EXPECT_EQ(a.book->ranges(), b.book->ranges());
}

TEST(ranges_of_views, leave_out_what_is_said_about_the_dead) {
  ring_book a{80};
  ring_book b{80};
  const auto s = a.well_observed();
  const auto o = a.observers(s);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_FALSE(a.book->proved(a.id(s)));
    a.down(o[i].first, s);
    b.down(o[7 - i].first, s);
  }
  ASSERT_EQ(a.state(s), member_state::dead);
  EXPECT_TRUE(a.book->proved(a.id(s)));
  EXPECT_EQ(a.book->ranges(), b.book->ranges()); // five of eight, whichever
  EXPECT_NE(a.book->summary(), b.book->summary());
  const auto before = a.book->ranges();
  a.down(o[5].first, s);
  EXPECT_EQ(a.book->ranges(), before);
  a.book->put_trusted(a.document(o[0].first, 7)); // no proof any more
  a.count();
  a.book->put_trusted(a.document(o[1].first, 7));
  a.count();
  EXPECT_EQ(a.state(s), member_state::dead);
  EXPECT_FALSE(a.book->proved(a.id(s)));
  a.book->put_trusted(a.document(s, 2)); // it lives, and nobody accuses it
  a.count();
  ring_book fresh{80};
  for (const auto& [i, inc] :
       {std::pair<std::size_t, std::uint64_t>{o[0].first, 7},
        {o[1].first, 7},
        {s, 2}})
    fresh.book->put_trusted(fresh.document(i, inc));
  fresh.count();
  EXPECT_EQ(a.book->ranges(), fresh.book->ranges());
}

TEST(reports_on_rings, about_the_dead_are_kept_of_those_in_place_alone) {
  ring_book b{80};
  const auto s = b.well_observed();
  const auto o = b.observers(s);
  for (std::size_t i = 0; i < 4; ++i)
    b.down(o[i].first, s);
  std::size_t strangers = 0;
  for (std::size_t i = 1; i < b.keys.size(); ++i)
    if (i != s && !b.on(i, s)) {
      b.down(i, s);
      ++strangers;
    }
  ASSERT_GT(strangers, 60U);
  b.book->drop_spare(b.id(s)); // it may live: everything can count yet
  EXPECT_EQ(b.book->reports_about(b.id(s)).size(), strangers + 4);
  b.down(o[4].first, s);
  ASSERT_EQ(b.state(s), member_state::dead);
  const auto before = b.book->ranges();
  b.book->drop_spare(b.id(s));
  EXPECT_EQ(b.book->reports_about(b.id(s)).size(), 5U);
  EXPECT_TRUE(b.book->proved(b.id(s)));
  EXPECT_EQ(b.book->ranges(), before);
}

TEST(reports_on_rings, of_one_who_accuses_everybody_the_newest_are_kept) {
  ring_book b{80};
  b.config->reports_max = 10;
  ring_book other{80};
  other.config->reports_max = 10;
  std::vector<report> all;
  for (std::size_t i = 1; i < 80; ++i)
    if (i != 7)
      all.push_back(b.says(7, i));
  for (const auto& r : all)
    EXPECT_EQ(b.book->put(r), report_outcome::stored);
  for (auto r = all.rbegin(); r != all.rend(); ++r)
    other.book->put(*r);
  b.count();
  other.count();
  EXPECT_EQ(b.book->reports_by(b.id(7)).size(), 10U);
  EXPECT_EQ(b.book->find_report(b.id(7), all.back().subject)->number,
            all.back().number);
  EXPECT_EQ(b.book->put(all.front()), report_outcome::stale);
  EXPECT_EQ(b.book->ranges(), other.book->ranges()); // in whichever order
}

TEST(ranges_of_views, name_the_members_that_differ) {
  ring_book a{80};
  ring_book b{80};
  a.book->put_trusted(a.document(33, 5));
  a.count();
  const auto range = a.id(33).array()[0];
  for (std::size_t i = 0; i < 256; ++i)
    EXPECT_EQ(a.book->ranges()[i] == b.book->ranges()[i], i != range);
}

} // namespace
} // namespace banyan::net
