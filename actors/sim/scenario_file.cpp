#include "actors/docs/detail/toml_fields.hpp"
#include "actors/sim/scenario.hpp"

#include <algorithm>
#include <sstream>

namespace banyan::sim {

namespace {

using docs::toml_fields;

/// A number, whole or not, between `low` and `high`.
void number(toml_fields& fields, const char* key, double low, double high,
            double& out) {
  const auto* node = fields.find(key);
  if (node == nullptr)
    return;
  const auto got = node->value<double>();
  if (!node->is_number() || !(*got >= low && *got <= high)) {
    std::ostringstream text;
    text << "must be a number from " << low << " to " << high;
    return fields.wrong(key, text.str());
  }
  out = *got;
}

bool time(toml_fields& fields, const char* key, duration& out) {
  const auto* node = fields.find(key);
  if (node == nullptr)
    return false;
  const auto* text = node->as_string();
  if (text == nullptr || !parse_duration(text->get(), out))
    fields.wrong(key,
                 R"(must be a time in quotes, as in "500ms", "10s", "2m")");
  return true;
}

/// What an action asks for and what it may have.
struct needs {
  bool who = false;     ///< `nodes`, `count`, `percent` or `region`
  bool region = false;  ///< that and nothing else
  bool percent = false; ///< how much, of something else than who
  bool factor = false;
  bool lasting = false;
  bool way = false;
  bool optional = false; ///< nobody named: all
};

needs needs_of(action a) {
  needs n;
  switch (a) {
  case action::kill:
  case action::leave:
    n.who = true;
    break;
  case action::freeze:
    n.who = n.lasting = true;
    break;
  case action::thaw:
    n.who = n.optional = true;
    break;
  case action::partition:
    n.who = n.lasting = n.way = true;
    break;
  case action::heal:
    break;
  case action::region_loss:
    n.region = true;
    break;
  case action::loss:
    n.percent = n.lasting = n.way = true;
    n.who = n.optional = true;
    break;
  case action::slow:
    n.who = n.factor = n.lasting = true;
    break;
  case action::churn:
    n.percent = n.lasting = true;
    break;
  case action::join:
    n.who = true;
    break;
  }
  return n;
}

void who(toml_fields& fields, const needs& n, happening& h) {
  fields.number("count", 1, scenario::nodes_max, h.count);
  if (const auto* node = fields.find("nodes")) {
    const auto* list = node->as_array();
    if (list == nullptr || list->empty())
      fields.wrong("nodes", "must be a list of numbers, from 0");
    else
      for (const auto& element : *list) {
        const auto one = element.value<std::int64_t>();
        if (!element.is_integer() || *one < 0
            || *one >= std::int64_t(2 * scenario::nodes_max)) {
          fields.wrong("nodes", "must be a list of numbers, from 0");
          break;
        }
        h.nodes.push_back(static_cast<index>(*one));
      }
  }
  if (!n.percent)
    number(fields, "percent", 0.001, 100, h.percent);
  const bool some = h.count > 0 || !h.nodes.empty() || !h.region.empty()
                    || (!n.percent && h.percent > 0);
  if (!some && !n.optional)
    fields.wrong("do", std::string{to_string(h.what)}
                           + " needs to know whom: nodes = [0, 1], count = 5, "
                             "percent = 1 or region = \"...\"");
}

result<happening, scenario_error> take_event(const toml::table& table,
                                             const std::string& file) {
  toml_fields fields{table, file};
  happening h;
  const auto line = table.source().begin.line;
  h.place = file + (line > 0 ? ":" + std::to_string(line) : "");
  const auto wrong = [&](const std::string& why) {
    return failure{scenario_error{h.place + ": event: " + why}};
  };
  constexpr std::string_view known[] = {"at",     "do",  "nodes",  "count",
                                        "region", "for", "factor", "percent",
                                        "down",   "way"};
  for (const auto& [key, node] : table)
    if (std::find(std::begin(known), std::end(known), key.str())
        == std::end(known))
      return wrong(std::string{key.str()}
                   + ": unknown; an event has at, do, nodes, count, percent, "
                     "region, for, factor, down and way");
  if (!time(fields, "at", h.at))
    return wrong("at: is missing: when, as in at = \"10s\"");
  if (!table.contains("do"))
    return wrong("do: is missing: what, as in do = \"kill\"");
  fields.word("do",
              {{"kill", action::kill},
               {"freeze", action::freeze},
               {"thaw", action::thaw},
               {"partition", action::partition},
               {"heal", action::heal},
               {"region_loss", action::region_loss},
               {"loss", action::loss},
               {"slow", action::slow},
               {"churn", action::churn},
               {"join", action::join},
               {"leave", action::leave}},
              h.what);
  if (fields.ok()) {
    const auto n = needs_of(h.what);
    if (n.who || n.region)
      fields.text("region", h.region);
    if (n.region && h.region.empty())
      return wrong("region_loss needs region = \"...\"");
    if (n.percent) {
      const bool loss = h.what == action::loss;
      number(fields, "percent", loss ? 0 : 0.001, 100, h.percent);
      if (!table.contains("percent"))
        return wrong(std::string{to_string(h.what)} + " needs percent = 1");
    }
    if (h.what == action::join)
      h.count = 1;
    if (n.who)
      who(fields, n, h);
    if (n.factor) {
      number(fields, "factor", 1, 1e6, h.factor);
      if (h.factor == 0)
        return wrong("slow needs factor = 100");
    }
    if (n.lasting)
      time(fields, "for", h.lasting);
    if (h.what == action::churn)
      time(fields, "down", h.down);
    if (h.what == action::join && (!h.nodes.empty() || h.percent > 0))
      return wrong("join needs count = 1, and perhaps region = \"...\"");
    if (n.way)
      fields.word("way",
                  {{"both", direction::both},
                   {"in", direction::in},
                   {"out", direction::out}},
                  h.way);
  }
  if (const auto& error = fields.finish(); !error.empty())
    return failure{scenario_error{error}};
  return h;
}

void take_latency(toml_fields& fields, scenario& s) {
  const auto* node = fields.find("latency");
  if (node == nullptr)
    return;
  if (node->is_string()) {
    s.latency = node->as_string()->get();
    return;
  }
  constexpr auto wrong = "must be \"planet\", \"lan\" or a square of round "
                         "trips in ms: [[1, 90], [90, 1]]";
  const auto* rows = node->as_array();
  if (rows == nullptr || rows->empty())
    return fields.wrong("latency", wrong);
  for (const auto& row : *rows) {
    auto& out = s.round_trips.emplace_back();
    if (!row.is_array())
      return fields.wrong("latency", wrong);
    for (const auto& cell : *row.as_array()) {
      if (!cell.is_number())
        return fields.wrong("latency", wrong);
      out.push_back(*cell.value<double>());
    }
  }
}

void take_sizes(toml_fields& fields, scenario& s) {
  const auto* node = fields.find("sizes");
  if (node == nullptr)
    return;
  if (!node->is_table())
    return fields.wrong("sizes", "must be a table: [sizes]");
  for (const auto& [key, value] : *node->as_table()) {
    const auto n = value.value<std::int64_t>();
    if (!value.is_integer() || *n < 0 || *n > std::int64_t(scenario::nodes_max))
      return fields.wrong("sizes",
                          std::string{key.str()} + ": must be a whole number");
    s.sizes[std::string{key.str()}] = std::size_t(*n);
  }
}

} // namespace

result<scenario, scenario_error> parse_scenario(std::string_view text,
                                                std::string_view file) {
  const auto parsed = docs::parse_toml(text, file);
  if (!parsed)
    return failure{scenario_error{parsed.error().message}};
  toml_fields fields{*parsed, file};
  scenario s;
  fields.number("nodes", 1, scenario::nodes_max, s.nodes);
  fields.number("seed", 0, INT64_MAX, s.seed);
  if (const auto* node = fields.find("regions")) {
    if (node->is_array())
      fields.texts("regions", world::regions_max, 64, s.names);
    else
      fields.number("regions", 1, world::regions_max, s.regions);
  }
  time(fields, "length", s.length);
  take_latency(fields, s);
  take_sizes(fields, s);
  fields.number("groups", 0, 100'000, s.groups);
  fields.number("voters", 1, 7, s.voters);
  fields.number("spread", 0, world::regions_max, s.spread);
  number(fields, "loss", 0, 99, s.loss);
  const auto* events = fields.find("event");
  if (const auto& error = fields.finish(); !error.empty())
    return failure{scenario_error{error}};
  if (events == nullptr)
    return s;
  const auto* list = events->as_array();
  if (list == nullptr || list->empty() || !list->is_array_of_tables())
    return failure{scenario_error{
        std::string{file} + ": event: must be a table for each: [[event]]"}};
  for (const auto& one : *list) {
    auto h = take_event(*one.as_table(), std::string{file});
    if (!h)
      return failure{h.error()};
    s.events.push_back(std::move(*h));
  }
  return s;
}

result<happening, scenario_error> parse_event(std::string_view text) {
  std::istringstream words{std::string{text}};
  const auto file = "'" + std::string{text} + "'";
  const auto wrong = [&](const std::string& why) {
    return failure{scenario_error{file + ": " + why
                                  + "; an event is TIME ACTION FIELD=VALUE..., "
                                    "as in '10s kill count=5'"}};
  };
  std::string at, what, field;
  if (!(words >> at >> what))
    return wrong("too short");
  const auto plain = [](const std::string& s) {
    return s.find_first_of("\"\\\n[]{}") == std::string::npos;
  };
  if (!plain(std::string{text}) && text.find('[') == std::string_view::npos)
    return wrong("has letters that none has");
  std::string toml = "at = \"" + at + "\"\ndo = \"" + what + "\"\n";
  while (words >> field) {
    const auto equals = field.find('=');
    if (equals == std::string::npos || equals == 0)
      return wrong("'" + field + "' is no FIELD=VALUE");
    const auto key = field.substr(0, equals);
    auto value = field.substr(equals + 1);
    // A number or a list stands for itself, all else is text.
    const bool bare =
        !value.empty()
        && (value[0] == '['
            || value.find_first_not_of("0123456789.") == std::string::npos);
    toml += key + " = " + (bare ? value : "\"" + value + "\"") + "\n";
  }
  const auto parsed = docs::parse_toml(toml, file);
  if (!parsed)
    return wrong("can't be read");
  auto h = take_event(*parsed, file);
  if (!h) { // lines mean nothing here
    auto why = h.error().message;
    if (why.rfind(file + ":", 0) == 0)
      if (const auto end = why.find(' ', file.size() + 1); true)
        why = file + ":" + why.substr(std::min(end, why.size()));
    return failure{scenario_error{why}};
  }
  h->place = file;
  return h;
}

} // namespace banyan::sim
