#pragma once
#include "actors/node/supervisor.hpp"
#include "actors/pure/drain.hpp"
#include "actors/pure/evacuation.hpp"
#include "actors/pure/homing.hpp"

#include <functional>
#include <map>
#include <optional>

namespace banyan::actors {

/// What a supervisor does about operators' orders, as the peer that was asked,
/// as the leader of a group, and as the node that is drained. Part of the
/// supervisor, on the loop; it outlives no order.
///
/// The peer that was asked repeats an order under one token until the leader of
/// each group has answered, wherever that is by then. What it asked for is lost
/// with it, but for a drain, which the drained node keeps on its disk.
class operator_desk {
public:
  explicit operator_desk(group_supervisor& s)
      : s_{s}, homing_{s.ctx_.settings.homing} {}

  /// What this node's disk says: whether it is drained.
  void load();
  void operate(operate_in& m);
  void on_order(const node_id& from, const operator_order& o);
  void on_answer(const node_id& from, const operator_answer& a);
  void on_notice(const node_id& from, const drain_notice& n);
  void on_pin(const node_id& from, const pin_wanted& p);
  void on_pinned(const node_id& from, const pinned_replicas& p);
  void on_peer_up(const node_id& node) const;
  void on_tick(time_point now);
  /// False: no order of an operator's bears this number.
  bool on_change_done(const change_done& d);

  /// A replica that is to leave its group, which this node leads.
  struct wish {
    node_id from;
    std::optional<node_id> to; ///< or the next in placement order
    bool force = false;
    /// This node's: a voter that returns home, or is evacuated. Whatever an
    /// operator or a drained node asks for takes its place.
    bool own = false;
    time_point until; ///< unless it is asked for again
  };
  /// Null: nobody wants a change of that group.
  [[nodiscard]] const wish* wish_of(const group_id& g, time_point now);
  /// One step towards what is wished; the group has no change under way.
  void pursue(const group_id& g, const wish& w, time_point now);
  /// Who should lead instead of this node; none: nobody can.
  [[nodiscard]] std::optional<replica_ref> heir_of(const group_id& g) const;
  /// The mesh's policy drains this node, and no operator does.
  [[nodiscard]] bool evacuates() const {
    return evacuated_.on() && !drain_.on();
  }

private:
  using answer_to = std::function<void(operator_answer)>;

  // ---- as the peer that was asked (operator_desk.cpp)
  struct app_order {
    operator_wish what = operator_wish::stop;
    app_id app;
    group_orders orders;
    std::vector<std::uint64_t> tokens; ///< by shard
    std::function<void(const operate_answer&)> done;
  };
  struct move_order {
    operator_order order;
    time_point next{};
    time_point heard{};
    std::function<void(const operate_answer&)> done; ///< null: answered
  };
  struct node_order {
    operator_order order;
    time_point next{};
    time_point until{};
    std::function<void(const operate_answer&)> done;
  };
  void stop_or_start(operate_in& m);
  void move(operate_in& m);
  void drain_node(operate_in& m);
  [[nodiscard]] std::optional<node_id> leader_of(const group_id& g) const;
  void tick_app_orders(time_point now);
  void tick_moves(time_point now);
  void tick_node_orders(time_point now);
  void ask(const node_id& whom, const operator_order& o);
  void on_move_answer(move_order& m, const operator_answer& a);
  move_report* report_of(std::uint64_t token) const;

  // ---- as a group's leader (moves.cpp)
  void carry_out(const node_id& from, const operator_order& o);
  void answer(const node_id& to, operator_answer a);
  void set_stopped(const node_id& from, const operator_order& o);
  operator_answer wish_for(const operator_order& o);
  [[nodiscard]] group_standing standing_of(const group_id& g,
                                           const node_id& from) const;
  [[nodiscard]] std::string why_not_on(const group_id& g,
                                       const node_id& to) const;

  // ---- as the node that is drained (drain.cpp)
  operator_answer begin_drain(const operator_order& o);
  void cancel_drain();
  void keep_drain();
  void tick_drain(time_point now);
  void tell_drain();

  // ---- by the mesh's policy (evacuation.cpp)
  /// The drain that goes on: an operator's before the policy's.
  drain& leaving();
  void note_readmission();
  void tick_evacuation(time_point now);
  void exclude();
  void tick_evictions(time_point now);

  // ---- voters that return home (homing.cpp)
  void load_pins();
  void pin(const group_id& g, const replica_ref& who);
  [[nodiscard]] pinned_replicas pins_here() const;
  void tick_pins(time_point now);
  void tick_weight();
  [[nodiscard]] std::vector<led_group> led_groups(time_point now);
  [[nodiscard]] bool others_change() const;
  [[nodiscard]] homing_scene scene() const;
  void tick_homing(time_point now);
  [[nodiscard]] bool wish_for_own(const group_id& g, const node_id& from,
                                  const std::optional<node_id>& to,
                                  time_point now);
  void end_own(const group_id& g);
  void follow_home(const homing_move& m, time_point now);

  group_supervisor& s_;
  std::map<std::uint64_t, app_order> app_orders_;
  std::map<std::uint64_t, move_order> moves_; ///< by token
  std::map<std::uint64_t, node_order> node_orders_;
  std::map<std::uint64_t, std::pair<std::uint64_t, std::uint32_t>>
      shard_tokens_; ///< token → app order, shard
  struct stopping {
    node_id from;
    std::uint64_t token = 0;
    group_id group;
    bool stop = false;
  };
  std::map<std::uint64_t, stopping> stopping_; ///< by number of the change
  std::map<group_id, wish> wishes_;
  std::map<group_id, time_point> handed_; ///< last, for a wish
  drain drain_;
  std::map<std::uint64_t, group_id> drain_tokens_;
  std::map<group_id, std::uint64_t> drain_asked_;
  drained_weight weight_;
  drain_notice told_;
  time_point told_at_{};
  evacuation evacuation_;
  drain evacuated_{evacuation::moves_at_once};
  bool excluded_ = false; ///< it ends
  evictions evictions_;
  time_point evictions_at_{};
  homing homing_;
  /// Replicas here that an operator put here; they end with their replica.
  std::map<group_id, replica_id> pins_;
  pinned_replicas pins_told_;
  time_point pins_at_{};
  time_point pins_since_{};
};

} // namespace banyan::actors
