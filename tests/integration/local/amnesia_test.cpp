// Directories that were copied, restored or damaged while their peer was down:
// whatever may have lost a vote comes back under a new replica id, by itself.
#include "actors/node/names.hpp"
#include "counter/counter.hpp"
#include "store/data_dir.hpp"

#include <banyan/testing.hpp>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace {

namespace fs = std::filesystem;
using banyan::testing::local_mesh;
using namespace std::chrono_literals;

class amnesia : public ::testing::Test {
protected:
  amnesia() {
    mesh.add_app<counter>();
    banyan::testing::app_options o;
    o.shards = 1;
    mesh.deploy("counter", o);
    count(3);
  }

  void count(int n) {
    for (int i = 0; i < n; ++i) {
      const auto sum = mesh.call<&counter::add>("hits", {1});
      ASSERT_TRUE(sum.ok()) << sum.error().code << ": " << sum.error().message;
      EXPECT_EQ(*sum, ++counted);
    }
  }
  fs::path dir(std::size_t node) { return mesh.data_directory(node); }
  fs::path beside(std::size_t node) { return dir(node).string() + ".copy"; }
  /// What a peer's documents say, read from a copy of them: it may run.
  std::string replica_of(std::size_t node) {
    const auto look = dir(node).string() + ".look";
    fs::remove_all(look);
    fs::create_directory(look);
    for (const auto* file : {"documents.synced", "documents"}) // in this order
      fs::copy_file(dir(node) / file, fs::path{look} / file);
    auto opened = banyan::store::data_dir::open(look);
    EXPECT_TRUE(opened.ok());
    banyan::store::disk_options options;
    options.post = [](std::function<void()>) {};
    auto disk = banyan::store::open_disk(*opened, options);
    EXPECT_TRUE(disk.ok());
    std::string id;
    for (const auto& [name, content] : disk->documents->list(
             static_cast<std::uint8_t>(banyan::actors::document_kind::replica)))
      id += banyan::to_hex(content.view());
    return id;
  }
  void replace_by_copy(std::size_t node) {
    fs::copy(dir(node), beside(node), fs::copy_options::recursive);
    fs::remove_all(dir(node));
    fs::rename(beside(node), dir(node));
  }
  void expect_well(std::size_t node) {
    mesh.wait_healthy(20s);
    count(2);
    EXPECT_EQ(*mesh.call_at<&counter::get>(node, "hits"), counted);
    EXPECT_EQ(mesh.fault(node), "");
  }

  /// Once the peer has a replica of another id than `before`.
  std::string new_id_of(std::size_t node, const std::string& before) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    for (;;) {
      const auto id = replica_of(node);
      if (id.size() == before.size() && id != before)
        return id;
      if (std::chrono::steady_clock::now() > end)
        return "still " + id;
      std::this_thread::sleep_for(20ms);
    }
  }

  local_mesh mesh{3};
  int counted = 0;
};

TEST_F(amnesia, a_copied_directory_comes_back_under_a_new_replica_id) {
  mesh.kill(1);
  const auto before = replica_of(1);
  count(2);
  replace_by_copy(1);
  mesh.restart(1);
  const auto after = new_id_of(1, before);
  EXPECT_EQ(after.size(), before.size()) << after;
  EXPECT_FALSE(fs::is_empty(dir(1) / "aside")) << "the old log is kept";
  expect_well(1);
  mesh.restart(1); // not a copy any more
  expect_well(1);
  mesh.kill(1);
  EXPECT_EQ(replica_of(1), after);
}

TEST_F(amnesia, the_copy_of_a_stopped_peer_goes_on_as_it_is) {
  mesh.stop(1);
  const auto before = replica_of(1);
  replace_by_copy(1);
  mesh.restart(1);
  expect_well(1);
  mesh.kill(1);
  EXPECT_EQ(replica_of(1), before);
}

TEST_F(amnesia, a_restored_image_halts_once_and_comes_back_as_a_learner) {
  mesh.stop(1);
  const auto before = replica_of(1);
  // The image keeps its inodes and its word that the stop was clean: only the
  // others know that it is old.
  fs::copy(dir(1), beside(1), fs::copy_options::recursive);
  const auto image = dir(1).string() + ".image";
  fs::rename(dir(1), image);
  fs::rename(beside(1), dir(1));
  mesh.restart(1);
  mesh.wait_healthy(20s);
  count(3);
  mesh.kill(1);
  fs::remove_all(dir(1));
  fs::rename(image, dir(1));
  mesh.restart(1);
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (mesh.fault(1).empty() && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(5ms);
  EXPECT_NE(mesh.fault(1).find("restored from an image"), std::string::npos)
      << mesh.fault(1);
  mesh.restart(1);
  const auto after = new_id_of(1, before);
  EXPECT_EQ(after.size(), before.size()) << after;
  EXPECT_FALSE(fs::is_empty(dir(1) / "aside")) << "the old log is kept";
  expect_well(1);
  mesh.restart(1);
  expect_well(1);
}

TEST_F(amnesia, damaged_documents_give_up_the_replicas) {
  mesh.kill(1);
  const auto before = replica_of(1);
  {
    std::fstream f{dir(1) / "documents",
                   std::ios::in | std::ios::out | std::ios::binary};
    f.seekp(512 + 100);
    f.put('\x5a');
  }
  mesh.restart(1);
  const auto after = new_id_of(1, before);
  EXPECT_EQ(after.size(), before.size()) << after;
  EXPECT_FALSE(fs::is_empty(dir(1) / "aside")) << "the old log is kept";
  expect_well(1);
  mesh.restart(1);
  expect_well(1);
}

} // namespace
