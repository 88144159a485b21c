#include "actors/pure/module_wire.hpp"

#include "actors/docs/app_documents.hpp"
#include "base/codec.hpp"

namespace banyan {

void encode(const module_piece& p, bytes& out) {
  writer{out}.array(3).id(p.hash).uint(p.offset).blob(p.data);
}

bool decode(const_bytes in, module_piece& out) {
  reader r{in};
  r.require(r.array(3) == 3);
  r.id(out.hash);
  out.offset = r.uint(module_bytes_max);
  out.data = r.blob(module_piece_bytes_max).copy();
  return r.done() && !out.data.empty()
         && out.data.size() <= module_bytes_max - out.offset;
}

} // namespace banyan
