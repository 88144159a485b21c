#pragma once
#include "actors/node/state_check.hpp"

#include <string>

/// The check of a state in a child process, since LMDB may crash or loop on bad
/// pages: `banyan-peer --verify-state DIR`, started by the peer itself.
///
/// The child reads the state, says on standard output how far it is, and at the
/// end what it found:
///   progress BYTES ALL
///   row APP SHARD KEY        one row is damaged (hex)
///   bad WHY                  the file as a whole is
///   later WHY                it can't be judged now
///   end                      everything was said
/// It dies with its parent. No `end`, whatever the reason, means bad.
namespace banyan::bin {

/// The child's side. @returns its exit code.
int verify_state_child(const std::string& state);

/// A job for `actors::state_checker`. A child that can't be started, or that
/// can't judge yet (a child of an earlier process still holds the state), is
/// started again after a while, for as long as it takes; one that says nothing
/// for `patience` is killed, and its state is bad.
store::state_verdict check_in_child(const std::filesystem::path& state,
                                    actors::state_check_status& status,
                                    const std::atomic<bool>& stop,
                                    const std::string& program,
                                    duration patience);

} // namespace banyan::bin
