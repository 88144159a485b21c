// What replicas say about damaged rows, lost states and checkpoints.
#include "actors/pure/replica/repair_codec.hpp"
#include "actors/pure/replica/rows.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

using namespace replica;

template <class T>
void stable(const_bytes in) {
  accepts_stable<T>(
      in, [](const T& m) { return encode(m); },
      [](const_bytes b, T& m) { return decode(b, m); });
}

void run(const_bytes in) {
  input i{in};
  switch (i.u8() % 5) {
  case 0:
    stable<state_wanted>(i.rest());
    break;
  case 1: {
    stable<row_wanted>(i.rest());
    row_wanted m;
    if (decode(i.rest(), m))
      BANYAN_ASSERT(m.key.size() <= store::row_key_max
                    && actor_of(m.key).size() <= m.key.size());
    break;
  }
  case 2:
    stable<row_given>(i.rest());
    break;
  case 3:
    stable<checkpoint_report>(i.rest());
    break;
  default:
    stable<checkpoint_verdict>(i.rest());
  }
}

std::vector<bytes> seeds() {
  const store::state_digest digest{std::array<std::uint8_t, 32>{1, 2, 3}};
  std::vector<bytes> out{
      tagged(0, encode(state_wanted{true, log_index{9}, term{2}})),
      tagged(1,
             encode(row_wanted{3, actor_row("alice"), log_index{9}, term{2}})),
      tagged(3, encode(checkpoint_report{log_index{9}, digest})),
      tagged(4, encode(checkpoint_verdict{
                    log_index{9}, checkpoint_verdict::what::odd, digest}))};
  row_given given;
  given.number = 3;
  given.answer = row_given::what::row;
  given.applied = log_index{12};
  given.value = shared_bytes{to_bytes("state")};
  given.index = log_index{8};
  out.push_back(tagged(2, encode(given)));
  given = {};
  given.answer = row_given::what::behind;
  out.push_back(tagged(2, encode(given)));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(repair)
