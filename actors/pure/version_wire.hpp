#pragma once
#include "actors/pure/rollout.hpp"

#include <string>

/// What nodes tell each other about versions of apps: control frames 18 and 19
/// (docs/wire-groups.md, section 8). Plain data with canonical codecs.
namespace banyan {

class reader;
class writer;

/// How far the sender is with the host of a version that an app's groups there
/// don't run yet.
struct version_ready {
  app_id app;
  std::uint64_t number = 0;
  version_readiness ready;
};

/// What a leader says of its group: always whole.
struct version_word {
  group_id group;
  banyan::term term;
  std::uint64_t running = 0;
  std::uint32_t state_version = 0; ///< of what runs; 0: the log doesn't say
  std::optional<state_written> written;
  std::uint64_t number = 0; ///< of the newest version that it knows
  update_state state = update_state::done;
  std::string why;       ///< one line
  health_figures health; ///< since what runs took over, at this leader
};
/// But for the figures of health.
bool same_word(const version_word& a, const version_word& b);

void write_body(writer& w, const version_ready& f); // 3 elements
void write_body(writer& w, const version_word& f);  // 5
void read_body(reader& r, version_ready& f);
void read_body(reader& r, version_word& f);

} // namespace banyan
