#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/sse.hpp"

namespace banyan::cli {

/// Reads the stream at `target()`, which is asked for anew each time, and goes
/// on there when it ends, until the peer is gone for 30 s, `f` has enough or
/// nobody reads the output any more.
outcome follow(peer_client& peer, const std::function<std::string()>& target,
               const sse_reader::message_function& f);
/// `10m` ago in milliseconds since 1970; empty: 0.
result<std::int64_t, problem> since_ms(const std::string& text);
[[nodiscard]] bool read_json(std::string_view json, value& out);
/// Does anybody still read the standard output?
[[nodiscard]] bool can_print();

} // namespace banyan::cli
