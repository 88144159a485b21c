#include "actors/pure/uptime/policy.hpp"

#include "base/codec.hpp"

#include <charconv>
#include <optional>

namespace banyan {
namespace {

bool read_number(std::string_view text, std::uint64_t& out) {
  const auto r = std::from_chars(text.data(), text.data() + text.size(), out);
  return r.ec == std::errc{} && r.ptr == text.data() + text.size();
}

// `99`, `99.5` or `99.25`, a percent sign behind it or not.
bool read_percent(std::string_view text, basis_points& out) {
  if (!text.empty() && text.back() == '%')
    text.remove_suffix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  const auto point = text.find('.');
  auto after = point == std::string_view::npos ? std::string_view{}
                                               : text.substr(point + 1);
  std::uint64_t percent = 0;
  std::uint64_t rest = 0;
  if (!read_number(text.substr(0, point), percent) || percent > 100
      || (point != std::string_view::npos
          && (after.empty() || after.size() > 2 || !read_number(after, rest))))
    return false;
  const auto all = percent * 100 + (after.size() == 1 ? rest * 10 : rest);
  if (all > basis_points_all)
    return false;
  out = static_cast<basis_points>(all);
  return true;
}

/// One setting: how it is shown and how it is read.
struct field {
  std::string name;
  bool* flag = nullptr;
  basis_points* percent = nullptr;
  std::uint8_t* small = nullptr;
  std::uint32_t* number = nullptr;
  std::uint64_t* large = nullptr;
};

std::vector<field> fields_of(mesh_policy& p) {
  std::vector<field> out;
  const auto add = [&](std::string name) -> field& {
    out.emplace_back().name = std::move(name);
    return out.back();
  };
  add("enforce").flag = &p.enforce;
  add("hold_below").percent = &p.hold_below;
  add("evacuate_below").percent = &p.evacuate_below;
  add("exclude_below").percent = &p.exclude_below;
  add("window_days").small = &p.window_days;
  add("observed_days_min").small = &p.observed_days_min;
  add("probation_days").small = &p.probation_days;
  add("min_tier").small = &p.min_tier;
  for (std::size_t i = 0; i < p.tiers.size(); ++i) {
    auto& t = p.tiers[i];
    const auto tier = "tier" + std::to_string(i + 1) + ".";
    add(tier + "cores").number = &t.cores;
    add(tier + "memory_mib").large = &t.memory_mib;
    add(tier + "fsync_p99_us").number = &t.fsync_p99_us;
    add(tier + "disk_mb_s").number = &t.disk_mb_s;
    add(tier + "crypto_mb_s").number = &t.crypto_mb_s;
  }
  return out;
}

std::string shown(const field& f) {
  if (f.flag != nullptr)
    return *f.flag ? "true" : "false";
  if (f.percent != nullptr)
    return percent_text(*f.percent);
  if (f.small != nullptr)
    return std::to_string(*f.small);
  return f.number != nullptr ? std::to_string(*f.number)
                             : std::to_string(*f.large);
}

std::string_view trimmed(std::string_view s) {
  constexpr auto blank = " \t\r";
  const auto first = s.find_first_not_of(blank);
  if (first == std::string_view::npos)
    return {};
  return s.substr(first, s.find_last_not_of(blank) - first + 1);
}

void write_tier(writer& w, const tier_needs& t) {
  w.array(5).uint(t.cores).uint(t.memory_mib).uint(t.fsync_p99_us);
  w.uint(t.disk_mb_s).uint(t.crypto_mb_s);
}

void read_tier(reader& r, tier_needs& t) {
  // A later build may ask for more: it stands behind.
  const auto n = r.array(16);
  r.require(n >= 5);
  t.cores = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  t.memory_mib = r.uint();
  t.fsync_p99_us = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  t.disk_mb_s = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  t.crypto_mb_s = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  for (std::size_t i = 5; i < n && r.ok(); ++i)
    r.skip();
}

} // namespace

bool operator==(const tier_needs& a, const tier_needs& b) noexcept {
  return a.cores == b.cores && a.memory_mib == b.memory_mib
         && a.fsync_p99_us == b.fsync_p99_us && a.disk_mb_s == b.disk_mb_s
         && a.crypto_mb_s == b.crypto_mb_s;
}

bool operator==(const mesh_policy& a, const mesh_policy& b) noexcept {
  return a.enforce == b.enforce && a.hold_below == b.hold_below
         && a.evacuate_below == b.evacuate_below
         && a.exclude_below == b.exclude_below && a.window_days == b.window_days
         && a.observed_days_min == b.observed_days_min
         && a.probation_days == b.probation_days && a.min_tier == b.min_tier
         && a.tiers == b.tiers && a.nodes == b.nodes;
}

std::string why_invalid(const mesh_policy& p) {
  const auto days = [](const char* name, std::uint8_t is, std::uint8_t most) {
    return is >= 1 && is <= most ? std::string{}
                                 : std::string{name} + " must be from 1 to "
                                       + std::to_string(most);
  };
  if (auto why = days("window_days", p.window_days, window_days_max);
      !why.empty())
    return why;
  if (auto why =
          days("observed_days_min", p.observed_days_min, observed_days_most);
      !why.empty())
    return why;
  if (auto why = days("probation_days", p.probation_days, probation_days_max);
      !why.empty())
    return why;
  if (p.hold_below > basis_points_all)
    return "hold_below must be at most 100";
  if (p.evacuate_below > p.hold_below)
    return "evacuate_below must not be above hold_below";
  if (p.exclude_below > p.evacuate_below)
    return "exclude_below must not be above evacuate_below";
  if (p.min_tier > tiers_max)
    return "min_tier must be from 0 to " + std::to_string(tiers_max);
  return p.nodes.why_invalid();
}

bytes encode(const mesh_policy& p) {
  bytes out;
  writer w{out};
  const auto& n = p.nodes;
  w.map(9U + (n.is_list() ? 1U : 0U) + (n.leaving().empty() ? 0U : 1U));
  w.uint(1).boolean(p.enforce);
  w.uint(2).uint(p.hold_below);
  w.uint(3).uint(p.evacuate_below);
  w.uint(4).uint(p.exclude_below);
  w.uint(5).uint(p.window_days);
  w.uint(6).uint(p.observed_days_min);
  w.uint(7).uint(p.probation_days);
  w.uint(8).uint(p.min_tier);
  w.uint(9).array(p.tiers.size());
  for (const auto& t : p.tiers)
    write_tier(w, t);
  if (n.is_list())
    w.uint(10).blob(packed_ids(n.allowed()));
  if (!n.leaving().empty())
    w.uint(11).blob(packed_ids(n.leaving()));
  return out;
}

bool decode(const_bytes in, mesh_policy& out) {
  out = {};
  reader r{in};
  const auto small = [&] {
    return static_cast<std::uint8_t>(r.uint(UINT8_MAX));
  };
  const auto percent = [&] {
    return static_cast<basis_points>(r.uint(basis_points_all));
  };
  std::vector<node_id> allowed;
  std::vector<node_id> leaving;
  const auto ids = [&](std::size_t most, std::vector<node_id>& to) {
    r.require(unpack_ids(r.blob(most * node_id{}.view().size()), to));
    r.require(!to.empty());
  };
  std::int64_t key = -1;
  for (auto n = r.map(64); n > 0 && r.ok(); --n) {
    key = r.key(key);
    switch (key) {
    case 1:
      out.enforce = r.boolean();
      break;
    case 2:
      out.hold_below = percent();
      break;
    case 3:
      out.evacuate_below = percent();
      break;
    case 4:
      out.exclude_below = percent();
      break;
    case 5:
      out.window_days = small();
      break;
    case 6:
      out.observed_days_min = small();
      break;
    case 7:
      out.probation_days = small();
      break;
    case 8:
      out.min_tier = small();
      break;
    case 9:
      r.require(r.array(tiers_max) == tiers_max);
      for (auto& t : out.tiers)
        read_tier(r, t);
      break;
    case 10:
      ids(allowed_nodes::allowed_max, allowed);
      break;
    case 11:
      ids(allowed_nodes::leaving_max, leaving);
      break;
    default:
      r.skip();
    }
  }
  out.nodes = {std::move(allowed), std::move(leaving)};
  return r.done() && why_invalid(out).empty();
}

std::vector<policy_setting> settings_of(const mesh_policy& p) {
  mesh_policy is = p;
  mesh_policy usual;
  const auto fields = fields_of(is);
  const auto others = fields_of(usual);
  std::vector<policy_setting> out;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto value = shown(fields[i]);
    const bool same = value == shown(others[i]);
    out.push_back({fields[i].name, std::move(value), same});
  }
  return out;
}

bool set(mesh_policy& p, std::string_view name, std::string_view value,
         std::string& why) {
  const auto shown_name = std::string{name.substr(0, 64)};
  for (auto& f : fields_of(p)) {
    if (f.name != name)
      continue;
    std::uint64_t n = 0;
    if (f.flag != nullptr) {
      *f.flag = value == "true";
      if (value != "true" && value != "false")
        why = shown_name + " must be true or false";
      return *f.flag || value == "false";
    }
    if (f.percent != nullptr) {
      if (read_percent(value, *f.percent))
        return true;
      why = shown_name + " must be a percentage like 99 or 97.5";
      return false;
    }
    const auto most = f.small != nullptr    ? std::uint64_t{UINT8_MAX}
                      : f.number != nullptr ? std::uint64_t{UINT32_MAX}
                                            : UINT64_MAX;
    if (!read_number(value, n) || n > most) {
      why = shown_name + " must be a whole number";
      return false;
    }
    if (f.small != nullptr)
      *f.small = static_cast<std::uint8_t>(n);
    else if (f.number != nullptr)
      *f.number = static_cast<std::uint32_t>(n);
    else
      *f.large = n;
    return true;
  }
  why = "a policy has no setting '" + shown_name + "'; there are:";
  for (const auto& f : fields_of(p))
    why += " " + f.name;
  return false;
}

bool set_all(mesh_policy& p, std::string_view text, std::string& why) {
  std::string group;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    auto row = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{}
                                         : text.substr(end + 1);
    row = trimmed(row.substr(0, row.find('#')));
    if (row.empty())
      continue;
    const auto bad = [&](const std::string& what) {
      why = "line " + std::to_string(line) + ": " + what;
      return false;
    };
    if (row.front() == '[') {
      if (row.back() != ']')
        return bad("a group of settings is written as [tier1]");
      group = std::string{trimmed(row.substr(1, row.size() - 2))} + ".";
      continue;
    }
    const auto equals = row.find('=');
    if (equals == std::string_view::npos)
      return bad("a setting is written as NAME = VALUE");
    const auto name = group + std::string{trimmed(row.substr(0, equals))};
    if (std::string what; !set(p, name, trimmed(row.substr(equals + 1)), what))
      return bad(what);
  }
  return true;
}

const char* to_string(standing s) noexcept {
  switch (s) {
  case standing::normal:
    return "normal";
  case standing::probation:
    return "probation";
  case standing::hold:
    return "hold";
  case standing::evacuate:
    return "evacuate";
  case standing::excluded:
    return "excluded";
  }
  return "?";
}

std::string percent_text(basis_points p) {
  auto out = std::to_string(p / 100);
  const auto rest = p % 100;
  if (rest == 0)
    return out;
  out += "." + std::to_string(rest / 10);
  if (rest % 10 != 0)
    out += std::to_string(rest % 10);
  return out;
}

} // namespace banyan
