#pragma once
#include "disk_rig.hpp"
#include "log_rig.hpp"
#include "store/detail/lmdb_store.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace banyan::store::test {

inline group_commit
commit_of(std::uint8_t group, std::uint64_t index,
          const std::vector<std::pair<std::string, std::string>>& put) {
  group_commit c;
  c.order = {group_number(group), replica_number(1), term{1}, index};
  for (const auto& [k, v] : put)
    c.rows.push_back(
        {to_bytes(k), shared_bytes{to_bytes(v)}, log_index{index}});
  applied_meta m;
  m.index = log_index{index};
  c.meta = m;
  return c;
}

/// An LMDB store in a scratch folder.
struct state_rig {
  scratch_folder folder;
  lmdb_options options;
  std::vector<recovered_state> found;
  std::unique_ptr<lmdb_store> store;

  explicit state_rig(
      const std::filesystem::path& in = std::filesystem::temp_directory_path())
      : folder{in} {
    options.map_bytes = 32 << 20;
  }
  [[nodiscard]] std::filesystem::path dir() const {
    return folder.path() / "state";
  }
  [[nodiscard]] std::filesystem::path data() const {
    return dir() / "data.mdb";
  }
  void open() {
    store.reset();
    auto opened = lmdb_store::open(dir(), options, found);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    store = std::move(*opened);
  }
  /// Changes stored bytes behind the store's back.
  void flip(const std::string& needle) {
    store.reset();
    std::ifstream in{data(), std::ios::binary};
    std::string all{std::istreambuf_iterator<char>{in}, {}};
    in.close();
    // Old pages may hold copies: flip them all.
    std::size_t n = 0;
    for (auto at = all.find(needle); at != std::string::npos;
         at = all.find(needle, at + 1), ++n)
      all[at] = static_cast<char>(all[at] ^ 1);
    ASSERT_GT(n, 0u);
    std::ofstream{data(), std::ios::binary} << all;
  }
};

/// Runs `f` in a child process; its result is the exit code. Nothing when it
/// was killed by a signal or took too long.
inline std::optional<int> in_child(const std::function<int()>& f) {
  const auto pid = ::fork();
  if (pid == 0) {
    ::alarm(20);
    ::_exit(f());
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
    return std::nullopt;
  return WEXITSTATUS(status);
}

/// Every row and meta that a store gives out, and what it says is damaged.
struct state_content {
  std::map<std::pair<group_id, bytes>, std::pair<log_index, bytes>> rows;
  std::map<group_id, std::pair<log_index, state_digest>> metas;
  bool damaged = false;
  std::set<group_id> lost;
  std::set<bytes> named; ///< damaged rows, by scan key
};
inline state_content read_all_rows(lmdb_store& store,
                                   const std::vector<recovered_state>& found) {
  state_content out;
  for (const auto& g : found) {
    if (g.damaged) {
      out.lost.insert(g.group);
      out.damaged = true;
      continue;
    }
    out.metas[g.group] = {g.meta.index, g.digest};
    scan_request request;
    do {
      const auto page = store.scan(g.group, request);
      if (!page.ok()) {
        out.damaged = true;
        break;
      }
      out.damaged = out.damaged || !page->damaged.empty();
      out.named.insert(page->damaged.begin(), page->damaged.end());
      for (const auto& r : page->rows)
        out.rows[{g.group, r.key}] = {r.index, r.value.view().copy()};
      request.from = page->next;
    } while (!request.from.empty());
  }
  return out;
}

} // namespace banyan::store::test
