#pragma once
#include "store/types.hpp"

#include <cstdint>
#include <vector>

/// What nodes tell each other so that nobody undoes what an operator ordered:
/// control frames 53 and 54 (docs/wire-groups.md, section 8). Plain data with
/// canonical codecs; hints, safety never rests on them.
namespace banyan {

class reader;
class writer;

/// The sender's replicas that an operator's `move` put there: all of them. Told
/// on each new link and on each change; an empty list takes back what was said
/// before. Placement moves none of them away.
struct pinned_replicas {
  std::vector<group_id> groups; ///< ascending
};
inline constexpr std::size_t pinned_replicas_max = 100'000;

/// From a group's leader: the receiver's replica is there by an operator's
/// word, and stays pinned, restarts included, until it leaves that node.
struct pin_wanted {
  group_id group;
  replica_id replica; ///< the receiver's
};

void write_body(writer& w, const pinned_replicas& f); // 1 element
void write_body(writer& w, const pin_wanted& f);      // 3
void read_body(reader& r, pinned_replicas& f);
void read_body(reader& r, pin_wanted& f);

} // namespace banyan
