#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/hardware/challenger.hpp"
#include "actors/pure/uptime/policy.hpp"
#include "net/io/workers.hpp"

#include <caf/stateful_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace banyan::actors {

/// The machine under a node, or the simulator's. Called on the loop; `done` is
/// called there, later or never (when the node is gone).
class hardware_probe {
public:
  virtual ~hardware_probe() = default;
  /// Something else has the machine: it would be measured wrongly.
  [[nodiscard]] virtual bool busy() const = 0;
  /// Measures in the background, unless `kept` is still good: then that comes
  /// back. An error is for people.
  virtual void
  measure(std::optional<hardware_figures> kept,
          std::function<void(const result<hardware_figures, std::string>&)>
              done) = 0;
  /// Nothing: it couldn't be computed.
  virtual void
  solve(const hardware_challenge& what,
        std::function<void(std::optional<hardware_answer>)> done) = 0;
  [[nodiscard]] virtual challenge_rhythm rhythm() const { return {}; }
};

/// Hardware on one node (DESIGN section 10, docs/hardware.md): measures this
/// machine and claims a tier, spot-checks those whom this node observes,
/// answers their challenges, and says what any member's claim is worth. The
/// decisions are in actors/pure/hardware; this carries them out.
///
/// Without a probe it measures and challenges nothing, and still counts what
/// others found. Loop thread only; nothing blocks.
class hardware_shell : public std::enable_shared_from_this<hardware_shell> {
public:
  hardware_shell(node_context& ctx, std::shared_ptr<hardware_probe> probe);

  void load();
  /// Call each `challenge_rhythm::look_every`.
  void look();
  /// True: the frame was for it.
  bool on_control(const node_id& from, const control_frame& f);

  /// The lower of claim and proof.
  [[nodiscard]] std::uint8_t tier_of(const net::member_record& m) const;
  /// Its claim doesn't hold, or it is below what the mesh accepts, and the
  /// mesh's policy is enforced: it takes no new replicas.
  [[nodiscard]] bool held(const net::member_record& m) const;
  /// Why this node takes no new replicas for its hardware; empty: it does.
  [[nodiscard]] std::string why_held() const;

  /// @name For those who look
  /// @{
  [[nodiscard]] const std::optional<hardware_figures>& figures() const {
    return figures_;
  }
  [[nodiscard]] const challenger& findings() const { return challenger_; }
  [[nodiscard]] const challenged& answers() const { return challenged_; }
  /// How many observers doubt its claim.
  [[nodiscard]] std::size_t doubted_by(const node_id& node) const;
  /// @}

private:
  struct belief {
    std::uint8_t tier = 0;
    std::size_t doubted_by = 0;
  };

  void measure(time_point now);
  void claim();
  void count_doubts();
  void observe(time_point now);
  void carry_out(challenge_effects effects);
  void say_why();
  void answer(const node_id& to, const hardware_answer& a, bool bulk);
  void tell_doubts();
  [[nodiscard]] mesh_policy policy() const;
  [[nodiscard]] bool busy() const;

  node_context& ctx_;
  const std::shared_ptr<hardware_probe> probe_;
  challenger challenger_;
  challenged challenged_;
  std::optional<hardware_figures> figures_;
  bool measuring_ = false;
  std::optional<time_point> wanted_since_; ///< a measurement
  time_point measure_again_{};
  std::map<node_id, belief> doubted_; ///< by others, those whom it lowers
  std::map<node_id, std::size_t> doubts_;
  std::string why_said_;
  std::uint8_t claimed_ = 0;
};

/// The production probe: this machine, with the file system of `data`; work is
/// done by `w`, which outlives it.
class machine_probe final : public hardware_probe {
public:
  machine_probe(io::workers& w, std::string data)
      : workers_{w}, data_{std::move(data)} {}
  [[nodiscard]] bool busy() const override;
  void measure(std::optional<hardware_figures> kept,
               std::function<void(const result<hardware_figures, std::string>&)>
                   done) override;
  void solve(const hardware_challenge& what,
             std::function<void(std::optional<hardware_answer>)> done) override;

private:
  io::workers& workers_;
  const std::string data_;
};

struct hardware_actor_state {
  static inline const char* name = "hardware";
  std::shared_ptr<hardware_shell> shell;
  std::unique_ptr<io::timer> timer;
};
caf::behavior hardware_actor(caf::stateful_actor<hardware_actor_state>* self,
                             std::shared_ptr<hardware_shell> shell,
                             node_context* ctx);

} // namespace banyan::actors
