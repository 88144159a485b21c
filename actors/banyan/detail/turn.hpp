#pragma once
// One turn inside the module: bytes of module.h in, bytes of module.h out.
#include <banyan/context.hpp>
#include <banyan/table.hpp>

namespace banyan::detail {

enum class outcome : std::uint8_t {
  ok,
  rejected,
  invalid,
  failed,
  unknown_command,
  newer_state,
  needs_rows
};

/// A turn under way: what came in, and what goes out unless it is replaced by
/// an outcome without effects.
struct turn {
  std::string_view command;
  view argument;
  view state;
  std::uint64_t origin = 0;
  turn_facts facts;
  row_source rows;

  detail::outcome outcome = outcome::ok;
  buffer answer;
  std::string code;
  std::string message;
  std::optional<buffer> new_state;
  std::vector<row_write> writes;
  std::optional<context> ctx; ///< made before the handler runs

  void end(detail::outcome o, std::string why) {
    outcome = o;
    message = std::move(why);
  }
};

inline void put_effects(packer& p, const turn& t, std::string_view own_app) {
  const context& c = *t.ctx;
  if (t.new_state) {
    p.uint(5);
    p.blob(as_view(*t.new_state));
  }
  if (!t.writes.empty()) {
    p.uint(6);
    p.array(t.writes.size());
    for (const auto& w : t.writes) {
      p.array(2);
      p.blob(as_view(w.key));
      if (w.value)
        p.blob(as_view(*w.value));
      else
        p.nil();
    }
  }
  if (!c.sent().empty()) {
    p.uint(7);
    p.array(c.sent().size());
    for (const auto& m : c.sent()) {
      p.array(5);
      p.text(m.app == own_app ? std::string_view{} : m.app);
      p.text(m.key);
      p.text(m.command);
      p.blob(as_view(m.argument));
      p.text(m.on_reply);
    }
  }
  if (!c.removed() && !c.timers().empty()) {
    p.uint(8);
    p.array(c.timers().size());
    for (const auto& timer : c.timers()) {
      p.array(4);
      p.text(timer.name);
      p.uint(static_cast<std::uint64_t>(timer.after.count()));
      p.text(timer.command);
      p.blob(as_view(timer.argument));
    }
  }
  if (!c.removed() && !c.cancelled().empty()) {
    p.uint(9);
    p.array(c.cancelled().size());
    for (const auto& name : c.cancelled())
      p.text(name);
  }
  if (c.removed()) {
    p.uint(10);
    p.boolean(true);
  }
}

inline std::size_t effect_count(const turn& t) {
  const context& c = *t.ctx;
  return std::size_t{t.new_state.has_value()} + !t.writes.empty()
         + !c.sent().empty() + (!c.removed() && !c.timers().empty())
         + (!c.removed() && !c.cancelled().empty()) + c.removed();
}

inline void put_needs(packer& p, const row_source& rows) {
  if (!rows.rows_wanted().empty()) {
    p.uint(12);
    p.array(rows.rows_wanted().size());
    for (const auto& key : rows.rows_wanted())
      p.blob(as_view(key));
  }
  if (!rows.ranges_wanted().empty()) {
    p.uint(13);
    p.array(rows.ranges_wanted().size());
    for (const auto& r : rows.ranges_wanted()) {
      p.array(3);
      p.blob(as_view(r.from));
      p.blob(as_view(r.until));
      p.uint(r.limit);
    }
  }
}

inline buffer encode_result(const turn& t, std::string_view own_app) {
  const bool ok = t.outcome == outcome::ok;
  const bool needs = t.outcome == outcome::needs_rows;
  const bool logs = t.ctx && !t.ctx->logged().empty() && !needs;
  const std::size_t wants = std::size_t{!t.rows.rows_wanted().empty()}
                            + !t.rows.ranges_wanted().empty();
  const bool has_message = !t.message.empty();
  const bool has_code = !t.code.empty();
  buffer out;
  packer p{out};
  p.map(1 + std::size_t{ok} + has_code + has_message
        + (ok ? effect_count(t) : 0) + logs + (needs ? wants : 0));
  p.uint(1);
  p.uint(static_cast<std::uint64_t>(t.outcome));
  if (ok) {
    p.uint(2);
    p.blob(as_view(t.answer));
  }
  if (has_code) {
    p.uint(3);
    p.text(t.code);
  }
  if (has_message) {
    p.uint(4);
    p.text(t.message);
  }
  if (ok)
    put_effects(p, t, own_app);
  if (logs) {
    p.uint(11);
    p.array(t.ctx->logged().size());
    for (const auto& line : t.ctx->logged())
      p.text(is_utf8(line) ? line : std::string_view{"(not UTF-8)"});
  }
  if (needs)
    put_needs(p, t.rows);
  return out;
}

/// Reads the runtime's bytes. They are trusted to be well meant, not to be well
/// formed: false says no more than "malformed".
class turn_reader {
public:
  explicit turn_reader(view in) : in_{in} {}

  bool read(turn& t) {
    item head;
    if (!expect(item::map, head))
      return false;
    for (std::uint64_t i = 0; i < head.bits; ++i) {
      item key;
      if (!expect(item::uint, key) || !field(key.bits, t))
        return false;
    }
    return in_.empty();
  }

private:
  bool expect(item::kind_type kind, item& out) {
    return in_.next(out) && out.kind == kind;
  }
  bool text(std::string& out) {
    item i;
    if (!expect(item::text, i))
      return false;
    out = std::string{i.body.text()};
    return true;
  }
  bool blob(view& out) {
    item i;
    if (!expect(item::blob, i))
      return false;
    out = i.body;
    return true;
  }
  bool field(std::uint64_t number, turn& t) {
    item i;
    switch (number) {
    case 1:
      if (!expect(item::text, i))
        return false;
      t.command = i.body.text();
      return true;
    case 2:
      return blob(t.argument);
    case 3:
      return blob(t.state);
    case 4:
      return text(t.facts.key);
    case 5:
      if (!in_.next(i) || (i.kind != item::uint && i.kind != item::sint))
        return false;
      t.facts.now = std::chrono::system_clock::time_point{
          std::chrono::milliseconds{static_cast<std::int64_t>(i.bits)}};
      return true;
    case 6:
      return number_into(t.facts.seed);
    case 7:
      return number_into(t.origin);
    case 8:
      return text(t.facts.caller);
    case 9:
      return rows(t.rows, nullptr);
    case 10:
      return ranges(t.rows);
    case 11:
      if (!expect(item::boolean, i))
        return false;
      t.facts.query = i.bits != 0;
      return true;
    default:
      return in_.skip();
    }
  }
  bool number_into(std::uint64_t& out) {
    item i;
    if (!expect(item::uint, i))
      return false;
    out = i.bits;
    return true;
  }
  bool rows(row_source& out, std::string* last) {
    item list;
    if (!expect(item::array, list))
      return false;
    for (std::uint64_t n = 0; n < list.bits; ++n) {
      item pair, value;
      view key;
      if (!expect(item::array, pair) || pair.bits != 2 || !blob(key)
          || !in_.next(value)
          || (value.kind != item::blob && value.kind != item::nil))
        return false;
      if (last != nullptr)
        *last = std::string{key.text()};
      out.add(std::string{key.text()},
              value.kind == item::nil ? std::optional<view>{} : value.body);
    }
    return true;
  }
  bool ranges(row_source& out) {
    item list;
    if (!expect(item::array, list))
      return false;
    for (std::uint64_t n = 0; n < list.bits; ++n) {
      item head, limit, complete;
      view from, until;
      std::string last;
      if (!expect(item::array, head) || head.bits != 5 || !blob(from)
          || !blob(until) || !expect(item::uint, limit)
          || !expect(item::boolean, complete) || !rows(out, &last))
        return false;
      if (complete.bits != 0)
        out.add_covered(std::string{from.text()}, std::string{until.text()});
      else if (!last.empty())
        out.add_covered(std::string{from.text()}, last + '\0');
    }
    return true;
  }

  parser in_;
};

/// Runs the handler that the turn names, and turns whatever it throws into an
/// outcome: nothing gets past this.
inline void run_guarded(const app_record& app, turn& t) noexcept {
  try {
    const auto at = app.by_name.find(t.command);
    if (at == app.by_name.end()) {
      std::string has;
      for (const auto& h : app.handlers)
        if ((h.flags & BANYAN_HANDLER_REPLY) == 0)
          has += (has.empty() ? "" : ", ") + h.name;
      return t.end(outcome::unknown_command,
                   app.name + " has no command or query '"
                       + printable(t.command) + "' (it has: " + has + ")");
    }
    const auto& handler = app.handlers[at->second];
    const bool query = (handler.flags & BANYAN_HANDLER_QUERY) != 0;
    if (t.facts.query && !query)
      return t.end(outcome::invalid,
                   handler.name + " is a command, not a query");
    const bool takes_answer = (handler.flags & BANYAN_HANDLER_REPLY) != 0;
    if (takes_answer && t.origin != 2)
      return t.end(outcome::unknown_command,
                   handler.name
                       + " takes answers to this app's own sends only");
    t.facts.query = query;
    handler.run(t);
    if (t.rows.missing())
      t.end(outcome::needs_rows, {});
  } catch (const rows_needed&) {
    t.end(outcome::needs_rows, {});
  } catch (const std::exception& e) {
    t.end(outcome::failed,
          std::string{t.command} + ": " + printable(e.what(), 1000));
  } catch (...) {
    t.end(outcome::failed, std::string{t.command}
                               + ": threw something that is no "
                                 "std::exception");
  }
}

/// One open module: what banyan_app_v1.open gives and run takes.
struct instance {
  const app_record* app = nullptr;
  buffer config;
  secret_map secrets;
};

BANYAN_HIDDEN inline std::int32_t
run_turn(void* opened, const std::uint8_t* data, std::size_t size,
         banyan_sink_v1 sink, void* sink_context) {
  try {
    const auto& self = *static_cast<instance*>(opened);
    turn t;
    if (!turn_reader{{data, size}}.read(t))
      return 1;
    t.facts.config = self.config;
    t.facts.secrets = &self.secrets;
    run_guarded(*self.app, t);
    const buffer out = encode_result(t, self.app->name);
    sink(sink_context, out.data(), out.size());
    return 0;
  } catch (...) { // out of memory
    return 2;
  }
}

BANYAN_HIDDEN inline void* open_app(const app_record& app,
                                    const std::uint8_t* config,
                                    std::size_t size, banyan_sink_v1 sink,
                                    void* sink_context) {
  try {
    parser p{{config, size}};
    item head;
    if (size != 0 && (!p.next(head) || head.kind != item::map)) {
      const std::string_view why = "the config is no map";
      sink(sink_context, as_view(why).data, why.size());
      return nullptr;
    }
    return new instance{&app, {config, config + size}, {}};
  } catch (...) {
    return nullptr;
  }
}

BANYAN_HIDDEN inline void take_secrets(void* opened, const std::uint8_t* data,
                                       std::size_t size) {
  try {
    auto& self = *static_cast<instance*>(opened);
    parser p{{data, size}};
    item head, name, value;
    if (!p.next(head) || head.kind != item::map)
      return;
    for (std::uint64_t n = head.bits; n > 0; --n) {
      if (!p.next(name) || name.kind != item::text || !p.next(value)
          || value.kind != item::blob)
        return;
      self.secrets[std::string{name.body.text()}] =
          std::string{value.body.text()};
    }
  } catch (...) { // out of memory: what is missing throws when it is asked for
  }
}

BANYAN_HIDDEN inline void close_app(void* opened) {
  delete static_cast<instance*>(opened);
}

} // namespace banyan::detail
