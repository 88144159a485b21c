#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/keepers.hpp"
#include "actors/pure/link_waits.hpp"

#include <functional>
#include <vector>

namespace banyan::actors {

/// How this node comes to those that it has no link with, and to know of groups
/// that it has nothing to do with: the node's, for meshes of more than
/// `net::full_mesh_max` members (docs/adr/0035). In smaller ones it does
/// nothing.
///
/// A link is made when something is to be sent and kept while it is used; what
/// is sent meanwhile waits here, bounded. At most `links_max` links: then the
/// idlest that nothing else needs makes room, or nothing is sent.
///
/// What leaders say of their groups goes to the groups' other nodes and to
/// eight keepers (actors/pure/keepers.hpp), which answer whoever asks. Loop
/// thread only.
class reach {
public:
  static constexpr std::size_t links_max = 64;

  struct wiring { ///< what the membership core is told
    std::function<void(const node_id&)> use;
    std::function<bool(const node_id&)> release; ///< false: it stays
  };
  reach(node_context& ctx, wiring w);

  /// Keeps the frame until the link is up. False: it is lost.
  bool send(const node_id& to, net::channel c, const_bytes payload);
  /// Makes the link, or keeps it. False: that node can't be had now.
  bool use(const node_id& to);
  /// A frame went to it, or came from it.
  void used(const node_id& node, net::channel c);
  void heard(const node_id& node);
  /// A call of this node's at that one, or of that one's here: the link stays
  /// until it is answered, at most for `left`.
  void call_began(const node_id& node, link_waits::caller whose,
                  std::uint64_t call, duration left);
  void call_ended(const node_id& node, link_waits::caller whose,
                  std::uint64_t call);

  void on_link_up(const node_id& node);
  void on_link_down(const node_id& node, net::link_end why);
  void on_dial_failed(const node_id& node);

  // reach_views.cpp
  void ask(const group_id& g, bool doubted);
  /// Something is sent to its leader, who may lead no more: nobody who has
  /// nothing of the group is told. Asks now and then, and in doubt if that
  /// leader can't be had.
  void check(const group_id& g, const node_id& leader);
  [[nodiscard]] bool asks(const group_id& g) const {
    return questions_.asks(g);
  }
  /// To the other nodes of its group, and to its keepers.
  void publish(const group_view& v);
  /// Those that there are now, this node perhaps among them.
  [[nodiscard]] std::vector<node_id> keepers_of(const group_id& g) const;
  void tell_keepers(const group_id& g, const_bytes frame);
  void on_wanted(const node_id& from, const view_wanted& m);
  void on_told(const node_id& from, const group_view& v);
  void on_instances(const node_id& from, const instances_told& m);
  /// Calls `then` once all questions about these groups are answered, or
  /// nobody answers: soon.
  void when_known(std::vector<group_id> groups, std::function<void()> then);

private:
  [[nodiscard]] bool make_room(const node_id& instead_of);
  void give_up(const node_id& node);
  void on_time();
  void arm();
  void ask_due();
  void wait_over();

  struct gathering {
    std::vector<group_id> groups;
    std::function<void()> then;
    time_point until;
  };

  node_context& ctx_;
  wiring wiring_;
  link_waits waits_;
  view_questions questions_;
  view_checks checks_;
  std::vector<gathering> gatherings_;
  io::timer timer_;
  time_point due_ = never;
};

} // namespace banyan::actors
