#pragma once
// What the type of a handler says: command or query, argument, context, answer.
#include <banyan/reply.hpp>

namespace banyan {
class context;
namespace detail {

template <class R>
struct answered {
  using type = R;
};
template <>
struct answered<void> {
  using type = none;
};
template <class T>
struct answered<reply<T>> : answered<T> {};
template <class R>
constexpr bool is_reply = is_a<R, reply>::value;

/// `good` is false for anything that is no handler; the rest then has harmless
/// values, so that one static_assert says it and nothing else follows.
template <class F>
struct handler_type {
  static constexpr bool good = false;
  using state = none;
  using argument = none;
  using result = none;
};
template <class R, class S, class A, bool Query, bool Context>
struct good_handler {
  static constexpr bool good = !std::is_reference_v<R>;
  static constexpr bool query = Query;
  static constexpr bool takes_context = Context;
  static constexpr bool takes_argument = !std::is_same_v<A, none>;
  static constexpr bool takes_answer = is_a<A, answer>::value;
  using returned = R;
  using state = S;
  using argument = A;
  using result = typename answered<std::decay_t<R>>::type;
};
template <class R, class S>
struct handler_type<R (*)(S&)> : good_handler<R, S, none, false, false> {};
template <class R, class S>
struct handler_type<R (*)(const S&)> : good_handler<R, S, none, true, false> {};
template <class R, class S>
struct handler_type<R (*)(S&, context&)>
    : good_handler<R, S, none, false, true> {};
template <class R, class S>
struct handler_type<R (*)(const S&, context&)>
    : good_handler<R, S, none, true, true> {};
template <class R, class S, class A>
struct handler_type<R (*)(S&, const A&)> : good_handler<R, S, A, false, false> {
};
template <class R, class S, class A>
struct handler_type<R (*)(const S&, const A&)>
    : good_handler<R, S, A, true, false> {};
template <class R, class S, class A>
struct handler_type<R (*)(S&, const A&, context&)>
    : good_handler<R, S, A, false, true> {};
template <class R, class S, class A>
struct handler_type<R (*)(const S&, const A&, context&)>
    : good_handler<R, S, A, true, true> {};
/// An argument by value is as good as one by const&; by & is no handler.
template <class R, class S, class A, bool Query, bool Context>
struct by_value : good_handler<R, S, A, Query, Context> {
  static constexpr bool good =
      !std::is_reference_v<A> && !std::is_reference_v<R>;
};
template <class R, class S, class A>
struct handler_type<R (*)(S&, A)> : by_value<R, S, A, false, false> {};
template <class R, class S, class A>
struct handler_type<R (*)(const S&, A)> : by_value<R, S, A, true, false> {};
template <class R, class S, class A>
struct handler_type<R (*)(S&, A, context&)> : by_value<R, S, A, false, true> {};
template <class R, class S, class A>
struct handler_type<R (*)(const S&, A, context&)>
    : by_value<R, S, A, true, true> {};
template <class R, class... P>
struct handler_type<R (*)(P...) noexcept> : handler_type<R (*)(P...)> {};

template <auto H>
using argument_of = typename handler_type<decltype(H)>::argument;
template <auto H>
using result_of = typename handler_type<decltype(H)>::result;

/// Names a handler at run time, for sends and typed calls: its address is its
/// identity within one shared object (hidden: two versions of an app that are
/// loaded side by side keep apart).
template <auto H>
__attribute__((visibility("hidden"))) inline char handler_tag = 0;

/// `delete_` is the command `delete`.
constexpr std::string_view command_name(std::string_view spelled) {
  if (!spelled.empty() && spelled.back() == '_')
    spelled.remove_suffix(1);
  return spelled;
}

} // namespace detail
} // namespace banyan
