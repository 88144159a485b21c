// How nodes stand by their uptime, with the proof of it, and the policy of the
// mesh.
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/node/gateway_views.hpp"
#include "actors/node/uptime.hpp"
#include "base/codec.hpp"
#include "crypto/hash.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

void percent(writer& w, const std::optional<basis_points>& p) {
  if (p)
    w.number(*p / 100.0);
  else
    w.nil();
}

void scores_view(writer& w, const verdict& v) { // 8 pairs
  w.text("day");
  percent(w, v.day);
  w.text("week");
  percent(w, v.week);
  w.text("month");
  percent(w, v.month);
  w.text("days_observed").uint(v.days);
  w.text("judged").boolean(v.judged);
  w.text("standing").text(to_string(v.is)).text("since");
  if (v.since == 0)
    w.nil();
  else
    w.text(date_text(v.since));
  w.text("good_days").uint(v.good_days);
}

void policy_head(writer& w, const uptime_shell& up) { // 3 pairs
  w.text("policy_version").uint(up.policies().version());
  w.text("enforced").boolean(up.policy().enforce);
  w.text("last_day").text(date_text(up.last_day()));
}

bytes view_all(const node_context& ctx, const uptime_shell& up) {
  bytes out;
  writer w{out};
  w.map(4);
  policy_head(w, up);
  std::size_t members = 0;
  const auto& disagree = up.disagree();
  ctx.members->each([&](const auto&, auto) { ++members; });
  w.text("nodes").array(members);
  ctx.members->each([&](const net::member_record& r, net::member_state s) {
    w.map(11).text("node").text(to_string(r.node));
    w.text("state").text(net::to_string(s));
    scores_view(w, up.of(r.node));
    w.text("disagrees").boolean(disagree.count(r.node) != 0);
  });
  return out;
}

void observers_view(writer& w, const std::vector<observer_tally>& list) {
  w.array(list.size());
  for (const auto& o : list) {
    w.map(6).text("node").text(to_string(o.observer));
    w.text("observed").uint(o.observed).text("up").uint(o.up);
    w.text("counted").uint(o.counted);
    w.text("contradicted").uint(o.contradicted);
    w.text("disagrees").boolean(o.disagrees());
  }
}

bytes view_one(const node_context& ctx, const uptime_shell& up,
               const node_id& node, bool proof) {
  const auto v = up.of(node);
  const auto last = up.last_day();
  const auto* days = up.results(node);
  const day_results none;
  const auto& all = days == nullptr ? none : *days;
  bytes out;
  writer w{out};
  w.map(18).text("node").text(to_string(node));
  w.text("mesh").text(to_hex(ctx.settings.mesh.view()));
  policy_head(w, up);
  w.text("last").uint(last).text("window_days").uint(up.policy().window_days);
  scores_view(w, v);
  w.text("observers");
  observers_view(w, observers_of(all, last, up.policy().window_days));
  w.text("days").array(all.size());
  for (const auto& [day, r] : all) {
    w.map(5).text("date").text(date_text(day)).text("day").uint(day);
    w.text("counted").uint(r.minutes.counted).text("up").uint(r.minutes.up);
    w.text("observers").uint(r.observers.size());
  }
  // What it was made of, signed; a reader verifies and counts again.
  const auto documents =
      proof ? up.proof(node) : std::vector<signed_document>{};
  w.text("documents").array(documents.size());
  for (const auto& d : documents)
    w.blob(d.encode());
  return out;
}

bytes view_policy(const uptime_shell& up) {
  const auto& book = up.policies();
  bytes out;
  writer w{out};
  w.map(8).text("version").uint(book.version());
  w.text("signer");
  if (book.records().empty())
    w.nil();
  else
    w.text(to_string(book.records().front().signer));
  w.text("enforced").boolean(up.policy().enforce);
  w.text("conflict").boolean(book.conflict());
  const auto settings = settings_of(up.policy());
  w.text("settings").array(settings.size());
  for (const auto& s : settings) {
    w.map(3).text("name").text(s.name).text("value").text(s.value);
    w.text("usual").boolean(s.usual);
  }
  const auto ids = [&w](const char* name, const std::vector<node_id>& all) {
    w.text(name).array(all.size());
    for (const auto& n : all)
      w.text(to_string(n));
  };
  ids("allowed", up.policy().nodes.allowed());
  ids("leaving", up.policy().nodes.leaving());
  w.text("documents").array(book.records().size());
  for (const auto& r : book.records())
    w.blob(r.document.encode());
  return out;
}

} // namespace

void http_gateway::uptime(const io::http_request& q, responder r) {
  if (ctx_.uptime == nullptr || ctx_.members == nullptr)
    return void(r.send(refusal(reply_status::no_quorum, "the peer starts")));
  if (q.path.size() == 2)
    return void(r.send(answer(q, view_all(ctx_, *ctx_.uptime))));
  reply unknown;
  const auto node = find_node(ctx_, q.path[2], unknown);
  if (!node)
    return void(r.send(refusal(unknown)));
  ctx_.uptime->want(*node);
  const auto* proof = q.parameter("proof");
  r.send(answer(q, view_one(ctx_, *ctx_.uptime, *node,
                            proof != nullptr && *proof == "1")));
}

void http_gateway::policy(const io::http_request& q, responder r) {
  if (ctx_.uptime == nullptr)
    return void(r.send(refusal(reply_status::no_quorum, "the peer starts")));
  if (q.method != "PUT")
    return void(r.send(answer(q, view_policy(*ctx_.uptime))));
  if (!is_admin(q))
    return void(
        r.send(refusal(reply_status::unauthorized,
                       "a policy needs admin rights: " + admin_rights)));
  signed_document d;
  if (!signed_document::decode(as_bytes(q.body), d))
    return void(r.send(refusal(reply_status::invalid_argument,
                               "the body is no signed document")));
  ctx_.uptime->take_policy(
      d, [this, q, r](reply_status s, std::string why) mutable {
        if (s != reply_status::ok)
          return void(r.send(refusal(s, std::move(why))));
        r.send(answer(q, view_policy(*ctx_.uptime)));
      });
}

} // namespace banyan::actors
