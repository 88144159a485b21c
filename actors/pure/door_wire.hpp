#pragma once
#include "base/time.hpp"
#include "store/types.hpp"

#include <cstdint>
#include <map>

/// What nodes tell each other so that calls and replicas go where they should:
/// control frames 37 to 39 (docs/wire-groups.md, section 8). Plain data with
/// canonical codecs; hints, safety never rests on them.
namespace banyan {

class reader;
class writer;

/// The sender serves calls of a stateless app from now on, or no more. Told on
/// each new link for all that are up, and on each change.
struct instance_word {
  app_id app;
  std::uint64_t number = 0; ///< of the version that runs there
  bool up = false;
};

/// How loaded the sender is.
struct node_load {
  std::uint16_t busy = 0;  ///< permille of one CPU that its loop used; <= 1000
  std::uint32_t leads = 0; ///< groups that it leads
  std::uint32_t calls = 0; ///< that it answered in the last second
};

/// How far the sender measures others to be: the shortest round trips of late.
struct distances_told {
  static constexpr std::size_t nodes_max = 64;
  std::map<node_id, duration> to; ///< microseconds on the wire, below 60 s
};

void write_body(writer& w, const instance_word& f);  // 3 elements
void write_body(writer& w, const node_load& f);      // 3
void write_body(writer& w, const distances_told& f); // 1
void read_body(reader& r, instance_word& f);
void read_body(reader& r, node_load& f);
void read_body(reader& r, distances_told& f);

} // namespace banyan
