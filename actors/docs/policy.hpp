#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/pure/uptime/policy.hpp"

#include <optional>
#include <vector>

namespace banyan {

/// A mesh's policy as an owner key of the mesh file signed it, opened and
/// checked. The one with the highest version counts.
struct policy_record {
  std::uint64_t version = 0;
  owner_id signer;
  mesh_policy policy;
  signed_document document;
};

/// `p` can be signed (`why_invalid`).
[[nodiscard]] policy_record sign_policy(const identity& owner,
                                        const mesh_id& mesh,
                                        std::uint64_t version,
                                        const mesh_policy& p);
/// Checks form, signature, and that the signer is one of `owners`.
[[nodiscard]] result<policy_record, papers_errc>
open_policy(const signed_document& d, const mesh_id& mesh,
            const std::vector<owner_id>& owners);

/// The policy that a node goes by. Plain data.
///
/// Of two policies with one version both are kept and told, so that all nodes
/// know of both: that is a conflict, and until an owner signs a higher version
/// nothing is enforced.
class policy_book {
public:
  enum class outcome : std::uint8_t {
    taken,
    known,
    older,   ///< a higher version is here
    conflict ///< with the one that is here: kept beside it
  };
  outcome put(policy_record r);

  /// What counts: the defaults without any. While there is a conflict it is
  /// never enforced, and lists no nodes.
  [[nodiscard]] const mesh_policy& policy() const noexcept { return policy_; }
  [[nodiscard]] std::uint64_t version() const noexcept;
  [[nodiscard]] bool conflict() const noexcept { return records_.size() > 1; }
  /// None, one, or two in conflict: by their documents' bytes.
  [[nodiscard]] const std::vector<policy_record>& records() const noexcept {
    return records_;
  }

private:
  std::vector<policy_record> records_;
  mesh_policy policy_;
};

} // namespace banyan
