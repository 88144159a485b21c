#pragma once
#include "actors/docs/policy.hpp"
#include "actors/node/context.hpp"
#include "actors/pure/uptime/archive.hpp"
#include "actors/pure/uptime/far.hpp"
#include "actors/pure/uptime/observer.hpp"
#include "actors/pure/uptime/subjects.hpp"
#include "actors/pure/uptime/verdicts.hpp"

#include <caf/stateful_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace banyan::actors {

/// The uptime of nodes and the policy of the mesh on one node (DESIGN section
/// 10, docs/uptime.md): observes its subjects, signs what it saw when a day is
/// over, keeps the days that concern it, and says how each node stands by them.
/// The decisions are in actors/pure/uptime; this carries them out.
///
/// Loop thread only; nothing blocks. A crash loses at most the last ten minutes
/// of what was observed: those count for nothing.
class uptime_shell : public std::enable_shared_from_this<uptime_shell> {
public:
  static constexpr std::uint32_t judged_after = judged_after_minutes;

  /// `owners`: the keys of the mesh file, which may sign its policy.
  uptime_shell(node_context& ctx, std::vector<owner_id> owners);

  void load();
  /// Call `day_observer::looks_a_minute` times a minute.
  void look();
  void on_peer_up(const node_id& node);
  /// The policy, or the two in conflict: it lacks them, or may.
  void tell_policies(const node_id& to);
  /// True: the frame was for it.
  bool on_control(const node_id& from, const control_frame& f);

  using policy_function = std::function<void(reply_status, std::string)>;
  /// What an operator brings; `done` once it is on disk, or why not.
  void take_policy(const signed_document& d, policy_function done);

  [[nodiscard]] const policy_book& policies() const noexcept { return book_; }
  [[nodiscard]] const mesh_policy& policy() const noexcept {
    return book_.policy();
  }
  /// What its documents say of a node; above 17 members those that it fetched,
  /// which it does for all while the policy is enforced.
  [[nodiscard]] verdict of(const node_id& node) const;
  /// How it stands as far as anything acts on it: `normal` unless the policy is
  /// enforced.
  [[nodiscard]] standing acting(const node_id& node) const;

  /// @name For those who look
  /// @{
  /// The last day that is judged.
  [[nodiscard]] std::uint32_t last_day() const;
  [[nodiscard]] const day_archive& archive() const noexcept { return archive_; }
  /// About whom an observer contradicts the others.
  [[nodiscard]] const std::map<node_id, std::set<node_id>>& disagree() const {
    return disagree_;
  }
  /// Above 17 members: has the node's documents fetched soon.
  void want(const node_id& about);
  /// What is known of its days; null: nothing.
  [[nodiscard]] const day_results* results(const node_id& node) const;
  /// The documents that its result is made of; those that contradict each other
  /// among them.
  [[nodiscard]] std::vector<signed_document> proof(const node_id& about) const;
  /// @}

private:
  void note_members();
  void write_down(day_time now);
  void sign(const observation& o);
  void keep(const signed_document& d, observation o);
  [[nodiscard]] bool concerns_this(const node_id& observer,
                                   const observation& o) const;
  void forget();
  void judge_if_changed(day_time now);
  void judge_all();
  verdict judged(const node_id& node, const day_results& days,
                 std::uint32_t last);
  void tell(const node_id& node, const verdict& v);
  void name_liars(std::uint32_t last);
  // ---- other nodes' days, in a mesh above 17 (uptime_far.cpp)
  void fetch_far();
  void ask_far(std::optional<far_days::wish> w);
  void on_far(const node_id& from, const days_given& f);
  void judge_far(const node_id& node);
  void end_far();
  [[nodiscard]] day_archive::counts who_counts() const;
  std::optional<observation> checked(const node_id& from,
                                     const signed_document& d);
  void ask_around(day_time now);
  void ask(const node_id& whom);
  void on_wanted(const node_id& from, const days_wanted& f);
  void on_given(const node_id& from, const days_given& f);
  void adopt(policy_record r, const node_id* from, policy_function done);
  void put(std::vector<store::documents::change> changes,
           std::function<void()> then);

  struct peer_rations {
    ration answers{2, 20};
    ration documents{50, 700};
  };
  node_context& ctx_;
  const std::vector<owner_id> owners_;
  uptime_subjects subjects_;
  day_observer observer_;
  day_archive archive_;
  policy_book book_;
  verdict_book verdicts_;
  far_days far_;
  std::set<node_id> far_wanted_;
  std::optional<node_id> far_about_; ///< who is fetched now
  node_id far_next_;                 ///< whose turn it is to be fetched,
  node_id judged_next_;              ///< and judged again
  std::map<node_id, standing> said_; ///< as events
  std::map<node_id, std::set<node_id>> disagree_;
  std::set<node_id> liars_said_;
  std::map<node_id, peer_rations> rations_;
  day_questions questions_;
  clock_trust clock_;
  std::uint32_t minutes_unsaved_ = 0;
  std::uint32_t last_minute_ = 0;
  bool told_before_ = false;
  bool unjudged_ = true; ///< something changed that verdicts are made of
  bool leaving_ = false; ///< a node is bad enough to be excluded once empty
  std::uint32_t judged_last_ = 0;
};

struct uptime_actor_state {
  static inline const char* name = "uptime";
  std::shared_ptr<uptime_shell> shell;
  std::unique_ptr<io::timer> timer;
};
caf::behavior uptime_actor(caf::stateful_actor<uptime_actor_state>* self,
                           std::shared_ptr<uptime_shell> shell,
                           node_context* ctx);

} // namespace banyan::actors
