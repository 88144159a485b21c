#include "actors/docs/spec_file.hpp"

#include "actors/docs/detail/toml_fields.hpp"
#include "base/codec.hpp"

#include <charconv>
#include <fstream>

namespace banyan {

result<std::string, config_error>
docs::read_text_file(const std::filesystem::path& file) {
  std::error_code error;
  if (std::filesystem::is_directory(file, error))
    return failure{config_error{file.string() + ": is a directory"}};
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return failure{config_error{
        file.string() + ": cannot be read; does it exist, and is it yours?"}};
  std::string text(config_file_bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad())
    return failure{config_error{file.string() + ": cannot be read"}};
  return text;
}

namespace {

using docs::toml_fields;

constexpr unsigned config_depth_max = 16;

/// A TOML value as canonical msgpack: TOML's tables keep their keys sorted.
/// False for what msgpack has no form for (dates) or what is too deep.
bool pack_value(writer& w, const toml::node& node, unsigned depth) {
  if (depth > config_depth_max)
    return false;
  if (const auto* v = node.as_string())
    w.text(v->get());
  else if (const auto* i = node.as_integer())
    w.sint(i->get());
  else if (const auto* f = node.as_floating_point())
    w.number(f->get());
  else if (const auto* b = node.as_boolean())
    w.boolean(b->get());
  else if (const auto* list = node.as_array()) {
    w.array(list->size());
    for (const auto& element : *list)
      if (!pack_value(w, element, depth + 1))
        return false;
  } else if (const auto* table = node.as_table()) {
    w.map(table->size());
    for (const auto& [key, value] : *table) {
      w.text(key.str());
      if (!pack_value(w, value, depth + 1))
        return false;
    }
  } else {
    return false;
  }
  return true;
}

void take_config(toml_fields& fields, app_spec& spec) {
  const auto* node = fields.find("config");
  if (node == nullptr)
    return;
  if (!node->is_table())
    return fields.wrong("config", "must be a table: [config]");
  writer w{spec.config};
  if (!pack_value(w, *node, 0))
    return fields.wrong("config", "may hold texts, numbers, booleans, lists "
                                  "and tables, at most 16 deep, but no dates");
  if (spec.config.size() > spec_config_bytes_max)
    fields.wrong("config", "larger than 64 KiB");
}

/// `module = "ledger"`, or a table of files by target.
void take_module(toml_fields& fields, spec_file& out) {
  const auto* node = fields.find("module");
  if (node == nullptr)
    return fields.wrong("module", "missing; name the module that --apps holds, "
                                  "like module = \"ledger\"");
  if (const auto* text = node->as_string()) {
    out.spec.module = text->get();
    return;
  }
  const auto* table = node->as_table();
  if (table == nullptr || table->empty() || table->size() > spec_list_max)
    return fields.wrong("module", "must be a module's name, or a table like "
                                  "[module] x86_64-linux = \"ledger.so\"");
  for (const auto& [key, value] : *table) {
    const auto* file = value.as_string();
    if (file == nullptr || file->get().empty() || !is_target(key.str()))
      return fields.wrong("module", "each target must name a file, like "
                                    "x86_64-linux = \"ledger.so\"");
    out.modules.push_back({std::string{key.str()}, file->get()});
  }
  out.spec.module = out.spec.name;
}

void take_shards(toml_fields& fields, app_spec& spec) {
  if (spec.kind == app_kind::stateless) {
    spec.shards = 1;
    if (fields.find("shards") != nullptr)
      fields.wrong("shards", "a stateless app has none: leave it out");
    return;
  }
  fields.number("shards", 1, shards_max, spec.shards);
}

void take_replicas(toml_fields& fields, app_spec& spec) {
  const bool stateless = spec.kind == app_kind::stateless;
  const auto* other = fields.find(stateless ? "replicas" : "instances");
  if (other != nullptr)
    fields.wrong(stateless ? "replicas" : "instances",
                 stateless ? "a stateless app has instances"
                           : "a durable app has replicas");
  fields.number(stateless ? "instances" : "replicas", 1,
                stateless ? instances_max : 7, spec.replicas);
  if (!stateless && spec.replicas % 2 == 0)
    fields.wrong("replicas", "must be 1, 3, 5 or 7: an even number survives no "
                             "more failures than the odd one below it");
}

void take_spread(toml_fields& fields, app_spec& spec) {
  const auto* node = fields.find("spread");
  if (node == nullptr)
    return;
  const auto* number = node->as_integer();
  const auto* word = node->as_string();
  if (word != nullptr && word->get() == "none")
    spec.spread = app_spread::none;
  else if (word != nullptr && word->get() == "regions")
    spec.spread = app_spread::regions;
  else if (number == nullptr || !set_spread(spec, number->get()))
    fields.wrong("spread", spread_words);
}

void take_time(toml_fields& fields, const char* name, duration least,
               duration most, const char* right, duration& out) {
  std::optional<std::string> text;
  fields.text(name, text);
  if (text && fields.ok()
      && (!parse_duration(*text, out) || out < least || out > most))
    fields.wrong(name, std::string{"must be a time "} + right
                           + ", like \"2s\" or \"5m\"");
}

void take_memory(toml_fields& fields, app_spec& spec) {
  std::optional<std::string> text;
  fields.text("memory", text);
  if (text && fields.ok()
      && (!parse_size(*text, spec.memory_max)
          || spec.memory_max < app_memory_min))
    fields.wrong("memory", "must be a size of at least 32MiB, like \"512MiB\"");
}

} // namespace

bool parse_size(std::string_view text, std::uint64_t& out) {
  std::uint64_t count = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  const std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
  unsigned shift = 0;
  if (unit == "KiB")
    shift = 10;
  else if (unit == "MiB")
    shift = 20;
  else if (unit == "GiB")
    shift = 30;
  else if (unit != "B")
    return false;
  if (error != std::errc{} || count > (std::uint64_t{1} << 50 >> shift))
    return false;
  out = count << shift;
  return true;
}

bool parse_duration(std::string_view text, duration& out) {
  std::uint64_t count = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{} || rest == text.data())
    return false;
  const std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
  std::uint64_t ms = 0;
  if (unit == "ms")
    ms = 1;
  else if (unit == "s")
    ms = 1000;
  else if (unit == "m" || unit == "min")
    ms = 60'000;
  else if (unit == "h")
    ms = 3'600'000;
  else
    return false;
  constexpr std::uint64_t year_ms = 365ULL * 24 * 3'600'000;
  if (count > year_ms / ms)
    return false;
  out = std::chrono::milliseconds{static_cast<std::int64_t>(count * ms)};
  return true;
}

result<spec_file, config_error> parse_spec(std::string_view text,
                                           std::string_view file) {
  const auto parsed = docs::parse_toml(text, file);
  if (!parsed)
    return failure{parsed.error()};
  toml_fields fields{*parsed, file};
  spec_file out;
  auto& spec = out.spec;
  fields.text("name", spec.name);
  if (fields.ok() && !is_app_name(spec.name))
    fields.wrong("name", "'" + spec.name
                             + "' is no app name: 1 to 63 of a-z, 0-9, _ and "
                               "-, a letter first");
  fields.word(
      "kind",
      {{"durable", app_kind::durable}, {"stateless", app_kind::stateless}},
      spec.kind);
  take_module(fields, out);
  if (fields.ok() && !is_app_name(spec.module))
    fields.wrong("module", "'" + spec.module
                               + "' is no module name: 1 to 63 of a-z, 0-9, _ "
                                 "and -, a letter first, without .so");
  take_shards(fields, spec);
  take_replicas(fields, spec);
  fields.texts("regions", spec_list_max, app_name_bytes_max, spec.regions);
  take_spread(fields, spec);
  fields.number("min_tier", 0, 255, spec.min_tier);
  fields.word(
      "isolation",
      {{"process", app_isolation::process}, {"none", app_isolation::none}},
      spec.isolation);
  fields.word("access",
              {{"token", app_access::token}, {"public", app_access::everyone}},
              spec.access);
  take_time(fields, "replace_after", 100ms, duration::max(),
            "of at least 100ms", spec.replace_after);
  take_memory(fields, spec);
  take_time(fields, "turn_time", turn_time_min, turn_time_most,
            "from 100ms to 10m", spec.turn_time_max);
  take_time(fields, "update_watch", 0s, update_watch_most, "up to 24h",
            spec.update_watch);
  take_config(fields, spec);
  fields.texts("secrets", spec_list_max, app_name_bytes_max, spec.secrets);
  if (const auto& error = fields.finish(); !error.empty())
    return failure{config_error{error}};
  if (const auto why = why_invalid(spec); !why.empty())
    return failure{config_error{std::string{file} + ": " + why}};
  return out;
}

result<spec_file, config_error> load_spec(const std::filesystem::path& file) {
  const auto text = docs::read_text_file(file);
  if (!text)
    return failure{text.error()};
  return parse_spec(*text, file.string());
}

result<std::vector<std::pair<std::string, std::string>>, config_error>
parse_secrets(std::string_view toml, std::string_view file) {
  const auto wrong = [&](std::size_t line) {
    return failure{config_error{std::string{file} + ":" + std::to_string(line)
                                + ": write NAME = \"value\" on each line"}};
  };
  const auto parsed = toml::parse(toml);
  if (!parsed)
    return wrong(parsed.error().source().begin.line);
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [key, node] : parsed.table()) {
    const auto* text = node.as_string();
    if (text == nullptr)
      return wrong(node.source().begin.line);
    out.emplace_back(std::string{key.str()}, text->get());
  }
  return out;
}

} // namespace banyan
