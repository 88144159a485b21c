#pragma once
#include "base/bytes.hpp"
#include "crypto/signing.hpp"
#include "store/types.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace banyan {

/// One of two or more living apps of one name: deployed on both sides of a cut,
/// or by two owners. None of them is served, each keeps its data, until an
/// owner removes all but one.
struct contested_app {
  app_id id;
  owner_id owner;
  bytes papers; ///< encoded `app_papers`
};

/// The only one whose id begins like that; null: none does, or several do.
[[nodiscard]] const contested_app*
choose(const std::vector<contested_app>& bearers, std::string_view beginning);

/// Which there are and what to do, for people.
[[nodiscard]] std::string contested_words(std::string_view name,
                                          const std::vector<contested_app>& of);

} // namespace banyan
