#pragma once
#include "base/random.hpp"
#include "net/membership/liveness.hpp"
#include "net/membership/messages.hpp"
#include "net/membership/record.hpp"
#include "net/membership/rings.hpp"
#include "net/membership/settled.hpp"
#include "net/membership/verifier.hpp"

#include <functional>
#include <memory>
#include <variant>
#include <vector>

namespace banyan::net {

/// What this node thinks of a member, counting the reports of all observers.
enum class member_state : std::uint8_t {
  alive = 1, ///< Nobody who counts says otherwise.
  suspect,   ///< Somebody does, too few to decide.
  dead,      ///< More than half of its observers do; ends with an incarnation.
  left,      ///< It stopped on purpose.
};
const char* to_string(member_state s) noexcept;

/// What this node itself saw of a peer; faster than any count.
enum class evidence : std::uint8_t {
  end_of_stream = 1, ///< Its process ended.
  reset,             ///< Its kernel tore the link down.
  refused,           ///< Nobody listens where it listened.
  restarted,         ///< It is there, in a later boot: what it led it lost.
  silence,           ///< It said nothing for longer than is normal.
};
const char* to_string(evidence e) noexcept;

struct membership_config {
  explicit membership_config(identity k) : key{std::move(k)} {}

  identity key;
  mesh_id mesh;
  boot_id boot; ///< the same as in `link_config`
  /// The highest incarnation on this node's disk; zero on a first start.
  banyan::incarnation disk_incarnation;
  /// What the last `persist_members` said, or nothing.
  bytes persisted_members;
  /// `--advertise`, or empty.
  address advertise;
  /// Where the node really listens (with the bound port).
  address listen;
  struct seed {
    address at;
    std::optional<node_id> pinned;
  };
  std::vector<seed> seeds; ///< `--join`
  std::string region;
  std::string zone;
  std::string target;
  std::uint8_t tier = 0;
  node_capacity capacity;
  std::uint64_t features = 0;

  liveness_config liveness;
  std::size_t members_max = 20'000;
  /// Reports by one observer that are kept, the newest. It has eight subjects.
  std::size_t reports_max = 256;
  /// New members per sponsor: so many at once, then one per interval.
  std::uint32_t admissions_burst = 64;
  duration admission_interval = 1s;
  /// Members whose sponsor is not known yet, kept in the hope of it.
  std::size_t waiting_max = 64;
  duration flood_interval = 10ms; ///< at most one frame of news per peer and
  duration flood_interval_rings = 40ms; ///< the same in a large mesh
  std::size_t frame_bytes_max =
      std::size_t{16} * 1024; ///< so large; more waits
  duration digest_interval = 1s;
  /// A silent peer's link is cut after so long, so that a fresh dial can find
  /// the way if there is one.
  duration cut_after = 3s;
  /// At most one `persist_members` per; more than 256 members wait longer, in
  /// proportion.
  duration persist_interval = 1s;
  /// Keeps a link with everybody, however many there are: for a node that can't
  /// do without. Who observes whom is for the rings all the same.
  bool link_all = false;
  /// @name Where not everybody is linked with everybody
  /// @{
  duration link_idle = 30s; ///< then a link that neither end needs is closed
  /// So often a member drawn at random is dialled if it is dead, in case that
  /// it was cut off.
  duration revisit_interval = 10s;
  duration revisit_patience = 5s;
  /// @}
  /// At least this between two raises of the own incarnation.
  duration refute_interval = 1s;

  /// @name Shared by the cores of a simulation; otherwise each makes its own
  /// @{
  std::shared_ptr<net::verifier> verify = std::make_shared<net::verifier>();
  std::shared_ptr<ring_order> order; ///< of this mesh
  /// Instead of `persisted_members`. When this node's own record in it is of
  /// `boot`, the node goes on from there: `start` says `incarnation_ready` at
  /// once, signs nothing and tells nobody anything new. Else it boots as from
  /// its disk.
  ///
  /// A simulation of a mesh that has settled makes a key and a record (with its
  /// boot id, address, labels, an incarnation that isn't zero, and an admission
  /// by the first) per node, puts all into one `settled_members`, gives each
  /// core that, its order, one `remembering_verifier`, a `persist_interval` of
  /// a day, and calls `start`; the links follow by `want_link`. A process that
  /// stops leaves `membership::settled` for its next boot. What is on the wire
  /// may be handed over decoded: `on_message`, `on_beat`.
  std::shared_ptr<const settled_members> settled;
  /// @}
};

/// @name Effects: what the shell must do, in this order
/// @{
/// Queue on the link to `to`; dropped when there is none.
struct send_frame {
  node_id to;
  net::channel channel = net::channel::membership;
  bytes payload;
};
struct want_link { ///< `link_table::want`
  node_id node;
  address at; ///< empty only with relays
  /// Of a node that can hardly be dialled, and how long it may dial first.
  std::vector<node_id> relays;
  duration wait{};
};
struct unwant_link { ///< `link_table::unwant`
  node_id node;
};
struct want_seed { ///< `link_table::want` by address
  address at;
  std::optional<node_id> pinned;
};
/// `link_table::unwant` by address: in a large mesh a seed is one member among
/// many, and is wanted only while this node has no link at all.
struct unwant_seed {
  address at;
};
struct hurry_link { ///< `link_table::hurry`
  node_id node;
};
struct cut_link { ///< `link_table::cut`
  node_id node;
};
struct close_link { ///< `link_table::close`; it was unwanted before
  node_id node;
};
struct probe_address { ///< `link_table::probe`; the answer: `on_probed`
  std::uint64_t token = 0;
  address at;
};
/// Append to the synced documents, then call `on_incarnation_persisted`.
struct persist_incarnation {
  banyan::incarnation value;
};
/// The number is on disk: use it in handshakes (`link_table::set_incarnation`).
/// Before the first of these the node neither listens nor dials.
struct incarnation_ready {
  banyan::incarnation value;
};
/// Keep beside the documents; no answer is awaited. Loss costs a `--join`.
struct persist_members {
  bytes encoded;
};
/// `link_table::set_listen`: the address that others may dial is known now.
struct advertised {
  address at;
};
/// For the replicas, at once: what this node itself saw.
struct peer_silent {
  node_id node;
};
struct peer_gone {
  node_id node;
  net::evidence evidence = evidence::end_of_stream;
};
/// It is heard again, after `peer_silent` or `peer_gone`, or for the first
/// time.
struct peer_back {
  node_id node;
};
/// What its beat says of the groups that it leads with this node, and how old
/// its oldest pending fsync is.
struct beat_heard {
  node_id node;
  std::uint64_t leads = 0;
  duration fsync_age{};
};
/// A member appeared, changed its record (then both are equal) or its state.
/// `from` is empty for a new member.
struct member_changed {
  node_id node;
  std::optional<member_state> from;
  member_state to = member_state::alive;
};
/// This node's disk is older than what the mesh has seen of it: its replicas
/// count as rolled back. At most once per boot, and not when a clone explains
/// it, which is looked for first, for 200 ms at most.
struct rolled_back {
  banyan::incarnation seen;
};
/// The evidence for a rollback (or a clone) is there: until one of the two
/// effects below says which, no replica of this node may vote, and a new
/// incarnation goes to disk only together with giving them up: it would hide
/// the evidence from the next start.
struct rolled_back_suspected {};
/// Another process runs with this node's key: stop with exit 3.
struct cloned {
  address ours;
  address theirs;
};
/// How far a joining has come, once a second and at its end. A joining is the
/// taking of all members of a large mesh, page by page.
struct join_progress {
  node_id giver;                   ///< from whom; none while nobody gives
  std::size_t have = 0, total = 0; ///< members; verified, and as far as known
  /// @name At the end
  /// @{
  bool done = false;
  unsigned witnesses = 0;      ///< who were asked what they know, too
  std::size_t unconfirmed = 0; ///< named by one only: left out until a second
  std::size_t withheld = 0;    ///< known to the witnesses, not to the giver
  /// @}
};
/// What the last boot kept of the members was damaged; the rest is used.
struct members_damaged {
  std::size_t kept = 0;
  std::size_t lost = 0; ///< as far as can be told; zero: unreadable as a whole
};
/// A peer sent what no honest peer sends. Counted; the link may be closed.
struct misbehaved {
  node_id node;
  const char* what = "";
};
/// @}

using membership_effect =
    std::variant<send_frame, want_link, unwant_link, want_seed, unwant_seed,
                 hurry_link, cut_link, close_link, probe_address,
                 persist_incarnation, incarnation_ready, persist_members,
                 advertised, peer_silent, peer_gone, peer_back, beat_heard,
                 member_changed, rolled_back_suspected, rolled_back, cloned,
                 join_progress, members_damaged, misbehaved>;
using membership_effects = std::vector<membership_effect>;

/// A member, as `members()` shows it.
struct member_view {
  member_record record;
  member_state state = member_state::alive;
  bool linked = false;
  bool heard = false;    ///< by this node itself, within its patience
  unsigned accusers = 0; ///< reports that count against it
  duration round_trip{};
};

/// Since the start; for /metrics.
struct membership_counters {
  std::uint64_t beats_out = 0, beats_in = 0;
  std::uint64_t frames_out = 0, frames_in = 0;
  std::uint64_t frames_bad = 0;     ///< not decodable, or out of bounds
  std::uint64_t signatures_bad = 0; ///< of records, admissions, reports
  std::uint64_t records_new = 0, records_known = 0;
  std::uint64_t reports_new = 0, reports_known = 0;
  std::uint64_t reports_unplaced = 0; ///< by or about nobody known
  std::uint64_t reports_rationed = 0; ///< more by one observer than is taken
  std::uint64_t newcomers_waiting = 0, newcomers_dropped = 0; ///< unproved
  std::uint64_t admissions_rationed = 0, admissions_waiting = 0;
  std::uint64_t admissions_unlisted = 0; ///< of nodes that may not come
  std::uint64_t refutations = 0;
  std::uint64_t digests = 0; ///< exchanged because views differed
  std::uint64_t stalls = 0;  ///< of this observer itself
};

/// Who is in the mesh and who is not: records, liveness, reports, gossip.
///
/// Pure: time and randomness are given to it, effects are appended to `out` in
/// the order in which they must be done. Loop thread only. Membership is a
/// hint: nothing here decides about a group.
///
/// Up to `full_mesh_max` members that are neither dead nor left every node
/// links to every other. Above that a node keeps links to its neighbours on the
/// rings (rings.hpp), to the nodes that it shares groups with and to those that
/// `use_link` asked for (or with all: `link_all`). Foreign input is bounded,
/// verified before it changes anything, and costs its sender at most a
/// `misbehaved`.
class membership {
public:
  /// `random` is borrowed and outlives this.
  membership(membership_config config, random_source& random, time_point now);
  ~membership();
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;

  /// Asks for a new incarnation on disk; all else begins once it is there.
  void start(time_point now, membership_effects& out);
  void on_incarnation_persisted(incarnation value, time_point now,
                                membership_effects& out);

  /// Peer links only. A link that replaces another is told by this call alone;
  /// `on_link_down(replaced)` is ignored.
  void on_link_up(const link_info& link, time_point now,
                  membership_effects& out);
  void on_link_down(const link_info& link, link_end why, time_point now,
                    membership_effects& out);
  void on_dial_failed(const node_id& node, dial_error why, time_point now,
                      membership_effects& out);
  /// A frame of channel `membership` or `beat`. A sign of life in itself.
  void on_frame(const node_id& from, channel on, const_bytes payload,
                time_point now, membership_effects& out);
  /// The same for a frame that was decoded already: for simulations.
  void on_message(const node_id& from, const membership_message& m,
                  time_point now, membership_effects& out);
  void on_beat(const node_id& from, const beat_message& m, time_point now,
               membership_effects& out);
  /// Any other input from a linked node: cheap enough for every record.
  void on_heard(const node_id& from, time_point now, membership_effects& out);
  /// The answer to a `probe_address`.
  void on_probed(std::uint64_t token,
                 const result<probe_answer, dial_error>& answer, time_point now,
                 membership_effects& out);
  /// A handshake or a dial met this node's own key: harmless with its own boot
  /// id, a clone with another one.
  void on_own_key_met(const boot_id& boot, const address& at, time_point now,
                      membership_effects& out);

  /// Something is to be sent to that member: makes a link if there is none, and
  /// keeps it until `link_idle` after the last such call.
  void use_link(const node_id& node, time_point now, membership_effects& out);
  /// Takes `use_link` back, to make room for other links: closes the link, or
  /// dials no more. False: it is needed for something else, and stays.
  bool release_link(const node_id& node, time_point now,
                    membership_effects& out);
  /// Whether the two share a group: then beats go faster.
  void set_shares_group(const node_id& node, bool shares);
  /// The hash of the (group, term) pairs that this node leads and `node` has a
  /// replica of; goes out with every beat.
  void set_leads(const node_id& node, std::uint64_t hash);
  /// Since when this node's oldest pending fsync waits.
  void set_oldest_fsync(std::optional<time_point> since);
  /// New hardware figures for the own record.
  void set_own(std::uint8_t tier, const node_capacity& capacity, time_point now,
               membership_effects& out);
  /// Whose claims this node found false, for the own record: ascending, at most
  /// `member_record::doubts_max`.
  void set_doubts(std::vector<member_doubt> doubts, time_point now,
                  membership_effects& out);
  /// Which nodes may become members, without it all; asked again at each new
  /// one. Whoever is a member already stays.
  void set_allowed(std::function<bool(const node_id&)> may);
  /// Signs `left` and tells everybody; flush the links, then stop.
  void leave(time_point now, membership_effects& out);

  [[nodiscard]] time_point deadline() const;
  void on_tick(time_point now, membership_effects& out);

  [[nodiscard]] const node_id& self() const noexcept;
  [[nodiscard]] const member_record& own() const noexcept;
  /// All members and this node itself, ordered by node id.
  [[nodiscard]] std::vector<member_view> members() const;
  [[nodiscard]] std::optional<member_view> find(const node_id& node) const;
  /// The same without a copy, for large meshes.
  void each(const std::function<void(const member_record& record,
                                     member_state state)>& f) const;
  /// The members as they are now, for `membership_config::settled`; what this
  /// node heard about them is left out. Where the order is shared only.
  [[nodiscard]] std::shared_ptr<const settled_members> settled() const;
  /// While this node takes the members of a large mesh: how far it has come.
  [[nodiscard]] std::optional<join_progress> joining() const;
  /// Members with a link, ordered by node id.
  [[nodiscard]] std::vector<node_id> linked() const;
  /// Everybody observes everybody, in this node's view.
  [[nodiscard]] bool full() const;
  /// Empty for a node that is no member. This node itself is alive.
  [[nodiscard]] std::optional<member_state> state_of(const node_id& n) const;
  /// Who watches that member, in this node's present view: in a full mesh
  /// everybody else, above that its predecessors on the rings; by node id.
  [[nodiscard]] std::vector<node_id> observers(const node_id& node) const;
  /// This node hears it now.
  [[nodiscard]] bool hears(const node_id& node) const;
  /// `observer` said in its last beat that it hears `subject`.
  [[nodiscard]] bool hears(const node_id& observer,
                           const node_id& subject) const;
  /// As of its last beat.
  [[nodiscard]] duration fsync_age(const node_id& node) const;
  [[nodiscard]] const membership_counters& counters() const noexcept;

private:
  class state;
  std::unique_ptr<state> s_;
};

} // namespace banyan::net
