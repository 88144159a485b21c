#include "actors/docs/policy.hpp"
#include "days.hpp"

#include <gtest/gtest.h>

namespace banyan::uptime_test {
namespace {

class policy_document : public ::testing::Test {
protected:
  static mesh_policy strict(basis_points hold = 9'950) {
    mesh_policy p;
    p.enforce = true;
    p.hold_below = hold;
    p.nodes = {{node_id{std::array<std::uint8_t, 32>{7}}}, {}};
    return p;
  }
  std::optional<papers_errc> why(const signed_document& d) {
    const auto r = open_policy(d, orchard(), {owner.owner(), second.owner()});
    return r.ok() ? std::nullopt : std::optional{r.error()};
  }
  seeded_random random{5};
  identity owner = identity::generate(random);
  identity second = identity::generate(random);
  identity stranger = identity::generate(random);
  policy_book book;
};

TEST_F(policy_document, is_signed_by_an_owner_key_of_the_mesh_file) {
  const auto good = sign_policy(owner, orchard(), 1, strict());
  EXPECT_EQ(why(good.document), std::nullopt);
  EXPECT_EQ(why(sign_policy(stranger, orchard(), 1, strict()).document),
            papers_errc::untrusted);
  EXPECT_EQ(why(sign_policy(owner, mesh_id{}, 1, strict()).document),
            papers_errc::bad_signature);
  auto changed = good.document;
  changed.body = encode(mesh_policy{});
  EXPECT_EQ(why(changed), papers_errc::bad_signature);
  auto newer = good.document;
  newer.version = 2;
  EXPECT_EQ(why(newer), papers_errc::bad_signature);
  const auto spec = signed_document::make(owner, sign_kind::spec, orchard(), 1,
                                          encode(strict()));
  EXPECT_EQ(why(spec), papers_errc::malformed);
}

TEST_F(policy_document, the_highest_version_counts) {
  EXPECT_FALSE(book.policy().enforce);
  EXPECT_EQ(book.version(), 0U);
  EXPECT_EQ(book.put(sign_policy(owner, orchard(), 2, strict())),
            policy_book::outcome::taken);
  EXPECT_EQ(book.put(sign_policy(owner, orchard(), 1, {})),
            policy_book::outcome::older);
  EXPECT_EQ(book.put(sign_policy(owner, orchard(), 2, strict())),
            policy_book::outcome::known);
  EXPECT_TRUE(book.policy().enforce);
  EXPECT_EQ(book.put(sign_policy(second, orchard(), 3, {})),
            policy_book::outcome::taken);
  EXPECT_FALSE(book.policy().enforce);
}

TEST_F(policy_document,
       equal_version_other_bytes_is_a_conflict_and_enforces_nothing) {
  const auto a = sign_policy(owner, orchard(), 1, strict());
  const auto b = sign_policy(second, orchard(), 1, strict(9'800));
  policy_book other;
  book.put(a);
  EXPECT_EQ(book.put(b), policy_book::outcome::conflict);
  EXPECT_FALSE(book.policy().nodes.is_list());
  other.put(b);
  other.put(a);
  for (const auto* p : {&book, &other}) {
    EXPECT_TRUE(p->conflict());
    EXPECT_FALSE(p->policy().enforce);
    EXPECT_EQ(p->records().size(), 2U);
  }
  EXPECT_TRUE(book.policy() == other.policy());
  EXPECT_EQ(book.put(sign_policy(owner, orchard(), 1, {})),
            policy_book::outcome::known);
  EXPECT_EQ(book.put(sign_policy(owner, orchard(), 2, strict())),
            policy_book::outcome::taken);
  EXPECT_FALSE(book.conflict());
  EXPECT_TRUE(book.policy().enforce);
}

} // namespace
} // namespace banyan::uptime_test
