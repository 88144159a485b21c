#include "store/errors.hpp"

namespace banyan::store {

std::string_view to_string(store_errc code) noexcept {
  switch (code) {
  case store_errc::io:
    return "io";
  case store_errc::full:
    return "full";
  case store_errc::damaged:
    return "damaged";
  case store_errc::in_use:
    return "in_use";
  case store_errc::network_fs:
    return "network_fs";
  case store_errc::unreadable:
    return "unreadable";
  case store_errc::too_large:
    return "too_large";
  case store_errc::stale:
    return "stale";
  case store_errc::mismatch:
    return "mismatch";
  }
  return "unknown";
}

} // namespace banyan::store
