#include "disk_rig.hpp"
#include "store/detail/document_file.hpp"
#include "store/detail/memory_files.hpp"

namespace banyan::store::test {
namespace {

using namespace banyan::store::detail;

struct rig {
  std::unique_ptr<memory_files> files = std::make_unique<memory_files>();
  seeded_random random{5};
  std::optional<document_file> file;

  void open() {
    file.reset();
    auto opened = document_file::open(*files, random, "documents", "aside");
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    file.emplace(std::move(*opened));
  }
  outcome put(const std::string& name, const std::string& content) {
    return file->append({{1, to_bytes(name), to_bytes(content)}});
  }
  std::string get(const std::string& name) {
    const auto found = file->content().find({1, to_bytes(name)});
    return found == file->content().end() ? "nothing"
                                          : to_text(found->second.view());
  }
  bool damaged() {
    return file->content().count({damage_kind, to_bytes("damaged")}) == 1;
  }
  bytes& raw() { return *files->content("documents"); }
  std::size_t end() {
    auto n = raw().size();
    while (n > 0 && raw()[n - 1] == 0)
      --n;
    return (n + 511) / 512 * 512;
  }
};

TEST(documents, torn_tail_at_every_byte_is_tolerated) {
  rig made;
  made.open();
  ASSERT_TRUE(made.put("a", "1").ok());
  const auto begin = made.end();
  ASSERT_TRUE(made.put("a", "2").ok());
  const auto end = made.end();
  for (auto cut = begin; cut < end; ++cut) {
    rig torn;
    torn.files = made.files->copy();
    const auto at = torn.raw().begin() + static_cast<std::ptrdiff_t>(cut);
    const bool whole =
        std::all_of(at, torn.raw().end(), [](auto b) { return b == 0; });
    std::fill(at, torn.raw().end(), std::uint8_t{0});
    auto& mark = *torn.files->content("documents.synced");
    std::fill(mark.begin(), mark.end(), std::uint8_t{0});
    torn.open();
    ASSERT_FALSE(torn.damaged()) << cut;
    ASSERT_EQ(torn.get("a"), whole ? "2" : "1") << cut;
    ASSERT_TRUE(torn.put("b", "later").ok());
    torn.open();
    ASSERT_FALSE(torn.damaged());
    ASSERT_EQ(torn.get("b"), "later");
  }
}

TEST(documents, a_flipped_byte_before_the_last_record_is_damage) {
  rig made;
  made.open();
  for (const auto* name : {"a", "b", "c"})
    ASSERT_TRUE(made.put(name, name).ok());
  const auto last = made.end() - 512;
  for (std::size_t at = 0; at < last; at += 3) {
    rig bad;
    bad.files = made.files->copy();
    bad.raw()[at] ^= 4;
    bad.open();
    ASSERT_TRUE(bad.damaged()) << at;
    if (at >= 512) {
      EXPECT_EQ(bad.get("c"), "c"); // what can be read is kept
    }
    EXPECT_NE(bad.files->content("aside/documents-0"), nullptr);
    bad.open();
    ASSERT_TRUE(bad.damaged()); // until the node says otherwise
    ASSERT_TRUE(
        bad.file->append({{damage_kind, to_bytes("damaged"), std::nullopt}})
            .ok());
    bad.open();
    ASSERT_FALSE(bad.damaged());
  }
}

TEST(documents, a_lost_file_or_synced_tail_is_damage) {
  rig made;
  made.open();
  ASSERT_TRUE(made.put("a", "1").ok());
  rig cut;
  cut.files = made.files->copy();
  std::fill(cut.raw().begin() + 512, cut.raw().end(), std::uint8_t{0});
  cut.open();
  EXPECT_TRUE(cut.damaged());
  made.file.reset();
  ASSERT_TRUE(made.files->remove("documents").ok());
  made.open();
  EXPECT_TRUE(made.damaged());
}

TEST(documents, crashes_leave_the_old_or_the_new) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    rig r;
    r.random = seeded_random{seed};
    r.open();
    std::string value = "0";
    for (int i = 1; i <= 40; ++i) {
      // Big enough to make the file be rewritten now and then.
      const auto next = std::to_string(i) + std::string(20'000, 'x');
      if (r.random.chance(0.1)) {
        r.files->fail_next_sync();
        ASSERT_FALSE(r.put("k", next).ok());
        r.files->crash(r.random);
        r.open();
        ASSERT_FALSE(r.damaged()) << seed;
        ASSERT_TRUE(r.get("k") == value || r.get("k") == next
                    || (value == "0" && r.get("k") == "nothing"))
            << seed << " " << i;
        if (r.get("k") == next)
          value = next;
        continue;
      }
      ASSERT_TRUE(r.put("k", next).ok());
      value = next;
      if (r.random.chance(0.2)) {
        r.files->crash(r.random);
        r.open();
        ASSERT_EQ(r.get("k"), value) << seed;
      }
    }
    EXPECT_LT(r.raw().size(), 1u << 20);
  }
}

TEST(documents, a_full_disk_is_an_error_and_small_things_still_fit) {
  rig r;
  r.open();
  ASSERT_TRUE(r.put("a", "1").ok());
  r.files->set_quota(r.files->used());
  EXPECT_EQ(r.put("big", std::string(1 << 20, 'x')).error().code,
            store_errc::full);
  EXPECT_TRUE(r.put("incarnation", "8").ok());
  r.open();
  EXPECT_EQ(r.get("incarnation"), "8");
  EXPECT_EQ(r.get("big"), "nothing");
  EXPECT_FALSE(r.damaged());
}

} // namespace
} // namespace banyan::store::test
