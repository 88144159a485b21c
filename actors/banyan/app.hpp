#pragma once
/// Banyan's public API for apps. An app is a struct of handlers over the state
/// of one actor:
///
///   struct account { std::int64_t balance = 0; BANYAN_FIELDS(balance); };
///   struct amount  { std::int64_t cents = 0;   BANYAN_FIELDS(cents); };
///
///   struct bank : banyan::app<bank, account> {
///     static std::int64_t deposit(account& a, const amount& m) {
///       return a.balance += m.cents;
///     }
///     static std::int64_t balance(const account& a) { return a.balance; }
///   };
///   BANYAN_APP(bank, deposit, balance)
///
/// A unit test is a call: `account a; bank::deposit(a, {5});`. Built as a
/// shared object `bank.so` it is a module that peers run.
#include <banyan/context.hpp>
#include <banyan/detail/turn.hpp>
#include <banyan/fields.hpp>
#include <banyan/reply.hpp>
#include <banyan/table.hpp>

namespace banyan {

/// The base of an app. State is what one actor keeps; it has BANYAN_FIELDS and
/// defaults, which a new actor starts with.
///
/// A handler is a static function:
///   R handler(State&[, const Arg&][, context&])        a command
///   R handler(const State&[, const Arg&][, context&])  a query
/// with R = T, void or reply<T>. Its name is the command's, less one trailing
/// underscore (`delete_` is the command `delete`). Handlers may throw: the
/// caller gets `app_failed` and nothing has changed. They touch nothing
/// outside.
///
/// State is stored as [version, fields by name]: new fields with a default need
/// nothing. For any other change, name the older types, newest first, and lift
/// each into the next:
///   struct notes : banyan::app<notes, note_v3, note_v2, note_v1> {
///     static note_v2 upgrade(note_v1 old);
///     static note_v3 upgrade(note_v2 old);
/// State newer than the module is refused; its leader moves to a voter that can
/// read it.
template <class App, class State, class... Older>
struct app {
  using state = State;
  static constexpr std::uint32_t state_version = 1 + sizeof...(Older);
  using banyan_states = std::tuple<State, Older...>;
};

namespace detail {

template <class App, class From, class To, class = void>
struct upgrades : std::false_type {};
template <class App, class From, class To>
struct upgrades<App, From, To,
                std::void_t<decltype(App::upgrade(std::declval<From>()))>>
    : std::is_same<decltype(App::upgrade(std::declval<From>())), To> {};

/// Reads state of any version this app knows and lifts it to the newest.
template <class App>
class state_loader {
public:
  using states = typename App::banyan_states;
  using newest = typename App::state;
  static constexpr std::size_t count = std::tuple_size_v<states>;

  /// False: the turn has ended with `failed` or `newer_state`.
  static bool load(turn& t, newest& out) {
    if (t.state.size == 0)
      return bind(out, t.rows), true;
    parser p{t.state};
    item head, version;
    if (!p.next(head) || head.kind != item::array || head.bits != 2
        || !p.next(version) || version.kind != item::uint)
      return t.end(outcome::failed, "state: malformed"), false;
    if (version.bits > count)
      return t.end(outcome::newer_state,
                   "the state is version " + std::to_string(version.bits)
                       + "; this module reads 1 to " + std::to_string(count)),
             false;
    const auto used = static_cast<std::size_t>(p.position() - t.state.data);
    const view fields{t.state.data + used, t.state.size - used};
    return read<0>(count - version.bits, fields, t, out);
  }

  static void bind(newest& s, row_source& rows) { bind_any(s, rows); }

private:
  template <class S>
  static void bind_any(S& s, row_source& rows) {
    S::banyan_fields(s, [&](std::string_view name, auto& field) {
      if constexpr (is_table<std::decay_t<decltype(field)>>)
        field.banyan_bind(name, &rows);
    });
  }
  template <std::size_t I>
  static bool read(std::size_t wanted, view fields, turn& t, newest& out) {
    if constexpr (I == count) {
      return t.end(outcome::failed, "state: version 0"), false;
    } else {
      if (I != wanted)
        return read<I + 1>(wanted, fields, t, out);
      std::tuple_element_t<I, states> found{};
      decoder d{fields, decode_mode::stored};
      if (!d.whole_state(found))
        return t.end(outcome::failed, d.why("state")), false;
      bind_any(found, t.rows);
      out = lift<I>(std::move(found));
      bind_any(out, t.rows);
      return true;
    }
  }
  template <std::size_t I, class S>
  static newest lift(S s) {
    if constexpr (I == 0) {
      return s;
    } else {
      using next = std::tuple_element_t<I - 1, states>;
      static_assert(
          upgrades<App, S, next>::value,
          "banyan: each older state needs `static next upgrade(older)` in the "
          "app, giving the next newer one");
      if constexpr (upgrades<App, S, next>::value)
        return lift<I - 1>(App::upgrade(std::move(s)));
      else
        return {};
    }
  }
};

template <class S>
buffer encode_state(std::uint32_t version, const S& s) {
  buffer out;
  packer p{out};
  p.array(2);
  p.uint(version);
  encoder e{out, encode_mode::stored};
  if (!e.write_state(s))
    throw unsendable{e.why("state")};
  return out;
}

/// Calls H with the parameters that it takes.
template <auto H, class S, class A>
decltype(auto) call(S& s, const A& argument, context& ctx) {
  using type = handler_type<decltype(H)>;
  if constexpr (type::takes_argument && type::takes_context)
    return H(s, argument, ctx);
  else if constexpr (type::takes_argument)
    return H(s, argument);
  else if constexpr (type::takes_context)
    return H(s, ctx);
  else
    return H(s);
}

/// False: the app said no, or said it badly.
template <class R>
bool take_reply(turn& t, const R& r, std::string_view command) {
  if constexpr (is_reply<R>) {
    if (!r.ok()) {
      const rejection& no = r.why();
      if (no.code.empty() || no.code.size() > 64 || !is_utf8(no.code)
          || no.message.size() > 4096 || !is_utf8(no.message)) {
        t.end(outcome::failed,
              std::string{command}
                  + ": a rejection has a code of 1 to 64 bytes "
                    "and a message of up to 4096, in UTF-8");
        return false;
      }
      t.end(outcome::rejected, no.message);
      t.code = no.code;
      return false;
    }
    if constexpr (std::is_same_v<R, reply<void>>)
      t.answer = encode(none{}, encode_mode::sent, "answer");
    else
      t.answer = encode(r.value(), encode_mode::sent, "answer");
  } else {
    t.answer = encode(r, encode_mode::sent, "answer");
  }
  return true;
}

template <class A>
bool decode_argument(turn& t, A& out, bool is_answer) {
  // no body at all is {}: what's missing is then named
  static constexpr std::uint8_t no_fields = 0x80;
  const view in = t.argument.size == 0 ? view{&no_fields, 1} : t.argument;
  decoder d{in, is_answer ? decode_mode::stored : decode_mode::argument};
  if (d.whole(out))
    return true;
  t.end(outcome::invalid, std::string{t.command} + ": " + d.why("argument"));
  return false;
}

template <class App, auto H>
void run_handler(turn& t) {
  using type = handler_type<decltype(H)>;
  typename App::state state{};
  typename type::argument argument{};
  if (!state_loader<App>::load(t, state)
      || !decode_argument(t, argument, type::takes_answer))
    return;
  context& ctx = t.ctx.emplace(t.facts);
  if constexpr (std::is_void_v<typename type::returned>) {
    call<H>(state, argument, ctx);
    t.answer = encode(none{}, encode_mode::sent, "answer");
  } else {
    if (!take_reply(t, call<H>(state, argument, ctx), t.command))
      return;
  }
  if (type::query || ctx.removed())
    return;
  buffer now = encode_state(App::state_version, state);
  const view before = t.state;
  if (before.size != now.size()
      || !std::equal(now.begin(), now.end(), before.data))
    t.new_state = std::move(now);
  App::state::banyan_fields(state, [&](std::string_view, auto& field) {
    if constexpr (is_table<std::decay_t<decltype(field)>>)
      field.banyan_writes(t.writes);
  });
}

template <class App, auto H>
handler_record describe(std::string_view spelled) {
  using type = handler_type<decltype(H)>;
  using state = typename App::state;
  constexpr bool same_state = std::is_same_v<typename type::state, state>;
  static_assert(
      type::good,
      "banyan: a handler is static and R(State&), R(State&, const Arg&), "
      "R(State&, context&) or R(State&, const Arg&, context&); const State& "
      "makes it a query; R is T, void or banyan::reply<T>, not a reference");
  static_assert(
      !type::good || same_state,
      "banyan: a handler's first parameter is the app's state: State& for a "
      "command, const State& for a query");
  if constexpr (same_state && has_fields<state>::value)
    return {std::string{command_name(spelled)},
            (type::query ? BANYAN_HANDLER_QUERY : 0)
                | (type::takes_answer ? BANYAN_HANDLER_REPLY : 0),
            &run_handler<App, H>, &handler_tag<H>};
  else
    return {};
}

constexpr bool good_names(std::initializer_list<std::string_view> names) {
  for (const auto* a = names.begin(); a != names.end(); ++a) {
    const std::string_view name = command_name(*a);
    if (name.empty() || name.front() == '_' || name.size() > 255)
      return false;
    for (const auto* b = a + 1; b != names.end(); ++b)
      if (command_name(*b) == name)
        return false;
  }
  return true;
}

/// The app's record; made by the first BANYAN_APP of it in this shared object
/// (a header may be in many files).
template <class App>
BANYAN_HIDDEN app_record*& record_of() {
  static app_record* r = nullptr;
  return r;
}

template <class App>
BANYAN_HIDDEN void* open_module(const std::uint8_t* config, std::size_t size,
                                banyan_sink_v1 sink, void* sink_context) {
  return open_app(*record_of<App>(), config, size, sink, sink_context);
}

template <class App>
BANYAN_HIDDEN bool register_app(std::string_view name,
                                std::vector<handler_record> handlers) {
  static_assert(has_fields<typename App::state>::value,
                "banyan: the app's state needs BANYAN_FIELDS(...)");
  if (record_of<App>() != nullptr)
    return true;
  app_record& app = add_app(name, App::state_version, std::move(handlers));
  app.table.open = &open_module<App>;
  app.table.close = &close_app;
  app.table.run = &run_turn;
  app.table.extras = BANYAN_APP_SECRETS;
  app.table.secrets = &take_secrets;
  record_of<App>() = &app;
  return true;
}

} // namespace detail

/// The app's C table (module.h), for tests and programs that link the app in.
template <class App>
BANYAN_HIDDEN const banyan_app_v1& module_table() {
  return detail::record_of<App>()->table;
}

} // namespace banyan

/// Lists the handlers of an app, up to 32: their names are its commands and
/// queries. Behind the app's definition, in its namespace, in a source file or
/// in a header that others include to send to it.
#define BANYAN_APP(App, ...)                                                   \
  static_assert(::banyan::detail::good_names(                                  \
                    {BANYAN_MAP(BANYAN_NAME_, App, __VA_ARGS__)}),             \
                "banyan: names of handlers differ and don't begin with an "    \
                "underscore (those are Banyan's own)");                        \
  namespace {                                                                  \
  [[maybe_unused]] const bool banyan_registered_##App =                        \
      ::banyan::detail::register_app<App>(                                     \
          #App, {BANYAN_MAP(BANYAN_HANDLER_, App, __VA_ARGS__)});              \
  }
#define BANYAN_NAME_(App, h) #h,
#define BANYAN_HANDLER_(App, h) ::banyan::detail::describe<App, &App::h>(#h),
