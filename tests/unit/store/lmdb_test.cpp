#include "state_rig.hpp"
#include "store/detail/lmdb_txn.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <string>

namespace banyan::store::test {
namespace {

using rig = state_rig;

TEST(lmdb, a_flipped_bit_in_a_row_is_damage_that_names_the_key) {
  rig r;
  r.open();
  ASSERT_TRUE(
      r.store
          ->commit({commit_of(1, 1, {{"a", "good"}, {"b", "needle-in-row"}})})
          .ok());
  r.flip("needle-in-row");
  r.open();
  const auto got = r.store->read(group_number(1), to_bytes("b"));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, store_errc::damaged);
  EXPECT_EQ(got.error().key, to_bytes("b"));
  EXPECT_TRUE(r.store->read(group_number(1), to_bytes("a")).ok());
  const auto page = r.store->scan(group_number(1), {});
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->damaged.size(), 1u);
  EXPECT_EQ(page->damaged[0], to_bytes("b"));
  EXPECT_EQ(page->rows.size(), 1u);
  // Put back without touching what is applied.
  auto fix = commit_of(1, 1, {{"b", "fetched"}});
  fix.meta.reset();
  ASSERT_TRUE(r.store->commit({fix}).ok());
  EXPECT_TRUE(r.store->read(group_number(1), to_bytes("b")).ok());
}

TEST(lmdb, every_descriptor_is_close_on_exec) {
  rig r;
  r.open();
  const auto in = std::filesystem::canonical(r.dir()).string() + '/';
  int files = 0;
  for (const auto& e : std::filesystem::directory_iterator{"/proc/self/fd"}) {
    std::error_code gone; // the iterator's own
    const auto to = std::filesystem::read_symlink(e.path(), gone).string();
    if (to.rfind(in, 0) != 0)
      continue;
    ++files;
    const int fd = std::stoi(e.path().filename().string());
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << to;
  }
  EXPECT_GE(files, 4); // data.mdb twice, lock.mdb, LOCK, synced
}

TEST(lmdb, a_damaged_row_that_goes_leaves_a_right_digest) {
  const std::vector<std::pair<std::string, std::string>> content{
      {"a", "one"}, {"b", "needle-in-row"}, {"c", "three"}};
  for (const bool erase : {false, true}) {
    rig r;
    r.open();
    auto put = commit_of(1, 1, content);
    ASSERT_TRUE(r.store->commit({put}).ok());
    r.flip("needle-in-row");
    r.open();
    auto fix = commit_of(1, 2, {});
    if (erase)
      fix.rows.push_back({to_bytes("b"), std::nullopt, log_index{2}});
    else
      fix.rows.push_back(put.rows[1]); // what a fellow voter has
    const auto fixed = r.store->commit({fix});
    ASSERT_TRUE(fixed.ok());
    state_digest right;
    for (std::size_t i = 0; i < content.size(); ++i)
      if (i != 1 || !erase)
        add(right, row_hash(group_number(1), put.rows[i].key, log_index{1},
                            as_bytes(content[i].second)));
    EXPECT_EQ((*fixed)[0].digest, right);
    const auto pass = r.store->scrub(group_number(1), {}, 1 << 20);
    ASSERT_TRUE(pass.ok());
    EXPECT_EQ(pass->digest_matches, true);
  }
}

TEST(lmdb, a_swapped_row_is_damage) { // the checksum covers the key
  const auto key = row_db_key(1, as_bytes("a"));
  const auto other = row_db_key(1, as_bytes("b"));
  const row_change change{to_bytes("a"), shared_bytes{to_bytes("v")},
                          log_index{1}};
  const auto group = group_number(1);
  const auto value = encode_row(
      key, change, row_hash(group, change.key, change.index, as_bytes("v")));
  EXPECT_TRUE(decode_row(group, key, value));
  EXPECT_FALSE(decode_row(group, other, value));
  EXPECT_FALSE(decode_row(group, row_db_key(2, as_bytes("a")), value));
  EXPECT_FALSE(decode_row(group_number(2), key, value));
  EXPECT_FALSE(key_is_whole(group, other, value));
  for (std::size_t i = 0; i < value.size(); ++i) {
    auto bad = value;
    bad[i] ^= 0x80;
    EXPECT_FALSE(decode_row(group, key, bad)) << i;
    EXPECT_TRUE(key_is_whole(group, key, bad)) << i;
    EXPECT_FALSE(decode_row(group, key, const_bytes{value}.first(i)));
  }
}

TEST(lmdb, a_damaged_meta_is_reported_and_the_group_can_be_rebuilt) {
  rig r;
  r.open();
  auto c = commit_of(1, 1, {{"a", "v"}});
  c.meta->opaque = to_bytes("needle-in-meta");
  ASSERT_TRUE(r.store->commit({c, commit_of(2, 1, {{"a", "w"}})}).ok());
  r.flip("needle-in-meta");
  r.open();
  ASSERT_EQ(r.found.size(), 2u);
  EXPECT_TRUE(r.found[0].damaged);
  EXPECT_FALSE(r.found[1].damaged);
  EXPECT_EQ(r.store->read(group_number(1), to_bytes("a")).error().code,
            store_errc::damaged);
  const order_id order{group_number(1), replica_number(3), term{2}, 9};
  ASSERT_TRUE(r.store->stage_begin(order).ok());
  ASSERT_TRUE(r.store->stage_put(order, c.rows).ok());
  ASSERT_TRUE(r.store->stage_finish(order, *c.meta, std::nullopt).ok());
  EXPECT_TRUE(r.store->read(group_number(1), to_bytes("a")).ok());
  r.open();
  EXPECT_FALSE(r.found[0].damaged);
}

TEST(lmdb, a_second_open_in_this_process_is_refused) {
  rig r;
  r.open();
  std::vector<recovered_state> found;
  auto again = lmdb_store::open(r.folder.path() / "state", r.options, found);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, store_errc::in_use);
  // Also under another name: the file is what counts.
  const auto alias = r.folder.path() / "alias";
  std::filesystem::create_directory(alias);
  std::filesystem::create_hard_link(r.folder.path() / "state" / "data.mdb",
                                    alias / "data.mdb");
  again = lmdb_store::open(alias, r.options, found);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, store_errc::in_use);
  r.open(); // closed, it can be opened again
}

TEST(lmdb, a_network_file_system_is_refused) {
  rig r;
  r.options.statfs =
      [](const std::string&) -> result<std::int64_t, store_error> {
    return std::int64_t{0x6969};
  };
  auto opened = lmdb_store::open(r.folder.path() / "state", r.options, r.found);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, store_errc::network_fs);
}

TEST(lmdb, a_file_that_is_no_database_is_refused) {
  rig r;
  std::filesystem::create_directory(r.folder.path() / "state");
  std::ofstream{r.folder.path() / "state" / "data.mdb"}
      << std::string(100'000, 'z');
  auto opened = lmdb_store::open(r.folder.path() / "state", r.options, r.found);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, store_errc::damaged);
}

TEST(lmdb, map_reserve_full_is_typed_and_deletes_still_work) {
  rig r;
  r.options.map_bytes = 4 << 20;
  r.open();
  const std::string value(20'000, 'v');
  std::uint64_t n = 0;
  std::optional<state_error> error;
  while (!error && n < 10'000) {
    const auto put =
        r.store->commit({commit_of(1, n + 1, {{std::to_string(n), value}})});
    if (put)
      ++n;
    else
      error = put.error();
  }
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, store_errc::full);
  EXPECT_GT(n, 50u);
  EXPECT_TRUE(r.store->read(group_number(1), to_bytes("0")).ok());
  auto mark = commit_of(1, n + 1, {{"mark", "!"}});
  for (int i = 0; i < 1000 && r.store->commit({mark}).ok(); ++i)
    mark = commit_of(1, n + 1, {{"mark" + std::to_string(i), "!"}});
  ASSERT_FALSE(r.store->commit({mark}).ok());
  mark.essential = true;
  EXPECT_TRUE(r.store->commit({mark}).ok());
  for (std::uint64_t i = 0; i < n; ++i) {
    auto c = commit_of(1, n + 1 + i, {});
    c.rows.push_back({to_bytes(std::to_string(i)), std::nullopt, log_index{1}});
    ASSERT_TRUE(r.store->commit({c}).ok()) << i;
  }
  EXPECT_TRUE(r.store->commit({commit_of(1, 99'999, {{"k", value}})}).ok());
}

/// The kernel cuts a write short, which LMDB calls an input/output error.
TEST(lmdb, a_full_disk_is_typed_deletes_go_on_and_so_do_writes_later) {
  const auto child = ::fork();
  if (child == 0) {
    rig r;
    r.open();
    struct rlimit limit {
      (std::size_t{3} << 20) + 1000, RLIM_INFINITY
    };
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string value(20'000, 'v');
    std::uint64_t n = 0;
    std::optional<state_error> error;
    for (; !error && n < 1000; n += error ? 0 : 1)
      if (const auto put = r.store->commit(
              {commit_of(1, n + 1, {{std::to_string(n), value}})});
          !put)
        error = put.error();
    if (!error || error->code != store_errc::full || n < 10)
      ::_exit(2);
    auto c = commit_of(1, n + 1, {});
    c.rows.push_back({to_bytes("0"), std::nullopt, log_index{1}});
    if (!r.store->commit({c}))
      ::_exit(3);
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (std::uint64_t i = 0; i < 100; ++i)
      if (!r.store->commit({commit_of(1, n + 2 + i, {{"k", value}})}))
        ::_exit(4);
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(lmdb, dropped_and_replaced_rows_are_cleaned_up) {
  rig r;
  r.open();
  for (std::uint64_t i = 0; i < 50; ++i) {
    std::vector<std::pair<std::string, std::string>> put;
    for (int k = 0; k < 100; ++k)
      put.push_back({std::to_string(i * 100) + std::to_string(k), "v"});
    ASSERT_TRUE(r.store->commit({commit_of(1, i + 1, put)}).ok());
  }
  const order_id order{group_number(1), replica_number(1), term{1}, 1};
  ASSERT_TRUE(r.store->drop(order).ok());
  r.open(); // what was left is found again
  EXPECT_TRUE(r.found.empty());
  int rounds = 0;
  while (r.store->clean_some())
    ++rounds;
  EXPECT_GE(rounds, 1);
  r.store.reset();
  r.open();
  EXPECT_FALSE(r.store->clean_some());
  // A new group of that name sees nothing of the old rows.
  ASSERT_TRUE(r.store->commit({commit_of(1, 1, {{"x", "y"}})}).ok());
  EXPECT_EQ(r.store->scan(group_number(1), {})->rows.size(), 1u);
}

TEST(lmdb, a_commit_is_whole_or_absent_after_kill) {
  rig r;
  const auto dir = r.folder.path() / "state";
  for (int round = 0; round < 3; ++round) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const auto child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      std::vector<recovered_state> found;
      auto store = lmdb_store::open(dir, r.options, found);
      if (!store)
        ::_exit(1);
      const auto start = found.empty() ? 0 : found[0].meta.index.value();
      for (std::uint64_t i = start + 1;; ++i) {
        const auto v = std::to_string(i) + std::string(300, 'p');
        std::vector<group_commit> batch;
        for (std::uint8_t g = 1; g <= 3; ++g)
          batch.push_back(commit_of(g, i, {{"a", v}, {"b", v}, {"c", v}}));
        if (!(*store)->commit(batch))
          ::_exit(2);
        const char tick = 'x';
        if (::write(ready[1], &tick, 1) != 1)
          ::_exit(3);
      }
    }
    ::close(ready[1]);
    char tick = 0;
    for (int i = 0; i < 20; ++i)
      ASSERT_EQ(::read(ready[0], &tick, 1), 1);
    ::kill(child, SIGKILL);
    std::uint64_t ticks = 20;
    while (::read(ready[0], &tick, 1) == 1)
      ++ticks;
    ::close(ready[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    r.open();
    ASSERT_EQ(r.found.size(), 3u);
    const auto index = r.found[0].meta.index;
    EXPECT_GE(index.value(), ticks); // everything that returned is there
    const auto v = std::to_string(index.value()) + std::string(300, 'p');
    for (std::uint8_t g = 1; g <= 3; ++g) {
      EXPECT_EQ(r.found[g - 1u].meta.index, index);
      for (const auto* key : {"a", "b", "c"}) {
        auto got = r.store->read(group_number(g), to_bytes(key));
        ASSERT_TRUE(got.ok() && *got);
        EXPECT_EQ(to_text((*got)->value.view()), v);
        EXPECT_EQ((*got)->index, index);
      }
    }
    r.store.reset();
  }
}

} // namespace
} // namespace banyan::store::test
