#include "actors/docs/peer_config.hpp"

#include "actors/docs/detail/toml_fields.hpp"

#include <algorithm>

namespace banyan {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t list_max = 256;
constexpr std::int64_t scrub_mib_per_s_max = 10'000;
constexpr std::size_t path_bytes_max = 4096;
constexpr std::int64_t http_rate_max = 1'000'000;
constexpr std::size_t host_bytes_max = 253;

constexpr const char* how_to_make_a_mesh =
    "; run banyan init NAME once, copy NAME.mesh to each machine and start "
    "every peer with --mesh-file NAME.mesh";

using error = std::optional<std::string>;

error check_address(const std::string& text, const char* flag,
                    net::address& out) {
  auto parsed = net::parse_address(text);
  if (!parsed)
    return std::string{flag} + ": '" + text
           + "' is no HOST:PORT; write it like 127.0.0.1:7600 or [::1]:7600";
  out = std::move(*parsed);
  return {};
}

/// What other machines are told: they must be able to dial it.
bool is_dialable(const net::address& a) {
  return !a.empty() && a.port != 0 && !a.is_wildcard();
}

/// A region or a zone.
error check_place(const std::optional<std::string>& text, const char* flag,
                  std::string& out) {
  if (!text)
    return {};
  if (!is_app_name(*text))
    return std::string{flag} + ": '" + *text
           + "' names no place: 1 to 63 of a-z, 0-9, _ and -, a letter first";
  out = *text;
  return {};
}

error check_log(const peer_settings& s, peer_config& out) {
  constexpr std::pair<std::string_view, log_threshold> levels[] = {
      {"debug", log_threshold::debug},
      {"info", log_threshold::info},
      {"warning", log_threshold::warning},
      {"error", log_threshold::error}};
  if (s.log_level) {
    const auto* found =
        std::find_if(std::begin(levels), std::end(levels),
                     [&](const auto& l) { return l.first == *s.log_level; });
    if (found == std::end(levels))
      return "--log-level: '" + *s.log_level
             + "' is none of debug, info, warning and error";
    out.log_level = found->second;
  }
  if (s.log_format && *s.log_format != "text" && *s.log_format != "json")
    return "--log-format: '" + *s.log_format + "' is neither text nor json";
  out.log_json = s.log_format == "json";
  return {};
}

error check_joins(const peer_settings& s, peer_config& out) {
  for (const auto& text : s.join) {
    join_target target;
    if (!parse_join(text, target))
      return "--join: '" + text
             + "' is no [ID@]HOST:PORT of a peer; write it like "
               "192.0.2.7:7600";
    out.join.push_back(std::move(target));
  }
  return {};
}

/// Without a mesh file everybody knows the keys: nothing may leave the machine.
error check_mesh(const peer_config& c) {
  if (c.mesh_file)
    return {};
  const auto refused = [](const char* flag, const net::address& a) {
    return std::string{flag} + " " + to_string(a)
           + ": without a mesh file a peer stays on loopback, since everybody "
             "knows the keys of the mesh 'local'"
           + how_to_make_a_mesh;
  };
  if (!c.listen.is_loopback())
    return refused("--listen", c.listen);
  if (c.advertise && !c.advertise->is_loopback())
    return refused("--advertise", *c.advertise);
  for (const auto& j : c.join)
    if (!j.at.is_loopback())
      return refused("--join", j.at);
  return {};
}

/// As `Host` is compared: no port, no upper case.
bool is_host_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
           || c == '.' || c == '_';
  });
}

error check_http(const peer_settings& s, peer_config& out) {
  if (s.http && *s.http != "off") {
    if (auto wrong = check_address(*s.http, "--http", out.http.emplace()))
      return wrong;
  }
  if (s.http_cert)
    out.http_cert = *s.http_cert;
  if (s.http_key)
    out.http_key = *s.http_key;
  out.http_plain = s.http_plain.value_or(false);
  const bool tls = out.http_cert || out.http_key;
  if (out.http_cert.has_value() != out.http_key.has_value())
    return std::string{out.http_cert ? "--http-cert" : "--http-key"} + " needs "
           + (out.http_cert ? "--http-key" : "--http-cert") + " beside it";
  if (tls && out.http_plain)
    return "--http-plain contradicts --http-cert and --http-key; leave one "
           "side out";
  if (!out.http && (tls || out.http_plain))
    return "--http-cert, --http-key and --http-plain say how --http is served; "
           "add --http HOST:PORT or leave them out";
  out.http_rate =
      s.http_rate.value_or(out.http_plain ? 0 : peer_config{}.http_rate);
  for (const auto& name : s.http_hosts) {
    if (!is_host_name(name))
      return "http_hosts: '" + name
             + "' is no name of a host: lower case, without scheme and port";
    out.http_hosts.push_back(name);
  }
  if (out.http_off_loopback() && !tls && !out.http_plain)
    return "--http " + to_string(*out.http)
           + ": off loopback it needs --http-cert FILE and --http-key FILE, or "
             "--http-plain behind a proxy that speaks TLS";
  return {};
}

error check_all(const peer_settings& s, const process_place& place,
                peer_config& out) {
  out.data = s.data ? fs::path{*s.data} : default_data_directory(place);
  if (out.data.empty())
    return "--data: no home directory to put it in; say where";
  if (s.listen)
    if (auto wrong = check_address(*s.listen, "--listen", out.listen))
      return wrong;
  if (s.advertise) {
    if (auto wrong =
            check_address(*s.advertise, "--advertise", out.advertise.emplace()))
      return wrong;
    if (!is_dialable(*out.advertise))
      return "--advertise " + *s.advertise
             + ": others can't dial that; name a host and a port of this "
               "machine";
  }
  if (s.mesh_file)
    out.mesh_file = *s.mesh_file;
  if (s.scrub_mib_per_s)
    out.scrub_mib_per_s = *s.scrub_mib_per_s;
  for (const auto& dir : s.apps)
    out.apps.emplace_back(dir);
  for (auto* step : {&check_joins, &check_http, &check_log})
    if (auto wrong = (*step)(s, out))
      return wrong;
  if (auto wrong = check_place(s.region, "--region", out.region))
    return wrong;
  if (auto wrong = check_place(s.zone, "--zone", out.zone))
    return wrong;
  return check_mesh(out);
}

} // namespace

result<peer_settings, config_error> parse_peer_toml(std::string_view text,
                                                    std::string_view file) {
  const auto parsed = docs::parse_toml(text, file);
  if (!parsed)
    return failure{parsed.error()};
  docs::toml_fields fields{*parsed, file};
  peer_settings out;
  fields.text("data", out.data);
  fields.text("listen", out.listen);
  fields.texts("join", list_max, path_bytes_max, out.join);
  fields.text("http", out.http);
  fields.text("advertise", out.advertise);
  fields.text("mesh_file", out.mesh_file);
  fields.text("region", out.region);
  fields.text("zone", out.zone);
  fields.texts("apps", list_max, path_bytes_max, out.apps);
  fields.text("http_cert", out.http_cert);
  fields.text("http_key", out.http_key);
  fields.boolean("http_plain", out.http_plain);
  fields.texts("http_hosts", list_max, host_bytes_max, out.http_hosts);
  std::int64_t http_rate = -1;
  fields.number("http_rate", 0, http_rate_max, http_rate);
  if (http_rate >= 0)
    out.http_rate = static_cast<std::uint32_t>(http_rate);
  fields.text("log_level", out.log_level);
  fields.text("log_format", out.log_format);
  std::uint64_t rate = 0;
  fields.number("scrub_mib_per_s", 1, scrub_mib_per_s_max, rate);
  if (rate != 0)
    out.scrub_mib_per_s = rate;
  if (const auto& wrong = fields.finish(); !wrong.empty())
    return failure{config_error{wrong}};
  return out;
}

result<peer_settings, config_error> load_peer_toml(const fs::path& file) {
  const auto text = docs::read_text_file(file);
  if (!text)
    return failure{text.error()};
  return parse_peer_toml(*text, file.string());
}

peer_settings override_settings(peer_settings file, peer_settings flags) {
  const auto over = [](auto& out, auto& by) {
    if (by)
      out = std::move(by);
  };
  over(file.data, flags.data);
  over(file.listen, flags.listen);
  over(file.http, flags.http);
  over(file.advertise, flags.advertise);
  over(file.mesh_file, flags.mesh_file);
  over(file.region, flags.region);
  over(file.zone, flags.zone);
  over(file.http_cert, flags.http_cert);
  over(file.http_key, flags.http_key);
  over(file.http_plain, flags.http_plain);
  over(file.log_level, flags.log_level);
  over(file.log_format, flags.log_format);
  over(file.scrub_mib_per_s, flags.scrub_mib_per_s);
  over(file.http_rate, flags.http_rate);
  if (!flags.http_hosts.empty())
    file.http_hosts = std::move(flags.http_hosts);
  if (!flags.join.empty())
    file.join = std::move(flags.join);
  if (!flags.apps.empty())
    file.apps = std::move(flags.apps);
  return file;
}

bool parse_join(std::string_view text, join_target& out) {
  join_target parsed;
  if (const auto at = text.find('@'); at != std::string_view::npos) {
    if (!parse_id(text.substr(0, at), parsed.pinned.emplace())
        || parsed.pinned->is_none())
      return false;
    text.remove_prefix(at + 1);
  }
  auto address = net::parse_address(text);
  if (!address || !is_dialable(*address))
    return false;
  parsed.at = std::move(*address);
  out = std::move(parsed);
  return true;
}

fs::path default_data_directory(const process_place& place) {
  if (place.root)
    return "/var/lib/banyan";
  if (place.home.empty())
    return {};
  return fs::path{place.home} / ".local/state/banyan";
}

result<peer_config, config_error> check_settings(const peer_settings& s,
                                                 const process_place& place) {
  peer_config out;
  if (auto wrong = check_all(s, place, out))
    return failure{config_error{std::move(*wrong)}};
  return out;
}

} // namespace banyan
