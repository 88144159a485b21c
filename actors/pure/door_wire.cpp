#include "actors/pure/door_wire.hpp"

#include "base/codec.hpp"

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

} // namespace banyan
