#pragma once
#include <banyan/call.hpp>

#include <string_view>

namespace banyan::detail {

/// Puts JSON into the order, makes the call, and reads the answer as JSON.
call_result<std::string>
json_call(call_order order, std::string_view json,
          const std::function<call_outcome(call_order)>& call);

} // namespace banyan::detail
