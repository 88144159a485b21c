#pragma once
#include "actors/node/context.hpp"

namespace banyan::actors {

/// @name The owner's list of allowed nodes, by the policy that is here
/// Without one everybody is on it. Loop thread only.
/// @{
/// It takes new replicas, as far as the list goes.
[[nodiscard]] bool is_allowed(const node_context& ctx, const node_id& node);
/// It may link and become a member: also one that is about to leave.
[[nodiscard]] bool lets_in(const node_context& ctx, const node_id& node);
/// There is another policy: says which members aren't on its list, and closes
/// links to those that would never have become members.
void on_new_list(node_context& ctx);
/// @}

} // namespace banyan::actors
