#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/peer_client.hpp"
#include "actors/bin/cli/value.hpp"
#include "actors/pure/uptime/allowed_nodes.hpp"

#include <string>

namespace banyan::cli {

/// Changes the list of allowed nodes as the options of `policy set` say;
/// without any it stays as it is. Where that would leave a living member out,
/// asks the operator to say which: the peer is asked who is there.
/// @returns `usage` with what to write instead.
outcome apply_list(allowed_nodes& list, const policy_set_options& o,
                   peer_client& peer);

/// Of `GET /v1/policy`: a line or a few; nothing without a list.
[[nodiscard]] std::string list_text(const value& policy);

} // namespace banyan::cli
