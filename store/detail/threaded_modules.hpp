#pragma once
#include "store/detail/disk_thread.hpp"
#include "store/detail/module_front.hpp"
#include "store/detail/worker_thread.hpp"

#include <memory>

namespace banyan::store::detail {

/// Modules whose files are handled by a thread of their own: hashing one of
/// 512 MiB must not keep the states waiting. It begins with the first order.
class threaded_modules final : public module_front {
public:
  static result<std::unique_ptr<threaded_modules>, store_error>
  open(std::unique_ptr<file_system> files, std::string folder,
       post_function post) {
    std::shared_ptr<file_system> shared{std::move(files)};
    // The files live as long as what uses them does.
    std::shared_ptr<module_files> m{
        new module_files{*shared, std::move(folder)},
        [shared](module_files* gone) { delete gone; }};
    auto found = m->look();
    if (!found)
      return failure{found.error()};
    return std::unique_ptr<threaded_modules>{
        new threaded_modules{std::move(m), std::move(*found), std::move(post)}};
  }
  ~threaded_modules() override { post_->retire(); }

protected:
  void run(cost, std::function<void()> work,
           std::function<void()> then) override {
    if (thread_ == nullptr)
      thread_ = std::make_unique<worker_thread>();
    thread_->push([work = std::move(work), then = std::move(then),
                   post = post_]() mutable {
      work();
      (*post)(std::move(then));
    });
  }

private:
  threaded_modules(std::shared_ptr<module_files> files,
                   std::map<digest, held> found, post_function post)
      : module_front{std::move(files), std::move(found)},
        post_{std::make_shared<loop_poster>(std::move(post))} {}

  std::shared_ptr<loop_poster> post_;
  std::unique_ptr<worker_thread> thread_; ///< last: its jobs end first
};

} // namespace banyan::store::detail
