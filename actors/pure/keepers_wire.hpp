#pragma once
#include "actors/pure/directory.hpp"

#include <cstdint>
#include <map>

/// What nodes ask and tell each other where not everybody is linked with
/// everybody: control frames 40 to 43 (docs/wire-groups.md, section 8). Plain
/// data with canonical codecs; hints, safety never rests on them.
namespace banyan {

class reader;
class writer;

/// Who leads this group; of a stateless app (shard 0): who serves it? Any node
/// may ask any other; who doesn't know says nothing.
struct view_wanted {
  group_id group;
};

/// The answer: what its leader told the sender.
struct view_told {
  group_view view;
};

/// The answer for a stateless app: where instances serve.
struct instances_told {
  static constexpr std::size_t nodes_max = 1024;
  app_id app;
  std::map<node_id, std::uint64_t> nodes; ///< the version that runs there
};

/// A sum over the documents that the sender holds: who has another one says
/// which it holds (frame 3).
struct documents_sum {
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
  friend bool operator==(const documents_sum& a, const documents_sum& b) {
    return a.count == b.count && a.sum == b.sum;
  }
  /// A document in this state; the order doesn't matter.
  void add(const_bytes id, std::uint64_t number, bool deleted);
};

void write_body(writer& w, const view_wanted& f);    // 2 elements
void write_body(writer& w, const instances_told& f); // 2
void write_body(writer& w, const documents_sum& f);  // 2
void read_body(reader& r, view_wanted& f);
void read_body(reader& r, instances_told& f);
void read_body(reader& r, documents_sum& f);

} // namespace banyan
