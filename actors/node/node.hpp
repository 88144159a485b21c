#pragma once
#include "actors/node/context.hpp"
#include "actors/node/reach.hpp"
#include "net/membership/membership.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/stateful_actor.hpp>

#include <map>
#include <memory>
#include <string>

namespace banyan::actors {

struct node_start {
  net::link_config link;
  net::link_limits limits;
  net::address listen;
  net::address advertise;
  std::vector<net::membership_config::seed> seeds;
  net::node_capacity capacity;
  net::liveness_config liveness;
  /// The node can't go on: exit code and why. Called once, on the loop.
  std::function<void(int code, const std::string& why)> fatal;
};

/// To the node actor: what this machine is worth, for the own record. Nothing:
/// as before.
struct own_hardware_in {
  std::optional<std::uint8_t> tier;
  std::optional<net::node_capacity> capacity;
  /// Whose claims this node found false.
  std::optional<std::vector<net::member_doubt>> doubts;
};

/// The shell around the link table and the membership core: stream events and
/// frames in, dispatch to the actors, membership's effects out. Owned by the
/// node actor; the streams call it directly, on the loop.
class node_shell final : public net::link_events,
                         private net::stream_events,
                         public std::enable_shared_from_this<node_shell> {
public:
  /// Listens; `error` says why not.
  static std::shared_ptr<node_shell> open(node_context& ctx, node_start start,
                                          net::streams& io, std::string& error);
  ~node_shell() override;

  void start();
  void probe(const node_id& node);
  void leave();
  void set_hardware(const own_hardware_in& own);
  [[nodiscard]] const net::address& bound() const noexcept { return bound_; }
  [[nodiscard]] net::membership& members() noexcept { return *members_; }

  void on_link_up(const net::link_info& info, net::link_id replaces) override;
  void on_link_down(const net::link_info& info, net::link_end why) override;
  void on_frames(const net::link_info& info,
                 const std::vector<net::frame_view>& frames) override;
  void on_dial_failed(const net::dial_target& target, net::dial_error why,
                      time_point retry_at) override;
  void on_own_key_met(const net::boot_id& boot,
                      const net::address& at) override;
  void on_unlisted(const node_id& node, const net::address& at) override;
  void on_writable(const net::link_info& info, net::lane l) override;
  void
  on_probed(std::uint64_t token,
            const result<net::probe_answer, net::dial_error>& answer) override;

private:
  node_shell(node_context& ctx, node_start start);

  // unlisted.cpp
  void tell_refused(const node_id& node, const std::string& text);
  void tell_not_allowed(const net::address& at);

  // Stream events pass through to the link table, whose deadline they move.
  void on_opened(net::stream_id id, const net::address& remote, bool inbound,
                 time_point now) override;
  void on_dial_failed(net::stream_id id, net::stream_end why,
                      time_point now) override;
  void on_data(net::stream_id id, const_bytes data, time_point now) override;
  void on_drained(net::stream_id id, time_point now) override;
  void on_closed(net::stream_id id, net::stream_end why,
                 time_point now) override;

  template <class F>
  void member_input(F f) {
    f(*members_, ctx_.loop.now(), effects_);
    carry_out();
  }
  void carry_out();
  void arm();
  void on_control(const net::link_info& info, const_bytes payload);
  void on_group_frame(const net::link_info& info, const_bytes payload);
  void on_client_call(const net::link_info& info, const_bytes payload);
  void tell_all_replicas(const node_id& node, node_evidence what);
  void refresh_leads();
  void refresh_known(time_point now);
  void refresh_seeds(time_point now);

  void carry(net::send_frame& e);
  void carry(net::want_link& e);
  void carry(net::unwant_link& e);
  void carry(net::want_seed& e);
  void carry(net::unwant_seed& e);
  void carry(net::hurry_link& e);
  void carry(net::cut_link& e);
  void carry(net::close_link& e);
  void carry(net::probe_address& e);
  void carry(net::persist_incarnation& e);
  void carry(net::incarnation_ready& e);
  void carry(net::persist_members& e);
  void carry(net::advertised& e);
  void carry(net::peer_silent& e);
  void carry(net::peer_gone& e);
  void carry(net::peer_back& e);
  void carry(net::beat_heard& e);
  void carry(net::member_changed& e);
  void carry(net::rolled_back_suspected& e);
  void carry(net::rolled_back& e);
  void carry(net::cloned& e);
  void carry(net::join_progress& e);
  void carry(net::members_damaged& e);
  void carry(net::misbehaved& e);

  node_context& ctx_;
  node_start start_;
  net::address bound_;
  std::unique_ptr<net::link_table> links_;
  std::unique_ptr<net::membership> members_;
  std::unique_ptr<reach> reach_;
  net::membership_effects effects_;
  io::timer link_timer_;
  io::timer member_timer_;
  std::map<node_id, time_point> mismatches_;
  time_point links_due_ = never;
  time_point members_due_ = never;
  std::uint64_t leads_of_ = 0; ///< the views that peers were told of
  bool links_changed_ = true;  ///< since then
  bool known_changed_ = false; ///< whose addresses the link table knows
  time_point known_at_{};
  bool seeds_wanted_ = true;
  time_point seeds_at_{};
  std::map<node_id, time_point> refused_said_;
  bool stopping_ = false;
  bool rollback_suspected_ = false;
};

struct node_actor_state {
  static inline const char* name = "node";
  std::shared_ptr<node_shell> shell;
};
caf::behavior node_actor(caf::stateful_actor<node_actor_state>* self,
                         node_context* ctx, std::shared_ptr<node_shell> shell);

} // namespace banyan::actors

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(banyan::actors::own_hardware_in)
