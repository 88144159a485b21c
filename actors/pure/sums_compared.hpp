#pragma once
#include "actors/pure/keepers_wire.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

#include <map>

namespace banyan {

/// With whom documents are exchanged since the sums of both differ. Some can
/// never agree: an owner is trusted by one and not by the other. After a few
/// exchanges that changed neither sum that node's is let be for a while. Pure;
/// one per node.
class sums_compared {
public:
  /// One may have been lost, or its documents are still on their way.
  static constexpr unsigned tries = 3;
  static constexpr duration rest = std::chrono::minutes{10};
  static constexpr std::size_t nodes_max = 256;

  /// The sums differ. True: an exchange may bring something.
  bool worth(const node_id& node, const documents_sum& theirs,
             const documents_sum& mine, time_point now) {
    if (met_.size() >= nodes_max && met_.count(node) == 0)
      met_.erase(met_.begin());
    auto& m = met_[node];
    if (!(m.theirs == theirs) || !(m.mine == mine) || now - m.at >= rest)
      m = {theirs, mine, 0, now};
    if (m.tried == tries)
      return false;
    ++m.tried;
    m.at = now;
    return true;
  }
  /// Its next sum counts as the first one.
  void forget(const node_id& node) { met_.erase(node); }

private:
  struct met {
    documents_sum theirs;
    documents_sum mine;
    unsigned tried = 0;
    time_point at{};
  };
  std::map<node_id, met> met_;
};

} // namespace banyan
