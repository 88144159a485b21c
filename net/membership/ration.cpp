#include "net/membership/ration.hpp"

namespace banyan::net {

std::size_t report_ration::place_of(const node_id& observer) const noexcept {
  std::uint64_t h = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    h = (h ^ observer.array()[i]) * 0xff51afd7ed558ccdULL;
    h = (h ^ self_.array()[i] ^ h >> 29U) * 0xc4ceb9fe1a85ec53ULL;
  }
  return (h ^ h >> 32U) % places;
}

bool report_ration::allows(const node_id& observer, time_point now) {
  if (since_ + window <= now) {
    counts_ = {};
    since_ = now;
  }
  return counts_.empty() || counts_[place_of(observer)] < reports_max;
}

void report_ration::taken(const node_id& observer) {
  counts_.resize(places);
  ++counts_[place_of(observer)];
}

} // namespace banyan::net
