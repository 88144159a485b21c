#include "actors/pure/home_wire.hpp"

#include "actors/docs/app_documents.hpp"
#include "base/codec.hpp"

namespace banyan {
namespace {

void read_group(reader& r, group_id& g) {
  r.id(g.app);
  g.shard = static_cast<std::uint32_t>(r.uint(shards_max - 1));
}

} // namespace

void write_body(writer& w, const pinned_replicas& f) {
  w.array(f.groups.size());
  for (const auto& g : f.groups)
    w.array(2).id(g.app).uint(g.shard);
}

void write_body(writer& w, const pin_wanted& f) {
  w.id(f.group.app).uint(f.group.shard).id(f.replica);
}

void read_body(reader& r, pinned_replicas& f) {
  for (auto n = r.array(pinned_replicas_max); n > 0 && r.ok(); --n) {
    group_id g;
    r.require(r.array(2) == 2);
    read_group(r, g);
    r.require(f.groups.empty() || f.groups.back() < g); // each once
    f.groups.push_back(g);
  }
}

void read_body(reader& r, pin_wanted& f) {
  read_group(r, f.group);
  r.id(f.replica);
}

} // namespace banyan
