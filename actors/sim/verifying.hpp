#pragma once
#include "net/membership/remembering_verifier.hpp"

#include <cstdint>
#include <utility>

namespace banyan::sim {

/// Verifies and keeps each thing once for all nodes of a swarm, and counts what
/// a node would have had to verify, so that it can be charged for it.
class shared_verifier final : public net::remembering_verifier {
public:
  using remembering_verifier::remembering_verifier;

  bool genuine(const net::member_document& d, const mesh_id& mesh) override {
    ++asked_;
    return remembering_verifier::genuine(d, mesh);
  }
  bool genuine(const net::admission& a, const mesh_id& mesh,
               const node_id& node) override {
    ++asked_;
    return remembering_verifier::genuine(a, mesh, node);
  }
  bool genuine(const net::report& r, const mesh_id& mesh) override {
    ++asked_;
    return remembering_verifier::genuine(r, mesh);
  }

  /// Asked since the last call.
  std::uint64_t take_asked() noexcept { return std::exchange(asked_, 0); }

private:
  std::uint64_t asked_ = 0;
};

} // namespace banyan::sim
