#include "actors/docs/app_documents.hpp"
#include "actors/docs/sign_app.hpp"
#include "crypto/hash.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

/// A whole set of papers, signed, for one app of two shards and three voters.
struct papers {
  papers() {
    genesis.owner = owner.owner();
    genesis.name = "ledger";
    genesis.nonce = random.array<16>();
    genesis.lineage = lineage_id{random.array<16>()};
    genesis.secret_hash = group_secret_hash(secret);
    for (int shard = 0; shard < 2; ++shard) {
      auto& voters = genesis.voters.emplace_back();
      for (const auto& n : nodes)
        voters.push_back({n.id(), replica_id{random.array<16>()}});
    }
    version.app = id_of(genesis);
    version.spec.name = "ledger";
    version.spec.module = "ledger";
    version.spec.shards = 2;
    version.spec.regions = {"eu", "us"};
    version.spec.config = bytes{0x81, 0xA1, 'a', 0x01};
    for (const auto& n : nodes) {
      auto& s = version.secrets.emplace_back();
      s.node = n.id();
      EXPECT_TRUE(seal_secret(n.id(), group_secret_context(genesis.nonce),
                              secret, random, s.secret));
    }
    sign();
  }

  void sign() { signed_by(owner, owner); }
  void signed_by(const identity& of_genesis, const identity& of_version) {
    out.genesis = signed_document::make(of_genesis, sign_kind::genesis, mesh, 0,
                                        genesis.encode());
    out.version = signed_document::make(of_version, sign_kind::spec, mesh,
                                        number, version.encode());
  }
  void sign_deletion(const identity& by, const app_id& app) {
    out.deletion = signed_document::make(by, sign_kind::deletion, mesh, 0,
                                         app_deletion{app}.encode());
  }
  [[nodiscard]] result<app_record, papers_errc> open() const {
    return open_papers(out, mesh, {owner.owner()});
  }
  [[nodiscard]] papers_errc error() const {
    const auto opened = open();
    EXPECT_FALSE(opened.ok());
    return opened.ok() ? papers_errc{} : opened.error();
  }

  seeded_random random{21};
  mesh_id mesh = local_mesh_id();
  identity owner = identity::generate(random);
  std::vector<identity> nodes = make_nodes();
  secret_bytes<32> secret{random};
  app_genesis genesis;
  app_version version;
  std::uint64_t number = 1;
  app_papers out;

private:
  std::vector<identity> make_nodes() {
    std::vector<identity> made;
    for (int i = 0; i < 3; ++i)
      made.push_back(identity::generate(random));
    return made;
  }
};

TEST(app_papers, go_through_the_wire_and_open) {
  papers p;
  app_papers read;
  ASSERT_TRUE(app_papers::decode(p.out.encode(), read));
  const auto opened = open_papers(read, p.mesh, {p.owner.owner()});
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->id, id_of(p.genesis));
  EXPECT_EQ(opened->number, 1U);
  EXPECT_FALSE(opened->deleted);
  EXPECT_EQ(opened->genesis.voters, p.genesis.voters);
  EXPECT_EQ(opened->version.spec.regions, p.version.spec.regions);
  EXPECT_EQ(opened->version.spec.config, p.version.spec.config);
  EXPECT_EQ(opened->version.spec.replace_after, std::chrono::minutes{5});
}

TEST(app_papers, what_a_spec_adds_to_the_first_form_goes_through_too) {
  papers p;
  const auto plain = p.version.encode();
  auto& s = p.version.spec;
  s.modules = {{"aarch64-linux", hash_of({as_bytes("a")}), 5},
               {"x86_64-linux", hash_of({as_bytes("b")}), module_bytes_max}};
  s.memory_max = 64ULL << 20;
  s.turn_time_max = 2s;
  s.update_watch = 0s;
  s.secret_box = to_bytes("sealed");
  s.secret_keys = {p.version.secrets[0]};
  s.token_hash = hash_of({as_bytes("token")}).view().copy();
  app_version read;
  ASSERT_TRUE(app_version::decode(p.version.encode(), read));
  EXPECT_EQ(read.spec.modules, s.modules);
  EXPECT_EQ(read.spec.memory_max, s.memory_max);
  EXPECT_EQ(read.spec.turn_time_max, 2s);
  EXPECT_EQ(read.spec.update_watch, 0s);
  EXPECT_EQ(read.spec.secret_box, s.secret_box);
  EXPECT_EQ(read.spec.token_hash, s.token_hash);
  ASSERT_EQ(read.spec.secret_keys.size(), 1U);
  EXPECT_EQ(read.spec.secret_keys[0].node, p.version.secrets[0].node);
  EXPECT_EQ(read.encode(), p.version.encode());
  // What is as usual isn't written: an older peer signs the same bytes.
  s = app_spec{};
  ASSERT_TRUE(app_version::decode(plain, read));
  EXPECT_EQ(read.encode(), plain);
}

// [4] The group secret is sealed to each voter.
TEST(app_papers, each_voter_opens_the_group_secret_and_no_other_node) {
  papers p;
  const auto context = group_secret_context(p.genesis.nonce);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t box = 0; box < 3; ++box) {
      secret_bytes<32> got;
      const bool ok =
          open_secret(p.nodes[i], context, p.version.secrets[box].secret, got);
      EXPECT_EQ(ok, i == box);
      if (ok) {
        EXPECT_EQ(group_secret_hash(got), p.genesis.secret_hash);
      }
    }
}

// [11] The app id is the hash of the genesis, which never changes.
TEST(app_papers, every_part_of_the_genesis_is_in_the_app_id) {
  const papers p;
  const auto differs = [&](auto&& change) {
    auto other = p.genesis;
    change(other);
    EXPECT_NE(id_of(other), id_of(p.genesis));
  };
  differs([](auto& g) { g.name = "ledgers"; });
  differs([](auto& g) { g.nonce[0] ^= 1; });
  differs([](auto& g) { g.owner = owner_id{}; });
  differs([](auto& g) { g.lineage = lineage_id{}; });
  differs([](auto& g) { g.secret_hash = digest{}; });
  differs([](auto& g) { g.voters.pop_back(); });
  differs([](auto& g) { g.voters[1][2].replica = replica_id{}; });
}

TEST(app_papers, no_flipped_byte_opens_and_no_truncation_decodes) {
  papers p;
  p.sign_deletion(p.owner, id_of(p.genesis));
  const bytes wire = p.out.encode();
  ASSERT_TRUE(p.open().ok());
  int decoded = 0;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    app_papers read;
    EXPECT_FALSE(app_papers::decode(const_bytes{wire}.first(i), read));
    auto bad = wire;
    bad[i] ^= 0x20;
    if (app_papers::decode(bad, read)) {
      ++decoded;
      EXPECT_FALSE(open_papers(read, p.mesh, {p.owner.owner()}).ok()) << i;
    }
  }
  EXPECT_GT(decoded, 0);
}

TEST(app_papers, an_owner_that_is_not_trusted_is_refused) {
  const papers p;
  const auto opened = open_papers(p.out, p.mesh, {});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), papers_errc::untrusted);
}

TEST(app_papers, of_another_mesh_are_refused) {
  const papers p;
  const auto other = make_mesh_id("other", p.owner.owner());
  const auto opened = open_papers(p.out, other, {p.owner.owner()});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error(), papers_errc::bad_signature);
}

TEST(app_papers, all_must_be_signed_by_the_owner_of_the_genesis) {
  papers p;
  const auto stranger = identity::generate(p.random);
  p.signed_by(p.owner, stranger);
  EXPECT_EQ(p.error(), papers_errc::malformed);
  p.signed_by(stranger, p.owner);
  EXPECT_EQ(p.error(), papers_errc::malformed);
  p.sign();
  p.out.version.signer = p.owner.owner();
  p.out.version.by = stranger.sign(sign_kind::spec, p.mesh, p.out.version.body);
  EXPECT_EQ(p.error(), papers_errc::bad_signature);
  p.sign();
  p.sign_deletion(stranger, id_of(p.genesis));
  EXPECT_EQ(p.error(), papers_errc::malformed);
}

TEST(app_papers, must_all_be_about_one_app) {
  {
    papers p;
    p.version.app = app_id{};
    p.sign();
    EXPECT_EQ(p.error(), papers_errc::malformed);
  }
  {
    papers p;
    p.version.spec.name = "other";
    p.sign();
    EXPECT_EQ(p.error(), papers_errc::malformed);
  }
  {
    papers p; // [6] shards are fixed at birth
    p.version.spec.shards = 4;
    p.sign();
    EXPECT_EQ(p.error(), papers_errc::malformed);
  }
  {
    papers p;
    p.sign_deletion(p.owner, app_id{});
    EXPECT_EQ(p.error(), papers_errc::malformed);
  }
}

TEST(app_papers, a_document_is_of_its_kind) {
  papers p;
  p.out.genesis = p.out.version;
  EXPECT_EQ(p.error(), papers_errc::malformed);
}

TEST(app_papers, a_signed_deletion_ends_the_app) {
  papers p;
  p.sign_deletion(p.owner, id_of(p.genesis));
  const auto opened = p.open();
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened->deleted);
}

TEST(app_genesis, that_names_no_voters_is_none) {
  papers p;
  app_genesis read;
  p.genesis.voters.clear();
  EXPECT_FALSE(app_genesis::decode(p.genesis.encode(), read));
  p.genesis.voters.resize(2);
  EXPECT_FALSE(app_genesis::decode(p.genesis.encode(), read));
}

// [6] Stateless apps have no groups, and what an app is, it is from birth on.
TEST(app_papers, a_stateless_app_is_born_without_voters) {
  papers p;
  p.genesis.name = p.version.spec.name = "hello";
  p.genesis.voters.assign(1, {});
  p.version.spec.kind = app_kind::stateless;
  p.version.spec.shards = 1;
  p.version.spec.replicas = 5;
  p.version.secrets.clear();
  p.version.app = id_of(p.genesis);
  p.sign();
  auto opened = p.open();
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened->genesis.stateless());
  EXPECT_EQ(opened->version.spec.replicas, 5U);
  p.version.spec.kind = app_kind::durable;
  p.sign();
  EXPECT_EQ(p.error(), papers_errc::malformed);
}

// An older build took the kind and made groups: they are served as what they
// are, and can be updated and removed.
TEST(app_papers, of_a_stateless_app_with_voters_are_read_as_a_durable_ones) {
  papers p;
  p.version.spec.kind = app_kind::stateless;
  p.version.spec.replicas = 2; // `instances`, of any number to 7
  p.sign();
  app_papers read;
  ASSERT_TRUE(app_papers::decode(p.out.encode(), read));
  auto opened = open_papers(read, p.mesh, {p.owner.owner()});
  ASSERT_TRUE(opened.ok());
  EXPECT_TRUE(opened->read_as_groups);
  EXPECT_EQ(opened->version.spec.kind, app_kind::durable);
  EXPECT_EQ(opened->version.spec.replicas, 3U);
  EXPECT_EQ(opened->version.spec.shards, 2U);
  EXPECT_EQ(why_invalid(opened->version.spec), "");

  auto next = p.version.spec;
  next.kind = app_kind::durable;
  next.replicas = 5;
  const auto updated =
      open_papers(sign_update(p.owner, p.mesh, *opened, next, 2), p.mesh,
                  {p.owner.owner()});
  ASSERT_TRUE(updated.ok());
  EXPECT_FALSE(updated->read_as_groups);
  const auto removed = open_papers(sign_removal(p.owner, p.mesh, *opened),
                                   p.mesh, {p.owner.owner()});
  ASSERT_TRUE(removed.ok());
  EXPECT_TRUE(removed->deleted);

  p.version.spec.replicas = 9; // no build ever took these
  p.sign();
  EXPECT_EQ(p.error(), papers_errc::malformed);
}

// What stands in the logs of its groups.
TEST(app_spec, of_a_stateless_app_with_shards_is_read) {
  papers p;
  p.version.spec.kind = app_kind::stateless;
  EXPECT_FALSE(why_invalid(p.version.spec).empty()) << "nobody deploys it now";
  app_spec read;
  ASSERT_TRUE(decode(encode(p.version.spec), read));
  read_as_groups(read);
  EXPECT_EQ(why_invalid(read), "");
}

TEST(app_genesis, that_names_a_node_twice_in_one_group_is_none) {
  papers p;
  app_genesis read;
  ASSERT_TRUE(app_genesis::decode(p.genesis.encode(), read));
  p.genesis.voters[1][2].node = p.genesis.voters[1][0].node;
  EXPECT_FALSE(app_genesis::decode(p.genesis.encode(), read));
}

TEST(app_spec, is_checked_when_it_comes_from_afar) {
  papers p;
  const auto refused = [&](auto&& change) {
    auto v = p.version;
    change(v.spec);
    app_version read;
    EXPECT_FALSE(app_version::decode(v.encode(), read));
    EXPECT_FALSE(why_invalid(v.spec).empty());
  };
  refused([](auto& s) { s.name = "../etc"; });
  refused([](auto& s) { s.module = "a/b"; });
  refused([](auto& s) { s.shards = 0; });
  refused([](auto& s) { s.shards = 1025; });
  refused([](auto& s) { s.replicas = 2; });
  refused([](auto& s) { s.replicas = 9; });
  refused([](auto& s) {
    s.kind = app_kind::stateless;
    s.shards = 1;
    s.replicas = 0;
  });
  refused([](auto& s) {
    s.kind = app_kind::stateless;
    s.shards = 1;
    s.replicas = instances_max + 1;
  });
  refused([](auto& s) { s.token_hash = to_bytes("short"); });
  refused([](auto& s) { s.replace_after = 1ms; });
  refused([](auto& s) { s.memory_max = 1 << 20; });
  refused([](auto& s) { s.turn_time_max = 1ms; });
  refused([](auto& s) { s.turn_time_max = 1h; });
  refused([](auto& s) { s.update_watch = 25h; });
  refused([](auto& s) { s.modules = {{"x86_64-linux", digest{}, 0}}; });
  refused([](auto& s) {
    s.modules = {{"x86_64-linux", digest{}, module_bytes_max + 1}};
  });
  refused([](auto& s) { s.modules = {{"../x", digest{}, 1}}; });
  refused([](auto& s) {
    s.modules = {{"b", digest{}, 1}, {"a", digest{}, 1}};
  });
}

} // namespace
} // namespace banyan
