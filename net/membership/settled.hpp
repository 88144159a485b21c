#pragma once
#include "net/membership/rings.hpp"
#include "net/membership/verifier.hpp"

namespace banyan::net {

/// Members whose documents somebody verified already, for cores that begin with
/// them: what `persisted_members` is, without the bytes. The cores of a
/// simulation share one, so that ten thousand of them boot in seconds.
struct settled_members {
  std::shared_ptr<ring_order> order; ///< also that of the `membership_config`
  /// By number in `order`; none for one that isn't a member.
  std::vector<shared_document> members;

  /// Adds one, or puts it in the place of its older record.
  void put(shared_document d) {
    const auto i = order->add(d->record.node);
    if (members.size() <= i)
      members.resize(std::size_t{i} + 1);
    members[i] = std::move(d);
  }
};

} // namespace banyan::net
