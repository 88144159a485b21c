// Pieces of apps' code, and the first bytes of a file that claims to be some.
#include "actors/docs/app_documents.hpp"
#include "actors/pure/module_wire.hpp"
#include "base/target.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  (void)target_of_library(in);
  module_piece p;
  if (!decode(in, p))
    return;
  BANYAN_ASSERT(!p.data.empty() && p.data.size() <= module_piece_bytes_max
                && p.offset + p.data.size() <= module_bytes_max);
  bytes again;
  encode(p, again);
  BANYAN_ASSERT(const_bytes{again} == in);
}

std::vector<bytes> seeds() {
  bytes first;
  encode(module_piece{digest{}, 0, {0x7f, 'E', 'L', 'F'}}, first);
  bytes last;
  encode(module_piece{digest{}, module_bytes_max - 1, {1}}, last);
  bytes library{0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
  library.resize(16);
  library.insert(library.end(), {3, 0, 62, 0});
  return {first, last, library};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(module_piece)
