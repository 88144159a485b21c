#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/evacuation.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace banyan::actors {

/// Of `banyan-peer`: excluded by the mesh's policy.
inline constexpr int exit_excluded = 4;

/// What an excluded node says instead of starting, until it is readmitted;
/// nothing: it may start.
[[nodiscard]] std::optional<std::string> kept_out(const store::documents& d,
                                                  std::int64_t now_unix_ms);

/// Why this node is excluded now, by its own reading of the documents.
[[nodiscard]] exclusion exclusion_here(const node_context& ctx);

} // namespace banyan::actors
