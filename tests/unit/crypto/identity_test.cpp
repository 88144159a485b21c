#include "base/codec.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"
#include "crypto/sealed_box.hpp"
#include "crypto/system_random.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

namespace banyan {
namespace {

namespace fs = std::filesystem;

class folder {
public:
  folder() {
    std::string name = (fs::temp_directory_path() / "banyan-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { fs::remove_all(path_); }
  fs::path operator/(const char* name) const { return path_ / name; }
  [[nodiscard]] const fs::path& path() const { return path_; }

private:
  fs::path path_;
};

mesh_id mesh_of(std::uint8_t fill) {
  std::array<std::uint8_t, 32> raw{};
  raw.fill(fill);
  return mesh_id{raw};
}

unsigned mode_of(const fs::path& file) {
  struct stat info {};
  EXPECT_EQ(::stat(file.c_str(), &info), 0);
  return info.st_mode & 07777U;
}

void put(const fs::path& file, std::string_view text, mode_t mode = 0600) {
  std::ofstream{file} << text;
  ASSERT_EQ(::chmod(file.c_str(), mode), 0);
}

TEST(identity, the_key_file_makes_the_same_node_again) {
  const folder dir;
  system_random random;
  const auto file = dir / "node.key";
  auto first = identity::load_or_create(file, random);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(mode_of(file), 0600U);
  auto second = identity::load_or_create(file, random);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->id(), second->id());
  // nothing else is left in the folder
  EXPECT_EQ(std::distance(fs::directory_iterator{dir.path()},
                          fs::directory_iterator{}),
            1);
}

TEST(identity, a_key_file_is_0600_whatever_the_umask) {
  const folder dir;
  system_random random;
  const auto before = ::umask(0);
  const auto saved = identity::generate(random).save(dir / "k");
  ::umask(before);
  ASSERT_TRUE(saved.ok());
  EXPECT_EQ(mode_of(dir / "k"), 0600U);
}

TEST(identity, a_key_that_others_can_read_is_refused_with_the_next_step) {
  const folder dir;
  system_random random;
  const auto file = dir / "node.key";
  ASSERT_TRUE(identity::load_or_create(file, random).ok());
  for (const mode_t mode : {0640, 0604, 0660, 0644, 0610, 0602}) {
    ASSERT_EQ(::chmod(file.c_str(), mode), 0);
    const auto loaded = identity::load_or_create(file, random);
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, key_file_errc::exposed);
    EXPECT_NE(loaded.error().message.find("chmod 600 " + file.string()),
              std::string::npos);
  }
  ASSERT_EQ(::chmod(file.c_str(), 0400), 0);
  EXPECT_TRUE(identity::load(file).ok());
}

TEST(identity, a_damaged_key_file_is_refused_and_kept) {
  const folder dir;
  system_random random;
  const auto file = dir / "node.key";
  const std::string good = "banyan key 1\n" + std::string(52, 'a') + "\n";
  for (const std::string& text :
       {std::string{}, std::string{"banyan key 1\n"},
        std::string{"banyan key 2\n"} + std::string(52, 'a'),
        good.substr(0, good.size() - 2), good + "x", good + "\n",
        std::string(70'000, 'x'),
        "banyan key 1\n" + std::string(51, 'a') + "1\n"}) {
    put(file, text);
    const auto loaded = identity::load_or_create(file, random);
    ASSERT_FALSE(loaded.ok()) << text.size();
    EXPECT_EQ(loaded.error().code, key_file_errc::malformed);
    EXPECT_NE(loaded.error().message.find(file.string()), std::string::npos);
    EXPECT_EQ(fs::file_size(file), text.size());
  }
  put(file, good);
  EXPECT_TRUE(identity::load(file).ok());
}

TEST(key_file, names_what_went_wrong) {
  const folder dir;
  auto error = key_file::read(dir / "none").error();
  EXPECT_EQ(error.code, key_file_errc::missing);
  error = key_file::read(dir.path()).error();
  EXPECT_EQ(error.code, key_file_errc::malformed);
  error = key_file::create(dir / "none" / "k", bytes(3)).error();
  EXPECT_EQ(error.code, key_file_errc::io);
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  error = key_file::read(dir / "pipe").error(); // doesn't hang
  EXPECT_EQ(error.code, key_file_errc::malformed);
}

TEST(key_file, is_never_overwritten) {
  const folder dir;
  ASSERT_TRUE(key_file::create(dir / "k", to_bytes("first")).ok());
  const auto again = key_file::create(dir / "k", to_bytes("second"));
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, key_file_errc::exists);
  EXPECT_EQ(as_text(*key_file::read(dir / "k")), "first");
  EXPECT_EQ(std::distance(fs::directory_iterator{dir.path()},
                          fs::directory_iterator{}),
            1);
}

// [4] Every signature covers `banyan 1`, kind, mesh id and bytes.
TEST(signing, covers_context_kind_mesh_and_bytes) {
  seeded_random random{5};
  const auto a = identity::generate(random);
  const auto b = identity::generate(random);
  const auto body = as_bytes("a record");
  const auto by = a.sign(sign_kind::member, mesh_of(1), body);
  EXPECT_TRUE(verify(a.id(), sign_kind::member, mesh_of(1), body, by));
  EXPECT_TRUE(verify(a.owner(), sign_kind::member, mesh_of(1), body, by));
  EXPECT_FALSE(verify(b.id(), sign_kind::member, mesh_of(1), body, by));
  EXPECT_FALSE(verify(a.id(), sign_kind::report, mesh_of(1), body, by));
  EXPECT_FALSE(verify(a.id(), sign_kind::member, mesh_of(2), body, by));
  EXPECT_FALSE(
      verify(a.id(), sign_kind::member, mesh_of(1), as_bytes("a recorD"), by));
  EXPECT_FALSE(verify(a.id(), sign_kind::member, mesh_of(1), body, {}));
  EXPECT_FALSE(verify(node_id{}, sign_kind::member, mesh_of(1), body, by));
  EXPECT_FALSE(
      verify(a.id(), static_cast<sign_kind>(200), mesh_of(1), body, by));
  for (std::size_t i = 0; i < signature::size; ++i) {
    auto raw = by.array();
    raw[i] ^= 1;
    EXPECT_FALSE(
        verify(a.id(), sign_kind::member, mesh_of(1), body, signature{raw}));
  }
}

TEST(signing, what_is_signed_is_as_documented) {
  const auto got = signed_bytes(sign_kind::link, mesh_of(9), as_bytes("xyz"));
  bytes expected = to_bytes("banyan 1\x06link 1");
  append(expected, mesh_of(9).view());
  append(expected, as_bytes("xyz"));
  EXPECT_EQ(got, expected);
}

TEST(signing, every_kind_has_a_context_of_its_own) {
  std::set<std::string_view> seen;
  for (std::uint8_t k = 1; k <= sign_kind_max; ++k) {
    const auto context = context_of(static_cast<sign_kind>(k));
    EXPECT_FALSE(context.empty());
    EXPECT_TRUE(seen.insert(context).second) << context;
  }
  EXPECT_TRUE(context_of(static_cast<sign_kind>(0)).empty());
  EXPECT_TRUE(context_of(static_cast<sign_kind>(sign_kind_max + 1)).empty());
}

TEST(signed_document, goes_through_the_wire_and_verifies) {
  seeded_random random{6};
  const auto owner = identity::generate(random);
  const auto doc = signed_document::make(owner, sign_kind::spec, mesh_of(1), 7,
                                         to_bytes("body"));
  EXPECT_TRUE(doc.verify(mesh_of(1)));
  EXPECT_FALSE(doc.verify(mesh_of(2)));
  signed_document read;
  ASSERT_TRUE(signed_document::decode(doc.encode(), read));
  EXPECT_EQ(read, doc);
  EXPECT_TRUE(read.verify(mesh_of(1)));
  read.version = 8; // covered too
  EXPECT_FALSE(read.verify(mesh_of(1)));
}

TEST(signed_document, every_truncation_is_refused_and_no_flip_verifies) {
  seeded_random random{6};
  const auto owner = identity::generate(random);
  const auto doc = signed_document::make(owner, sign_kind::deletion, mesh_of(1),
                                         1, to_bytes("body"));
  const bytes wire = doc.encode();
  for (std::size_t n = 0; n < wire.size(); ++n) {
    signed_document read;
    EXPECT_FALSE(signed_document::decode(const_bytes{wire}.first(n), read));
    bytes flipped = wire;
    flipped[n] ^= 0x10;
    if (signed_document::decode(flipped, read)) {
      EXPECT_FALSE(read.verify(mesh_of(1))) << n;
    }
  }
  bytes longer = wire;
  longer.push_back(0);
  signed_document read;
  EXPECT_FALSE(signed_document::decode(longer, read));
}

TEST(sealed_box, opens_for_its_node_and_context_alone) {
  seeded_random random{8};
  const auto voter = identity::generate(random);
  const auto other = identity::generate(random);
  const secret_bytes<32> secret{random};
  sealed_secret box;
  ASSERT_TRUE(seal_secret(voter.id(), as_bytes("app 1"), secret, random, box));
  secret_bytes<32> opened;
  ASSERT_TRUE(open_secret(voter, as_bytes("app 1"), box, opened));
  EXPECT_TRUE(opened == secret);
  EXPECT_FALSE(open_secret(other, as_bytes("app 1"), box, opened));
  EXPECT_FALSE(open_secret(voter, as_bytes("app 2"), box, opened));
  for (std::size_t i = 0; i < sealed_secret::size; ++i) {
    auto raw = box.array();
    raw[i] ^= 1;
    EXPECT_FALSE(
        open_secret(voter, as_bytes("app 1"), sealed_secret{raw}, opened))
        << i;
  }
}

TEST(sealed_box, two_boxes_of_one_secret_differ) {
  seeded_random random{8};
  const auto voter = identity::generate(random);
  const secret_bytes<32> secret{random};
  sealed_secret a;
  sealed_secret b;
  ASSERT_TRUE(seal_secret(voter.id(), {}, secret, random, a));
  ASSERT_TRUE(seal_secret(voter.id(), {}, secret, random, b));
  EXPECT_NE(a, b);
}

TEST(sealed_box, no_box_for_what_is_no_key) {
  seeded_random random{8};
  sealed_secret box;
  EXPECT_FALSE(seal_secret(node_id{}, {}, secret_bytes<32>{}, random, box));
}

TEST(mesh_key, roles_have_their_own_psk) {
  seeded_random random{9};
  const mesh_key a{random};
  const mesh_key b{random};
  const auto peer = derive_psk(a, link_role::peer);
  EXPECT_TRUE(peer == derive_psk(a, link_role::peer));
  EXPECT_TRUE(peer != derive_psk(a, link_role::client));
  EXPECT_TRUE(peer != derive_psk(b, link_role::peer));
  EXPECT_TRUE(peer != a);
}

TEST(mesh_key, the_mesh_id_names_name_and_owner) {
  seeded_random random{9};
  const auto a = identity::generate(random).owner();
  const auto b = identity::generate(random).owner();
  EXPECT_EQ(make_mesh_id("orchard", a), make_mesh_id("orchard", a));
  EXPECT_NE(make_mesh_id("orchard", a), make_mesh_id("orchard", b));
  EXPECT_NE(make_mesh_id("orchard", a), make_mesh_id("orchards", a));
}

TEST(mesh_key, everybody_derives_the_same_local_mesh) {
  // wire constants: other values would split the mesh between versions (made
  // again with Python's hashlib)
  EXPECT_EQ(to_hex(local_mesh_key().view()),
            "d34870efbfb279031453844100fec0dd9713dd5c7f2a3c19ab2e1a10e32fecd0");
  EXPECT_EQ(to_hex(derive_psk(local_mesh_key(), link_role::peer).view()),
            "8b2686a501d5d3c85979ee8943015b963cac023254b894fd99a4e508da1527d3");
  EXPECT_EQ(to_string(local_mesh_owner().id()),
            "ctp3iutuerqcbrx6zfdt6ldxj3azn3hxy27n5sn3dztxeok3gdea");
  EXPECT_EQ(to_string(local_mesh_id()),
            "afi67iccglpv73gyj7hnv3wzgncczezssjrs5lbgpjt2344vuniq");
}

TEST(mesh_key, a_group_proof_is_bound_to_link_prover_and_group) {
  seeded_random random{10};
  const secret_bytes<32> secret{random};
  const secret_bytes<32> other{random};
  const auto a = identity::generate(random).id();
  const auto b = identity::generate(random).id();
  const group_id g{app_id{}, 1};
  const bytes link = to_bytes("handshake hash");
  const auto proof = group_proof(secret, link, a, g);
  EXPECT_EQ(proof, group_proof(secret, link, a, g));
  EXPECT_NE(proof, group_proof(other, link, a, g));
  EXPECT_NE(proof, group_proof(secret, as_bytes("another"), a, g));
  EXPECT_NE(proof, group_proof(secret, link, b, g));
  EXPECT_NE(proof, group_proof(secret, link, a, group_id{app_id{}, 2}));
}

} // namespace
} // namespace banyan
