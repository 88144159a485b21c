#pragma once
#include "base/result.hpp"
#include "store/errors.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace banyan::store {

/// Files that were found damaged and are kept, because a repair may still need
/// them: `state-N` (a whole state), `log-…`, `documents-…`. Loop thread only.
class aside {
public:
  struct item {
    std::string name;
    std::uint64_t bytes = 0;
  };
  using listed = std::function<void(result<std::vector<item>, store_error>)>;
  using done = std::function<void(result<void, store_error>)>;

  virtual ~aside() = default;

  /// By name. Completes on the loop thread.
  virtual void list(listed on_listed) = 0;
  /// Deletes one for good; a name that isn't there is no error.
  virtual void drop(std::string name, done on_done) = 0;
};

} // namespace banyan::store
