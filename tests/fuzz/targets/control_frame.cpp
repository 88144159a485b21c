// What nodes tell each other about groups and apps: proofs, views, documents,
// wishes for replicas, failovers, states.
#include "actors/pure/control_wire.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <cmath>

namespace banyan::fuzz {
namespace {

/// What whoever takes the frame relies upon.
struct bounds {
  void operator()(const unknown_control&) const {}
  void operator()(const secret_proof& f) const { group(f.group); }
  void operator()(const group_view& f) const {
    BANYAN_ASSERT(f.voters.size() + f.learners.size()
                  <= 2 * group_replicas_max);
  }
  void operator()(const documents_held& f) const {
    BANYAN_ASSERT(f.apps.size() <= control_list_max);
  }
  void operator()(const app_papers&) const {}
  void operator()(const make_replicas& f) const {
    BANYAN_ASSERT(!f.shards.empty() && f.shards.size() <= shards_max);
    for (std::size_t i = 0; i < f.shards.size(); ++i)
      BANYAN_ASSERT(f.shards[i] < shards_max
                    && (i == 0 || f.shards[i - 1] < f.shards[i]));
  }
  void operator()(const replicas_made& f) const {
    BANYAN_ASSERT(f.made.empty() || f.made.rbegin()->first < shards_max);
    BANYAN_ASSERT(f.error.size() <= control_error_bytes_max);
    for (const char c : f.error)
      BANYAN_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
  void operator()(const failover_record& f) const {
    group(f.group);
    BANYAN_ASSERT(is_app_name(f.app));
    BANYAN_ASSERT(std::isfinite(f.elected_ms)
                  && std::isfinite(f.first_commit_ms)
                  && std::isfinite(f.first_reply_ms.value_or(0))
                  && f.first_reply_ms.value_or(0) >= 0);
  }
  void operator()(const host_state& f) const {
    BANYAN_ASSERT(is_app_name(f.app));
  }
  void operator()(const host_wear& f) const {
    BANYAN_ASSERT(is_app_name(f.app));
  }
  void operator()(const unready_replicas& f) const {
    BANYAN_ASSERT(f.replicas.size() <= control_list_max);
    for (const auto& i : f.replicas) {
      group(i.group);
      BANYAN_ASSERT(i.phase == state_phase::pending
                    || i.phase == state_phase::lost);
    }
  }
  void operator()(const compare_wanted& f) const { group(f.group); }
  void operator()(const stay_wanted& f) const { group(f.group); }
  void operator()(const stay_promised& f) const { group(f.group); }
  void operator()(const drain_notice& f) const {
    BANYAN_ASSERT(f.blocked.size() <= drain_blocked_max);
    for (const auto& why : f.blocked)
      line(why);
  }
  void operator()(const operator_order& f) const { group(f.group); }
  void operator()(const operator_answer& f) const {
    BANYAN_ASSERT(f.permille <= 1000);
    line(f.message);
  }
  static void line(const std::string& s) {
    BANYAN_ASSERT(s.size() <= operator_text_bytes_max);
    for (const char c : s)
      BANYAN_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  }
  void operator()(const logs_wanted& f) const {
    BANYAN_ASSERT(is_app_name(f.app));
  }
  void operator()(const logs_held& f) const {
    BANYAN_ASSERT(f.lines.size() <= log_lines_max);
    for (std::size_t i = 0; i < f.lines.size(); ++i) {
      BANYAN_ASSERT(f.lines[i].text.size() <= log_line::text_bytes_max);
      BANYAN_ASSERT(f.lines[i].actor.size() <= log_line::actor_bytes_max);
      BANYAN_ASSERT(i == 0 || f.lines[i - 1].number < f.lines[i].number);
    }
  }
  void operator()(const event_told& f) const {
    BANYAN_ASSERT(is_event_kind(f.what.kind));
    BANYAN_ASSERT(f.what.app.empty() || is_app_name(f.what.app));
    BANYAN_ASSERT(!f.what.shard || *f.what.shard < shards_max);
    BANYAN_ASSERT(f.what.text
                  == one_line(f.what.text, mesh_event::text_bytes_max));
  }
  void operator()(const secret_wanted&) const {}
  void operator()(const secret_key&) const {}
  void operator()(const modules_held& f) const {
    BANYAN_ASSERT(f.modules.size() <= control_list_max);
    for (std::size_t i = 0; i < f.modules.size(); ++i)
      BANYAN_ASSERT(f.modules[i].permille <= 1000
                    && (i == 0 || f.modules[i - 1].hash < f.modules[i].hash));
  }
  void operator()(const module_wanted& f) const {
    BANYAN_ASSERT(f.offset <= module_bytes_max && f.size > 0
                  && f.size <= module_piece_bytes_max);
  }
  void operator()(const module_refused& f) const {
    BANYAN_ASSERT(f.offset <= module_bytes_max);
  }
  void operator()(const owners_trusted& f) const {
    BANYAN_ASSERT(f.owners.size() <= owners_trusted_max);
  }
  void operator()(const backup_wanted& f) const { group(f.group); }
  void operator()(const recovery_told& f) const {
    app_recovery r;
    if (app_recovery::decode(f.document.body, r))
      BANYAN_ASSERT(r.encode() == f.document.body && r.shard < shards_max);
  }
  void operator()(const standings_told& f) const {
    for (const auto& s : f.replicas) {
      group(s.group);
      BANYAN_ASSERT(s.group.app == f.app);
    }
  }
  void operator()(const backup_given& f) const {
    BANYAN_ASSERT(f.data.size() <= backup_part_bytes_max);
    BANYAN_ASSERT(f.error.size() <= control_error_bytes_max);
    backup_begun b;
    if (decode(f.data, b))
      BANYAN_ASSERT(encode(b) == f.data);
  }
  void operator()(const version_ready& f) const {
    BANYAN_ASSERT(f.ready.why.size() <= version_why_bytes_max);
  }
  void operator()(const version_word& f) const {
    group(f.group);
    BANYAN_ASSERT(f.why.size() <= version_why_bytes_max);
  }
  void operator()(const instance_word&) const {}
  void operator()(const node_load& f) const { BANYAN_ASSERT(f.busy <= 1000); }
  void operator()(const distances_told& f) const {
    BANYAN_ASSERT(f.to.size() <= distances_told::nodes_max);
    for (const auto& [to, rtt] : f.to)
      BANYAN_ASSERT(rtt >= 0s && rtt <= 60s);
  }
  void operator()(const view_wanted&) const {}
  void operator()(const view_told& f) const { (*this)(f.view); }
  void operator()(const instances_told& f) const {
    BANYAN_ASSERT(f.nodes.size() <= instances_told::nodes_max);
  }
  void operator()(const documents_sum&) const {}
  void operator()(const days_wanted& f) const {
    BANYAN_ASSERT(f.have.size() <= 2 * days_kept);
  }
  void operator()(const days_given& f) const {
    BANYAN_ASSERT(f.documents.size() <= days_given::documents_max);
  }
  void operator()(const policy_told&) const {}
  void operator()(const pinned_replicas& f) const {
    BANYAN_ASSERT(f.groups.size() <= pinned_replicas_max);
    for (std::size_t i = 0; i < f.groups.size(); ++i) {
      group(f.groups[i]);
      BANYAN_ASSERT(i == 0 || f.groups[i - 1] < f.groups[i]);
    }
  }
  void operator()(const pin_wanted& f) const { group(f.group); }
  void operator()(const hardware_challenge& f) const {
    BANYAN_ASSERT(f.size > 0
                  && f.size <= (f.kind == challenge_kind::memory
                                    ? hardware_challenge::mib_max
                                    : hardware_challenge::kib_max));
  }
  void operator()(const hardware_answer& f) const {
    BANYAN_ASSERT(f.data.size()
                  <= std::size_t{hardware_challenge::kib_max} * 1024);
  }
  static void group(const group_id& g) { BANYAN_ASSERT(g.shard < shards_max); }
};

void run(const_bytes in) {
  control_frame f;
  if (!decode(in, f))
    return;
  std::visit(bounds{}, f);
  if (!std::holds_alternative<unknown_control>(f))
    BANYAN_ASSERT(const_bytes{encoded_control(f)} == in);
}

std::vector<bytes> seeds() {
  const group_id g{app_id{std::array<std::uint8_t, 32>{1}}, 3};
  const node_id node{std::array<std::uint8_t, 32>{2}};
  const replica_id replica{std::array<std::uint8_t, 16>{3}};
  group_view view;
  view.group = g;
  view.leader = {node, replica};
  view.voters.push_back({view.leader, 0, 1000});
  make_replicas wish;
  wish.token = 1;
  wish.shards = {0, 3};
  auto learner = wish;
  learner.app = g.app;
  learner.secret.emplace();
  failover_record failover;
  failover.app = "ledger";
  failover.group = g;
  failover.leader = node;
  failover.elected_ms = 12.5;
  auto whole = failover;
  whole.old_leader = node;
  whole.first_reply_ms = 14;
  const auto paper = [&](sign_kind k) {
    return signed_document::make(local_mesh_owner(), k, local_mesh_id(), 1,
                                 {0x90});
  };
  logs_held lines;
  lines.token = 1;
  lines.lines.push_back({5, 7, log_source::log, "alice", "paid"});
  lines.lines.push_back({9, 8, log_source::out, "", "\x1b[0m"});
  event_told told;
  told.what.number = 1024;
  told.what.node = node;
  told.what.kind = "host_failed";
  told.what.app = "ledger";
  told.what.shard = 3;
  told.what.about = node;
  told.what.text = "SIGSEGV";
  event_told bare;
  bare.what.node = node;
  bare.what.kind = "peer_stops";
  version_word word;
  word.group = g;
  word.running = 2;
  word.state_version = 2;
  word.written = state_written{2, log_index{77}};
  word.number = 3;
  word.state = update_state::canary;
  word.why = "watched for 10 s";
  word.health = {1000, 3, 1, 120us, 4ms};
  surviving_replica standing;
  standing.group = g;
  standing.who.replica = replica;
  standing.voters = {{node, replica}};
  const std::vector<control_frame> frames{
      secret_proof{g, {}},
      view,
      documents_held{{{g.app, {2, true}}, {app_id{}, {300, false}}}},
      app_papers{paper(sign_kind::genesis), paper(sign_kind::spec), {}},
      wish,
      learner,
      replicas_made{1, {{0, replica}, {3, replica}}, ""},
      replicas_made{1, {}, "no module 'ledger' here"},
      failover,
      whole,
      host_state{"ledger", true},
      backup_wanted{1, g, backup_wanted::step::rows, 2, {3}},
      recovery_told{paper(sign_kind::recovery)},
      standings_told{1, g.app, false, {}},
      standings_told{1, g.app, true, {standing}},
      backup_given{1, 2, backup_wanted::step::rows, true, {4, 5}, ""},
      backup_given{1, 0, backup_wanted::step::begin, false,
                   encode(backup_begun{}), ""},
      host_wear{"ledger", true},
      unready_replicas{},
      unready_replicas{{{g, replica, state_phase::lost}}},
      compare_wanted{g},
      stay_wanted{g, replica, 7},
      stay_promised{g, replica, {}, 300},
      modules_held{{{digest{}, 400}, {digest{node.array()}, 1000}}},
      module_wanted{digest{}, 256 << 10, 256 << 10},
      module_refused{digest{}, 0, module_refused::reason::not_here},
      owners_trusted{{owner_id{node.array()}}},
      drain_notice{},
      drain_notice{true, false, 1, 2, 30U, {"ledger/3 has no leader"}},
      operator_order{5, 1, g, {}, {}, false},
      operator_order{6, 3, g, node, node, true},
      operator_answer{6, operator_progress::under_way, {}, 500, ""},
      operator_answer{6, operator_progress::refused, reply_status::conflict, 0,
                      "no"},
      logs_wanted{1, "ledger", 5, 7},
      lines,
      told,
      bare,
      secret_wanted{g.app, 2},
      secret_key{g.app, 2, {}},
      version_ready{g.app, 3, {false, 0, "fetching module 40 %"}},
      word,
      instance_word{g.app, 3, true},
      node_load{1000, 12, 3400},
      distances_told{{{node, 300us}}},
      view_wanted{g},
      view_told{view},
      instances_told{g.app, {{node, 3}}},
      documents_sum{2, 1U << 31},
      days_wanted{{}, {{20'000, 7}}, {}},
      days_wanted{node, {}, day_archive::place{20'000, node}},
      days_given{node, true, {paper(sign_kind::observation)}},
      policy_told{paper(sign_kind::policy)},
      distances_told{},
      pinned_replicas{{g}},
      pinned_replicas{},
      pin_wanted{g, replica},
      hardware_challenge{1, challenge_kind::memory, {}, 64},
      hardware_challenge{1, challenge_kind::bandwidth, {}, 512},
      hardware_answer{1, challenge_outcome::done, {}, {1, 2}},
      hardware_answer{1, challenge_outcome::later, {}, {}}};
  std::vector<bytes> out;
  for (const auto& f : frames)
    out.push_back(encoded_control(f));
  out.push_back({0x92, 0x3c, 0xc0}); // a later kind
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(control_frame)
