#pragma once
#include "actors/bin/cli/value.hpp"
#include "actors/pure/uptime/policy.hpp"

namespace banyan::cli {

/// Of `GET /v1/policy`. What it doesn't say is as usual.
[[nodiscard]] inline mesh_policy policy_of(const value& v) {
  mesh_policy out;
  std::string ignored;
  for (const auto& s : v["settings"].items())
    (void)set(out, s["name"].text(), s["value"].text(), ignored);
  return why_invalid(out).empty() ? out : mesh_policy{};
}

} // namespace banyan::cli
