#include "net/membership/messages.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::net {
namespace {

class records : public ::testing::Test {
protected:
  seeded_random random{1};
  identity key = identity::generate(random);
  identity other = identity::generate(random);
  mesh_id mesh{std::array<std::uint8_t, 32>{1, 2, 3}};

  member_record sample() {
    member_record r;
    r.node = key.id();
    r.incarnation = incarnation{3};
    r.number = 7;
    r.boot = boot_id{random.array<16>()};
    r.address = {"192.0.2.1", 7600};
    r.region = "eu-north";
    r.zone = "a";
    r.target = "x86_64-linux";
    r.tier = 2;
    r.capacity = {8, 100, 16384, 1U << 20};
    r.features = 5;
    return r;
  }
  report sample_report() {
    report r;
    r.observer = key.id();
    r.subject = other.id();
    r.observer_incarnation = incarnation{3};
    r.subject_incarnation = incarnation{9};
    r.number = 4;
    r.down = true;
    r.sign(key, mesh);
    return r;
  }
};

bytes encoded(const member_record& r) {
  bytes b;
  writer w{b};
  r.encode(w);
  return b;
}

TEST_F(records, come_back_as_they_were) {
  auto d = member_document::make(key, mesh, sample());
  d.admitted = admission::make(other, mesh, key.id());
  bytes b;
  writer w{b};
  d.encode(w);
  reader r{b};
  member_document back;
  ASSERT_TRUE(member_document::decode(r, back));
  EXPECT_TRUE(r.done());
  EXPECT_TRUE(back.verify(mesh));
  EXPECT_TRUE(back.admitted->verify(mesh, key.id()));
  EXPECT_EQ(back.record.region, "eu-north");
  EXPECT_EQ(back.record.capacity.memory_mib, 16384U);
  EXPECT_EQ(back.body, d.body);
}

TEST_F(records, doubts_come_back_and_cost_nothing_while_there_are_none) {
  auto r = sample();
  const auto without = encoded(r);
  r.doubts = {{{1, 2, 3}, 0}, {member_doubt::start_of(other.id()), 2}};
  std::sort(r.doubts.begin(), r.doubts.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  const auto with = encoded(r);
  EXPECT_GT(with.size(), without.size());
  member_record back;
  ASSERT_TRUE(member_record::decode(with, back));
  EXPECT_EQ(back.doubts, r.doubts);
  ASSERT_TRUE(member_record::decode(without, back = {}));
  EXPECT_TRUE(back.doubts.empty());
}

TEST_F(records, doubts_that_no_honest_member_writes_are_refused) {
  const auto refused = [&](std::vector<member_doubt> doubts) {
    auto r = sample();
    r.doubts = std::move(doubts);
    member_record back;
    return !member_record::decode(encoded(r), back);
  };
  EXPECT_TRUE(refused({{{2}, 0}, {{1}, 0}})); // not in order
  EXPECT_TRUE(refused({{{2}, 0}, {{2}, 1}})); // twice
  std::vector<member_doubt> many;
  for (std::uint8_t i = 0; i <= member_record::doubts_max; ++i)
    many.push_back({{i}, 0});
  EXPECT_TRUE(refused(many));
  many.pop_back();
  EXPECT_FALSE(refused(many));
}

TEST_F(records, are_ordered_by_incarnation_then_number) {
  auto a = sample();
  auto b = a;
  EXPECT_FALSE(a.newer_than(b));
  b.number = 8;
  EXPECT_TRUE(b.newer_than(a));
  a.incarnation = incarnation{4};
  a.number = 1;
  EXPECT_TRUE(a.newer_than(b));
  EXPECT_FALSE(b.newer_than(a));
}

TEST_F(records, no_flipped_byte_and_no_truncation_is_accepted) {
  auto d = member_document::make(key, mesh, sample());
  d.admitted = admission::make(other, mesh, key.id());
  bytes whole;
  writer w{whole};
  d.encode(w);
  const auto accepted = [&](const bytes& b) {
    reader r{b};
    member_document back;
    return member_document::decode(r, back) && r.done() && back.verify(mesh)
           && back.admitted && back.admitted->verify(mesh, back.record.node);
  };
  ASSERT_TRUE(accepted(whole));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    auto bad = whole;
    bad[i] ^= 0x10;
    EXPECT_FALSE(accepted(bad)) << "byte " << i;
    EXPECT_FALSE(accepted({whole.begin(), whole.begin() + long(i)})) << i;
  }
}

TEST_F(records, of_a_newer_version_keep_their_unknown_keys) {
  auto body = encoded(sample());
  body[0] = 0x8e; // one pair more
  writer w{body};
  w.uint(31).text("from the future");
  member_record r;
  ASSERT_TRUE(member_record::decode(body, r));
  EXPECT_EQ(r.number, 7U);
}

TEST_F(records, name_up_to_three_others_that_forward) {
  auto r = sample();
  const auto without = encoded(r);
  r.relays = {other.id(), node_id{std::array<std::uint8_t, 32>{9}}};
  member_record back;
  ASSERT_TRUE(member_record::decode(encoded(r), back));
  EXPECT_EQ(back.relays, r.relays);
  ASSERT_TRUE(member_record::decode(without, back)); // and no key without them
  EXPECT_TRUE(back.relays.empty());
  r.relays = {key.id()};
  EXPECT_FALSE(member_record::decode(encoded(r), back));
  r.relays.assign(4, other.id());
  EXPECT_FALSE(member_record::decode(encoded(r), back));
}

TEST_F(records, refuse_what_would_not_print) {
  auto r = sample();
  member_record back;
  r.region = "eu\nnorth";
  EXPECT_FALSE(member_record::decode(encoded(r), back));
  r.region = std::string(65, 'a');
  EXPECT_FALSE(member_record::decode(encoded(r), back));
  r.region = "eu";
  r.address.host = "a b";
  EXPECT_FALSE(member_record::decode(encoded(r), back));
  r.address.host = "fe80::1";
  EXPECT_TRUE(member_record::decode(encoded(r), back));
  r.incarnation = incarnation{};
  EXPECT_FALSE(member_record::decode(encoded(r), back));
}

TEST_F(records, a_signature_is_bound_to_mesh_and_kind) {
  const auto d = member_document::make(key, mesh, sample());
  EXPECT_FALSE(d.verify(mesh_id{std::array<std::uint8_t, 32>{9}}));
  auto r = sample_report();
  EXPECT_TRUE(r.verify(mesh));
  r.by = key.sign(sign_kind::member, mesh, d.body);
  EXPECT_FALSE(r.verify(mesh));
}

TEST_F(records, every_frame_comes_back_and_no_cut_one_does) {
  auto d = member_document::make(key, mesh, sample());
  digest_message digest;
  digest.first = key.id();
  digest.last = key.id();
  digest.entries.push_back({key.id(), incarnation{3}, 7, 99, true});
  const membership_message all[] = {
      hello_message{d, {"10.0.0.1", 4000}},
      news_message{{d, d}, {sample_report()}},
      summary_message{1U << 30},
      digest,
      want_message{{key.id()}, {other.id()}},
      own_record_message{d, {}},
      verdict_message{incarnation{5}},
      dial_back_message{77, {"10.0.0.1", 7600}},
      dial_back_result_message{77, true},
      root_message{1ULL << 63, 20'000},
      ranges_message{{1, 0, ~0ULL}, {7}},
      page_wanted_message{64, {}},
      page_wanted_message{0, range_set{1, 255}},
      page_message{32, 70, {d}, {sample_report()}},
      roll_message{~0ULL, {}},
      roll_message{7, range_hashes{1, ~0ULL}},
      vouch_message{{sample_report(), sample_report()}},
      name_message{true, {key.id(), other.id()}},
      name_message{false, {}}};
  for (const auto& m : all) {
    const auto b = encode(m);
    membership_message back;
    ASSERT_TRUE(decode(b, back)) << m.index();
    EXPECT_EQ(back.index(), m.index());
    EXPECT_EQ(encode(back), b);
    for (std::size_t n = 0; n < b.size(); ++n)
      EXPECT_FALSE(decode(const_bytes{b}.first(n), back)) << m.index();
    auto longer = b;
    longer[0] = std::uint8_t(longer[0] + 1); // an element of a newer version
    longer.push_back(0xc0);
    EXPECT_TRUE(decode(longer, back)) << m.index();
  }
  membership_message old; // a root of a version before the count
  EXPECT_TRUE(decode(encode(root_message{5}), old));
  EXPECT_FALSE(std::get<root_message>(old).members);
  const bytes unknown{0x92, 0x63, 0x01};
  membership_message back;
  EXPECT_TRUE(decode(unknown, back));
  EXPECT_EQ(back.index(), 0U);
}

TEST_F(records, a_beat_comes_back) {
  beat_message m;
  m.number = 9;
  m.echo = 8;
  m.echo_delay = 1234us;
  m.interval = 50ms;
  m.answer = true;
  m.leads = ~0ULL;
  m.fsync_age = 1500ms;
  m.hears = {key.id(), other.id()};
  const auto b = encode(m);
  beat_message back;
  ASSERT_TRUE(decode(b, back));
  EXPECT_EQ(back.echo_delay, 1234us);
  EXPECT_EQ(back.fsync_age, 1500ms);
  EXPECT_EQ(back.hears->size(), 2U);
  EXPECT_EQ(encode(back), b);
  for (std::size_t n = 0; n < b.size(); ++n)
    EXPECT_FALSE(decode(const_bytes{b}.first(n), back));
}

TEST_F(records, a_beat_says_whether_its_link_is_needed_or_nothing) {
  beat_message m;
  const auto small = encode(m);
  EXPECT_EQ(small[0], 0x98); // as ever where all are linked with all
  beat_message back;
  back.needed = true;
  ASSERT_TRUE(decode(small, back));
  EXPECT_FALSE(back.needed);
  m.needed = false;
  ASSERT_TRUE(decode(encode(m), back));
  EXPECT_EQ(back.needed, std::optional{false});
}

TEST_F(records, random_bytes_never_ask_for_memory) {
  const bytes greedy{0x93, 0x02, 0xdd, 0xff, 0xff, 0xff, 0xff};
  membership_message m;
  beat_message beat;
  EXPECT_FALSE(decode(greedy, m));
  const auto base = encode(news_message{
      {member_document::make(key, mesh, sample())}, {sample_report()}});
  for (int i = 0; i < 20000; ++i) {
    auto b = base;
    for (int n = 0; n < 3; ++n)
      b[random.below(b.size())] = std::uint8_t(random.below(256));
    b.resize(random.below(b.size() + 1));
    (void)decode(b, m);
    (void)decode(b, beat);
  }
}

} // namespace
} // namespace banyan::net
