#pragma once
#include "store/aside.hpp"
#include "store/data_dir.hpp"
#include "store/detail/disk_thread.hpp"
#include "store/detail/files.hpp"
#include "store/detail/threaded_state.hpp"
#include "store/detail/worker_thread.hpp"

#include <filesystem>
#include <string>

namespace banyan::store::detail {

/// Renames `root`/state to `root`/aside/state-N, with `why` in it as the file
/// `DAMAGE`, and makes an empty one. All of it is synced. Returns `state-N`.
result<std::string, store_error>
set_state_aside(const std::filesystem::path& root, const std::string& why);

/// Opens `root`/state; a bad one (by `verdict` or by LMDB) is set aside first.
threaded_state::opened open_state(const std::filesystem::path& root,
                                  const lmdb_options& options,
                                  const state_verdict& verdict);

/// `root`/aside, read and emptied on the store thread.
class threaded_aside final : public aside {
public:
  threaded_aside(std::filesystem::path folder,
                 std::shared_ptr<worker_thread> worker, post_function post);
  ~threaded_aside() override { post_->retire(); }

  void list(listed on_listed) override;
  void drop(std::string name, done on_done) override;

private:
  std::filesystem::path folder_;
  std::shared_ptr<worker_thread> worker_;
  std::shared_ptr<loop_poster> post_;
};

} // namespace banyan::store::detail
