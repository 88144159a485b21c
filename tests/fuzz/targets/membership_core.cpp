// A member that lies in a full mesh.
#include "tests/fuzz/liar.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  input i{in};
  liar l;
  for (int n = 0; n < 40 && !i.empty(); ++n)
    l.act(i);
  l.pass(3s);
}

std::vector<bytes> seeds() {
  return {bytes{2, 0, 1, 2, 1, 1, 1, 7, 100, 0, 1, 10, 0, 100},
          bytes{2, 0, 2, 2, 1, 1, 1, 7, 100, 0, 1,
                3, 1, 2, 1, 2, 2, 1, 1, 10,  0, 200},
          bytes{3, 0, 1, 0, 2, 4, 1, 1, 6, 0, 4, 10, 0, 250, 6, 1, 255},
          bytes{7, 0, 1, 255, 1, 1, 9, 9, 1, 1, 1, 10, 0, 40},
          bytes{9, 0,   1, 0, 1, 0, 50, 0, 1, 2, 4, 0,
                0, 255, 2, 1, 2, 1, 1,  1, 5, 0, 3, 2},
          bytes{11, 0, 1, 11, 1, 1, 10, 0, 255, 11, 0,
                0,  8, 0, 0,  5, 8, 0,  1, 5,   1}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(membership_core)
