#pragma once
#include "actors/pure/placement.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// A voter, a learner or an instance as the node that is asked sees it now.
struct risk_replica {
  node_id node;
  bool up = false;      ///< it is heard, and its leader reaches it
  bool current = false; ///< its log and its state are up to date
};

struct risk_group {
  std::uint32_t shard = 0;
  std::vector<risk_replica> voters; ///< of a stateless app: its instances
  std::vector<risk_replica> learners;
  std::optional<node_id> leader; ///< none: nobody leads it now
};

/// What an app's risk is computed from: its replicas as they stand, not as its
/// spec wants them.
struct risk_facts {
  bool stateless = false; ///< one group then; any one of its instances serves
  std::vector<risk_group> groups;
  std::vector<candidate> members; ///< all whose place is known, gone ones too
  std::vector<node_id> fitting;   ///< may take a new replica now
  duration replace_after{};
  duration silence{};  ///< until a node that says nothing counts as gone
  duration takeover{}; ///< from there until another leader answers
};

/// What fails at once: a node, all peers of one host address, of one zone, of
/// one region.
enum class loss_of : std::uint8_t { node = 1, machine, zone, region };
const char* to_string(loss_of what) noexcept;

/// A group that can't serve.
struct waiting_shard {
  std::uint32_t shard = 0;
  std::uint32_t missing = 0;        ///< so many of `wait_for` must come back
  std::vector<node_id> wait_for;    ///< its replicas that are gone
  std::uint32_t copies_outside = 0; ///< replicas that aren't of the lost place
};

/// One place whose loss has shards wait.
struct place_risk {
  std::string name;        ///< a node's id, a host address, ZONE of REGION, …
  std::uint32_t nodes = 0; ///< with a replica of the app
  std::uint32_t waiting_count = 0;
  std::vector<waiting_shard> waiting; ///< the first of them
};

/// The loss of any one place of a kind. Acknowledged writes are lost by none of
/// these: what is gone is on disks, and comes back with them.
struct kind_risk {
  loss_of kind = loss_of::node;
  std::uint32_t places = 0; ///< that have a replica of the app
  /// False: nobody says where it is, so that nothing can be said.
  bool known = true;
  bool survives = false; ///< every shard that serves now goes on
  /// Of the places whose loss the app survives, at worst: from the loss until
  /// every shard answers again.
  duration pause{};
  /// So many shards answer only once a voter that is behind has caught up.
  std::uint32_t catching_up = 0;
  /// What was lost there is made anew elsewhere from then on; nothing: there is
  /// no other node for some of it, and the app goes on with fewer replicas.
  std::optional<duration> repair_after;
  std::uint32_t breaking_count = 0;
  std::vector<place_risk> breaking; ///< the worst first
};

struct risk_report {
  bool stateless = false;
  std::uint32_t shards = 0;
  std::uint32_t waiting_count = 0;
  std::vector<waiting_shard> waiting; ///< now, before anything else fails
  std::vector<kind_risk> kinds;       ///< node, machine, zone, region
};

/// How many of the shards that wait, and of the places, a report names.
inline constexpr std::size_t risk_shards_max = 16;
inline constexpr std::size_t risk_places_max = 8;

/// What the app would live through now, each loss taken alone. A node whose
/// region is unverified is counted as lost with any region. Labels that are
/// missing count against it: nodes without a zone are of one zone of their
/// region, nodes without a region of one region; if all lack it, it isn't
/// `known`. A host address that is missing is a machine of its own.
[[nodiscard]] risk_report risk_of(const risk_facts& f);

/// For people: `nothing is lost; …`, or which shards wait for whom.
[[nodiscard]] std::string words_of(const kind_risk& k, const risk_report& r);
[[nodiscard]] std::string words_of(const waiting_shard& s,
                                   const risk_report& r);

} // namespace banyan
