#pragma once
#include "store/detail/disk_thread.hpp"
#include "store/detail/document_front.hpp"
#include "store/detail/worker_thread.hpp"

#include <memory>

namespace banyan::store::detail {

/// Documents whose file is written on the store thread.
class threaded_documents final : public document_front {
public:
  static result<std::unique_ptr<threaded_documents>, store_error>
  open(std::unique_ptr<file_system> files,
       std::unique_ptr<random_source> random, std::string path,
       std::string aside, std::shared_ptr<worker_thread> worker,
       post_function post);
  ~threaded_documents() override;

  void put(std::vector<change> changes, done on_done) override;

protected:
  result<void, store_error> store_now(std::vector<change> changes) override;

private:
  /// Kept alive by the jobs that use it.
  struct writing {
    std::unique_ptr<file_system> files;
    std::unique_ptr<random_source> random;
    std::unique_ptr<document_file> file;
  };
  threaded_documents(std::shared_ptr<writing> w,
                     std::shared_ptr<worker_thread> worker, post_function post);

  std::shared_ptr<writing> writing_;
  std::shared_ptr<worker_thread> worker_;
  std::shared_ptr<loop_poster> post_;
  std::size_t waiting_ = 0;
};

} // namespace banyan::store::detail
