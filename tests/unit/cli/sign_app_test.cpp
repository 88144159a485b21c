#include "actors/docs/app_token.hpp"
#include "papers.hpp"

#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

struct SignApp : ::testing::Test, test::orchard {
  app_papers born() {
    auto p = sign_birth(owner, mesh, spec, where, random);
    EXPECT_TRUE(p.ok());
    return *p;
  }
};

TEST_F(SignApp, PeersAcceptWhatABirthSigns) {
  const auto a = open(born());
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->genesis.name, "ledger");
  EXPECT_EQ(a->genesis.voters, where.voters);
  EXPECT_EQ(a->genesis.nonce, where.nonce);
  EXPECT_EQ(a->number, 1u);
  EXPECT_FALSE(a->deleted);
}

TEST_F(SignApp, EachVoterOpensTheSameGroupSecret) {
  const auto a = open(born());
  ASSERT_TRUE(a.ok());
  ASSERT_EQ(a->version.secrets.size(), nodes.size());
  for (const auto& n : nodes)
    for (const auto& s : a->version.secrets) {
      secret_bytes<32> secret;
      const bool mine =
          open_secret(n, group_secret_context(where.nonce), s.secret, secret);
      EXPECT_EQ(mine, s.node == n.id());
      if (mine) {
        EXPECT_EQ(group_secret_hash(secret), a->genesis.secret_hash);
      }
    }
}

TEST_F(SignApp, TwoBirthsShareNoSecretAndNoId) {
  const auto a = open(born());
  const auto b = open(born());
  EXPECT_NE(a->id, b->id);
  EXPECT_NE(a->genesis.secret_hash, b->genesis.secret_hash);
}

TEST_F(SignApp, ANodeThatIsNoPublicKeyIsNamed) {
  where.voters[1][2].node = node_id{};
  const auto p = sign_birth(owner, mesh, spec, where, random);
  ASSERT_FALSE(p.ok());
  EXPECT_EQ(p.error(), node_id{});
}

TEST_F(SignApp, AnUpdateKeepsIdAndSecrets) {
  const auto old = open(born());
  spec.replace_after = 2s;
  const auto a = open(sign_update(owner, mesh, *old, spec, 2));
  ASSERT_TRUE(a.ok());
  EXPECT_EQ(a->id, old->id);
  EXPECT_EQ(a->number, 2u);
  EXPECT_EQ(a->version.spec.replace_after, 2s);
  EXPECT_EQ(a->version.secrets.size(), old->version.secrets.size());
}

TEST_F(SignApp, AnUpdateKeepsTheTokenUnlessThereIsAnother) {
  const auto first = new_app_token(random);
  spec.token_hash = first.hash;
  const auto old = open(born());
  spec.token_hash.clear(); // no spec file has one
  const auto a = open(sign_update(owner, mesh, *old, spec, 2));
  EXPECT_TRUE(is_app_token(first.text, a->version.spec.token_hash));
  const auto second = new_app_token(random);
  EXPECT_NE(first.text, second.text);
  spec.token_hash = second.hash;
  const auto b = open(sign_update(owner, mesh, *a, spec, 3));
  EXPECT_TRUE(is_app_token(second.text, b->version.spec.token_hash));
  EXPECT_FALSE(is_app_token(first.text, b->version.spec.token_hash));
  EXPECT_FALSE(is_app_token("", {}));
}

TEST_F(SignApp, SignedAgainAnUpdateIsTheSameBytes) {
  const auto old = open(born());
  EXPECT_EQ(sign_update(owner, mesh, *old, spec, 2).encode(),
            sign_update(owner, mesh, *old, spec, 2).encode());
  EXPECT_EQ(sign_removal(owner, mesh, *old).encode(),
            sign_removal(owner, mesh, *old).encode());
}

TEST_F(SignApp, ARemovalDeletesThatAppAlone) {
  const auto old = open(born());
  const auto a = open(sign_removal(owner, mesh, *old));
  ASSERT_TRUE(a.ok());
  EXPECT_TRUE(a->deleted);
  EXPECT_EQ(a->id, old->id);
  auto other = born();
  other.deletion = a->papers.deletion;
  EXPECT_FALSE(open(other).ok());
}

TEST_F(SignApp, AnUndeletionTakesOneDeletionBackAndSoDoesEachVersionBehindIt) {
  const auto removed = open(sign_removal(owner, mesh, *open(born())));
  ASSERT_TRUE(removed.ok());
  const auto back = open(sign_undeletion(owner, mesh, *removed));
  ASSERT_TRUE(back.ok());
  EXPECT_FALSE(back->deleted);
  EXPECT_GT(back->number, removed->papers.deletion->version);
  EXPECT_TRUE(back->papers.deletion.has_value()); // the tombstone stays
  spec.replace_after = 2s;
  const auto later =
      open(sign_update(owner, mesh, *back, spec, back->number + 1));
  ASSERT_TRUE(later.ok());
  EXPECT_FALSE(later->deleted);
  // Removed again, it is removed.
  const auto again = open(sign_removal(owner, mesh, *later));
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->deleted);
}

TEST_F(SignApp, AVersionThatDoesNotKnowOfADeletionTakesNoneBack) {
  const auto old = open(born());
  auto late = sign_update(owner, mesh, *old, spec, 9);
  late.deletion = sign_removal(owner, mesh, *old).deletion;
  const auto a = open(late);
  ASSERT_TRUE(a.ok());
  EXPECT_TRUE(a->deleted);
}

TEST_F(SignApp, OnlyARestoreOpensWhatIsBeingRestored) {
  spec.restoring = bytes(16, 7);
  const auto closed = open(born());
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->version.spec.restoring, bytes(16, 7));
  auto other = spec;
  other.restoring.clear();
  const auto updated = open(sign_update(owner, mesh, *closed, other, 2));
  EXPECT_EQ(updated->version.spec.restoring, bytes(16, 7));
  const auto opened = open(sign_restored(owner, mesh, *closed));
  EXPECT_TRUE(opened->version.spec.restoring.empty());
  EXPECT_EQ(opened->number, 2u);
}

} // namespace
} // namespace banyan::cli
