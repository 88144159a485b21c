// Members that lie in a mesh on rings.
#include "tests/fuzz/liar.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  input i{in};
  liar l{20};
  for (int n = 0; n < 40 && !i.empty(); ++n)
    l.act(i);
  l.pass(3s);
}

std::vector<bytes> seeds() {
  return {
      bytes{2, 0, 1, 2, 1, 1, 1, 7, 100, 0, 1, 10, 0, 100},
      bytes{3, 0, 1, 0, 2, 4, 1, 1, 6, 0, 4, 10, 0, 250, 6, 1, 255},
      bytes{12, 0, 7, 13, 1, 3, 0, 0, 77, 9, 200, 1, 10, 0, 200},
      bytes{13, 0, 0, 12, 0, 250, 4, 0, 1, 2, 1, 1, 1, 2, 3, 0},
      bytes{12, 0, 9,  0, 200, 0, 15, 0, 0, 0, 2,   2,  3, 1, 1, 1,  4, 1,
            1,  1, 14, 1, 0,   1, 14, 1, 1, 0, 255, 16, 1, 7, 1, 10, 0, 200},
      bytes{14, 0, 0, 1, 16, 0, 9, 1, 15, 2, 0, 1, 0, 1, 5, 1, 1, 10, 0, 99},
      bytes{11, 0, 1, 25, 1, 1, 10, 0, 255, 25, 0,
            0,  8, 0, 0,  5, 8, 0,  1, 5,   1}};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(membership_rings)
