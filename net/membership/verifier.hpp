#pragma once
#include "net/membership/record.hpp"

#include <memory>

namespace banyan::net {

/// Documents and reports are never changed once they are in a book; the books
/// of one process may hold the same ones.
using shared_document = std::shared_ptr<const member_document>;
using shared_report = std::shared_ptr<const report>;

/// Checks the signatures of what comes in, and makes the copies that books
/// hold. By itself it just does the arithmetic, about 50 µs a signature, and
/// copies; a simulation, whose nodes all hear the same things, puts
/// `remembering_verifier` in its place.
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
  virtual shared_document keep(member_document&& d) {
    return std::make_shared<const member_document>(std::move(d));
  }
  virtual shared_report keep(const report& r) {
    return std::make_shared<const report>(r);
  }
};

} // namespace banyan::net
