#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/pure/replica_wire.hpp"

#include <string>

namespace banyan {

/// What comes of an app's documents that meet others of the same app: those
/// that a peer has, and those that an owner or another peer brings.
struct papers_meeting {
  enum class outcome : std::uint8_t {
    same,    ///< nothing that isn't here
    newer,   ///< `merged` takes the place of what is here
    refused, ///< `status` and `why`; what is here stays
  };
  outcome is = outcome::same;
  app_papers merged; ///< to be opened again: it may not go together
  reply_status status = reply_status::ok;
  std::string why; ///< for people, with the next step
};

/// Each document at its newest, whichever side brings it: an update and a
/// deletion that cross are both kept, on every peer the same, and a tombstone
/// stays. `here` and `brought` are of one app.
[[nodiscard]] papers_meeting meet(const app_record& here,
                                  const app_record& brought);

} // namespace banyan
