#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/module_fetch.hpp"
#include "actors/pure/module_keep.hpp"

#include <caf/stateful_actor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace banyan::actors {

/// A module that a living spec names.
struct named_module {
  digest hash;
  std::uint64_t size = 0;
  bool fetch = false; ///< this node is to have it
};

/// How a module stands on this node.
struct module_standing {
  enum class state : std::uint8_t {
    here,     ///< whole, and hashed since this start
    checking, ///< its bytes are here, and being hashed
    fetching, ///< another peer sends it
    waiting   ///< no peer that is linked has it, or the disk has no room
  };
  state now = state::waiting;
  std::uint64_t bytes = 0; ///< of it, on this disk
  std::uint64_t size = 0;  ///< 0: not known
  [[nodiscard]] std::uint16_t permille() const;
};
/// For people, as in `fetching module: 40 %`.
std::string words_of(const module_standing& s);

/// The modules of this node, named by their hashes (DESIGN section 8): takes
/// them from operators, fetches what its apps need from other peers, hands out
/// what living specs name, drops what none names any more. `DIR/modules` is
/// its own. Decisions are `module_fetch` and `module_keep`; this carries them
/// out.
///
/// Loop thread only; nothing blocks.
class module_shell : public std::enable_shared_from_this<module_shell> {
public:
  /// In the mesh `local` anybody could bring code: there it does nothing.
  module_shell(node_context& ctx, bool local_mesh);

  /// What the specs of one part of this node name; replaces what that part
  /// (`source`) said before.
  void set_named(const std::string& source, std::vector<named_module> modules);

  /// It is whole here and its hash was right: it may be opened.
  [[nodiscard]] bool here(const digest& hash) const {
    return verified_.count(hash) != 0;
  }
  [[nodiscard]] module_standing standing(const digest& hash) const;
  /// What a loader opens, once it is `here`.
  [[nodiscard]] std::string file(const digest& hash) const;
  /// Calls `f` once as soon as it is here: now, or later unless `who` is gone
  /// by then. It is fetched only if it is named.
  void when_here(const digest& hash, std::weak_ptr<void> who,
                 std::function<void()> f);

  /// Of 1000, as that node said; this one too. 1000: it has it whole.
  [[nodiscard]] std::uint16_t permille_at(const node_id& node,
                                          const digest& hash) const;
  /// Whether some living peer, this one too, has it whole.
  [[nodiscard]] bool somewhere(const digest& hash) const;

  /// @name From operators
  /// @{
  struct answer {
    reply_status status = reply_status::ok;
    std::string message; ///< why not, and what to do
    std::uint64_t have = 0;
    bool complete = false;
  };
  using answer_function = std::function<void(answer)>;
  /// A piece of a module of `size` bytes, at the end of what is here.
  void upload(const digest& hash, std::uint64_t offset, std::uint64_t size,
              bytes piece, answer_function done);
  /// The first bytes of one that is whole; empty if it can't be read.
  void head(const digest& hash, std::function<void(bytes)> done);
  /// @}

  /// @name From peers
  /// @{
  /// False: the frame is none of the modules' business.
  bool on_control(const node_id& from, const control_frame& f);
  void on_piece(const node_id& from, const_bytes payload);
  void on_peer_up(const node_id& node);
  void on_peer_gone(const node_id& node);
  /// @}

  struct counters {
    std::uint64_t fetched = 0;
    std::uint64_t uploaded = 0;
    std::uint64_t dropped = 0;
    std::uint64_t damaged = 0; ///< found to have rotted
    std::uint64_t wrong = 0;   ///< fetched, with another hash
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
  };
  [[nodiscard]] const counters& counted() const { return counters_; }
  [[nodiscard]] const std::map<digest, store::modules::held>& on_disk() const {
    return disk_.list();
  }
  [[nodiscard]] std::size_t under_way() const {
    return fetch_.under_way().size();
  }

private:
  void carry_out(module_fetch_effects effects);
  void carry(module_ask& e, module_fetch_effects& more);
  void carry(module_finish& e, module_fetch_effects& more);
  void carry(module_discard& e, module_fetch_effects& more);
  void carry(module_wrong& e, module_fetch_effects& more);
  void step();
  void arm();
  void refresh();
  void check(const digest& hash);
  void came(const digest& hash, const char* how);
  void sweep();
  void tell_held(bool whole_changed);
  [[nodiscard]] modules_held mine() const;
  void serve(const node_id& to, const module_wanted& w);
  void uploaded(const digest& hash, answer_function done);

  node_context& ctx_;
  store::modules& disk_;
  const bool local_;
  module_fetch fetch_;
  module_keep keep_;
  std::map<std::string, std::vector<named_module>> named_; ///< by source
  std::set<digest> verified_; ///< hashed since this start, and right
  std::set<digest> checking_;
  std::set<digest> dropping_;
  std::set<digest> uploading_; ///< with an order to the disk under way
  struct waiter {
    std::weak_ptr<void> who;
    std::function<void()> f;
  };
  std::map<digest, std::vector<waiter>> waiters_;
  std::map<node_id, std::map<digest, std::uint16_t>> peers_;
  std::size_t reads_ = 0; ///< for peers, under way
  bool told_ = false;     ///< others know something of what is here
  std::map<digest, std::uint16_t> told_permille_;
  time_point tell_at_{};
  time_point sweep_at_{};
  counters counters_;
  io::timer timer_;
};

struct modules_actor_state {
  static inline const char* name = "modules";
  std::shared_ptr<module_shell> shell;
};
/// The shell as an actor: streams, supervisor and gateway call it directly, on
/// the loop; the actor is what supervision sees of it.
caf::behavior modules_actor(caf::stateful_actor<modules_actor_state>* self,
                            std::shared_ptr<module_shell> shell);

/// Of a spec that names its modules by hash: this node's; nothing when there
/// is none for its target.
const module_ref* module_for(const app_spec& s, const std::string& target);
/// Whether the spec's code can be opened on this node right now.
bool has_code(const node_context& ctx, const app_spec& s);
/// Empty, or why this node has no code for the spec right now.
std::string why_no_code(const node_context& ctx, const app_spec& s);

} // namespace banyan::actors
