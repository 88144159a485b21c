#pragma once
#include "actors/pure/features.hpp"
#include "base/bytes.hpp"
#include "base/codec.hpp"
#include "base/ids.hpp"

#include <cstdint>
#include <optional>
#include <string>

/// Which version of its app a group runs, as its log says: plain data with
/// canonical codecs, part of docs/disk-format.md.
namespace banyan {

/// @name Bounds of what is read back
/// @{
inline constexpr std::size_t edition_spec_bytes_max = std::size_t{1} << 20;
inline constexpr std::size_t version_why_bytes_max = 1024;
/// @}

/// One version of an app.
struct app_edition {
  std::uint64_t number = 0;        ///< of the signed spec; from 1
  std::uint32_t state_version = 0; ///< that its module writes
  bytes spec;                      ///< encoded `app_spec`
};
inline bool operator==(const app_edition& a, const app_edition& b) {
  return a.number == b.number && a.state_version == b.state_version
         && a.spec == b.spec;
}

/// What a group's log says of its version.
struct group_versions {
  app_edition now; ///< all turns run on its host
  /// What ran before, while `now` is still watched: the way back.
  std::optional<app_edition> former;
  /// A version that was tried here and failed, or 0: it is never tried again.
  /// Equal to `now`'s when it failed and there was no way back.
  std::uint64_t refused = 0;
  std::string why; ///< that was; for people
};
inline bool operator==(const group_versions& a, const group_versions& b) {
  return a.now == b.now && a.former == b.former && a.refused == b.refused
         && a.why == b.why;
}
void put(writer& w, const group_versions& v);
void take(reader& in, group_versions& v);
bytes encode(const group_versions& v);
bool decode(const_bytes in, group_versions& out);

/// The highest state version in which something was written, and by which entry
/// first: no module that writes a lower one may run here any more.
struct state_written {
  std::uint32_t state_version = 0;
  log_index index;
};

/// What a leader is asked to do about its group's version.
struct version_order {
  enum class kind : std::uint8_t {
    record,  ///< write down what runs; nothing changes
    take,    ///< `edition` takes over
    settle,  ///< it stays; with `refused`: though it failed
    go_back, ///< the former takes over again
  };
  kind what = kind::record;
  app_edition edition;  ///< record, take
  bool watched = false; ///< take: not settled, the former one is kept
  /// record: turns may have been taken before this.
  bool written = false;
  std::uint64_t refused = 0; ///< settle, go_back
  std::string why;
};

} // namespace banyan
