#pragma once

namespace banyan {

/// The other end of `process_host`: makes this process an app host. Loads the
/// module that the peer names on the stream `child_process::stream_fd`, runs
/// its turns, one after another, and answers each; ends with the stream or with
/// the parent. Call it first thing in `main`: it starts no thread, and has
/// nothing to hide.
/// @returns the exit code of the process.
int run_host_child();

} // namespace banyan
