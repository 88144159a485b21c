// `banyan uptime`: how nodes stand, and the proof of it, counted again here.
#include "actors/bin/cli/look.hpp"
#include "actors/bin/cli/policy_values.hpp"
#include "actors/bin/cli/text.hpp"
#include "actors/pure/uptime/archive.hpp"
#include "crypto/hash.hpp"

#include <algorithm>

namespace banyan::cli {
namespace {

std::string percent(const value& v) {
  return v.is_nil() ? std::string{} : v.shown() + " %";
}

std::string standing_words(const value& n) {
  if (n["judged"].boolean() || n["standing"].text() != "normal")
    return n["standing"].text();
  return "not yet judged";
}

std::string all_text(const value& v) {
  table t{{"NODE", "STATE", "24 H", "7 D", "30 D", "DAYS", "STANDING", "SINCE",
           "AS OBSERVER"}};
  for (const auto& n : v["nodes"].items())
    t.row({brief(n["node"]), n["state"].text(), percent(n["day"]),
           percent(n["week"]), percent(n["month"]), n["days_observed"].shown(),
           standing_words(n), n["since"].text(),
           n["disagrees"].boolean() ? "disagrees" : ""});
  const auto version = v["policy_version"].uint();
  return t.text() + "whole days (UTC) up to " + printable(v["last_day"].text())
         + "; "
         + (v["enforced"].boolean()
                ? "policy version " + std::to_string(version) + ", enforced"
                : std::string{"observed only: nothing acts on it "
                              "(`banyan policy show`)"});
}

std::string one_text(const value& v) {
  auto out = v["node"].text() + ": " + standing_words(v) + "; 24 h "
             + (v["day"].is_nil() ? "?" : percent(v["day"])) + ", "
             + v["window_days"].shown() + " d "
             + (v["week"].is_nil() ? "?" : percent(v["week"])) + ", 30 d "
             + (v["month"].is_nil() ? "?" : percent(v["month"])) + "; "
             + counted(v["days_observed"].uint(), "day") + " observed, up to "
             + v["last_day"].text();
  out = printable(out) + "\n";
  table t{{"OBSERVER", "OBSERVED (min)", "UP", "COUNTED", "CONTRADICTED", ""}};
  for (const auto& o : v["observers"].items())
    t.row({brief(o["node"]), o["observed"].shown(), o["up"].shown(),
           o["counted"].shown(), o["contradicted"].shown(),
           o["disagrees"].boolean() ? "disagrees" : ""});
  return out + t.text();
}

struct proof {
  std::vector<signed_document> documents;
  std::vector<observation> days;
  std::vector<node_id> observers;
};

/// Whatever the peer says, only what is signed counts.
result<proof, problem> read_proof(const value& v, const mesh_id& mesh) {
  proof out;
  for (const auto& blob : v["documents"].items()) {
    signed_document d;
    observation o;
    if (!signed_document::decode(as_bytes(blob.text()), d)
        || d.kind != sign_kind::observation || !observation::decode(d.body, o)
        || d.version != o.day || !d.verify(mesh))
      return failure{problem{exit_code::failed,
                             "the peer gave a document that isn't signed as it "
                             "should be; ask another peer"}};
    out.observers.push_back(observer_of(d));
    out.days.push_back(std::move(o));
    out.documents.push_back(std::move(d));
  }
  return out;
}

std::string proof_text(const proof& p, const node_id& node) {
  table t{{"DAY", "OBSERVER", "OBSERVED (min)", "UP", "BLAKE2B-256"}};
  for (std::size_t i = 0; i < p.documents.size(); ++i) {
    const auto* seen = p.days[i].find(node);
    if (seen == nullptr)
      continue;
    t.row({date_text(p.days[i].day), short_string(p.observers[i]),
           std::to_string(seen->observed.count()),
           std::to_string(seen->up.count()),
           to_hex(hash(p.documents[i].encode()).view())});
  }
  return t.text();
}

std::string said(const value& v) {
  return v.is_nil() ? "?" : v.shown();
}
std::string counted_again(const std::optional<basis_points>& p) {
  return p ? percent_text(*p) : "?";
}

outcome show_proof(peer_client& peer, const value& v) {
  mesh_id mesh;
  node_id node;
  bytes raw;
  if (!from_hex(v["mesh"].text(), raw) || !mesh_id::from(raw, mesh)
      || !parse_id(v["node"].text(), node))
    return failure{problem{exit_code::failed,
                           "the peer's answer makes no sense; are peer and "
                           "`banyan` of the same version?"}};
  const auto p = read_proof(v, mesh);
  if (!p.ok())
    return failure{p.error()};
  const auto policy_view = peer.get("/v1/policy");
  if (!policy_view.ok())
    return failure{policy_view.error()};
  const auto policy = policy_of(*policy_view);
  const auto last = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(v["last"].uint(), UINT32_MAX - 1));
  const auto again = judge(results_from(p->days, p->observers, node), last,
                           policy, v["standing"].text() == "excluded");
  const auto is = std::string{to_string(again.is)};
  const auto scores = "24 h " + counted_again(again.day) + " %, "
                      + std::to_string(policy.window_days) + " d "
                      + counted_again(again.week) + " %, 30 d "
                      + counted_again(again.month) + " %: " + is;
  print(one_text(v) + "\n" + proof_text(*p, node)
        + counted(p->documents.size(), "document")
        + ", each signed by its observer in mesh " + to_hex(mesh.view())
        + "\ncounted again from them: " + scores);
  const bool same = said(v["day"]) == counted_again(again.day)
                    && said(v["week"]) == counted_again(again.week)
                    && said(v["month"]) == counted_again(again.month)
                    && v["standing"].text() == is;
  if (same)
    return {};
  return failure{problem{exit_code::failed,
                         "the peer says otherwise than its documents: days may "
                         "have come or gone meanwhile; try again, or ask "
                         "another peer"}};
}

} // namespace

outcome uptime(const session& s, const uptime_options& o) {
  if (o.node.empty()) {
    if (o.proof)
      return failure{problem{exit_code::usage,
                             "--proof needs a node, as in `banyan "
                             "uptime NODE --proof`"}};
    return look(s, "/v1/uptime", all_text);
  }
  const auto target = "/v1/uptime/" + percent_encoded(o.node);
  if (!o.proof || s.json)
    return look(s, target + (o.proof ? "?proof=1" : ""), one_text);
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto v = peer->get(target + "?proof=1");
  if (!v.ok())
    return failure{v.error()};
  return show_proof(*peer, *v);
}

} // namespace banyan::cli
