#pragma once
#include "store/state.hpp"

#include <map>
#include <optional>

namespace banyan::store::detail {

/// The re-reading of a group's rows, piece by piece, while commits go on: the
/// sum over all rows below `position` as they are now. Commits below it change
/// the sum; those above will be read.
struct scrub_pass {
  bytes position; ///< a scan key
  state_digest sum;
  bool spoiled = false; ///< damage, or the digest was computed anew

  void change(const_bytes scan_key, const std::optional<digest>& before,
              const std::optional<digest>& after) {
    if (!(scan_key < const_bytes{position}))
      return;
    if (before)
      subtract(sum, *before);
    if (after)
      add(sum, *after);
  }
};

/// One pass per group.
class scrub_passes {
public:
  /// The pass that a piece from `from` on belongs to; null: to none.
  scrub_pass* at(const group_id& group, const bytes& from) {
    if (from.empty())
      return &(passes_[group] = {});
    auto* pass = find(group);
    return pass != nullptr && pass->position == from ? pass : nullptr;
  }
  scrub_pass* find(const group_id& group) {
    const auto found = passes_.find(group);
    return found == passes_.end() ? nullptr : &found->second;
  }
  void end(const group_id& group) { passes_.erase(group); }

  /// After a piece of `pass` (null: of none). The last one says whether the
  /// rows add up to what is `kept`.
  void advance(const group_id& group, scrub_pass* pass, scrub_page& page,
               const state_digest& kept) {
    if (pass == nullptr)
      return;
    pass->position = page.next;
    pass->spoiled = pass->spoiled || !page.damaged.empty();
    if (!page.next.empty())
      return;
    if (!pass->spoiled)
      page.digest_matches = pass->sum == kept;
    end(group);
  }

private:
  std::map<group_id, scrub_pass> passes_;
};

} // namespace banyan::store::detail
