#include "actors/docs/spec_map.hpp"

#include "base/codec.hpp"

#include <algorithm>
#include <set>

namespace banyan {
namespace {

bool texts(reader& r, std::vector<std::string>& out) {
  out.resize(r.array(spec_list_max));
  for (auto& t : out)
    t = r.text(app_name_bytes_max);
  return r.ok();
}

template <class Enum>
bool one_of(reader& r, Enum& out,
            std::initializer_list<std::pair<std::string_view, Enum>> words) {
  const auto t = r.text(32);
  for (const auto& [word, value] : words)
    if (t == word) {
      out = value;
      return r.ok();
    }
  return false;
}

bool count(reader& r, std::uint32_t& out) {
  out = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  return r.ok();
}

/// `{TARGET: {hash, size}}`, ascending by target.
bool modules(reader& r, std::vector<module_ref>& out) {
  if (r.peek() != reader::kind::map)
    return false;
  const auto n = r.map(spec_list_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    auto& m = out.emplace_back();
    m.target = r.text(app_name_bytes_max);
    if (r.peek() != reader::kind::map || r.map(2) != 2)
      return false;
    for (int field = 0; field < 2; ++field) {
      const auto name = r.text(8);
      bytes b;
      if (name == "size")
        m.size = r.uint();
      else if (name != "hash" || !from_hex(r.text(64), b)
               || !digest::from(b, m.hash))
        return false;
    }
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.target < b.target; });
  return r.ok();
}

// What the field should have been; null when it is fine, "" when unknown.
const char* field(reader& r, std::string_view name, app_spec& s) {
  if (name == "name" || name == "module") {
    auto& to = name == "name" ? s.name : s.module;
    to = r.text(256);
    return r.ok() ? nullptr : "a string";
  }
  if (name == "kind")
    return one_of<app_kind>(r, s.kind,
                            {{"durable", app_kind::durable},
                             {"stateless", app_kind::stateless}})
               ? nullptr
               : "\"durable\" or \"stateless\"";
  if (name == "shards")
    return count(r, s.shards) ? nullptr : "a whole number";
  if (name == "replicas" || name == "instances")
    return count(r, s.replicas) ? nullptr : "a whole number";
  if (name == "regions")
    return texts(r, s.regions) ? nullptr : "a list of strings";
  if (name == "secrets")
    return texts(r, s.secrets) ? nullptr : "a list of strings";
  if (name == "spread") {
    if (r.peek() == reader::kind::uint)
      return set_spread(s, static_cast<std::int64_t>(r.uint(255)))
                 ? nullptr
                 : "\"none\", \"regions\" or a whole number from 2 to 7";
    return one_of<app_spread>(
               r, s.spread,
               {{"none", app_spread::none}, {"regions", app_spread::regions}})
               ? nullptr
               : "\"none\", \"regions\" or a whole number from 2 to 7";
  }
  if (name == "min_tier") {
    s.min_tier = static_cast<std::uint8_t>(r.uint(255));
    return r.ok() ? nullptr : "a number from 0 to 255";
  }
  if (name == "isolation")
    return one_of<app_isolation>(r, s.isolation,
                                 {{"process", app_isolation::process},
                                  {"none", app_isolation::none}})
               ? nullptr
               : "\"process\" or \"none\"";
  if (name == "access")
    return one_of<app_access>(
               r, s.access,
               {{"token", app_access::token}, {"public", app_access::everyone}})
               ? nullptr
               : "\"token\" or \"public\"";
  if (name == "replace_after")
    return parse_duration(r.text(32), s.replace_after)
               ? nullptr
               : "like \"2s\" or \"5m\"";
  if (name == "turn_time")
    return parse_duration(r.text(32), s.turn_time_max) ? nullptr
                                                       : "like \"10s\"";
  if (name == "update_watch")
    return parse_duration(r.text(32), s.update_watch) ? nullptr
                                                      : "like \"10s\"";
  if (name == "modules")
    return modules(r, s.modules)
               ? nullptr
               : "like {\"x86_64-linux\": {\"hash\": HEX, \"size\": BYTES}}";
  if (name == "memory")
    return parse_size(r.text(32), s.memory_max) ? nullptr : "like \"512MiB\"";
  if (name == "config") {
    if (r.peek() != reader::kind::map)
      return "an object";
    s.config = r.raw().copy();
    return r.ok() && s.config.size() <= spec_config_bytes_max
               ? nullptr
               : "an object of at most 64 KiB";
  }
  return "";
}

} // namespace

result<app_spec, config_error> parse_spec_map(const_bytes in) {
  reader r{in};
  if (r.peek() != reader::kind::map)
    return failure{config_error{"spec: expected an object"}};
  app_spec s;
  std::set<std::string> seen;
  const auto n = r.map(64);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    const std::string name{r.text(64)};
    if (!r.ok())
      return failure{config_error{
          "spec: a field's name is no string, or longer than 64 bytes"}};
    if (!seen.insert(name).second)
      return failure{config_error{"spec." + name + ": given twice"}};
    if (const auto* want = field(r, name, s)) {
      if (*want == '\0')
        return failure{config_error{"spec: unknown field '" + name + "'"}};
      return failure{config_error{"spec." + name + ": must be " + want}};
    }
  }
  if (!r.done())
    return failure{config_error{"spec: malformed"}};
  if (s.module.empty())
    s.module = s.name;
  if (s.kind == app_kind::stateless && seen.count("shards") == 0)
    s.shards = 1;
  if (auto why = why_invalid(s); !why.empty())
    return failure{config_error{"spec." + why}};
  return s;
}

bytes spec_map(const app_spec& s) {
  const auto ms = [](duration d) {
    return std::to_string(d / std::chrono::milliseconds{1}) + "ms";
  };
  const auto list = [](writer& w, const std::vector<std::string>& all) {
    w.array(all.size());
    for (const auto& t : all)
      w.text(t);
  };
  const bool durable = s.kind == app_kind::durable;
  bytes out;
  writer w{out};
  w.map(15U + (durable ? 1 : 0) + (s.config.empty() ? 0 : 1));
  w.text("name").text(s.name).text("module").text(s.module);
  w.text("kind").text(durable ? "durable" : "stateless");
  if (durable)
    w.text("shards").uint(s.shards);
  w.text(durable ? "replicas" : "instances").uint(s.replicas);
  list(w.text("regions"), s.regions);
  w.text("spread");
  if (s.spread == app_spread::regions && s.spread_regions > spread_regions_min)
    w.uint(s.spread_regions);
  else
    w.text(s.spread == app_spread::regions ? "regions" : "none");
  w.text("min_tier").uint(s.min_tier);
  w.text("isolation");
  w.text(s.isolation == app_isolation::process ? "process" : "none");
  w.text("access").text(s.access == app_access::token ? "token" : "public");
  w.text("replace_after").text(ms(s.replace_after));
  w.text("turn_time").text(ms(s.turn_time_max));
  w.text("update_watch").text(ms(s.update_watch));
  w.text("memory").text(std::to_string(s.memory_max) + "B");
  if (!s.config.empty())
    w.text("config").raw(s.config);
  list(w.text("secrets"), s.secrets);
  w.text("modules").map(s.modules.size());
  for (const auto& m : s.modules) {
    w.text(m.target).map(2).text("hash").text(to_hex(m.hash.view()));
    w.text("size").uint(m.size);
  }
  return out;
}

} // namespace banyan
