#pragma once
// From a handler's type to the bytes of a call, and back.
#include <banyan/app.hpp>
#include <banyan/call.hpp>

#include <type_traits>

namespace banyan::detail {

template <auto H>
using answer_type =
    std::conditional_t<std::is_same_v<result_of<H>, none>, void, result_of<H>>;
template <auto H>
using typed_result = call_result<answer_type<H>>;
template <auto H>
using typed_done = std::function<void(typed_result<H>)>;

inline call_error invalid_argument(std::string why) {
  return {call_errc::invalid_argument, to_string(call_errc::invalid_argument),
          std::move(why)};
}

/// `invalid_argument` when the argument holds what can't be sent, or when no
/// BANYAN_APP lists the handler.
template <auto H>
call_result<call_order> order_for(std::string_view key,
                                  const argument_of<H>& argument,
                                  call_options options) {
  using type = handler_type<decltype(H)>;
  static_assert(type::good, "banyan: call<&app::handler> wants a handler that "
                            "BANYAN_APP lists");
  static_assert(!type::takes_answer,
                "banyan: an on_reply handler takes answers only, no calls");
  const auto found = find_handler(&handler_tag<H>);
  if (found.app == nullptr)
    return invalid_argument("BANYAN_APP doesn't list this handler");
  call_order o;
  o.app = found.app->name;
  o.key = std::string{key};
  o.command = found.handler->name;
  o.query = type::query;
  o.options = std::move(options);
  try {
    o.argument = encode(argument, encode_mode::sent, "argument");
  } catch (const unsendable& e) {
    return invalid_argument(e.what());
  }
  return o;
}

template <auto H>
typed_result<H> read_answer(const call_outcome& outcome) {
  if (!outcome.ok())
    return outcome.error();
  if constexpr (std::is_void_v<answer_type<H>>) {
    return {};
  } else {
    answer_type<H> out{};
    decoder d{as_view(*outcome), decode_mode::stored};
    if (d.whole(out))
      return out;
    return call_error{call_errc::invalid_answer,
                      to_string(call_errc::invalid_answer), d.why("answer")};
  }
}

} // namespace banyan::detail
