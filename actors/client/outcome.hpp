#pragma once
#include "actors/pure/replica_wire.hpp"

#include <banyan/call.hpp>

namespace banyan {

/// A group's answer in the words of the public API.
detail::call_outcome outcome_of(reply r);
/// `e` with its word as code.
call_error make_error(call_errc e, std::string message);
/// Null, or why the order can't be sent by anybody.
const char* why_unsendable(const detail::call_order& o) noexcept;

} // namespace banyan
