#pragma once
#include "actors/pure/replica_core.hpp"

/// What replicas of one group say to each other about states that are missing,
/// damaged or wrong. `decode` gives false on anything else.
namespace banyan::replica {

/// "I have no state": the leader doesn't hand over to the sender, and unless
/// that is about to end, whoever has a whole state at or past `base` gives it a
/// snapshot. Everything up to `base` is committed.
struct state_wanted {
  bool pending = false; ///< its own is still being verified
  log_index base;       ///< where its log begins
  banyan::term base_term;
};
/// "My row `key` is damaged; my state stands at `at_least`" (committed).
struct row_wanted {
  std::uint64_t number = 0;
  bytes key;
  log_index at_least;
  banyan::term term; ///< of the entry there
};
struct row_given {
  enum class what : std::uint8_t {
    row = 0,
    absent = 1, ///< there is none as of `applied`
    behind = 2, ///< this state is older than `at_least`
    unable = 3, ///< damaged here, too, or no state to look into
  };
  std::uint64_t number = 0;
  what answer = what::unable;
  log_index applied; ///< where the answering state stood
  shared_bytes value;
  log_index index; ///< the entry that wrote it
};
/// To the leader: "my state at the checkpoint `index`"; index 0: "compare now,
/// I was told that no majority agrees".
struct checkpoint_report {
  log_index index;
  store::state_digest digest;
};
struct checkpoint_verdict {
  enum class what : std::uint8_t {
    agreed = 0,
    odd = 1,      ///< a majority has `digest`, the addressee another one
    conflict = 2, ///< no majority agrees
    unknown = 3,  ///< not looked at
  };
  log_index index;
  what verdict = what::unknown;
  store::state_digest digest;
};

bytes encode(const state_wanted& m);
bytes encode(const row_wanted& m);
bytes encode(const row_given& m);
bytes encode(const checkpoint_report& m);
bytes encode(const checkpoint_verdict& m);
bool decode(const_bytes in, state_wanted& out);
bool decode(const_bytes in, row_wanted& out);
bool decode(const_bytes in, row_given& out);
bool decode(const_bytes in, checkpoint_report& out);
bool decode(const_bytes in, checkpoint_verdict& out);

/// The actor that a row belongs to; empty when it is one of the group's own.
std::string_view actor_of(const_bytes row_key);

} // namespace banyan::replica
