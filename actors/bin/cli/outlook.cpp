// `banyan risk` and `banyan why`.
#include "actors/bin/cli/look.hpp"
#include "actors/bin/cli/text.hpp"

#include <cstdio>

namespace banyan::cli {
namespace {

std::string risk_text(const value& v) {
  const auto waiting = v["waiting_count"].uint();
  const auto shards = v["shards"].uint();
  std::string out = printable(v["name"].text()) + ": ";
  if (v["kind"].text() == "stateless")
    out += waiting == 0 ? "serves now" : "no instance serves now";
  else if (waiting == 0)
    out += counted(shards, "shard") + (shards == 1 ? " serves" : " serve")
           + " now";
  else
    out += std::to_string(waiting) + " of " + counted(shards, "shard")
           + " can't serve now";
  out += "\n";
  for (const auto& w : v["waiting"].items())
    out += "  " + printable(w["text"].text()) + "\n";
  if (waiting > v["waiting"].items().size())
    out += "  and " + std::to_string(waiting - v["waiting"].items().size())
           + " more\n";
  table t{{"LOSS OF", "PLACES", "SURVIVED", "THEN"}};
  for (const auto& l : v["losses"].items())
    t.row({"any " + l["of"].text(), l["places"].shown(),
           l["survives"].is_nil()    ? "?"
           : l["survives"].boolean() ? "yes"
                                     : "no",
           l["text"].text()});
  return out + t.text();
}

std::string score_text(const value& score) {
  if (score.is_nil())
    return {};
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", score.number());
  return text;
}

std::string why_text(const value& v) {
  const auto& name = v["name"].text();
  const bool stateless = v["kind"].text() == "stateless";
  std::string out = printable(name) + ": " + v["fitting"].shown() + " of "
                    + v["members"].shown() + " members may take a replica\n";
  for (const auto& g : v["groups"].items()) {
    out += "\n" + printable(name)
           + (stateless ? std::string{} : "/" + g["shard"].shown())
           + (g["as_placed"].boolean() ? ": as it would be placed now\n"
                                       : ": not as it would be placed now\n");
    table t{{"NODE", "ROLE", "RANK", "SCORE", "REGION", "ZONE", "WHY"}};
    for (const auto& r : g["rows"].items())
      t.row({brief(r["node"]),
             r["role"].text() == "runner_up" ? "runner-up" : r["role"].text(),
             r["rank"].shown(), score_text(r["score"]), r["region"].text(),
             r["zone"].text(), r["text"].text()});
    out += t.text();
  }
  const auto shown = v["groups"].items().size();
  if (const auto shards = v["shards"].uint(); shown > 1 && shown < shards)
    out += "\nand " + std::to_string(shards - shown)
           + " shards more; `banyan why " + printable(name)
           + "/SHARD` shows one\n";
  if (v["excluded"].items().empty())
    return out;
  table t{{"NOT CHOSEN", "REGION", "ZONE", "WHY"}};
  for (const auto& e : v["excluded"].items())
    t.row({brief(e["node"]), e["region"].text(), e["zone"].text(),
           e["text"].text()});
  out += "\n" + t.text();
  if (const auto all = v["excluded_count"].uint();
      all > v["excluded"].items().size())
    out +=
        "and " + std::to_string(all - v["excluded"].items().size()) + " more\n";
  return out;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 9
         && text.find_first_not_of("0123456789") == std::string::npos;
}

} // namespace

outcome risk(const session& s, const std::string& app) {
  return look(s, "/v1/apps/" + percent_encoded(app) + "/risk", risk_text);
}

outcome why(const session& s, const why_options& o) {
  const auto slash = o.app.find('/');
  const auto shard =
      slash == std::string::npos ? std::string{} : o.app.substr(slash + 1);
  if (slash != std::string::npos && !is_number(shard))
    return failure{problem{exit_code::usage,
                           "'" + printable(o.app)
                               + "' is no app: write APP, or APP/SHARD as in "
                                 "ledger/3"}};
  auto target = "/v1/apps/" + percent_encoded(o.app.substr(0, slash)) + "/why";
  char before = '?';
  const auto add = [&](const char* name, const std::string& v) {
    target += before + std::string{name} + "=" + v;
    before = '&';
  };
  if (!shard.empty())
    add("shard", shard);
  if (o.runners_up)
    add("runners_up", std::to_string(*o.runners_up));
  return look(s, target, why_text);
}

} // namespace banyan::cli
