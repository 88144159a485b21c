#include "actors/pure/hardware/challenge_wire.hpp"

#include "base/codec.hpp"

namespace banyan {

void write_body(writer& w, const hardware_challenge& f) {
  w.uint(f.number).uint(static_cast<std::uint64_t>(f.kind));
  w.id(f.nonce).uint(f.size);
}

void write_body(writer& w, const hardware_answer& f) {
  w.uint(f.number).uint(static_cast<std::uint64_t>(f.outcome));
  w.id(f.proof).blob(f.data);
}

void read_body(reader& r, hardware_challenge& f) {
  f.number = r.uint();
  f.kind = static_cast<challenge_kind>(r.uint(1));
  r.id(f.nonce);
  f.size = static_cast<std::uint32_t>(
      r.uint(f.kind == challenge_kind::memory ? hardware_challenge::mib_max
                                              : hardware_challenge::kib_max));
  r.require(f.size > 0);
}

void read_body(reader& r, hardware_answer& f) {
  f.number = r.uint();
  f.outcome = static_cast<challenge_outcome>(r.uint(2));
  r.id(f.proof);
  const auto data =
      r.blob(std::size_t{hardware_challenge::kib_max} * std::size_t{1024});
  r.require(data.empty() || f.outcome == challenge_outcome::done);
  f.data = data.copy();
}

} // namespace banyan
