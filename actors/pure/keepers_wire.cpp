#include "actors/pure/keepers_wire.hpp"

#include "base/codec.hpp"

namespace banyan {

void documents_sum::add(const_bytes id, std::uint64_t number, bool deleted) {
  std::uint64_t h = 14695981039346656037U ^ number * 2 ^ (deleted ? 1U : 0U);
  for (const auto b : id)
    h = (h ^ b) * 1099511628211U;
  h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
  ++count;
  sum += h ^ (h >> 31);
}

void write_body(writer& w, const view_wanted& f) {
  w.id(f.group.app).uint(f.group.shard);
}

void read_body(reader& r, view_wanted& f) {
  r.id(f.group.app);
  f.group.shard = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
}

void write_body(writer& w, const instances_told& f) {
  w.id(f.app).array(f.nodes.size());
  for (const auto& [node, number] : f.nodes)
    w.array(2).id(node).uint(number);
}

void read_body(reader& r, instances_told& f) {
  r.id(f.app);
  node_id before;
  for (auto n = r.array(instances_told::nodes_max); n > 0 && r.ok(); --n) {
    node_id node;
    r.require(r.array(2) == 2);
    r.id(node);
    r.require(f.nodes.empty() || before < node); // each once
    before = node;
    f.nodes[node] = r.uint();
  }
}

void write_body(writer& w, const documents_sum& f) {
  w.uint(f.count).uint(f.sum);
}

void read_body(reader& r, documents_sum& f) {
  f.count = r.uint();
  f.sum = r.uint();
}

} // namespace banyan
