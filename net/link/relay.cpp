#include "net/link/relay.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

constexpr std::size_t elements = 7;
constexpr std::size_t elements_max = 16;

} // namespace

const char* to_string(relay_end e) noexcept {
  switch (e) {
  case relay_end::closed:
    return "closed";
  case relay_end::not_linked:
    return "not linked";
  case relay_end::not_allowed:
    return "not allowed";
  case relay_end::overloaded:
    return "overloaded";
  case relay_end::overrun:
    return "overrun";
  case relay_end::unknown:
    return "unknown";
  case relay_end::neighbour_gone:
    return "neighbour gone";
  }
  return "?";
}

void encode(const relay_frame& f, writer& w) {
  BANYAN_ASSERT(f.data.size() <= relay_data_max);
  w.array(elements).uint(static_cast<std::uint64_t>(f.word));
  w.boolean(f.forwarded).id(f.far).uint(f.stream).boolean(f.by_opener);
  w.uint(f.number).blob(f.data);
}

bool decode(const_bytes in, relay_frame& out) {
  reader r{in};
  auto n = r.array(elements_max);
  if (n < elements)
    return false;
  out.word = static_cast<relay_word>(r.uint(4));
  r.require(out.word >= relay_word::open);
  out.forwarded = r.boolean();
  r.id(out.far);
  out.stream = r.uint();
  out.by_opener = r.boolean();
  out.number = r.uint();
  out.data = r.blob(relay_data_max);
  for (n -= elements; n > 0 && r.ok(); --n)
    r.skip();
  if (!r.done() || out.far.is_none())
    return false;
  switch (out.word) {
  case relay_word::open:
    return out.by_opener && out.number == 0 && out.data.empty();
  case relay_word::data:
    return !out.data.empty() && out.number <= UINT64_MAX - out.data.size();
  case relay_word::credit:
    return out.data.empty();
  case relay_word::close:
    return out.data.empty() && out.number >= 1 && out.number <= relay_end_last;
  }
  return false;
}

bool relay_ration::open(time_point now) {
  if (at_ < now) {
    const auto passed = std::chrono::duration<double>(now - at_).count();
    have_ = std::min(burst_, have_ + passed * per_second_);
    at_ = now;
  }
  return have_ > 0;
}

time_point relay_ration::opens_at() const {
  if (have_ > 0)
    return at_;
  // A little later than exactly then, so that it is open for sure.
  const auto wait = std::chrono::duration<double>(-have_ / per_second_);
  return at_ + std::chrono::duration_cast<duration>(wait) + 1ms;
}

} // namespace banyan::net
