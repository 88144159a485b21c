#include "disk_rig.hpp"
#include "log_rig.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace banyan::store::test {
namespace {

TEST(data_dir, is_made_for_its_owner_only) {
  scratch_folder folder;
  auto dir = data_dir::open(folder.path() / "a" / "b");
  ASSERT_TRUE(dir.ok()) << dir.error().message;
  struct stat st {};
  ASSERT_EQ(::stat(dir->path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  for (const auto& sub : {dir->log_path(), dir->state_path()}) {
    ASSERT_EQ(::stat(sub.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0700u);
  }
}

TEST(data_dir, in_use_names_the_process) {
  scratch_folder folder;
  auto dir = data_dir::open(folder.path() / "d");
  ASSERT_TRUE(dir.ok());
  auto again = data_dir::open(folder.path() / "d");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, store_errc::in_use);
  EXPECT_NE(again.error().message.find(std::to_string(::getpid())),
            std::string::npos);
  { auto gone = std::move(*dir); }
  EXPECT_TRUE(data_dir::open(folder.path() / "d").ok());
}

TEST(data_dir, another_process_is_refused) {
  scratch_folder folder;
  auto dir = data_dir::open(folder.path() / "d");
  ASSERT_TRUE(dir.ok());
  const auto child = ::fork();
  if (child == 0) {
    auto again = data_dir::open(folder.path() / "d");
    ::_exit(!again && again.error().code == store_errc::in_use ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(data_dir, a_network_file_system_is_refused) {
  scratch_folder folder;
  for (const std::int64_t type :
       {0x6969LL, 0xff534d42LL, 0x65735546LL, 0x01021997LL}) {
    data_dir::options how;
    how.statfs =
        [type](const std::string&) -> result<std::int64_t, store_error> {
      return type;
    };
    auto dir = data_dir::open(folder.path() / "d", how);
    ASSERT_FALSE(dir.ok());
    EXPECT_EQ(dir.error().code, store_errc::network_fs);
    EXPECT_NE(dir.error().message.find("local disk"), std::string::npos);
  }
  EXPECT_FALSE(is_network_file_system(0xef53));     // ext4
  EXPECT_FALSE(is_network_file_system(0x01021994)); // tmpfs
  // A negative 32-bit value, as some ABIs give it.
  EXPECT_TRUE(is_network_file_system(-11317950)); // 0xff534d42
}

TEST(data_dir, a_file_in_the_way_is_unreadable) {
  scratch_folder folder;
  std::ofstream{folder.path() / "d"} << "x";
  auto dir = data_dir::open(folder.path() / "d");
  ASSERT_FALSE(dir.ok());
  EXPECT_EQ(dir.error().code, store_errc::unreadable);
}

TEST(data_dir, knows_a_clean_stop) {
  scratch_folder folder;
  const auto path = folder.path() / "d";
  {
    auto dir = data_dir::open(path);
    ASSERT_TRUE(dir.ok());
    EXPECT_TRUE(dir->was_clean()); // new
    test_loop loop;
    disk_options how;
    how.post = loop.poster();
    how.map_bytes = 16 << 20;
    how.segment_bytes = 1 << 20;
    ASSERT_TRUE(open_disk(*dir, how).ok());
    ASSERT_TRUE(dir->mark_clean().ok());
  }
  {
    auto dir = data_dir::open(path);
    ASSERT_TRUE(dir.ok());
    EXPECT_TRUE(dir->was_clean());
  } // no mark
  auto dir = data_dir::open(path);
  ASSERT_TRUE(dir.ok());
  EXPECT_FALSE(dir->was_clean());
}

/// With a limit on file sizes the kernel itself refuses: nothing may be lost.
TEST(disk, full_by_file_size_limit_is_typed_and_heals) {
  const auto child = ::fork();
  if (child == 0) {
    struct rlimit small {
      256 << 10, RLIM_INFINITY
    };
    ::signal(SIGXFSZ, SIG_IGN);
    log_rig rig{128 << 10};
    scratch_folder folder;
    auto files = system_files(folder.path().string());
    ::setrlimit(RLIMIT_FSIZE, &small);
    auto engine = log_engine::open(*files, rig.random, rig.options, rig.found);
    if (!engine)
      ::_exit(2);
    rig.engine = std::move(*engine);
    rig.write(1, {entry_at(1, 1, "a")});
    if (rig.run().back().error)
      ::_exit(3);
    small.rlim_cur = 64 << 10; // below the offsets that come next
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::uint64_t next = 2;
    std::optional<store_errc> error;
    while (!error && next < 500) {
      rig.write(1, {entry_at(next++, 1, std::string(2000, 'x'))});
      error = rig.run().back().error;
    }
    if (error != store_errc::full)
      ::_exit(4);
    small.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &small);
    rig.write(1, {entry_at(next - 1, 1, "after")}, 1);
    if (rig.run().back().error)
      ::_exit(5);
    rig.engine.reset();
    engine = log_engine::open(*files, rig.random, rig.options, rig.found);
    if (!engine || rig.found.damaged
        || rig.log_of(1)->entries.size() != next - 1)
      ::_exit(6);
    rig.engine.reset();
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
} // namespace banyan::store::test
