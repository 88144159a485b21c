// What observers and owners sign about uptime: days, and a mesh's policy.
#include "actors/pure/uptime/archive.hpp"
#include "actors/pure/uptime/policy.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

node_id node(std::uint8_t n) {
  return node_id{std::array<std::uint8_t, 32>{n}};
}

seen_day seen(std::size_t step) {
  seen_day s;
  for (std::size_t m = 0; m < minutes_a_day; ++m)
    if (m % step != 0)
      s.observed.set(m);
  s.up = s.observed;
  return s;
}

// What is accepted is canonical, and whatever it says, the count keeps within
// what there is to count.
void a_day(const_bytes in) {
  observation o;
  if (!observation::decode(in, o))
    return;
  BANYAN_ASSERT(const_bytes{o.encode()} == in);
  BANYAN_ASSERT(o.subjects.size() <= subjects_max);
  for (const auto& s : o.subjects) {
    const auto d =
        count_day({{node(1), s.seen}, {node(2), s.seen}, {node(3), seen(7)}});
    BANYAN_ASSERT(d.minutes.up <= d.minutes.counted
                  && d.minutes.counted <= minutes_a_day);
    for (const auto& w : d.observers)
      BANYAN_ASSERT(w.up <= w.observed && w.contradicted <= w.counted
                    && w.counted <= w.observed);
  }
}

void run(const_bytes in) {
  input i{in};
  if (i.u8() % 2 == 0)
    return a_day(i.rest());
  accepts_stable<mesh_policy>(
      i.rest(), [](const mesh_policy& p) { return encode(p); },
      [](const_bytes b, mesh_policy& p) { return decode(b, p); });
  mesh_policy p;
  std::string why;
  if (set_all(p, as_text(i.rest()), why) && why_invalid(p).empty()) {
    mesh_policy back;
    BANYAN_ASSERT(decode(encode(p), back) && back == p);
  }
}

std::vector<bytes> seeds() {
  observation o;
  o.day = 20'000;
  o.subjects = {{node(1), seen(minutes_a_day)}, {node(2), seen(3)}};
  mesh_policy p;
  p.enforce = true;
  return {tagged(0, o.encode()), tagged(1, encode(p)),
          tagged(1, to_bytes("enforce = true\n[tier1]\ncores = 2 # few\n"))};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(uptime)
