#pragma once
#include "actors/node/context.hpp"

namespace banyan::actors {

/// How many groups a node has a part in, as their leaders say.
struct roles {
  std::uint64_t leading = 0;
  std::uint64_t following = 0;
  std::uint64_t learning = 0;
};
roles roles_of(const node_context& ctx, const node_id& node);

/// The only member whose id begins with `text`; or `why` not.
std::optional<node_id> find_node(const node_context& ctx,
                                 const std::string& text, reply& why);

} // namespace banyan::actors
