// What a peer's runner watches by Prometheus.
#include "actors/node/gateway.hpp"
#include "actors/node/gateway_views.hpp"
#include "actors/node/hardware.hpp"
#include "actors/node/instance.hpp"
#include "actors/node/modules.hpp"
#include "actors/node/placing.hpp"
#include "actors/pure/admission.hpp"

#include <cstdio>

namespace banyan::actors {
namespace {

double n(std::uint64_t v) {
  return static_cast<double>(v);
}

/// Writes one number after the other.
class metrics {
public:
  void operator()(const char* name, const char* type, const char* help,
                  double value) {
    text_ += std::string{"# HELP banyan_"} + name + " " + help
             + "\n# TYPE banyan_" + name + " " + type + "\nbanyan_" + name
             + " ";
    char number[32];
    std::snprintf(number, sizeof number, "%.15g\n", value);
    text_ += number;
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

private:
  std::string text_;
};

/// Calls of apps: at the door, and what the router makes of them.
void door_metrics(const node_context& ctx, metrics& add) {
  if (ctx.door != nullptr) {
    const auto& d = *ctx.door;
    add("calls_limit", "gauge",
        "calls that may be under way at once, as of now", n(d.limit()));
    add("calls_under_way", "gauge", "calls taken on and not answered",
        n(d.under_way()));
    add("calls_waiting", "gauge", "calls that wait at the door",
        n(d.waiting()));
    add("calls_bytes", "gauge",
        "bytes of the arguments of calls that wait or are under way",
        n(d.bytes()));
    add("calls_refused_total", "counter",
        "calls answered overloaded by the door", n(d.refused()));
    add("calls_late_total", "counter",
        "calls that waited at the door until it was too late", n(d.late()));
  }
  if (ctx.routes != nullptr) {
    add("calls_repeated_total", "counter",
        "attempts of calls beyond their first, one after the other",
        n(ctx.routes->retries()));
    add("calls_hedged_total", "counter",
        "calls made a second time while the first attempt was under way",
        n(ctx.routes->hedges()));
  }
  add("requests_refused_total", "counter",
      "requests answered overloaded by replicas and instances here: they "
      "would have waited too long for their turn",
      n(ctx.counters.requests_refused));
}

/// Of all doors for HTTP together, the control socket too.
void http_metrics(const io::http_counters& c, metrics& add) {
  add("http_open", "gauge", "connections of HTTP clients", n(c.open));
  add("http_unsent_bytes", "gauge", "answers that wait for their readers",
      n(c.unsent));
  add("http_body_bytes", "gauge", "bodies that are coming in", n(c.bodies));
  add("http_connections_total", "counter", "connections that came",
      n(c.connections));
  add("http_requests_total", "counter", "whole requests", n(c.requests));
  add("http_refused_rate_total", "counter",
      "requests beyond the rate of their address", n(c.refused_rate));
  add("http_refused_places_total", "counter",
      "connections without a place, in all or of their address",
      n(c.refused_full));
  add("http_refused_bodies_total", "counter",
      "requests refused since too many bytes were coming in",
      n(c.refused_bodies));
  add("http_refused_origin_total", "counter",
      "requests with a foreign Origin or Host", n(c.refused_origin));
  add("http_bad_requests_total", "counter", "requests that were no HTTP",
      n(c.bad_requests));
  add("http_too_large_total", "counter",
      "requests with too large a header or body", n(c.too_large));
  add("http_evicted_total", "counter", "connections that made room for others",
      n(c.evicted));
  add("http_cut_unsent_total", "counter",
      "connections cut since too many answers were unsent", n(c.cut_unsent));
  add("http_too_slow_total", "counter",
      "connections that sent or read too slowly", n(c.timed_out));
  add("http_clients_gone_total", "counter",
      "connections that ended before their answer", n(c.clients_gone));
}

/// How data and hosts fare.
void care_metrics(const node_context& ctx, metrics& add) {
  const auto& c = ctx.counters;
  add("rows_damaged_total", "counter",
      "stored rows whose checksum was found wrong", n(c.rows_damaged));
  add("rows_mended_total", "counter",
      "damaged rows put back from another voter, written anew, or gone with "
      "the state or the replica that they were of",
      n(c.rows_mended));
  add("states_lost_total", "counter",
      "groups whose state here had to be rebuilt", n(c.states_lost));
  add("states_rebuilt_total", "counter",
      "groups whose state here was rebuilt from another voter",
      n(c.states_rebuilt));
  add("quarantines_total", "counter",
      "states here that differed from an agreeing majority", n(c.quarantines));
  add("logs_given_up_total", "counter",
      "replicas given up since their log was damaged", n(c.logs_given_up));
  add("digests_compared_total", "counter",
      "digests of states compared by leaders here", n(c.digests_compared));
  add("conflicts_total", "counter",
      "comparisons of states without an agreeing majority", n(c.conflicts));
  add("hosts_failed_total", "counter", "app hosts that failed here",
      n(c.hosts_failed));
  add("turns_slow_total", "counter", "turns that were said to be slow",
      n(c.turns_slow));
  add("handlers_threw_total", "counter",
      "turns that changed nothing since their handler threw, or broke a limit",
      n(c.handlers_threw));
  add("requests_poisoned_total", "counter",
      "requests given up by leaders here: three deaths under each",
      n(c.requests_poisoned));
  add("host_moves_total", "counter",
      "leaderships that this peer handed over since its host was not well",
      n(c.host_moves));
  add("scrub_passes_total", "counter", "complete re-readings of this disk",
      n(c.scrub_passes));
  add("scrub_state_bytes_total", "counter", "bytes of state read again",
      n(c.scrub_state_bytes));
  add("scrub_log_bytes_total", "counter", "bytes of log read again",
      n(c.scrub_log_bytes));
  std::size_t unready = 0;
  if (const auto mine = ctx.unready_states.find(ctx.self());
      mine != ctx.unready_states.end())
    unready = mine->second.size();
  add("states_unready", "gauge",
      "groups whose state here is being verified or rebuilt", n(unready));
}

void module_metrics(const module_shell& modules, metrics& add) {
  const auto& m = modules.counted();
  std::uint64_t sum = 0;
  std::size_t whole = 0;
  for (const auto& [hash, held] : modules.on_disk()) {
    sum += held.bytes;
    whole += held.whole ? 1 : 0;
  }
  add("modules", "gauge", "modules in DIR/modules, whole", n(whole));
  add("modules_bytes", "gauge", "bytes in DIR/modules", n(sum));
  add("modules_under_way", "gauge", "modules that are wanted and not here",
      n(modules.under_way()));
  add("modules_fetched_total", "counter", "modules fetched from peers",
      n(m.fetched));
  add("modules_uploaded_total", "counter", "modules that operators brought",
      n(m.uploaded));
  add("modules_dropped_total", "counter", "modules that no app named",
      n(m.dropped));
  add("modules_damaged_total", "counter",
      "modules found to have rotted; they are fetched again", n(m.damaged));
  add("modules_wrong_total", "counter", "modules that came with another hash",
      n(m.wrong));
  add("module_bytes_in_total", "counter", "bytes of modules taken",
      n(m.bytes_in));
  add("module_bytes_out_total", "counter", "bytes of modules sent to peers",
      n(m.bytes_out));
}

void link_metrics(const net::link_counters& l, metrics& add) {
  add("links_up_total", "counter", "links that came up", n(l.links_up));
  add("links_down_total", "counter", "links that ended", n(l.links_down));
  add("link_strangers_total", "counter",
      "handshakes without a key of this mesh", n(l.refused_strangers));
  add("link_client_violations_total", "counter",
      "client links that left their channels", n(l.client_violations));
  add("link_protocol_errors_total", "counter", "forged or malformed records",
      n(l.protocol_errors));
  add("relayed_links_dialled_total", "counter",
      "links begun through a neighbour", n(l.relay.dialled));
  add("relayed_links_answered_total", "counter",
      "links answered through a neighbour", n(l.relay.answered));
  add("relayed_links_lost_total", "counter",
      "links through a neighbour that broke", n(l.relay.lost));
  add("relay_misplaced_total", "counter",
      "streams through a neighbour ended for bytes that belong nowhere",
      n(l.relay.misplaced));
  add("relay_streams_opened_total", "counter",
      "streams forwarded between two other peers", n(l.relay.opened));
  add("relay_streams_ended_total", "counter", "of those, that ended",
      n(l.relay.ended));
  add("relay_refused_total", "counter", "streams not forwarded",
      n(l.relay.refused));
  add("relay_frames_total", "counter", "frames forwarded", n(l.relay.frames));
  add("relay_bytes_total", "counter", "sealed bytes forwarded",
      n(l.relay.bytes));
  add("relay_held_total", "counter", "frames that waited for their ration",
      n(l.relay.held));
  add("relay_overruns_total", "counter",
      "forwarded streams ended because a peer sent too much",
      n(l.relay.overruns));
  add("relay_frames_bad_total", "counter", "malformed relay frames",
      n(l.relay.frames_bad));
  add("link_bytes_in_total", "counter", "bytes from peers", n(l.bytes_in));
  add("link_bytes_out_total", "counter", "bytes to peers", n(l.bytes_out));
}

/// What this machine is worth, and what this peer finds of others.
void hardware_metrics(const node_context& ctx, metrics& add) {
  const auto& own = ctx.members->own();
  add("tier", "gauge", "the lower of claim and proof", n(tier_of(ctx, own)));
  add("tier_claimed", "gauge", "the tier that this peer claims", n(own.tier));
  const auto& hardware = *ctx.hardware;
  if (const auto& f = hardware.figures()) {
    add("hardware_fsync_p99_seconds", "gauge", "of an fsync, as measured last",
        n(f->fsync_p99_us) / 1e6);
    add("hardware_disk_write_bytes_per_second", "gauge", "as measured last",
        n(f->disk_write_mb_s) * 1e6);
    add("hardware_crypto_bytes_per_second", "gauge",
        "sealed by one core, as measured last", n(f->crypto_mb_s) * 1e6);
  }
  const auto& c = hardware.findings().counters();
  add("challenges_sent_total", "counter", "challenges of others' hardware",
      n(c.asked));
  add("challenges_held_total", "counter", "members that met both challenges",
      n(c.held));
  add("challenges_failed_total", "counter",
      "challenges that were not met: wrong, late, too slow, unanswered",
      n(c.failed));
  add("challenges_postponed_total", "counter",
      "challenges that the other end had no time for", n(c.postponed));
  add("challenges_answered_total", "counter",
      "challenges of this peer's hardware that it took",
      n(hardware.answers().taken()));
  add("tiers_doubted", "gauge", "members whose claim this peer doubts",
      n(hardware.findings().doubts().size()));
}

} // namespace

std::string view_metrics(const node_context& ctx, duration uptime,
                         const std::optional<io::http_counters>& http) {
  metrics add;
  const auto& c = ctx.counters;
  add("uptime_seconds", "gauge", "since this process could serve",
      n(static_cast<std::uint64_t>(
          std::chrono::duration_cast<std::chrono::seconds>(uptime).count())));
  add("calls_total", "counter", "calls taken by this peer's router",
      n(c.calls));
  door_metrics(ctx, add);
  if (http)
    http_metrics(*http, add);
  add("failovers_total", "counter", "failovers that this peer knows of",
      n(c.failovers));
  add("log_orders_total", "counter", "orders to the log", n(c.log_orders));
  add("state_commits_total", "counter", "synced state transactions",
      n(c.state_commits));
  add("frames_bad_total", "counter", "frames that could not be decoded",
      n(c.frames_bad));
  add("frames_unproven_total", "counter",
      "group frames on links without a group proof", n(c.frames_unproven));
  add("proofs_wrong_total", "counter", "wrong group proofs", n(c.proofs_wrong));
  care_metrics(ctx, add);
  if (ctx.modules != nullptr)
    module_metrics(*ctx.modules, add);
  if (ctx.hardware != nullptr)
    hardware_metrics(ctx, add);
  link_metrics(ctx.links->counters(), add);
  const auto r = roles_of(ctx, ctx.self());
  add("groups_leading", "gauge", "groups led here", n(r.leading));
  add("groups_following", "gauge", "groups followed here", n(r.following));
  add("groups_learning", "gauge", "groups learned here", n(r.learning));
  std::size_t linked = 0;
  for (const auto& l : ctx.links->links())
    linked += l.role == link_role::peer ? 1 : 0;
  add("links", "gauge", "peers that a link is up to", n(linked));
  std::size_t alive = 0;
  ctx.members->each([&](const net::member_record&, net::member_state s) {
    alive += s == net::member_state::alive ? 1 : 0;
  });
  add("members_alive", "gauge", "members thought alive", n(alive));
  return add.take() + instance_metrics(ctx);
}

} // namespace banyan::actors
