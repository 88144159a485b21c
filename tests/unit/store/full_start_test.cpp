// Starts on a disk that is full, or gets full at any step of them: what is
// there is served, or the start is refused in words; nothing is lost by trying.
#include "disk_rig.hpp"
#include "log_rig.hpp"
#include "store/detail/document_file.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <thread>

namespace banyan::store::test {
namespace {

using namespace banyan::store::detail;

/// Files whose disk gets full at the n-th step that may need space (1: the
/// first), and stays full.
class scarce_files final : public file_system {
public:
  /// What needs space, from there on.
  enum class kind {
    growth,   ///< New names and longer files.
    any_write ///< Also writing inside of a file, as where blocks are copied.
  };
  scarce_files(memory_files& under, kind what, std::uint64_t at)
      : under_{under}, what_{what}, left_{at} {}

  /// Whether the disk got full.
  [[nodiscard]] bool struck() const { return left_ == 0; }

  result<std::unique_ptr<file>, store_error> open(const std::string& path,
                                                  bool create) override {
    if (create && under_.content(path) == nullptr)
      if (auto can = step(path); !can)
        return failure{can.error()};
    auto f = under_.open(path, create);
    if (!f || *f == nullptr)
      return f;
    return std::unique_ptr<file>{
        std::make_unique<handle>(*this, std::move(*f), path)};
  }
  result<std::vector<std::string>, store_error>
  list(const std::string& folder) override {
    return under_.list(folder);
  }
  outcome rename(const std::string& from, const std::string& to) override {
    if (auto can = step(to); !can)
      return can;
    return under_.rename(from, to);
  }
  outcome remove(const std::string& path) override {
    return under_.remove(path);
  }
  outcome sync_folder(const std::string& folder) override {
    if (what_ == kind::any_write)
      if (auto can = sync_step(folder); !can)
        return can;
    return under_.sync_folder(folder);
  }
  outcome make_folder(const std::string& folder) override {
    return under_.make_folder(folder);
  }
  [[nodiscard]] std::string describe(const std::string& path) const override {
    return under_.describe(path);
  }

private:
  class handle final : public file {
  public:
    handle(scarce_files& owner, std::unique_ptr<file> under, std::string path)
        : owner_{owner}, under_{std::move(under)}, path_{std::move(path)} {}
    outcome write(std::uint64_t offset, const_bytes b) override {
      const bool grows = offset + b.size() > *under_->size();
      if (grows || owner_.what_ == kind::any_write)
        if (auto can = owner_.step(path_); !can)
          return can;
      return under_->write(offset, b);
    }
    result<std::size_t, store_error>
    read(std::uint64_t offset, std::uint8_t* out, std::size_t size) override {
      return under_->read(offset, out, size);
    }
    outcome sync() override {
      if (owner_.what_ == kind::any_write)
        if (auto can = owner_.sync_step(path_); !can)
          return can;
      return under_->sync();
    }
    outcome allocate(std::uint64_t size) override {
      if (size > *under_->size())
        if (auto can = owner_.step(path_); !can)
          return can;
      return under_->allocate(size);
    }
    outcome truncate(std::uint64_t size) override {
      return under_->truncate(size);
    }
    result<std::uint64_t, store_error> size() override {
      return under_->size();
    }

  private:
    scarce_files& owner_;
    std::unique_ptr<file> under_;
    std::string path_;
  };

  outcome step(const std::string& path) {
    if (left_ > 0)
      --left_;
    if (left_ == 0)
      return failure{
          store_error{store_errc::full, path + ": no space; free some space"}};
    return {};
  }
  /// Blocks that are given late may be missed by a sync: then nobody knows what
  /// was written.
  outcome sync_step(const std::string& path) {
    auto can = step(path);
    if (!can)
      return failure{store_error{store_errc::io, can.error().message}};
    return can;
  }

  memory_files& under_;
  kind what_;
  std::uint64_t left_;
};

/// A node's log and documents as one start after the other finds them.
struct node_files {
  std::unique_ptr<memory_files> files = std::make_unique<memory_files>();
  seeded_random random{11};
  log_options options;
  log_recovery found;

  node_files() { options.segment_bytes = 64 << 10; }

  /// A start as a node makes it: what it has said before it fails counts.
  outcome start(file_system& on, std::uint64_t incarnation) {
    auto papers = document_file::open(on, random, "documents", "aside");
    if (!papers)
      return failure{papers.error()};
    told_damaged =
        told_damaged
        || papers->content().count({damage_kind, to_bytes("damaged")}) != 0;
    const auto raised = papers->append(
        {{1, to_bytes("incarnation"), to_bytes(std::to_string(incarnation))}});
    if (!raised)
      return raised;
    auto log = log_engine::open(on, random, options, found);
    if (!log)
      return failure{log.error()};
    told_damaged = told_damaged || found.damaged;
    for (const auto& l : found.logs)
      told_damaged = told_damaged || l.damaged;
    (*log)->tidy();
    return {};
  }
  std::string incarnation() {
    auto papers = document_file::open(*files, random, "documents", "aside");
    EXPECT_TRUE(papers.ok());
    const auto at = papers->content().find({1, to_bytes("incarnation")});
    return at == papers->content().end() ? "" : to_text(at->second.view());
  }

  bool told_damaged = false;
};

enum class before { whole, log_flipped, documents_flipped, mark_of_lost_bytes };

/// Two groups, three segments, some documents; killed.
std::unique_ptr<memory_files> used_files(before how) {
  log_rig rig;
  rig.open();
  for (std::uint64_t i = 1; i <= 40; ++i) {
    rig.write(1, {entry_at(i, 1, std::string(3000, 'a'))});
    rig.write(2, {entry_at(i, 1, "small")});
    rig.run();
  }
  rig.engine.reset();
  auto papers =
      document_file::open(*rig.files, rig.random, "documents", "aside");
  EXPECT_TRUE(papers.ok());
  for (int i = 1; i <= 9; ++i)
    EXPECT_TRUE(papers
                    ->append({{1, to_bytes("incarnation"),
                               to_bytes(std::to_string(i))}})
                    .ok());
  rig.files->kill();
  auto& log = *rig.files->content(first_segment);
  auto& documents = *rig.files->content("documents");
  if (how == before::log_flipped)
    log[9000] ^= 1;
  if (how == before::documents_flipped)
    documents[600] ^= 1;
  if (how == before::mark_of_lost_bytes) // only the mark tells
    std::fill(documents.begin() + 9 * 512, documents.end(), std::uint8_t{0});
  return rig.files->copy();
}

TEST(full_start, a_disk_that_gets_full_at_any_step_of_a_start_loses_nothing) {
  for (const auto what :
       {scarce_files::kind::growth, scarce_files::kind::any_write})
    for (const auto how :
         {before::whole, before::log_flipped, before::documents_flipped,
          before::mark_of_lost_bytes}) {
      const auto made = used_files(how);
      const bool damaged = how != before::whole;
      std::uint64_t refused = 0;
      for (std::uint64_t n = 1;; ++n) {
        ASSERT_LT(n, 500u);
        node_files node;
        node.files = made->copy();
        scarce_files scarce{*node.files, what, n};
        const auto first = node.start(scarce, 10);
        if (!first) {
          ++refused;
          const auto& said = first.error();
          EXPECT_TRUE(
              said.message.find("free some space") != std::string::npos
              || (said.code == store_errc::io
                  && said.message.find("check the disk") != std::string::npos))
              << said.message;
        }
        node.files->kill();
        // There is room again.
        const auto second = node.start(*node.files, 11);
        ASSERT_TRUE(second.ok()) << second.error().message << " " << n;
        EXPECT_EQ(node.told_damaged, damaged) << n;
        EXPECT_EQ(node.incarnation(), "11");
        ASSERT_EQ(node.found.logs.size(), 2u);
        for (const auto& l : node.found.logs) {
          EXPECT_TRUE(l.damaged || l.entries.size() == 40u) << n;
        }
        EXPECT_TRUE(damaged || !node.found.damaged) << n;
        if (!scarce.struck())
          break;
      }
      EXPECT_EQ(refused > 0, damaged || what == scarce_files::kind::any_write);
    }
}

/// A file system of a fixed size in a process of its own; `f` gives the
/// process's exit code. Nothing when it died otherwise.
constexpr int no_rights = 77;
std::optional<int>
on_small_disk(std::size_t bytes,
              const std::function<int(const std::filesystem::path&)>& f) {
  const scratch_folder folder;
  std::fflush(nullptr);
  const auto pid = ::fork();
  if (pid == 0) {
    ::alarm(60);
    const auto user = std::to_string(::geteuid());
    if (::unshare(CLONE_NEWNS) != 0) {
      if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        ::_exit(no_rights);
      const int map = ::open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
      const auto line = user + " " + user + " 1";
      if (map < 0 || ::write(map, line.data(), line.size()) < 0)
        ::_exit(no_rights);
      ::close(map);
    }
    const auto at = folder.path().string();
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0
        || ::mount("none", at.c_str(), "tmpfs", 0,
                   ("size=" + std::to_string(bytes)).c_str())
               != 0)
      ::_exit(no_rights);
    const int code = f(folder.path());
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : code);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
    return std::nullopt;
  return WEXITSTATUS(status);
}

/// Takes what is left of a small disk, but for some pages.
class ballast {
public:
  explicit ballast(const std::filesystem::path& in)
      : fd_{::open((in / "ballast").c_str(), O_RDWR | O_CREAT | O_CLOEXEC,
                   0600)} {}
  ~ballast() { ::close(fd_); }
  ballast(const ballast&) = delete;
  ballast& operator=(const ballast&) = delete;

  void leave(std::size_t pages) {
    const bytes page(page_bytes, 1);
    auto end = ::lseek(fd_, 0, SEEK_END);
    while (::pwrite(fd_, page.data(), page.size(), end) == page_bytes)
      end += page_bytes;
    end -= static_cast<off_t>(pages) * page_bytes;
    ASSERT_EQ(::ftruncate(fd_, std::max<off_t>(end, 0)), 0);
  }
  void remove() { ASSERT_EQ(::ftruncate(fd_, 0), 0); }

private:
  static constexpr ssize_t page_bytes = 4096;
  int fd_;
};

/// A node's disk on it.
struct small_node {
  explicit small_node(std::filesystem::path in) : path{std::move(in)} {}

  std::optional<store_error> start() {
    stop();
    auto opened = data_dir::open(path / "data");
    if (!opened)
      return opened.error();
    dir.emplace(std::move(*opened));
    disk_options how;
    how.post = loop.poster();
    how.segment_bytes = 256 << 10;
    how.map_bytes = 64 << 20;
    auto got = open_disk(*dir, how);
    if (!got)
      return got.error();
    all = std::move(*got);
    return std::nullopt;
  }
  void stop() {
    all = {};
    dir.reset();
  }
  std::optional<store_errc> raise(std::uint64_t incarnation) {
    auto done = all.documents->put_now(
        {{1, to_bytes("incarnation"), to_bytes(std::to_string(incarnation))}});
    return done ? std::nullopt : std::optional{done.error().code};
  }
  std::optional<store_errc> write(std::uint64_t index) {
    std::optional<log_done> done;
    all.log->on_done([&](const auto& list) { done = list.front(); });
    log_write w;
    w.order = {group_number(1), replica_number(1), term{1}, index};
    w.entries = {entry_at(index, 1, "x")};
    all.log->submit(w);
    loop.run_until([&] { return done.has_value(); });
    return done->error;
  }
  std::optional<store_errc> commit(std::uint64_t index, bool adds) {
    group_commit c;
    c.order = {group_number(1), replica_number(1), term{1}, index};
    applied_meta m;
    m.index = log_index{index};
    c.meta = m;
    row_change r{to_bytes("k"), std::nullopt, m.index};
    if (adds)
      r.value = shared_bytes{to_bytes("v")};
    c.rows = {r};
    std::optional<store_errc> error;
    bool told = false;
    all.state->commit({c}, [&](auto done) {
      told = true;
      if (!done.front())
        error = done.front().error().code;
    });
    loop.run_until([&] { return told; });
    return error;
  }
  std::string value() {
    std::string out = "error";
    bool told = false;
    all.state->read(group_number(1), to_bytes("k"), [&](auto got) {
      told = true;
      if (got)
        out = *got ? to_text((*got)->value.view()) : "nothing";
    });
    loop.run_until([&] { return told; });
    return out;
  }

  std::filesystem::path path;
  test_loop loop;
  std::optional<data_dir> dir;
  disk all;
};

constexpr std::size_t small_disk_bytes = std::size_t{16} << 20;

TEST(full_start, a_node_that_ran_before_serves_on_a_disk_without_a_free_byte) {
  const auto code = on_small_disk(small_disk_bytes, [](const auto& at) {
    small_node n{at};
    EXPECT_FALSE(n.start());
    EXPECT_FALSE(n.raise(1));
    EXPECT_FALSE(n.write(1));
    EXPECT_FALSE(n.commit(1, true));
    n.stop();
    ballast b{at};
    b.leave(0);
    for (std::uint64_t i = 2; i < 6; ++i) {
      n.stop();   // gives back what only it had open
      if (i == 4) // a mere hint, and it finds no room
        std::filesystem::remove(at / "data" / "state" / "synced");
      b.leave(0);
      const auto refused = n.start();
      EXPECT_FALSE(refused) << refused->message;
      if (refused)
        return 1;
      EXPECT_EQ(n.all.recovered_logs.logs.at(0).entries.size(), i - 1);
      EXPECT_FALSE(n.raise(i));
      EXPECT_FALSE(n.write(i));
      EXPECT_EQ(n.value(), "v");
    }
    EXPECT_FALSE(n.commit(5, false)) << "what takes away needs no room";
    EXPECT_EQ(n.value(), "nothing");
    n.stop();
    b.remove();
    EXPECT_FALSE(n.start());
    EXPECT_FALSE(n.commit(6, true));
    return 0;
  });
  if (code == no_rights)
    GTEST_SKIP() << "NOT RUN: no right to mount a small disk";
  EXPECT_EQ(code, 0);
}

TEST(full_start, a_segment_that_finds_no_room_takes_none_from_others) {
  const auto code = on_small_disk(small_disk_bytes, [](const auto& at) {
    const auto files = system_files(at.string());
    ballast b{at};
    b.leave(2000);
    std::atomic<bool> over{false};
    std::thread log{[&] {
      auto f = files->open("reserve", true);
      while (f && !over)
        EXPECT_EQ((*f)->allocate(std::uint64_t{12} << 20).error().code,
                  store_errc::full);
    }};
    for (int i = 0; i < 3000; ++i) {
      auto f = files->open("synced", true);
      const auto got = (*f)->allocate(1024);
      EXPECT_TRUE(got.ok()) << i;
      EXPECT_TRUE(files->remove("synced").ok());
      if (!got)
        break;
    }
    over = true;
    log.join();
    return 0;
  });
  if (code == no_rights)
    GTEST_SKIP() << "NOT RUN: no right to mount a small disk";
  EXPECT_EQ(code, 0);
}

TEST(full_start, a_state_that_is_new_and_finds_no_room_is_refused_in_words) {
  const auto code = on_small_disk(small_disk_bytes, [](const auto& at) {
    small_node n{at};
    EXPECT_FALSE(n.start());
    EXPECT_FALSE(n.write(1));
    ballast b{at};
    int refused = 0;
    for (const std::size_t pages :
         {0,   1,   2,   3,   5,   8,   9,   10,  11,  12,  13,
          100, 250, 264, 265, 266, 267, 268, 300, 520, 530, 600}) {
      n.stop();
      b.remove();
      std::filesystem::remove_all(at / "data" / "state");
      b.leave(pages);
      if (const auto error = n.start()) {
        ++refused;
        EXPECT_EQ(error->code, store_errc::full) << pages << error->message;
        EXPECT_NE(error->message.find("free some space"), std::string::npos)
            << error->message;
        continue;
      }
      const auto committed = n.commit(1, true);
      EXPECT_TRUE(!committed || committed == store_errc::full) << pages;
      b.remove();
      EXPECT_FALSE(n.commit(2, true)) << pages;
    }
    EXPECT_GT(refused, 10);
    b.remove(); // the last was served
    EXPECT_FALSE(n.start());
    EXPECT_EQ(n.value(), "v");
    return 0;
  });
  if (code == no_rights)
    GTEST_SKIP() << "NOT RUN: no right to mount a small disk";
  EXPECT_EQ(code, 0) << "ended by a signal, or see above";
}

} // namespace
} // namespace banyan::store::test
