#include "actors/bin/cli/look.hpp"

#include <algorithm>

namespace banyan::cli {
namespace {

std::string leaders(const value& app) {
  if (app["kind"].text() == "stateless")
    return "-";
  std::size_t with = 0;
  for (const auto& g : app["groups"].items())
    with += g["leader"].is_nil() ? 0 : 1;
  return std::to_string(with) + "/"
         + std::to_string(app["groups"].items().size());
}

std::string replicas(const value& list) {
  std::string out;
  for (const auto& r : list.items()) {
    if (!out.empty())
      out += ' ';
    out += brief(r["node"]);
    if (const auto& state = r["state"].text();
        !state.empty() && state != "current")
      out += "(" + state + ")";
  }
  return out;
}

/// With the claim, where that is more than what is believed.
std::string tier(const value& v) {
  const auto claimed = v["tier_claimed"].shown();
  const auto is = v["tier"].shown();
  return claimed == is || claimed == "-" || claimed.empty()
             ? is
             : is + " (claims " + claimed + ")";
}

std::string named(const value& list) {
  std::string out;
  for (const auto& node : list.items())
    out += (out.empty() ? "" : " ") + brief(node);
  return out;
}

/// How far the newest version is, unless all run it; a line, or nothing.
std::string update_line(const value& app) {
  const auto& u = app["update"];
  auto state = u["state"].text();
  if (state.empty() || state == "done")
    return {};
  std::replace(state.begin(), state.end(), '_', ' ');
  std::string out = printable(app["name"].text()) + ": update: version "
                    + u["number"].shown() + " " + printable(state);
  if (const auto& why = u["why"].text(); !why.empty())
    out += ": " + printable(why);
  return out + "\n";
}

/// Two apps of one name: which, and what to do; a line, or nothing.
std::string contested_line(const value& app) {
  const auto& bearers = app["contested"].items();
  if (bearers.empty())
    return {};
  const auto name = printable(app["name"].text());
  auto out = name + ": " + std::to_string(bearers.size())
             + " apps bear this name, none is served:";
  for (const auto& b : bearers)
    out += " " + brief(b["id"]) + " (owner " + brief(b["owner"]) + ")";
  return out + "; each keeps its data: `banyan remove " + name
         + " --id ID` all but one\n";
}

std::string app_list(const value& v) {
  if (v.items().empty())
    return "no apps yet; `banyan deploy SPEC.toml` makes one";
  table t{
      {"NAME", "KIND", "VERSION", "SHARDS", "REPLICAS", "LEADERS", "HEALTH"}};
  for (const auto& a : v.items())
    t.row({a["name"].text(), a["kind"].text(), a["version"].shown(),
           a["shards"].shown(), a["replicas"].shown(), leaders(a),
           a["health"].text()});
  auto out = t.text();
  for (const auto& a : v.items())
    out += contested_line(a) + update_line(a);
  return out;
}

// A stateless app's instances.
std::string instances(const value& v) {
  table t{{"INSTANCE", "VERSION"}};
  for (const auto& i : v["instances"].items())
    t.row({brief(i["node"]), i["version"].shown()});
  return t.text();
}

std::string one_app(const value& v) {
  const bool stateless = v["kind"].text() == "stateless";
  table t{{"SHARD", "VERSION", "TERM", "LEADER", "COMMITTED", "HEALTH",
           "VOTERS", "LEARNERS"}};
  for (const auto& g : v["groups"].items())
    t.row({g["shard"].shown(), g["version"].shown(), g["term"].shown(),
           brief(g["leader"]), g["committed"].shown(), g["health"].text(),
           replicas(g["voters"]), replicas(g["learners"])});
  const auto& trouble = v["host_error"].text();
  return printable(v["name"].text()) + ": " + v["kind"].text() + ", version "
         + v["version"].shown() + ", " + v["replicas"].shown()
         + (stateless ? " instances, " : " replicas, ") + v["health"].text()
         + "\n" + contested_line(v) + update_line(v)
         + (trouble.empty()
                ? ""
                : "its host on this peer: " + printable(trouble) + "\n")
         + (stateless ? instances(v) : t.text());
}

} // namespace

outcome status(const session& s) {
  return look(s, "/v1/status", [](const value& v) {
    const auto& m = v["members"];
    const auto& g = v["groups"];
    table t{{"NODE", v["node"].text()}};
    for (const auto* field : {"mesh", "version", "region", "zone"})
      t.row({field, v[field].shown()});
    t.row({"tier", tier(v)});
    if (const auto& why = v["held_for"].text(); !why.empty())
      t.row({"on hold", why});
    if (const auto by = named(v["relays"]); !by.empty())
      t.row(
          {"relayed", "nobody can dial this peer; these forward to it: " + by});
    t.row({"uptime", v["uptime_s"].shown() + " s"});
    t.row({"members", m["alive"].shown() + " alive, " + m["suspect"].shown()
                          + " suspect, " + m["dead"].shown() + " dead, "
                          + m["left"].shown() + " left"});
    if (const auto& join = v["join"]; !join.is_nil())
      t.row({"joining",
             join["have"].shown() + " of "
                 + (join["total"].uint() == 0 ? "?" : join["total"].shown())
                 + " members"});
    t.row({"groups", g["leading"].shown() + " leading, "
                         + g["following"].shown() + " following, "
                         + g["learning"].shown() + " learning"});
    return t.text();
  });
}

outcome nodes(const session& s) {
  return look(s, "/v1/nodes", [](const value& v) {
    table t{{"NODE", "ADDRESS", "REGION", "ZONE", "TIER", "STATE",
             "INCARNATION", "GROUPS"}};
    for (const auto& n : v.items())
      t.row({brief(n["node"]),
             n["address"].text()
                 + (n["relays"].items().empty() ? "" : " (relayed)"),
             n["region"].text()
                 + (n["region_unverified"].boolean() ? " (unverified)" : ""),
             n["zone"].text(), tier(n), n["state"].text(),
             n["incarnation"].shown(), n["groups"].shown()});
    return t.text();
  });
}

namespace {

/// Those that can still be taken back.
outcome removed_apps(const session& s) {
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto removed = peer->get("/v1/removed");
  if (!removed.ok() || removed->items().empty())
    return {};
  table t{{"REMOVED", "KEPT FOR"}};
  for (const auto& a : removed->items()) {
    const auto hours = a["left_s"].uint() / 3600;
    t.row({a["name"].text(), std::to_string(hours / 24) + " d "
                                 + std::to_string(hours % 24) + " h"});
  }
  print(t.text() + "`banyan undelete APP` takes a removal back");
  return {};
}

} // namespace

outcome apps(const session& s, const std::string& name) {
  if (name.empty()) {
    auto listed = look(s, "/v1/apps", app_list);
    return listed.ok() && !s.json ? removed_apps(s) : listed;
  }
  return look(s, "/v1/apps/" + percent_encoded(name), one_app);
}

outcome failovers(const session& s) {
  return look(s, "/v1/failovers", [](const value& v) -> std::string {
    if (v.items().empty())
      return "no failovers since this peer started";
    table t{{"APP", "SHARD", "TERM", "FROM", "TO", "DETECTED", "ELECTED",
             "FIRST COMMIT", "FIRST REPLY (ms)"}};
    for (const auto& f : v.items())
      t.row({f["app"].text(), f["shard"].shown(), f["term"].shown(),
             brief(f["old_leader"]), brief(f["leader"]), f["detected"].shown(),
             f["elected"].shown(), f["first_commit"].shown(),
             f["first_reply"].shown()});
    return t.text();
  });
}

} // namespace banyan::cli
