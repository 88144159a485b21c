#pragma once
#include "actors/docs/app_documents.hpp"
#include "actors/host/host.hpp"
#include "actors/pure/control_wire.hpp"
#include "actors/pure/directory.hpp"
#include "actors/pure/replica_core.hpp"
#include "actors/pure/router_core.hpp"
#include "actors/pure/scrub_core.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <functional>
#include <memory>

/// What the actors of one node say to each other. Never leaves the process:
/// between nodes only frames travel.
namespace banyan::actors {

// ---- to a replica ----------------------------------------------------------

struct group_frame_in {
  node_id from;
  bytes frame;
};
struct stream_in {
  stream_frame frame;
};
/// What a stateless app answered to messages of the group.
struct answers_in {
  stream_frame frame;
};
struct evidence_in {
  node_id node;
  node_evidence what = node_evidence::link_down;
};
/// A node was seen alive in this incarnation.
struct node_seen_in {
  node_id node;
  banyan::incarnation incarnation;
};
/// Beats disagree on who leads: a sleeping group has to ask.
struct wake_in {};
struct log_done_in {
  store::log_done done;
};
struct committed_in {
  store::order_id order;
  result<store::digest_at, store::store_errc> done;
};
struct row_read_in {
  store::order_id order;
  result<std::optional<store::row>, store::store_errc> row;
};
struct page_in {
  store::order_id order;
  result<store::scan_page, store::store_errc> page;
};
struct staged_in {
  store::order_id order;
  order_stage::step step = order_stage::step::begin;
  result<store::digest_at, store::store_errc> done; ///< `finish`: the digest
};
struct turn_results_in {
  std::vector<turn_result> results;
};
struct host_up_in {
  std::uint64_t version = 0; ///< the app's
};
struct host_down_in {
  turn_suspects died_of;
  std::uint64_t version = 0;
};
/// How do its turns fare?
struct health_in {
  std::function<void(const version_health&)> done;
};
/// `from` is where the answer goes: a node's router, this node's too.
struct request_in {
  node_id from;
  request_frame frame;
};
/// What the state holds of this replica: nothing when that is lost or of
/// another one. Once.
struct state_in {
  std::optional<store::applied_meta> meta;
  std::optional<store::state_digest> digest;
};
/// The check at the start, or the scrub, found this row (a scan key) damaged.
struct row_damaged_in {
  bytes key;
};
/// The scrub found that the rows don't add up to their digest.
struct state_inconsistent_in {};
/// How does the replica stand?
struct report_in {
  std::function<void(const scrubbed_replica&)> done;
};
/// For `replica_core::set_closed` and `recover`.
struct closing_in {
  bool closed = false;
};
struct recovery_in {
  lineage_id lineage;
};
/// How does the replica stand?
struct standing_in {
  std::function<void(const surviving_replica&)> done;
};
/// For `replica_core::on_copy`.
struct copy_step_in {
  std::uint64_t token = 0;
  copy_step step = copy_step::rows;
};
/// What supervision or an operator wants of a group's leader.
struct group_order {
  enum class kind : std::uint8_t {
    transfer,
    add_learner,
    change_voters,
    shrink_voters,
    remove_learner,
    stop,
    start,
    park,
    unpark,
    checkpoint,
    features,
    version
  };
  kind what = kind::transfer;
  std::uint64_t number = 0;
  std::optional<replica_ref> who;
  std::vector<replica_ref> in;
  std::vector<replica_ref> out;
  std::vector<replica_ref> demoted;     ///< voters that become learners
  feature_bits bits = 0;                ///< features
  std::optional<version_order> version; ///< version
};
/// The node stops: hand over what is led.
struct stop_leading_in {};

// ---- to an app's actor -----------------------------------------------------

/// A replica of this group takes turns here from now on (or no more).
struct replica_joined {
  group_id group;
  bool here = true;
};
/// An operator, or the ladder, wants a fresh host.
struct restart_host {};
/// It fails on every voter: from now on it is tried again slowly.
struct park_host {};

struct turns_in {
  std::vector<turn_order> orders;
};

// ---- to the router ---------------------------------------------------------

using answer_function = std::function<void(reply, std::uint32_t shard)>;
/// `answer` is called once, on the loop.
struct call_in {
  call_request request;
  answer_function answer;
  std::string client;   ///< whom limits count it to; empty: nobody
  std::size_t kept = 0; ///< bytes that the asker holds until it is answered
};
struct reply_in {
  node_id from;
  reply_frame frame;
};
struct link_change_in {
  node_id node;
  banyan::incarnation incarnation;
  bool up = false;
};
struct view_in {
  group_id group;
};
struct app_gone_in {
  app_id app;
};

// ---- to who makes calls of what groups send to stateless apps --------------

/// Of a group that is led here: messages, or that it took answers.
struct sent_in {
  stream_frame frame;
};
struct sent_call_over {
  std::uint64_t token = 0;
  banyan::reply reply;
};
/// Another leads the group, or it leads anew.
struct sender_changed {
  group_id group;
};

// ---- to the node -----------------------------------------------------------

/// Find out by every means whether this peer lives.
struct probe_in {
  node_id node;
};
/// Say goodbye to the mesh: the peer stops on purpose.
struct leave_in {};

// ---- to the supervisor -----------------------------------------------------

/// A frame of the `group` channel that is the supervisor's business.
struct control_in {
  node_id from;
  control_frame frame;
};
/// A peer's link came up: it gets to know what this node knows.
struct peer_up_in {
  node_id node;
};

/// Where a spec would go, or went; in JSON terms the answer of `/v1/plan`.
struct deploy_answer {
  reply_status status = reply_status::ok;
  std::string message; ///< why not
  app_id app;          ///< of a deploy
  std::array<std::uint8_t, 16> nonce{};
  std::vector<std::vector<replica_ref>> voters; ///< replica ids when prepared
  std::uint32_t survives = 0; ///< failures of nodes that every group outlives
  std::vector<std::string> warnings;
};
using deploy_function = std::function<void(deploy_answer)>;
/// Where would it go; `prepare`: and have the nodes make empty replicas, so
/// that an owner can sign their ids into a genesis.
struct plan_in {
  app_spec spec;
  bool prepare = false;
  deploy_function done;
};
/// Mesh `local` only: plans, prepares, signs with the well-known owner key.
struct deploy_in {
  app_spec spec;
  bool strict = false;
  deploy_function done;
};
/// Documents that an owner signed.
struct papers_in {
  app_papers papers;
  deploy_function done;
};
/// Mesh `local` only.
struct remove_in {
  std::string app;
  std::string id; ///< of one of two that bear the name, or its beginning
  deploy_function done;
};
/// No replica of this node may vote any more until the process starts anew.
struct halt_replicas_in {};
/// This disk is older than what the mesh saw of this node.
struct rolled_back_in {
  incarnation seen;
  std::function<void()> done; ///< every replica is given up, on disk
};
/// The peer stops: hand over what is led; `done` when nothing is led any more
/// or nothing can be handed over.
struct stop_in {
  std::function<void()> done;
};

/// What an operator wants; `done` once, with how that began (moves, drains) or
/// ended (stop, start).
struct operate_answer {
  reply_status status = reply_status::ok;
  std::string message;
  bool drained = false; ///< of a drain: nothing is left there
  struct shard {
    bool answered = false;
    bool done = false;
    std::string why;
  };
  std::vector<shard> shards; ///< of stop and start
  std::uint64_t number = 0;  ///< of a move
};
struct operate_in {
  operator_wish what = operator_wish::stop;
  std::string app;
  std::uint32_t shard = 0; ///< of a move
  node_id from;            ///< of a move, or the node to drain
  node_id to;
  bool force = false;
  duration deadline = std::chrono::seconds{5};
  std::function<void(const operate_answer&)> done;
};

/// The states of this group's replicas should be compared, by its leader.
struct compare_in {
  group_id group;
};
/// The log of this replica is damaged on this disk.
struct log_damaged_in {
  group_id group;
  replica_id id;
};

/// What a recovery would do, or did.
struct recover_answer {
  reply_status status = reply_status::ok;
  std::string message;               ///< why not
  std::vector<app_recovery> shards;  ///< to be signed, or taken
  std::vector<std::string> left_out; ///< shards that it leaves alone, and why
};
using recover_function = std::function<void(recover_answer)>;
/// What is left of the app's shards that lost their majority?
struct recover_plan_in {
  std::string app;
  std::optional<std::uint32_t> shard; ///< only this one
  recover_function done;
};
/// Recoveries that the owner signed.
struct recover_in {
  std::vector<signed_document> documents;
  recover_function done;
};
/// Where a long answer goes, as fast as its reader takes it.
class download {
public:
  virtual ~download() = default;
  /// Instead of anything else.
  virtual void refuse(reply_status s, std::string why) = 0;
  virtual void write(const_bytes data) = 0;
  virtual void finish() = 0;
  /// Bytes that the reader has not taken.
  [[nodiscard]] virtual std::size_t unsent() const = 0;
  [[nodiscard]] virtual bool wanted() const = 0; ///< the reader is there
};
/// A backup of this app, please.
struct backup_in {
  std::string app;
  std::shared_ptr<download> to;
};
/// A replica's answer to `copy_step_in`.
struct copy_in {
  group_id group;
  copy_given given;
};

// ---- to the scrub ----------------------------------------------------------

/// A pass now; `done` gets the account as it is then. Nothing given: a replica
/// has doubts.
struct verify_in {
  bool begin = true; ///< or only tell
  std::function<void(const scrub_report&, time_point now)> done;
};
struct scrub_state_in {
  std::uint64_t number = 0;
  result<store::scrub_page, store::store_errc> page;
};
struct scrub_log_in {
  std::uint64_t number = 0;
  store::log_scrub piece;
};

/// Something that a replica wants its supervisor to know.
struct replica_news {
  group_id group;
  std::variant<role_changed, configuration_changed, failover_report,
               replica_lost, replica_retired, host_trouble, row_damaged,
               row_mended, state_phase_changed, state_doubted,
               checkpoint_judged, replica_failed, change_done, entry_refused,
               version_changed>
      what;
};
struct host_news {
  app_id app;
  std::uint64_t version = 0;
  bool up = false;
  bool exhausted = false; ///< more failures than the ladder's budget
  /// It can't run turns for longer than a hand-over takes, or failed so often
  /// lately that the next time it couldn't.
  bool worn = false;
  std::string message;
  std::uint32_t state_version = 0; ///< of the module, once it is up
};

} // namespace banyan::actors

#define BANYAN_LOCAL_MESSAGE(type)                                             \
  CAF_ALLOW_UNSAFE_MESSAGE_TYPE(banyan::actors::type)
BANYAN_LOCAL_MESSAGE(group_frame_in)
BANYAN_LOCAL_MESSAGE(stream_in)
BANYAN_LOCAL_MESSAGE(answers_in)
BANYAN_LOCAL_MESSAGE(evidence_in)
BANYAN_LOCAL_MESSAGE(node_seen_in)
BANYAN_LOCAL_MESSAGE(wake_in)
BANYAN_LOCAL_MESSAGE(log_done_in)
BANYAN_LOCAL_MESSAGE(committed_in)
BANYAN_LOCAL_MESSAGE(row_read_in)
BANYAN_LOCAL_MESSAGE(page_in)
BANYAN_LOCAL_MESSAGE(staged_in)
BANYAN_LOCAL_MESSAGE(turn_results_in)
BANYAN_LOCAL_MESSAGE(host_up_in)
BANYAN_LOCAL_MESSAGE(host_down_in)
BANYAN_LOCAL_MESSAGE(health_in)
BANYAN_LOCAL_MESSAGE(request_in)
BANYAN_LOCAL_MESSAGE(state_in)
BANYAN_LOCAL_MESSAGE(row_damaged_in)
BANYAN_LOCAL_MESSAGE(state_inconsistent_in)
BANYAN_LOCAL_MESSAGE(report_in)
BANYAN_LOCAL_MESSAGE(compare_in)
BANYAN_LOCAL_MESSAGE(log_damaged_in)
BANYAN_LOCAL_MESSAGE(verify_in)
BANYAN_LOCAL_MESSAGE(scrub_state_in)
BANYAN_LOCAL_MESSAGE(scrub_log_in)
BANYAN_LOCAL_MESSAGE(closing_in)
BANYAN_LOCAL_MESSAGE(recovery_in)
BANYAN_LOCAL_MESSAGE(standing_in)
BANYAN_LOCAL_MESSAGE(recover_plan_in)
BANYAN_LOCAL_MESSAGE(recover_in)
BANYAN_LOCAL_MESSAGE(copy_step_in)
BANYAN_LOCAL_MESSAGE(backup_in)
BANYAN_LOCAL_MESSAGE(copy_in)
BANYAN_LOCAL_MESSAGE(group_order)
BANYAN_LOCAL_MESSAGE(stop_leading_in)
BANYAN_LOCAL_MESSAGE(replica_joined)
BANYAN_LOCAL_MESSAGE(restart_host)
BANYAN_LOCAL_MESSAGE(park_host)
BANYAN_LOCAL_MESSAGE(turns_in)
BANYAN_LOCAL_MESSAGE(call_in)
BANYAN_LOCAL_MESSAGE(reply_in)
BANYAN_LOCAL_MESSAGE(link_change_in)
BANYAN_LOCAL_MESSAGE(view_in)
BANYAN_LOCAL_MESSAGE(app_gone_in)
BANYAN_LOCAL_MESSAGE(sent_in)
BANYAN_LOCAL_MESSAGE(sent_call_over)
BANYAN_LOCAL_MESSAGE(sender_changed)
BANYAN_LOCAL_MESSAGE(probe_in)
BANYAN_LOCAL_MESSAGE(leave_in)
BANYAN_LOCAL_MESSAGE(control_in)
BANYAN_LOCAL_MESSAGE(peer_up_in)
BANYAN_LOCAL_MESSAGE(plan_in)
BANYAN_LOCAL_MESSAGE(deploy_in)
BANYAN_LOCAL_MESSAGE(papers_in)
BANYAN_LOCAL_MESSAGE(remove_in)
BANYAN_LOCAL_MESSAGE(halt_replicas_in)
BANYAN_LOCAL_MESSAGE(rolled_back_in)
BANYAN_LOCAL_MESSAGE(stop_in)
BANYAN_LOCAL_MESSAGE(operate_in)
BANYAN_LOCAL_MESSAGE(replica_news)
BANYAN_LOCAL_MESSAGE(host_news)
