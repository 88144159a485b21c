#pragma once
#include "base/ids.hpp"

#include <cstdint>

namespace banyan::store {

/// Who gave an order to the disk. Completions echo it whole; one from another
/// term, replica or number than the giver now stands at counts for nothing.
struct order_id {
  group_id group;
  replica_id replica;
  banyan::term term;
  std::uint64_t number = 0;
  friend bool operator==(const order_id& a, const order_id& b) {
    return a.number == b.number && a.term == b.term && a.group == b.group
           && a.replica == b.replica;
  }
  friend bool operator!=(const order_id& a, const order_id& b) {
    return !(a == b);
  }
};

} // namespace banyan::store
