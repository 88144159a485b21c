#include "actors/client/json_call.hpp"

#include "actors/client/outcome.hpp"
#include "actors/host/json.hpp"

namespace banyan::detail {

call_result<std::string>
json_call(call_order order, std::string_view json,
          const std::function<call_outcome(call_order)>& call) {
  auto argument = json_to_msgpack(json);
  if (!argument.ok())
    return make_error(call_errc::invalid_argument,
                      "argument: " + argument.error().message);
  order.argument = std::move(*argument);
  const auto outcome = call(std::move(order));
  if (!outcome.ok())
    return outcome.error();
  auto text = msgpack_to_json(*outcome);
  if (!text.ok())
    return make_error(call_errc::invalid_answer, text.error().message);
  return std::move(*text);
}

} // namespace banyan::detail
