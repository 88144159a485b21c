#pragma once
#include "store/detail/module_files.hpp"
#include "store/modules.hpp"

#include <functional>
#include <map>
#include <memory>

namespace banyan::store::detail {

/// The loop's side of `modules`: what is here, as the orders that have
/// completed left it. Where they are carried out is the derived class's.
class module_front : public modules {
public:
  [[nodiscard]] const std::map<digest, held>& list() const override {
    return held_;
  }
  void append(const digest& hash, std::uint64_t offset, bytes piece,
              done on_done) override;
  void finish(const digest& hash, done on_done) override;
  void check(const digest& hash, done on_done) override;
  void read(const digest& hash, std::uint64_t offset, std::size_t size,
            read_done on_read) override;
  void drop(const digest& hash, done on_done) override;
  [[nodiscard]] std::string path(const digest& hash) const override {
    return files_->path(hash);
  }

protected:
  module_front(std::shared_ptr<module_files> files,
               std::map<digest, held> found)
      : files_{std::move(files)}, held_{std::move(found)} {}

  enum class cost : std::uint8_t { read, write, sync };
  /// Runs `work`, in the order of the calls, then `then` on the loop thread,
  /// unless this is gone by then.
  virtual void run(cost c, std::function<void()> work,
                   std::function<void()> then) = 0;

private:
  using order = std::function<result<void, store_error>(module_files&)>;
  /// `learn`: what it means for `held_` when it went well, or didn't.
  void carry_out(cost c, order o,
                 std::function<void(const result<void, store_error>&)> learn,
                 done on_done);

  std::shared_ptr<module_files> files_; ///< shared with what runs
  std::map<digest, held> held_;
};

} // namespace banyan::store::detail
