// Bit flips in the files of a stopped store. DESIGN, section 1: no corrupt byte
// is served.
#include "state_rig.hpp"
#include "store/detail/document_file.hpp"
#include "store/detail/lmdb_pages.hpp"
#include "store/verify.hpp"
#include "write_trace.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::store::test {
namespace {

/// A state with everything in it that a file can have: large and small values,
/// long keys, several groups, freed pages, a snapshot given up half way.
void fill(lmdb_store& store, random_source& random) {
  std::uint64_t index = 0;
  for (int round = 0; round < 20; ++round) {
    std::vector<group_commit> batch;
    ++index;
    for (std::uint8_t g = 1; g <= 3; ++g) {
      std::vector<std::pair<std::string, std::string>> put;
      for (int i = 0; i < 12; ++i)
        put.push_back({"key" + std::to_string(random.below(100)),
                       std::string(random.below(200), 'v')});
      if (round % 5 == 0)
        put.push_back({"large" + std::to_string(random.below(3)),
                       std::string(9000 + random.below(9000), 'L')});
      if (round % 7 == 0)
        put.push_back({std::string(700, 'k') + std::to_string(round), "long"});
      auto c = commit_of(g, index, put);
      for (int i = 0; i < 4; ++i)
        c.rows.push_back({to_bytes("key" + std::to_string(random.below(300))),
                          std::nullopt, log_index{index}});
      c.meta->opaque = bytes(20, g);
      c.meta->configuration = bytes(60, g);
      batch.push_back(std::move(c));
    }
    ASSERT_TRUE(store.commit(batch).ok());
  }
  const order_id order{group_number(2), replica_number(1), term{3}, 5};
  ASSERT_TRUE(store.stage_begin(order).ok());
  ASSERT_TRUE(
      store.stage_put(order, commit_of(2, index, {{"key1", "staged"}}).rows)
          .ok());
}

enum verdict : int { spotless = 0, rows_damaged = 1, bad = 2 };

int judge(const std::filesystem::path& dir) {
  const auto report = verify_state(dir);
  if (!report.ok() || !report->ok())
    return bad;
  return report->spotless() ? spotless : rows_damaged;
}

/// Zero: all that it gives out is right; and it knows of damage exactly when
/// that is `expected`.
int read_and_compare(state_rig& r, const state_content& right,
                     bool damage_expected) {
  auto store = lmdb_store::open(r.dir(), r.options, r.found);
  if (!store.ok())
    return 3;
  const auto got = read_all_rows(**store, r.found);
  for (const auto& [key, value] : got.rows) {
    const auto at = right.rows.find(key);
    if (at == right.rows.end() || at->second != value)
      return 4; // a wrong row was given out as good
  }
  for (const auto& [group, meta] : got.metas) {
    const auto at = right.metas.find(group);
    if (at == right.metas.end() || at->second != meta)
      return 5;
  }
  if (!damage_expected
      && (got.damaged || got.rows.size() != right.rows.size()
          || got.metas.size() != right.metas.size()))
    return 6; // something is gone, and nobody was told
  if (damage_expected && !got.damaged)
    return 7;
  // A row that isn't given out is named, so that it can be fetched, or its
  // whole group is.
  for (const auto& [key, value] : right.rows)
    if (got.rows.count(key) == 0 && got.lost.count(key.first) == 0
        && got.named.count(scan_key(key.second)) == 0)
      return 8;
  return 0;
}

std::vector<std::uint64_t> pages_in_use(const std::filesystem::path& dir) {
  const auto files = system_files(dir.string());
  auto data = files->open("data.mdb", false);
  EXPECT_TRUE(data.ok() && *data != nullptr);
  const auto walked = walk_pages(**data, {});
  EXPECT_TRUE(walked.ok() && walked->bad.empty());
  EXPECT_EQ(walked->page_bytes, 4096u);
  std::vector<std::uint64_t> out;
  for (std::size_t n = 0; n < walked->used.size(); ++n)
    if (walked->used[n])
      out.push_back(n);
  return out;
}

TEST(corruption, every_flipped_bit_of_the_state_is_found_before_it_is_served) {
  state_rig r{fast_place()};
  seeded_random random{11};
  r.open();
  fill(*r.store, random);
  r.open(); // what was staged is garbage now
  const auto right = read_all_rows(*r.store, r.found);
  ASSERT_EQ(right.metas.size(), 3u);
  r.store.reset();
  ASSERT_EQ(judge(r.dir()), spotless);
  std::ifstream in{r.data(), std::ios::binary};
  const std::string image{std::istreambuf_iterator<char>{in}, {}};
  in.close();

  const auto pages = pages_in_use(r.dir());

  int counts[3] = {0, 0, 0};
  int harmless = 0;
  const int wanted = 1000;
  int tries = 0;
  while (counts[rows_damaged] + counts[bad] < wanted && tries < 5 * wanted) {
    ++tries;
    const auto at =
        pages[random.below(pages.size())] * 4096 + random.below(4096);
    const auto mask = static_cast<char>(1 << random.below(8));
    const auto put = [&](char c) {
      std::fstream f{r.data(), std::ios::binary | std::ios::in | std::ios::out};
      f.seekp(static_cast<std::streamoff>(at));
      f.put(c);
    };
    put(static_cast<char>(image[at] ^ mask));
    const auto said = in_child([&] { return judge(r.dir()); });
    const int kind = said ? *said : bad;
    ASSERT_LE(kind, bad);
    ++counts[kind];
    if (kind != bad) {
      const auto read = in_child(
          [&] { return read_and_compare(r, right, kind == rows_damaged); });
      ASSERT_TRUE(read) << "crashed on a state that was called good";
      ASSERT_EQ(*read, 0) << "bit " << int{mask} << " of byte " << at;
      harmless += kind == spotless ? 1 : 0;
    }
    put(image[at]);
  }
  std::printf("state: %d flips changed something: all found (%d as rows, %d as "
              "structure or digest); %d more lay in bytes that nothing reads\n",
              counts[rows_damaged] + counts[bad], counts[rows_damaged],
              counts[bad], harmless);
  EXPECT_EQ(counts[rows_damaged] + counts[bad], wanted);
  EXPECT_EQ(judge(r.dir()), spotless);
}

/// A log of several segments, as its groups should come back.
struct stopped_log {
  scratch_folder folder{fast_place()};
  std::unique_ptr<file_system> files = system_files(folder.path().string());
  log_options options;
  std::map<std::string, std::string> image; ///< path and content
  std::map<group_id, recovered_log> right;

  stopped_log() {
    options.segment_bytes = 32 << 10;
    seeded_random random{5};
    log_recovery found;
    auto engine = log_engine::open(*files, random, options, found);
    EXPECT_TRUE(engine.ok());
    std::uint64_t number = 0;
    std::map<std::uint8_t, std::uint64_t> last;
    for (int round = 0; round < 60; ++round)
      for (std::uint8_t g = 1; g <= 3; ++g) {
        log_write w;
        w.order = {group_number(g), replica_number(g), term{1}, ++number};
        w.entries = {entry_at(++last[g], 1, std::string(round * 10U, 'e'))};
        if (round % 9 == 0)
          w.hard = hard_state{term{number}, {}};
        std::deque<log_order> queue;
        queue.push_back({std::move(w), 0});
        if (round % 20 == 19)
          queue.push_back({log_cut{group_number(g), replica_number(g),
                                   log_index{last[g] - 5}},
                           0});
        std::vector<log_done> done;
        while (!queue.empty()) {
          (*engine)->begin(queue);
          (*engine)->finish(done);
          (*engine)->tidy();
        }
      }
    engine->reset();
    for (const auto& entry :
         std::filesystem::directory_iterator{folder.path() / "log"}) {
      std::ifstream in{entry.path(), std::ios::binary};
      image["log/" + entry.path().filename().string()] = {
          std::istreambuf_iterator<char>{in}, {}};
    }
    for (auto& l : open())
      right.emplace(l.group, l);
  }

  std::vector<recovered_log> open() {
    put_files(folder.path(), image);
    seeded_random random{6};
    log_recovery found;
    const auto engine = log_engine::open(*files, random, options, found);
    EXPECT_TRUE(engine.ok());
    return found.logs;
  }
};

bool same_log(const recovered_log& a, const recovered_log& b) {
  return a.replica == b.replica && a.hard == b.hard
         && a.base.index == b.base.index && a.base.hash == b.base.hash
         && a.end_hash == b.end_hash && a.entries.size() == b.entries.size()
         && std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(),
                       same);
}

TEST(corruption, every_flipped_bit_of_the_log_is_found_before_it_is_used) {
  stopped_log l;
  ASSERT_EQ(l.right.size(), 3u);
  seeded_random random{17};
  // Where something lies: sectors that aren't all zeros.
  std::vector<std::pair<std::string, std::size_t>> live;
  for (const auto& [path, content] : l.image)
    for (std::size_t at = 0; at < content.size(); at += 512)
      if (path != "log/reserve"
          && content.find_first_not_of('\0', at)
                 < std::min(at + 512, content.size()))
        live.emplace_back(path, at);
  int found = 0;
  int harmless = 0;
  while (found < 1000 && harmless < 3000) {
    const auto& [path, sector] = live[random.below(live.size())];
    auto& byte = l.image[path][sector + random.below(512)];
    const auto before = byte;
    byte = static_cast<char>(byte ^ (1 << random.below(8)));
    const auto logs = l.open();
    std::size_t whole = 0;
    for (const auto& one : logs) {
      if (one.damaged)
        continue; // gives itself up
      const auto at = l.right.find(one.group);
      ASSERT_TRUE(at != l.right.end());
      ASSERT_TRUE(same_log(one, at->second))
          << path << " sector " << sector / 512;
      ++whole;
    }
    // One that is gone altogether is told by the replica's document.
    (whole == l.right.size() ? harmless : found) += 1;
    byte = before;
  }
  std::printf("log: %d flips made a group give up its log; with %d more all "
              "came back whole; none brought back anything wrong\n",
              found, harmless);
  EXPECT_EQ(found, 1000);
}

TEST(corruption, every_flipped_bit_of_the_documents_is_found) {
  const scratch_folder folder{fast_place()};
  const auto files = system_files(folder.path().string());
  seeded_random random{3};
  {
    auto made = document_file::open(*files, random, "documents", "aside");
    ASSERT_TRUE(made.ok());
    for (std::uint8_t i = 0; i < 20; ++i)
      ASSERT_TRUE(made->append({{1, bytes{i}, bytes(i * 30U, i)}}).ok());
  }
  const auto read = [&](const char* name) {
    std::ifstream in{folder.path() / name, std::ios::binary};
    return std::string{std::istreambuf_iterator<char>{in}, {}};
  };
  const auto image = read("documents");
  const auto mark = read("documents.synced");
  const auto end = image.find_last_not_of('\0') + 1;
  int found = 0;
  for (int i = 0; i < 1000; ++i) {
    auto bad = image;
    auto& byte = bad[random.below(end)];
    byte = static_cast<char>(byte ^ (1 << random.below(8)));
    put_files(folder.path(), {{"documents", bad}, {"documents.synced", mark}});
    const auto opened =
        document_file::open(*files, random, "documents", "aside");
    ASSERT_TRUE(opened.ok());
    bool damaged = false;
    std::size_t whole = 0;
    for (const auto& [key, content] : opened->content()) {
      damaged = damaged || key.first == damage_kind;
      if (key.first == damage_kind)
        continue;
      const bytes right(key.second[0] * 30U, key.second[0]);
      ASSERT_EQ(content.view(), const_bytes{right});
      ++whole;
    }
    EXPECT_TRUE(damaged || whole == 20) << i;
    found += damaged ? 1 : 0;
  }
  std::printf("documents: %d of 1000 flips found, the others changed nothing\n",
              found);
  EXPECT_GT(found, 900);
}

} // namespace
} // namespace banyan::store::test
