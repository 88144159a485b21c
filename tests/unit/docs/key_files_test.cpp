#include "actors/docs/key_files.hpp"
#include "folder.hpp"

namespace banyan {
namespace {

using test::contains;
using test::folder;
using test::put;
using test::text_of;

TEST(init, makes_mesh_and_owner_file) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->mesh, dir / "orchard.mesh");
  EXPECT_EQ(made->owner_file, dir / "orchard.owner");
  const auto mesh = mesh_file::load(made->mesh);
  ASSERT_TRUE(mesh.ok());
  EXPECT_EQ(mesh->name, "orchard");
  EXPECT_EQ(mesh->id, made->id);
  EXPECT_EQ(mesh->keys.size(), 1U);
  EXPECT_EQ(mesh->owners, std::vector<owner_id>{made->owner});
  const auto owner = owner_file::load(made->owner_file);
  ASSERT_TRUE(owner.ok());
  EXPECT_EQ(owner->mesh_name, "orchard");
  EXPECT_EQ(owner->mesh, made->id);
  EXPECT_EQ(owner->key.owner(), made->owner);
  for (const auto& file : {made->mesh, made->owner_file}) {
    struct stat info {};
    ASSERT_EQ(::stat(file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777U, 0600U);
  }
}

TEST(init, overwrites_nothing_and_leaves_no_half) {
  const folder dir;
  seeded_random random{1};
  put(dir / "orchard.mesh", "precious");
  const auto made = init_mesh(dir.path(), "orchard", random);
  ASSERT_FALSE(made.ok());
  EXPECT_FALSE(made.error().usage);
  EXPECT_TRUE(contains(made.error().message, "orchard.mesh: is there already"));
  EXPECT_EQ(text_of(dir / "orchard.mesh"), "precious");
  EXPECT_FALSE(std::filesystem::exists(dir / "orchard.owner"));
}

TEST(init, refuses_names_that_are_none) {
  const folder dir;
  seeded_random random{1};
  for (const char* name :
       {"", "Orchard", "9lives", "../etc", "a/b", "a.b", "local", "a b",
        "an-orchard-of-a-name-that-has-more-than-sixty-three-characters-x"}) {
    const auto made = init_mesh(dir.path(), name, random);
    ASSERT_FALSE(made.ok()) << name;
    EXPECT_TRUE(made.error().usage);
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(keygen, a_client_key_is_the_clients_psk_and_no_more) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  ASSERT_TRUE(made.ok());
  const auto file = make_client_key(made->mesh);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*file, dir / "orchard.client");
  const auto client = client_file::load(*file);
  ASSERT_TRUE(client.ok());
  const auto mesh = mesh_file::load(made->mesh);
  EXPECT_TRUE(client->key == derive_psk(mesh->keys[0], link_role::client));
  EXPECT_EQ(client->mesh, made->id);
  EXPECT_EQ(client->mesh_name, "orchard");
  EXPECT_FALSE(contains(text_of(*file), to_base32(mesh->keys[0].view())));
  EXPECT_FALSE(make_client_key(made->mesh).ok()); // never overwritten
  EXPECT_FALSE(make_client_key(dir / "none.mesh").ok());
}

TEST(keygen, a_node_key_is_what_a_peer_loads) {
  const folder dir;
  seeded_random random{1};
  const auto id = make_node_key(dir / "node.key", random);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(identity::load(dir / "node.key")->id(), *id);
  EXPECT_FALSE(make_node_key(dir / "node.key", random).ok());
}

// A key or mesh file that others can read.
TEST(mesh_file, that_others_can_read_is_refused_with_the_next_step) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  ASSERT_EQ(::chmod(made->mesh.c_str(), 0644), 0);
  const auto mesh = mesh_file::load(made->mesh);
  ASSERT_FALSE(mesh.ok());
  EXPECT_EQ(mesh.error().code, key_file_errc::exposed);
  EXPECT_TRUE(contains(mesh.error().message, "chmod 600 "));
}

TEST(mesh_file, holds_up_to_four_keys_for_rotation) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  auto mesh = std::move(*mesh_file::load(made->mesh));
  for (int i = 0; i < 3; ++i)
    mesh.keys.emplace_back(random);
  ASSERT_TRUE(mesh.save(dir / "four.mesh").ok());
  const auto four = mesh_file::load(dir / "four.mesh");
  ASSERT_TRUE(four.ok());
  ASSERT_EQ(four->keys.size(), 4U);
  EXPECT_TRUE(four->keys[3] == mesh.keys[3]);
  mesh.keys.emplace_back(random);
  ASSERT_TRUE(mesh.save(dir / "five.mesh").ok());
  const auto five = mesh_file::load(dir / "five.mesh");
  ASSERT_FALSE(five.ok());
  EXPECT_TRUE(contains(five.error().message, "more than four mesh keys"));
}

TEST(mesh_file, damage_is_named_by_line_and_never_shown) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  const std::string good = text_of(made->mesh);
  const auto load = [&](const std::string& text) {
    const auto file = dir / "damaged.mesh";
    put(file, text);
    auto mesh = mesh_file::load(file);
    EXPECT_FALSE(mesh.ok());
    return mesh.ok() ? std::string{} : mesh.error().message;
  };
  auto cut = good;
  cut.erase(cut.find("\nkey ") + 30, 5);
  EXPECT_TRUE(contains(load(cut), "damaged.mesh:5: no mesh key"));
  EXPECT_FALSE(contains(load(cut), cut.substr(cut.find("\nkey ") + 5, 20)));
  EXPECT_TRUE(contains(load("banyan owner 1\n"), "not a 'banyan mesh 1' file"));
  EXPECT_TRUE(contains(load(""), "not a 'banyan mesh 1' file"));
  EXPECT_TRUE(contains(load(good + "colour green\n"), "a word that no"));
  EXPECT_TRUE(contains(load("banyan mesh 1\nname orchard\n"), "lacks a name"));
  auto renamed = good;
  renamed.replace(renamed.find("name orchard"), 12, "name garden1");
  EXPECT_TRUE(contains(load(renamed), "its id isn't that of its name"));
}

TEST(mesh_file, any_one_changed_byte_is_refused_or_means_another_key) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  const std::string good = text_of(made->mesh);
  const auto key_at = good.find("\nkey ") + 5;
  const auto comment_at = good.find('#');
  const auto comment_end = good.find('\n', comment_at);
  for (std::size_t i = 0; i < good.size(); ++i) {
    if ((i >= comment_at && i < comment_end)
        || (i >= key_at && i < key_at + 52))
      continue;
    auto bad = good;
    bad[i] = bad[i] == 'q' ? 'r' : 'q';
    put(dir / "bad.mesh", bad);
    EXPECT_FALSE(mesh_file::load(dir / "bad.mesh").ok()) << i;
  }
}

TEST(owner_file, and_client_file_are_not_taken_for_each_other) {
  const folder dir;
  seeded_random random{1};
  const auto made = init_mesh(dir.path(), "orchard", random);
  const auto client = make_client_key(made->mesh);
  EXPECT_FALSE(owner_file::load(*client).ok());
  EXPECT_FALSE(owner_file::load(made->mesh).ok());
  EXPECT_FALSE(client_file::load(made->mesh).ok());
  EXPECT_FALSE(client_file::load(made->owner_file).ok());
  EXPECT_FALSE(mesh_file::load(*client).ok());
}

TEST(local_mesh, has_keys_that_everybody_derives) {
  const auto mesh = mesh_file::local();
  EXPECT_EQ(mesh.name, "local");
  EXPECT_EQ(mesh.id, local_mesh_id());
  EXPECT_EQ(mesh.owners[0], owner_file::local().key.owner());
}

} // namespace
} // namespace banyan
