#pragma once
#include "base/time.hpp"
#include "crypto/hash.hpp"
#include "net/membership/verifier.hpp"

#include <cstdint>
#include <string_view>
#include <unordered_map>

namespace banyan::sim {

/// Verifies each thing once for all nodes of a swarm, and counts what a node
/// would have had to verify, so that it can be charged for it.
class shared_verifier final : public net::verifier {
public:
  bool genuine(const net::member_document& d, const mesh_id& mesh) override;
  bool genuine(const net::admission& a, const mesh_id& mesh,
               const node_id& node) override;
  bool genuine(const net::report& r, const mesh_id& mesh) override;

  /// Asked since the last call.
  std::uint64_t take_asked() noexcept { return std::exchange(asked_, 0); }
  /// What was verified in earnest.
  [[nodiscard]] std::size_t remembered() const noexcept {
    return known_.size();
  }

private:
  template <class Check>
  bool once(const digest& what, Check check);
  std::unordered_map<digest, bool> known_;
  bytes scratch_;
  std::uint64_t asked_ = 0;
};

} // namespace banyan::sim
