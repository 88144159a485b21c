#pragma once
#include "store/types.hpp"

#include <cstdint>

/// What nodes tell each other so that calls go where they are served soonest:
/// control frames 37 and 38 (docs/wire-groups.md, section 8). Plain data with
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

void write_body(writer& w, const instance_word& f); // 3 elements
void write_body(writer& w, const node_load& f);     // 3
void read_body(reader& r, instance_word& f);
void read_body(reader& r, node_load& f);

} // namespace banyan
