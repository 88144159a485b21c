#pragma once
#include "actors/node/peer.hpp"
#include "actors/testing/mesh_engine.hpp"

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace banyan::testing::detail {

/// The call as a peer's router takes it.
[[nodiscard]] call_request request_of(const banyan::detail::call_order& order);

/// What both kinds of meshes tell of their peers, groups and members: an engine
/// says how to look into its peers, and gets the rest from here.
class engine_views {
protected:
  ~engine_views() = default;

  /// @name Of an engine
  /// @{
  [[nodiscard]] virtual std::size_t count() const = 0;
  /// It runs, and is not frozen.
  [[nodiscard]] virtual bool awake(std::size_t node) const = 0;
  [[nodiscard]] virtual node_id id_of(std::size_t node) const = 0;
  /// Calls `f` where it may use the peer, and returns after; false, without a
  /// call, when it doesn't run.
  virtual bool look(std::size_t node,
                    const std::function<void(actors::peer&)>& f) const = 0;
  /// @}

  /// The first peer that is awake; `mesh_engine::any` if none is.
  [[nodiscard]] std::size_t first_awake() const;
  /// The awake peer with that id.
  [[nodiscard]] std::optional<std::size_t> number_of(const node_id& id) const;
  /// The newest view of the key's group that any awake peer has.
  [[nodiscard]] std::optional<group_view> view_of(const std::string& app,
                                                  const std::string& key) const;
  [[nodiscard]] std::optional<group_view> view_of(const group_id& g) const;
  [[nodiscard]] std::optional<std::size_t>
  find_leader(const std::string& app, const std::string& key) const;
  [[nodiscard]] std::vector<std::size_t>
  find_voters(const std::string& app, const std::string& key) const;
  [[nodiscard]] std::vector<engine_member>
  members_known_to(std::size_t node) const;

  /// @name Why not; empty: all is well
  /// @{
  /// Every awake peer hears every other.
  [[nodiscard]] std::string why_unformed() const;
  /// Every awake peer knows a leader that runs for each shard; with all voters
  /// of it there, if so asked.
  [[nodiscard]] std::string why_unserved(const std::string& app,
                                         bool all_voters) const;
  [[nodiscard]] std::string
  why_unhealthy(const std::set<std::string>& apps) const;
  /// @}

private:
  struct app_knowledge { ///< the most that any awake peer has
    std::vector<std::optional<group_view>> views; ///< by shard
    std::set<node_id> instances;
  };
  [[nodiscard]] app_knowledge known_anywhere(const std::string& app) const;
  [[nodiscard]] std::string why_unhealthy(const group_view& v,
                                          const std::string& shard) const;
};

} // namespace banyan::testing::detail
