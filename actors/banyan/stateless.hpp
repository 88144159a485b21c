#pragma once
/// Apps without state: every instance serves every call, nothing is kept.
///
///   struct person { std::string name; BANYAN_FIELDS(name); };
///
///   struct hello : banyan::stateless<hello> {
///     static std::string greet(const banyan::no_state&, const person& p) {
///       return "hello, " + p.name;
///     }
///   };
///   BANYAN_APP(hello, greet)
///
/// Its spec says `kind = "stateless"` and `instances = N`: so many peers run
/// it, chosen by the placement, and the mesh keeps it at N. A call goes to any
/// of them: `POST /v1/apps/hello/call/greet`. There is no log and no leader, so
/// a call runs *at least* once: who gets no answer asks another instance. What
/// a handler does outside may therefore happen twice.
///
/// A durable app sends to it as to any other, `ctx.send<&hello::greet>("Ann",
/// person{"Ann"}, on_reply<&guests::greeted>)`: the call is made until it has
/// an answer, by any instance, and the answer takes effect once.
///
/// A unit test is a call: `hello::greet({}, {"Ann"})`.
#include <banyan/app.hpp>

namespace banyan {

/// What an actor of a stateless app keeps: nothing.
struct no_state {
  template <class Self, class F>
  static void banyan_fields(Self&, F&&) {}
};

/// The base of such an app. A handler is a static function
///   R handler(const no_state&[, const Arg&][, context&])
/// with R = T, void or reply<T>; it may throw (`app_failed`), reject, log, and
/// read the configuration and the secrets. What needs a state or a log isn't
/// there: `ctx.send`, `ctx.after`, `remove()` and tables throw, and one that
/// takes `no_state&` is never called. No caller is told of another: the same
/// instance may run several calls one after another, in any order.
template <class App>
struct stateless : app<App, no_state> {};

} // namespace banyan
