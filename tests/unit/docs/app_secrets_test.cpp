// Secrets of apps: who can read them, and what makes no sense.
#include "actors/docs/app_secrets.hpp"
#include "crypto/secret_box.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

class app_secrets : public ::testing::Test {
protected:
  app_secrets() {
    spec.name = "ledger";
    spec.secrets = {"db_password", "token"};
    values.put("db_password", as_bytes("hunter2"));
    values.put("token", as_bytes(std::string(1000, 't')));
  }
  std::string seal() {
    return seal_secrets(spec, nonce, values, {voter.id()}, random);
  }
  bool read_by(const identity& who, secret_values& out) const {
    secret_bytes<32> key;
    return own_secret_key(who, spec, nonce, key)
           && open_secrets(spec, nonce, key, out);
  }
  seeded_random random{9};
  identity voter = identity::generate(random);
  identity stranger = identity::generate(random);
  std::array<std::uint8_t, 16> nonce{1, 2, 3};
  app_spec spec;
  secret_values values;
};

TEST_F(app_secrets, are_read_by_voters_and_nobody_else) {
  ASSERT_EQ(seal(), "");
  secret_values out;
  ASSERT_TRUE(read_by(voter, out));
  EXPECT_EQ(as_text(out.all().at("db_password")), "hunter2");
  EXPECT_EQ(out.all().at("token").size(), 1000U);
  secret_values none;
  EXPECT_FALSE(read_by(stranger, none));
}

TEST_F(app_secrets, never_stand_in_clear_in_what_travels) {
  ASSERT_EQ(seal(), "");
  const auto document = app_version{{}, spec, {}}.encode();
  EXPECT_EQ(as_text(document).find("hunter2"), std::string_view::npos);
  EXPECT_EQ(as_text(document).find("tttt"), std::string_view::npos);
}

TEST_F(app_secrets, belong_to_one_app) {
  ASSERT_EQ(seal(), "");
  secret_bytes<32> key;
  ASSERT_TRUE(own_secret_key(voter, spec, nonce, key));
  auto other = nonce;
  ++other[0];
  secret_values out;
  EXPECT_FALSE(open_secrets(spec, other, key, out));
  EXPECT_FALSE(own_secret_key(voter, spec, other, key));
}

TEST_F(app_secrets, have_a_new_key_with_every_change) {
  ASSERT_EQ(seal(), "");
  secret_bytes<32> before;
  ASSERT_TRUE(own_secret_key(voter, spec, nonce, before));
  const auto box = spec.secret_box;
  ASSERT_EQ(seal(), "");
  EXPECT_FALSE(spec.secret_box == box);
  secret_values out;
  EXPECT_FALSE(open_secrets(spec, nonce, before, out)) << "the old key";
}

TEST_F(app_secrets, that_were_changed_on_the_way_open_nothing) {
  ASSERT_EQ(seal(), "");
  for (std::size_t i = 0; i < spec.secret_box.size(); i += 7) {
    auto bent = spec;
    bent.secret_box[i] ^= 1;
    secret_bytes<32> key;
    ASSERT_TRUE(own_secret_key(voter, bent, nonce, key));
    secret_values out;
    EXPECT_FALSE(open_secrets(bent, nonce, key, out)) << i;
    EXPECT_TRUE(out.empty());
  }
}

TEST_F(app_secrets, that_a_spec_names_without_a_value_are_told) {
  EXPECT_EQ(why_no_secrets(spec),
            "secrets: no value for 'db_password': give --secret "
            "db_password=FILE to `banyan deploy`");
  secret_values some;
  some.put("db_password", as_bytes("x"));
  EXPECT_EQ(missing_secret(spec, some), "token");
  EXPECT_EQ(missing_secret(spec, values), "");
  ASSERT_EQ(seal(), "");
  EXPECT_EQ(why_no_secrets(spec), "");
}

TEST_F(app_secrets, over_the_bound_are_refused) {
  for (int i = 0; i < 5; ++i)
    values.put("n" + std::to_string(i), bytes(16'000, 1));
  EXPECT_NE(seal().find("64 KiB"), std::string::npos);
}

TEST_F(app_secrets, survive_the_way_to_a_host) {
  const auto b = values.encode();
  secret_values out;
  ASSERT_TRUE(secret_values::decode(b, out));
  EXPECT_EQ(out.all(), values.all());
  for (std::size_t n = 0; n < b.size(); ++n) {
    secret_values cut;
    EXPECT_FALSE(secret_values::decode(const_bytes{b}.first(n), cut)) << n;
  }
}

TEST(secret_box, opens_with_its_key_and_its_context_alone) {
  seeded_random random{3};
  const secret_bytes<32> key{random};
  const secret_bytes<32> other{random};
  const auto box = make_box(key, as_bytes("about"), as_bytes("plain"), random);
  EXPECT_EQ(box.size(), 5 + box_overhead);
  bytes out;
  ASSERT_TRUE(open_box(key, as_bytes("about"), box, out));
  EXPECT_EQ(as_text(out), "plain");
  EXPECT_FALSE(open_box(other, as_bytes("about"), box, out));
  EXPECT_FALSE(open_box(key, as_bytes("else"), box, out));
  EXPECT_FALSE(
      open_box(key, as_bytes("about"), const_bytes{box}.first(39), out));
  EXPECT_TRUE(out.empty());
}

} // namespace
} // namespace banyan
