#pragma once
#include "net/membership/verifier.hpp"

#include <unordered_map>
#include <vector>

namespace banyan::net {

/// One for all cores of a simulated mesh: verifies each thing once and keeps
/// one copy of it, whoever holds it. It forgets nothing; one thread. For one
/// mesh: what is of another is just verified.
class remembering_verifier : public verifier {
public:
  explicit remembering_verifier(const mesh_id& mesh) : mesh_{mesh} {}

  bool genuine(const member_document& d, const mesh_id& mesh) override;
  bool genuine(const admission& a, const mesh_id& mesh,
               const node_id& node) override;
  bool genuine(const report& r, const mesh_id& mesh) override;
  shared_document keep(member_document&& d) override;
  shared_report keep(const report& r) override;

  /// Signatures that were really checked.
  [[nodiscard]] std::uint64_t verified() const noexcept { return verified_; }

private:
  struct known_admission {
    node_id sponsor, node;
    bool genuine;
  };
  template <class Shared>
  struct known {
    Shared thing;
    bool checked = false;
    bool genuine = false;
  };
  known<shared_report>& known_of(const report& r);

  mesh_id mesh_;
  std::uint64_t verified_ = 0;
  /// By signature, which nobody makes twice for different things; whoever
  /// copies one gets its own place behind the first.
  std::unordered_map<signature, std::vector<known<shared_document>>> documents_;
  std::unordered_map<signature, std::vector<known_admission>> admissions_;
  std::unordered_map<signature, std::vector<known<shared_report>>> reports_;
};

} // namespace banyan::net
