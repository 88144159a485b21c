#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/why.hpp"

#include <vector>

namespace banyan::actors {

/// What the mesh's policy says of it, of its uptime or its hardware: `held`,
/// `unproven`, `evacuated` or `none`.
away policy_of(const node_context& ctx, const net::member_record& m);

/// Every member as placement sees it, and why it takes no new replica of `s`
/// (null: of any app) now. Loop thread only.
std::vector<why_member> members_for(const node_context& ctx, const app_spec* s);

/// The lower of what it claims and what its observers believe.
std::uint8_t tier_of(const node_context& ctx, const net::member_record& m);

/// What the groups (or instances) of such an app need of members.
placement_need need_for(const app_spec& s);

} // namespace banyan::actors
