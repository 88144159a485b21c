#pragma once
#include "net/membership/record.hpp"

namespace banyan::net {

/// Checks the signatures of what comes in. By itself it just does the
/// arithmetic, about 50 µs each; a simulation, whose nodes all hear the same
/// things, puts one in its place that remembers what it has seen.
class verifier {
public:
  virtual ~verifier() = default;
  virtual bool genuine(const member_document& d, const mesh_id& mesh) {
    return d.verify(mesh);
  }
  virtual bool genuine(const admission& a, const mesh_id& mesh,
                       const node_id& node) {
    return a.verify(mesh, node);
  }
  virtual bool genuine(const report& r, const mesh_id& mesh) {
    return r.verify(mesh);
  }
};

} // namespace banyan::net
