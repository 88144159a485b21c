#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

observation some_day() {
  observation o;
  o.day = 100;
  o.subjects = {{node(1), well()}, {node(2), down(10, 700)}};
  return o;
}

TEST(day, reads_what_it_wrote) {
  auto o = some_day();
  seen_day flicker; // more runs than are written as such
  for (std::size_t i = 0; i < minutes_a_day; i += 2) {
    flicker.observed.set(i);
    if (i % 4 == 0)
      flicker.up.set(i);
  }
  o.subjects.push_back({node(3), flicker});
  observation back;
  ASSERT_TRUE(observation::decode(o.encode(), back));
  EXPECT_EQ(back.day, 100U);
  ASSERT_EQ(back.subjects.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(back.subjects[i].seen == o.subjects[i].seen) << i;
  EXPECT_EQ(back.encode(), o.encode());
}

TEST(day, a_good_day_of_a_full_mesh_is_small) {
  observation o;
  for (std::uint8_t i = 1; i <= 16; ++i)
    o.subjects.push_back({node(i), well()});
  EXPECT_LT(o.encode().size(), 800U);
}

TEST(day, the_worst_day_stays_within_its_bound) {
  observation o;
  seen_day flicker;
  for (std::size_t i = 0; i < minutes_a_day; i += 2)
    flicker.observed.set(i);
  flicker.up = flicker.observed;
  for (std::uint8_t i = 1; i <= subjects_max; ++i)
    o.subjects.push_back({node(i), flicker});
  EXPECT_LE(o.encode().size(), observation_bytes_max);
}

TEST(day, no_mutation_of_its_bytes_is_another_form_of_the_same) {
  const auto good = some_day().encode();
  for (std::size_t i = 0; i < good.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto bad = good;
      bad[i] = static_cast<std::uint8_t>(bad[i] ^ 1U << bit);
      observation o;
      if (observation::decode(bad, o)) {
        EXPECT_EQ(o.encode(), bad);
      }
    }
  for (std::size_t n = 0; n < good.size(); ++n) {
    observation o;
    EXPECT_FALSE(observation::decode(const_bytes{good}.first(n), o)) << n;
  }
}

TEST(day, up_where_nobody_looked_is_no_observation) {
  auto o = some_day();
  o.subjects[0].seen.observed = {};
  o.subjects[0].seen.observed.set(3);
  observation back;
  EXPECT_FALSE(observation::decode(o.encode(), back));
}

TEST(day, of_the_wall_clock) {
  const auto at = day_time_of(86'400'000LL * 3 + 60'000 * 5 + 59'999, 1min);
  EXPECT_EQ(at.day, 3U);
  EXPECT_EQ(at.minute, 5U);
  EXPECT_EQ(day_time_of(-5, 1min).day, 0U);
  EXPECT_EQ(day_time_of(1440 * 2 * 250, 250ms).day, 2U);
}

TEST(day, has_a_date) {
  EXPECT_EQ(date_text(0), "1970-01-01");
  EXPECT_EQ(date_text(59), "1970-03-01");
  EXPECT_EQ(date_text(11'016), "2000-02-29");
  EXPECT_EQ(date_text(20'780), "2026-11-23");
}

class signed_day : public ::testing::Test {
protected:
  signed_day() {
    auto o = some_day();
    document = signed_document::make(observer, sign_kind::observation,
                                     orchard(), o.day, o.encode());
  }
  std::optional<day_errc> why(const signed_document& d,
                              day_time now = {101, 0}) {
    const auto r = open_observation(d, orchard(), now);
    return r.ok() ? std::nullopt : std::optional{r.error()};
  }
  seeded_random random{1};
  identity observer = identity::generate(random);
  signed_document document;
};

TEST_F(signed_day, each_signs_one_document_a_day) {
  EXPECT_EQ(why(document), std::nullopt);
  EXPECT_EQ(observer_of(document), observer.id());
}

TEST_F(signed_day, a_forged_or_changed_one_is_refused) {
  auto forged = document;
  forged.signer = identity::generate(random).owner();
  EXPECT_EQ(why(forged), day_errc::bad_signature);
  auto changed = document;
  auto o = some_day();
  o.subjects[0].seen = down(0, 500);
  changed.body = o.encode();
  EXPECT_EQ(why(changed), day_errc::bad_signature);
  auto other_day = document;
  other_day.version = 99;
  EXPECT_EQ(why(other_day), day_errc::malformed);
  EXPECT_FALSE(open_observation(document, mesh_id{}, {101, 0}).ok());
  auto other_kind = signed_document::make(observer, sign_kind::report,
                                          orchard(), 100, some_day().encode());
  EXPECT_EQ(why(other_kind), day_errc::malformed);
}

TEST_F(signed_day, nobody_observes_itself) {
  observation o;
  o.day = 100;
  o.subjects = {{observer.id(), well()}};
  EXPECT_EQ(why(signed_document::make(observer, sign_kind::observation,
                                      orchard(), 100, o.encode())),
            day_errc::malformed);
}

TEST_F(signed_day, a_day_of_the_future_is_refused_and_one_older_than_30_days) {
  EXPECT_EQ(why(document, {99, 1439}), day_errc::future);
  EXPECT_EQ(why(document, {100, 1400}), day_errc::future);
  EXPECT_EQ(why(document, {100, 1430}), std::nullopt); // a clock is late
  EXPECT_EQ(why(document, {130, 0}), std::nullopt);
  EXPECT_EQ(why(document, {131, 0}), day_errc::old);
}

} // namespace
} // namespace banyan::uptime_test
