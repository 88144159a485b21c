// The files of apps' code: begun, gone on with, whole, rotten, dropped; on real
// files and on a simulated disk whose power goes.
#include "crypto/hash.hpp"
#include "store/detail/memory_files.hpp"
#include "store/detail/module_files.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace banyan::store::detail {
namespace {

namespace fs = std::filesystem;

bytes some_code(std::size_t size, std::uint64_t seed = 1) {
  seeded_random random{seed};
  bytes b(size);
  random.fill(b.data(), size);
  return b;
}

/// `code` in pieces, from where it is on.
void bring(module_files& m, const bytes& code, std::uint64_t from,
           std::size_t piece = 1000) {
  const auto name = hash(code);
  for (std::uint64_t at = from; at < code.size(); at += piece) {
    const auto n = std::min<std::uint64_t>(piece, code.size() - at);
    ASSERT_TRUE(m.append(name, at, const_bytes{code}.from(at).first(n)).ok());
  }
}

store_errc error_of(const outcome& r) {
  EXPECT_FALSE(r.ok());
  return r.ok() ? store_errc{} : r.error().code;
}

class files_on_disk : public ::testing::Test {
protected:
  files_on_disk() {
    std::string name = "/tmp/banyan-modules-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
    files = system_files(dir.string());
    modules = std::make_unique<module_files>(*files, "modules");
    EXPECT_TRUE(modules->look().ok());
  }
  ~files_on_disk() override { fs::remove_all(dir); }

  fs::path dir;
  std::unique_ptr<file_system> files;
  std::unique_ptr<module_files> modules;
};

TEST_F(files_on_disk, a_module_is_whole_once_its_hash_is_right) {
  const auto code = some_code(2'500'000);
  const auto name = hash(code);
  bring(*modules, code, 0, 300'000);
  auto found = modules->look();
  ASSERT_EQ(found->size(), 1U);
  EXPECT_FALSE(found->at(name).whole);
  EXPECT_EQ(found->at(name).bytes, code.size());
  ASSERT_TRUE(modules->finish(name).ok());
  EXPECT_TRUE(modules->look()->at(name).whole);
  EXPECT_EQ(modules->path(name),
            (dir / "modules" / (to_hex(name.view()) + ".so")).string());
  std::ifstream in{modules->path(name), std::ios::binary};
  const std::string got{std::istreambuf_iterator<char>{in}, {}};
  EXPECT_EQ(as_bytes(got), const_bytes{code});
  EXPECT_EQ(*modules->read(name, 2'400'000, 200'000),
            const_bytes{code}.from(2'400'000).copy());
  EXPECT_TRUE(modules->check(name).ok());
  struct ::stat st {};
  ASSERT_EQ(::stat(modules->path(name).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST_F(files_on_disk, wrong_bytes_are_gone_with_the_error) {
  const auto code = some_code(5000);
  const auto other = hash(some_code(10, 2));
  ASSERT_TRUE(modules->append(other, 0, code).ok());
  EXPECT_EQ(error_of(modules->finish(other)), store_errc::mismatch);
  EXPECT_TRUE(modules->look()->empty());
  EXPECT_EQ(error_of(modules->finish(other)), store_errc::stale);
  EXPECT_TRUE(modules->append(other, 0, code).ok()); // from the start again
}

TEST_F(files_on_disk, a_piece_goes_to_the_end_or_nowhere) {
  const auto code = some_code(5000);
  const auto name = hash(code);
  EXPECT_EQ(error_of(modules->append(name, 7, code)), store_errc::stale);
  ASSERT_TRUE(modules->append(name, 0, const_bytes{code}.first(2000)).ok());
  for (const std::uint64_t at : {0, 1999, 2001})
    EXPECT_EQ(error_of(modules->append(name, at, code)), store_errc::stale);
  bring(*modules, code, 2000);
  ASSERT_TRUE(modules->finish(name).ok());
  EXPECT_EQ(error_of(modules->append(name, 0, code)), store_errc::stale);
  EXPECT_EQ(error_of(modules->append(name, 5000, code)), store_errc::stale);
}

TEST_F(files_on_disk, a_restart_goes_on_where_it_was) {
  const auto code = some_code(10'000);
  const auto name = hash(code);
  ASSERT_TRUE(modules->append(name, 0, const_bytes{code}.first(4000)).ok());
  module_files later{*files, "modules"};
  ASSERT_EQ(later.look()->at(name).bytes, 4000U);
  bring(later, code, 4000);
  EXPECT_TRUE(later.finish(name).ok());
}

TEST_F(files_on_disk, rot_is_found_and_the_file_goes) {
  const auto code = some_code(10'000);
  const auto name = hash(code);
  bring(*modules, code, 0);
  ASSERT_TRUE(modules->finish(name).ok());
  std::fstream f{modules->path(name),
                 std::ios::binary | std::ios::in | std::ios::out};
  f.seekp(7777);
  f.put(static_cast<char>(code[7777] ^ 1));
  f.close();
  EXPECT_EQ(error_of(modules->check(name)), store_errc::damaged);
  EXPECT_TRUE(modules->look()->empty());
  EXPECT_EQ(error_of(modules->check(name)), store_errc::stale);
}

TEST_F(files_on_disk, what_is_no_module_is_let_alone) {
  const auto name = to_hex(hash(some_code(1)).view());
  std::string upper = name;
  for (auto& c : upper)
    c = static_cast<char>(::toupper(c));
  for (const auto& other : {std::string{"notes.so"}, name, name + ".txt",
                            upper + ".so", name.substr(1) + ".part"})
    std::ofstream{dir / "modules" / other} << "x";
  fs::create_symlink("/etc/hostname", dir / "modules" / (name + ".so"));
  const auto found = modules->look();
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->empty());
  digest hash_of_it;
  bytes b;
  ASSERT_TRUE(from_hex(name, b) && digest::from(b, hash_of_it));
  EXPECT_FALSE(modules->read(hash_of_it, 0, 10).ok()); // no link is followed
  EXPECT_FALSE(modules->check(hash_of_it).ok());
}

TEST_F(files_on_disk, a_dropped_one_is_gone_whole_or_not) {
  const auto a = some_code(3000, 3);
  const auto b = some_code(3000, 4);
  bring(*modules, a, 0);
  bring(*modules, b, 0);
  ASSERT_TRUE(modules->finish(hash(a)).ok());
  EXPECT_TRUE(modules->drop(hash(a)).ok());
  EXPECT_TRUE(modules->drop(hash(b)).ok());
  EXPECT_TRUE(modules->drop(hash(b)).ok());
  EXPECT_TRUE(modules->look()->empty());
}

/// What a process had done as it was stopped.
struct work {
  std::size_t appended = 0;
  bool finished = false;
};
work bring_as_far_as_it_goes(module_files& m, const bytes& code) {
  const auto name = hash(code);
  work w;
  const auto held = m.look();
  if (!held.ok())
    return w;
  std::uint64_t at = 0;
  if (const auto h = held->find(name); h != held->end()) {
    if (h->second.whole)
      return {code.size(), true};
    at = h->second.bytes;
  }
  for (; at < code.size(); at += 1000) {
    const auto n = std::min<std::uint64_t>(1000, code.size() - at);
    if (!m.append(name, at, const_bytes{code}.from(at).first(n)).ok())
      return w;
    w.appended = at + n;
  }
  w.finished = m.finish(name).ok();
  return w;
}

TEST(modules_in_a_crash, leave_the_whole_file_or_what_the_hash_tells) {
  const auto code = some_code(8000);
  const auto name = hash(code);
  std::size_t resumed = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    for (std::uint64_t cut = 1; cut <= 14; ++cut) {
      memory_files disk;
      seeded_random random{seed * 100 + cut};
      disk.cut_power_after(cut);
      bool finished = false;
      {
        module_files m{disk, "modules"};
        finished = bring_as_far_as_it_goes(m, code).finished;
      }
      disk.crash(random);
      module_files m{disk, "modules"};
      const auto held = m.look();
      ASSERT_TRUE(held.ok());
      const auto at = held->find(name);
      if (finished) {
        ASSERT_TRUE(at != held->end() && at->second.whole);
      }
      if (at != held->end() && at->second.whole) {
        ASSERT_TRUE(m.check(name).ok()) << "seed " << seed << " cut " << cut;
        continue;
      }
      // Once with what the crash left, and if that was bad once without.
      resumed += at != held->end() ? 1 : 0;
      if (at == held->end() || at->second.bytes <= code.size())
        static_cast<void>(bring_as_far_as_it_goes(m, code));
      if (!m.look()->count(name)) {
        EXPECT_TRUE(bring_as_far_as_it_goes(m, code).finished);
      }
      EXPECT_TRUE(m.check(name).ok()) << "seed " << seed << " cut " << cut;
    }
  EXPECT_GT(resumed, 50U);
}

TEST(modules_on_a_full_disk, keep_nothing_of_the_piece) {
  memory_files disk;
  module_files m{disk, "modules"};
  const auto code = some_code(8000);
  const auto name = hash(code);
  ASSERT_TRUE(m.append(name, 0, const_bytes{code}.first(3000)).ok());
  disk.set_quota(disk.used() + 100);
  EXPECT_EQ(error_of(m.append(name, 3000, const_bytes{code}.from(3000))),
            store_errc::full);
  EXPECT_EQ(m.look()->at(name).bytes, 3000U);
  disk.set_quota(UINT64_MAX);
  bring(m, code, 3000);
  EXPECT_TRUE(m.finish(name).ok());
}

} // namespace
} // namespace banyan::store::detail
