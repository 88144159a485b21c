// Joining a large mesh by itself: one newcomer, a giver and witnesses of whom
// any may lie.
#include "net/membership/pages.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace banyan::net::testing {
namespace {

const mesh_id mesh{std::array<std::uint8_t, 32>{7}};

identity key_of_seed(std::uint64_t seed) {
  seeded_random random{seed};
  return identity::generate(random);
}

/// Members whom the first let in, and each of those others: made once.
struct crowd {
  explicit crowd(std::size_t n) {
    seeded_random random{9};
    for (std::size_t i = 0; i < n; ++i) {
      keys.push_back(identity::generate(random));
      documents.push_back(invented(keys[i], keys[i / 3], i));
    }
    documents[0].admitted = admission::make(keys[1], mesh, keys[0].id());
  }
  static member_document invented(const identity& who, const identity& by,
                                  std::size_t i) {
    member_record r;
    r.node = who.id();
    r.incarnation = incarnation{1};
    r.number = 1;
    r.address = {"10.0." + std::to_string(i / 250) + ".1", 7600};
    auto d = member_document::make(who, mesh, r);
    d.admitted = admission::make(by, mesh, who.id());
    return d;
  }
  std::vector<identity> keys;
  std::vector<member_document> documents;
};

crowd& all() {
  static crowd c{300};
  return c;
}

class counting final : public verifier {
public:
  bool genuine(const member_document& d, const mesh_id& m) override {
    ++signatures;
    return d.verify(m);
  }
  bool genuine(const admission& a, const mesh_id& m,
               const node_id& node) override {
    ++signatures;
    return a.verify(m, node);
  }
  std::size_t signatures = 0;
};

/// One who knows some members and gives them.
struct member {
  explicit member(const node_id& who)
      : limits{key_of_seed(1)}, book{who, mesh, limits},
        pages{page_giver::limits{}} {}
  membership_config limits;
  member_book book;
  page_giver pages;
};

class joining : public ::testing::Test {
protected:
  joining() : j{newcomer.id(), mesh, verify, random, limits()} {}

  static joiner::limits limits() {
    joiner::limits l;
    l.members_max = 1000;
    return l;
  }
  const node_id& id(std::size_t i) const { return all().keys[i].id(); }

  /// Machine `i` is linked, and knows the first `n` members.
  member& knows(std::size_t i, std::size_t n, std::size_t but = 0,
                std::size_t how_many = 0) {
    auto& m = *(there[id(i)] = std::make_unique<member>(id(i)));
    for (std::size_t k = 0; k < n; ++k)
      if (k < but || but + how_many <= k)
        m.book.put_trusted(all().documents[k]);
    return m;
  }
  /// Carries out what the joiner orders; whoever isn't silent answers.
  void carry(join_orders orders) {
    for (auto& o : orders) {
      if (auto* ask = std::get_if<join_ask>(&o)) {
        asked.push_back(*ask);
        most_waiting = std::max(most_waiting, asked.size());
      } else if (auto* take = std::get_if<join_take>(&o)) {
        EXPECT_TRUE(taken.insert(take->member.record.node).second);
      } else if (auto* dial = std::get_if<join_dial>(&o)) {
        dialled.push_back(dial->member.record.node);
      } else if (auto* blame = std::get_if<join_blame>(&o)) {
        blamed[blame->node].push_back(blame->what);
      } else if (auto* said = std::get_if<join_take_report>(&o)) {
        reports.push_back(said->report);
      } else if (auto* d = std::get_if<join_done>(&o)) {
        done = *d;
      }
    }
  }
  void answer(const join_ask& ask) {
    const auto i = there.find(ask.to);
    if (i == there.end() || silent.count(ask.to) > 0)
      return;
    auto& m = *i->second;
    if (const auto* page = std::get_if<page_wanted_message>(&ask.what))
      m.pages.asked(newcomer.id(), *page, now);
    else
      m.pages.asked(newcomer.id(), std::get<roll_message>(ask.what), now);
    std::vector<page_giver::answer> answers;
    while (m.pages.deadline() <= now)
      m.pages.step(m.book, now, answers);
    for (auto& a : answers) {
      if (lie)
        lie(ask.to, a.what);
      tell(ask.to, a.what);
    }
  }
  void tell(const node_id& from, membership_message& what) {
    join_orders out;
    if (auto* p = std::get_if<page_message>(&what))
      j.on_page(from, *p, now, out);
    else if (auto* r = std::get_if<roll_message>(&what))
      j.on_roll(from, *r, now, out);
    carry(std::move(out));
  }
  void run(duration limit = 60s) {
    const auto end = now + limit;
    while (!done && now < end) {
      now += 1ms;
      for (const auto& a : std::exchange(asked, {}))
        answer(a);
      if (j.deadline() > now)
        continue;
      std::vector<node_id> linked;
      for (const auto& [node, m] : there)
        linked.push_back(node);
      const auto before = verify.signatures;
      join_orders out;
      j.step(linked, now, out);
      most_verified = std::max(most_verified, verify.signatures - before);
      carry(std::move(out));
    }
  }
  void begin(std::size_t giver) {
    join_orders out;
    j.begin(id(giver), 0, now, out);
    carry(std::move(out));
  }

  identity newcomer = key_of_seed(99);
  seeded_random random{4};
  counting verify;
  joiner j;
  time_point now{1h};
  std::map<node_id, std::unique_ptr<member>> there;
  std::set<node_id> silent;
  std::function<void(const node_id&, membership_message&)> lie;
  std::vector<join_ask> asked;
  std::set<node_id> taken;
  std::vector<node_id> dialled;
  std::vector<report> reports;
  std::map<node_id, std::vector<std::string>> blamed;
  std::optional<join_done> done;
  std::size_t most_waiting = 0;
  std::size_t most_verified = 0;
};

TEST_F(joining, takes_all_that_the_giver_and_two_others_know) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_EQ(done->witnesses, 2U);
  EXPECT_EQ(done->unconfirmed, 0U);
  EXPECT_EQ(done->withheld, 0U);
  EXPECT_TRUE(blamed.empty());
  EXPECT_FALSE(j.active());
  EXPECT_EQ(j.deadline(), never);
}

TEST_F(joining, verifies_in_slices_and_asks_for_a_bounded_number_of_pages) {
  for (std::size_t i = 0; i < 3; ++i)
    knows(i, 300);
  begin(0);
  EXPECT_EQ(asked.size(), 1U); // it doesn't know yet how many there are
  run();
  ASSERT_TRUE(done);
  EXPECT_LE(most_verified, 16U); // of 50 µs
  EXPECT_LE(most_waiting, joiner::limits{}.pages_ahead);
  EXPECT_GE(verify.signatures, 600U); // and all of them
}

TEST_F(joining, asks_for_no_more_pages_at_once_because_one_says_there_are) {
  for (std::size_t i = 0; i < 3; ++i)
    knows(i, 300);
  join_orders out;
  j.begin(id(0), 1U << 30U, now, out);
  carry(std::move(out));
  EXPECT_EQ(asked.size(), 1000 / page_records_max + 1); // of `members_max`
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_TRUE(blamed.empty());
}

TEST_F(joining, tells_how_far_it_is) {
  for (std::size_t i = 0; i < 3; ++i)
    knows(i, 300);
  EXPECT_EQ(j.progress().total, 0U);
  begin(0);
  std::size_t before = 0;
  for (int i = 0; i < 20; ++i) {
    run(2ms);
    EXPECT_GE(j.progress().have, before);
    before = j.progress().have;
  }
  EXPECT_GT(before, 0U);
  EXPECT_EQ(j.progress().total, 300U);
  EXPECT_EQ(j.giver(), id(0));
}

TEST_F(joining, believes_one_about_so_few_as_it_could_let_in_itself) {
  knows(0, 64);
  begin(0);
  run(1s);
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 64U);
}

TEST_F(joining, finds_out_who_withholds_members) {
  knows(0, 300, 100, 150);
  for (std::size_t i = 1; i < 6; ++i)
    knows(i, 300);
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_EQ(done->withheld, 150U);
}

TEST_F(joining, leaves_out_whom_one_invents_until_a_second_names_them) {
  auto& liar = knows(0, 300);
  std::vector<node_id> invented;
  seeded_random r{77};
  for (std::size_t i = 0; i < 200; ++i) {
    const auto key = identity::generate(r);
    invented.push_back(key.id());
    liar.book.put_trusted(crowd::invented(key, all().keys[0], i));
  }
  for (std::size_t i = 1; i < 6; ++i)
    knows(i, 300);
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_EQ(done->unconfirmed, 200U);
  for (const auto& node : invented)
    EXPECT_EQ(taken.count(node), 0U);
  EXPECT_FALSE(j.second_names(id(0), invented[3], now));
  EXPECT_TRUE(j.second_names(id(4), invented[3], now));
  // What came from the second was forged: the next one is heard all the same.
  EXPECT_TRUE(j.second_names(id(5), invented[3], now));
  j.counts(invented[3], now);
  EXPECT_FALSE(j.second_names(id(5), invented[3], now)); // it counts already
  EXPECT_FALSE(j.second_names(id(4), id(7), now));
  EXPECT_FALSE(j.second_names(id(4), invented[4], now + 1h));
}

TEST_F(joining, leaves_a_giver_of_endless_pages) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  lie = [&](const node_id& from, membership_message& m) {
    if (auto* p = std::get_if<page_message>(&m); p && from == id(0))
      p->total = 1001;
  };
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(blamed.count(id(0)), 1U);
  EXPECT_NE(done->giver, id(0));
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, comes_to_an_end_with_a_giver_whose_pages_grow) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  std::uint32_t more = 0;
  lie = [&](const node_id& from, membership_message& m) {
    if (auto* p = std::get_if<page_message>(&m);
        p && from == id(0) && p->first + page_records_max < p->total)
      p->total += ++more;
  };
  begin(0);
  run(5s);
  ASSERT_TRUE(done || blamed.count(id(0)) > 0);
  run();
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, leaves_a_giver_that_stops_in_the_middle) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  lie = [&](const node_id& from, membership_message& m) {
    if (const auto* p = std::get_if<page_message>(&m);
        p && from == id(0) && p->first >= 96)
      m = unknown_message{};
  };
  begin(0);
  run(6s);
  ASSERT_TRUE(done);
  EXPECT_NE(done->giver, id(0));
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_TRUE(blamed.empty()); // it may have died
}

TEST_F(joining, asks_again_for_pages_that_a_busy_giver_dropped) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  std::set<std::uint32_t> dropped;
  lie = [&](const node_id& from, membership_message& m) {
    if (const auto* p = std::get_if<page_message>(&m);
        p && from == id(0) && p->first >= 96 && dropped.insert(p->first).second)
      m = unknown_message{};
  };
  begin(0);
  run(6s);
  ASSERT_TRUE(done);
  EXPECT_EQ(dropped.size(), 7U);
  EXPECT_EQ(done->giver, id(0));
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_TRUE(blamed.empty());
}

TEST_F(joining, blames_no_giver_that_answers_what_it_was_asked_twice) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  std::map<std::uint32_t, membership_message> late;
  std::size_t both = 0;
  lie = [&](const node_id& from, membership_message& m) {
    const auto* p = std::get_if<page_message>(&m);
    if (p == nullptr || from != id(0) || p->first < 96)
      return;
    const auto first = p->first;
    if (late.count(first) == 0) {
      late.emplace(first, m);
      m = unknown_message{};
    } else {
      tell(id(0), late.at(first));
      ++both;
    }
  };
  begin(0);
  run(6s);
  ASSERT_TRUE(done);
  EXPECT_EQ(both, 7U);
  EXPECT_EQ(done->giver, id(0));
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_TRUE(blamed.empty());
}

TEST_F(joining, leaves_a_giver_whose_link_ends) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  begin(0);
  run(3ms);
  there.erase(id(0));
  run(2s);
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, ignores_and_blames_pages_that_nobody_asked_for) {
  for (std::size_t i = 0; i < 5; ++i)
    knows(i, 300);
  page_message p;
  p.total = 10;
  p.records.assign(all().documents.begin(), all().documents.begin() + 10);
  membership_message m = p;
  tell(id(3), m);
  EXPECT_EQ(blamed[id(3)].size(), 1U);
  EXPECT_EQ(verify.signatures, 0U);
  begin(0);
  m = p;
  tell(id(4), m);
  EXPECT_EQ(blamed[id(4)].size(), 1U);
  EXPECT_EQ(verify.signatures, 0U);
  for (int n = 0; n < 3; ++n) { // the same page twice counts once
    run(4ms);
    membership_message again = p;
    tell(id(0), again);
  }
  EXPECT_GE(blamed[id(0)].size(), 2U);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, leaves_a_giver_of_short_pages_or_bad_signatures) {
  for (const bool forged : {false, true}) {
    SCOPED_TRACE(forged);
    there.clear();
    taken.clear();
    blamed.clear();
    done.reset();
    for (std::size_t i = 0; i < 5; ++i)
      knows(i, 300);
    lie = [&](const node_id& from, membership_message& m) {
      auto* p = std::get_if<page_message>(&m);
      if (p == nullptr || from != id(0) || p->first != 64)
        return;
      if (forged)
        p->records[5].admitted->by = {};
      else
        p->records.pop_back();
    };
    begin(0);
    run();
    ASSERT_TRUE(done);
    EXPECT_EQ(blamed[id(0)].size(), 1U);
    EXPECT_NE(done->giver, id(0));
    EXPECT_EQ(taken.size(), 300U);
  }
}

TEST_F(joining, finds_other_witnesses_when_one_lies_or_says_nothing) {
  for (std::size_t i = 0; i < 12; ++i)
    knows(i, 300);
  for (std::size_t i = 1; i < 7; ++i)
    silent.insert(id(i));
  lie = [&](const node_id& from, membership_message& m) {
    if (from != id(7) && from != id(8))
      return;
    if (auto* r = std::get_if<roll_message>(&m); r && r->hashes)
      r->hashes->fill(3);
    if (auto* p = std::get_if<page_message>(&m); p && !p->records.empty())
      p->records[0].by = {};
  };
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, no_witness_can_make_it_take_whom_it_invents_alone) {
  for (std::size_t i = 0; i < 3; ++i)
    knows(i, 300);
  seeded_random r{78};
  const auto key = identity::generate(r);
  there[id(2)]->book.put_trusted(crowd::invented(key, all().keys[2], 1));
  begin(0);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_EQ(taken.count(key.id()), 0U);
}

TEST_F(joining, dials_some_when_nobody_else_is_linked_and_believes_at_last) {
  knows(0, 300);
  begin(0);
  run(60s);
  ASSERT_TRUE(done);
  EXPECT_GE(dialled.size(), 8U);
  EXPECT_LE(dialled.size(), joiner::limits{}.dials_max);
  EXPECT_EQ(done->witnesses, 0U);
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, is_over_when_nobody_is_left_who_gives_anything) {
  for (std::size_t i = 0; i < 3; ++i) {
    knows(i, 300);
    silent.insert(id(i));
  }
  begin(0);
  run(30s);
  EXPECT_FALSE(done);
  EXPECT_FALSE(j.active());
  EXPECT_EQ(j.deadline(), never);
  silent.clear(); // and whoever says again that there are many is asked
  begin(1);
  run();
  ASSERT_TRUE(done);
  EXPECT_EQ(taken.size(), 300U);
}

TEST_F(joining, leaves_a_giver_that_takes_too_long_in_all) {
  for (std::size_t i = 1; i < 5; ++i)
    knows(i, 300);
  auto& slow = knows(0, 300);
  silent.insert(id(0));
  join_orders out;
  j.begin(id(0), 1000, now, out);
  auto asks = std::exchange(out, {});
  const auto begun = now;
  for (std::size_t n = 0; n < asks.size() && !done; ++n) {
    run(2900ms);
    if (j.giver() != id(0))
      break;
    const auto* ask = std::get_if<join_ask>(&asks[n]);
    ASSERT_NE(ask, nullptr);
    page_message p;
    p.first = std::get<page_wanted_message>(ask->what).first;
    p.total = 1000;
    p.records.assign(all().documents.begin(), all().documents.begin() + 32);
    if (p.first + 32 > p.total)
      p.records.resize(p.total - p.first);
    membership_message m = p;
    tell(id(0), m);
  }
  run();
  ASSERT_TRUE(done);
  EXPECT_LE(now - begun, 75s);
  EXPECT_NE(done->giver, id(0));
  EXPECT_EQ(taken.size(), 300U);
  EXPECT_EQ(slow.book.size(), 300U);
}

TEST_F(joining, reports_come_with_the_pages) {
  for (std::size_t i = 0; i < 3; ++i) {
    auto& m = knows(i, 300);
    for (std::size_t k = 1; k < 40; ++k) {
      report down;
      down.observer = id(k);
      down.subject = id(50);
      down.observer_incarnation = down.subject_incarnation = incarnation{1};
      down.number = 1;
      down.down = true;
      down.sign(all().keys[k], mesh);
      ASSERT_EQ(m.book.put(down), report_outcome::stored);
    }
  }
  begin(0);
  run();
  EXPECT_EQ(reports.size(), 39U);
}

// 285 bytes each: at ten thousand members a list is no work for one turn.
TEST(kept_members, are_encoded_in_slices_and_whole) {
  seeded_random random{11};
  time_point now{1h};
  const auto start = [&](bytes kept) {
    membership_config c{key_of_seed(1)};
    c.mesh = mesh;
    c.listen = {"10.1.0.1", 7600};
    c.disk_incarnation = incarnation{1};
    c.persisted_members = std::move(kept);
    auto core = std::make_unique<membership>(std::move(c), random, now);
    membership_effects out;
    core->start(now, out);
    core->on_incarnation_persisted(incarnation{2}, now, out);
    for (const auto& e : out)
      EXPECT_FALSE(std::holds_alternative<persist_members>(e)) << "in one turn";
    return core;
  };
  bytes known;
  writer w{known};
  w.array(2).uint(1).array(300);
  for (const auto& d : all().documents)
    d.encode(w);
  const auto core = start(known);
  std::vector<bytes> lists;
  for (int turns = 0; lists.size() < 2 && turns < 1000; ++turns) {
    membership_effects out;
    now = std::max(now, core->deadline());
    if (turns == 0) // behind what is encoded already, or before it
      core->set_own(7, {}, now, out);
    else
      core->on_tick(now, out);
    for (auto& e : out)
      if (auto* p = std::get_if<persist_members>(&e))
        lists.push_back(std::move(p->encoded));
  }
  ASSERT_EQ(lists.size(), 2U);
  for (const auto& list : lists) {
    reader r{list};
    EXPECT_EQ(r.array(2), 2U);
    EXPECT_EQ(r.uint(), 1U);
    EXPECT_EQ(r.array(1000), 301U);
    std::set<node_id> named;
    member_document d;
    for (int n = 0; n < 301; ++n) {
      ASSERT_TRUE(member_document::decode(r, d));
      named.insert(d.record.node);
      if (d.record.node == core->self() && &list == &lists[1]) {
        EXPECT_EQ(d.record.tier, 7);
      }
    }
    EXPECT_TRUE(r.done());
    EXPECT_EQ(named.size(), 301U);
  }
}

TEST(kept_members, the_first_that_is_met_is_kept_at_once) {
  seeded_random random{12};
  time_point now{1h};
  const auto far = key_of_seed(2);
  membership_config c{key_of_seed(1)};
  c.mesh = mesh;
  c.listen = {"10.1.0.1", 7600};
  c.disk_incarnation = incarnation{1};
  membership core{std::move(c), random, now};
  membership_effects out;
  core.start(now, out);
  core.on_incarnation_persisted(incarnation{2}, now, out);
  link_info link;
  link.id = link_id{1};
  link.node = far.id();
  link.remote = link.listen = {"10.1.0.2", 7600};
  core.on_link_up(link, now, out);
  out.clear();
  member_record r;
  r.node = far.id();
  r.incarnation = incarnation{1};
  r.number = 1;
  r.address = link.listen;
  const hello_message hello{member_document::make(far, mesh, r), {}};
  core.on_frame(far.id(), channel::membership, encode(hello), now, out);
  EXPECT_TRUE(std::any_of(out.begin(), out.end(), [](const auto& e) {
    return std::holds_alternative<persist_members>(e);
  }));
}

TEST(pages, name_sponsors_before_those_whom_they_let_in) {
  member m{all().keys[0].id()};
  for (std::size_t i = 300; i-- > 0;)
    m.book.put_trusted(all().documents[i]);
  std::vector<page_giver::answer> answers;
  const time_point now{1h};
  for (std::uint32_t first = 0; first < 300; first += page_records_max)
    m.pages.asked(all().keys[5].id(), page_wanted_message{first, {}}, now);
  while (m.pages.deadline() <= now) {
    const auto before = answers.size();
    m.pages.step(m.book, now, answers);
    EXPECT_LE(answers.size(), before + page_giver::limits{}.answers_at_once);
  }
  std::set<node_id> named;
  std::size_t early = 0;
  for (const auto& a : answers)
    for (const auto& d : std::get<page_message>(a.what).records) {
      early += named.count(d.admitted->sponsor) == 0 ? 1U : 0U;
      EXPECT_TRUE(named.insert(d.record.node).second);
    }
  EXPECT_EQ(named.size(), 300U);
  EXPECT_EQ(early, 1U); // of the two who let each other in
}

TEST(pages, whoever_comes_while_they_are_given_comes_last) {
  member m{all().keys[0].id()};
  for (std::size_t i = 0; i < 40; ++i)
    m.book.put_trusted(all().documents[i]);
  std::vector<page_giver::answer> answers;
  const time_point now{1h};
  m.pages.asked(all().keys[5].id(), page_wanted_message{}, now);
  m.pages.step(m.book, now, answers);
  m.book.put_trusted(all().documents[40]);
  m.pages.added(all().keys[40].id());
  m.pages.asked(all().keys[5].id(), page_wanted_message{32, {}}, now + 1ms);
  m.pages.step(m.book, now + 1ms, answers);
  const auto& last = std::get<page_message>(answers.back().what);
  EXPECT_EQ(last.total, 41U);
  ASSERT_EQ(last.records.size(), 9U);
  EXPECT_EQ(last.records.back().record.node, all().keys[40].id());
}

TEST(pages, are_bounded_in_bytes_per_second_whoever_asks) {
  member m{all().keys[0].id()};
  for (const auto& d : all().documents)
    m.book.put_trusted(d);
  std::size_t bytes_out = 0;
  time_point now{1h};
  for (int ms = 0; ms < 2000; ++ms, now += 1ms) {
    for (std::size_t who = 1; who < 20; ++who) {
      m.pages.asked(all().keys[who].id(), page_wanted_message{}, now);
      m.pages.asked(all().keys[who].id(), roll_message{5, {}}, now);
    }
    std::vector<page_giver::answer> answers;
    m.pages.step(m.book, now, answers);
    for (const auto& a : answers)
      bytes_out += encode(a.what).size();
  }
  EXPECT_LE(double(bytes_out), 2e6 * 1.1 + 2 * 4.2e6 * 1.1);
  EXPECT_GE(double(bytes_out), 4e6); // rolls cost more than they are long
  EXPECT_NE(m.pages.deadline(), never);
}

} // namespace
} // namespace banyan::net::testing
