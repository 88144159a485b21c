#include "actors/pure/door_wire.hpp"

#include "base/codec.hpp"

#include <algorithm>

namespace banyan {

void write_body(writer& w, const instance_word& f) {
  w.id(f.app).uint(f.number).boolean(f.up);
}

void read_body(reader& r, instance_word& f) {
  r.id(f.app);
  f.number = r.uint();
  f.up = r.boolean();
}

void write_body(writer& w, const node_load& f) {
  w.uint(f.busy).uint(f.leads).uint(f.calls);
}

void read_body(reader& r, node_load& f) {
  f.busy = static_cast<std::uint16_t>(r.uint(1000));
  f.leads = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  f.calls = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
}

namespace {
constexpr std::uint64_t microseconds_max = 60'000'000;
} // namespace

void write_body(writer& w, const distances_told& f) {
  w.array(f.to.size());
  for (const auto& [node, rtt] : f.to) {
    const auto us =
        std::chrono::duration_cast<std::chrono::microseconds>(rtt).count();
    w.array(2).id(node).uint(
        std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(us, 0)),
                 microseconds_max));
  }
}

void read_body(reader& r, distances_told& f) {
  node_id before;
  for (auto n = r.array(distances_told::nodes_max); n > 0 && r.ok(); --n) {
    node_id node;
    r.require(r.array(2) == 2);
    r.id(node);
    r.require(f.to.empty() || before < node); // each once
    before = node;
    f.to[node] = std::chrono::microseconds{
        static_cast<std::int64_t>(r.uint(microseconds_max))};
  }
}

} // namespace banyan
