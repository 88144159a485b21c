#pragma once
#include "base/codec.hpp"
#include "base/ids.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"
#include "net/link/relay.hpp"
#include "net/link/streams.hpp"
#include "net/link/wire.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace banyan::net {

/// One link; never reused in one process. A node keeps its id while its links
/// change, so whatever was proved on a link belongs to the link's id.
using link_id = strong_number<struct link_tag>;
/// Drawn at each start of a process: tells a restart from a clone.
using boot_id = strong_bytes<struct boot_tag, 16>;

/// What this node tells its peers in a handshake, and what it accepts.
struct link_config {
  identity key; ///< who this node is
  std::string mesh_name;
  mesh_id mesh;
  /// One to four mesh keys: dials with the first, accepts all.
  std::vector<mesh_key> mesh_keys;
  /// For a client instead of mesh keys: what `banyan keygen client` made. A
  /// table with it dials as a client and accepts nobody.
  std::optional<link_psk> client_key;
  banyan::incarnation incarnation; ///< see `set_incarnation`
  boot_id boot;
  std::uint64_t features = 0;
  address listen; ///< what others may dial; empty for a client
};

/// How much of a stranger's work this node does.
struct ration_config {
  std::size_t half_open_max = 128;    ///< half of them for known addresses
  double handshakes_per_second = 500; ///< in total, after a burst of
  double handshakes_burst = 500;
  double prefix_per_second = 10; ///< for one address prefix, after
  double prefix_burst = 40;
  double loopback_per_second = 400; ///< for this machine, after
  double loopback_burst = 400;
  std::size_t prefixes_max = 4096; ///< remembered; the longest idle go first
  std::size_t ephemerals_max = 8192;
};

struct link_limits {
  duration first_byte = 2s; ///< until the far side said anything
  /// The same by way of a neighbour, of which there are others.
  duration relayed_first_byte = 1s;
  duration handshake = 5s; ///< dial or accept until the link is up
  duration drain = 2s;     ///< what a replaced link gets to finish
  duration refresh = 1h;   ///< then its dialler makes a new link
  std::uint64_t refresh_bytes = std::uint64_t{64} << 30;
  duration backoff_first = 50ms; ///< doubles, with jitter, up to
  duration backoff_max = 5s;
  /// A link that lived shorter than this counts as a failed dial.
  duration settled = 1s;
  /// Handed to the stream at once; more waits where it can be overtaken.
  std::size_t unsent_max = 128 * 1024;
  std::size_t control_queue_max = 16 * 1024 * 1024;
  std::size_t request_queue_max = 16 * 1024 * 1024;
  std::size_t bulk_queue_max = 16 * 1024 * 1024;
  /// Of a relayed link instead of `unsent_max`: what waits there can't be
  /// overtaken either, and its line is narrow.
  std::size_t relayed_unsent_max = 24 * 1024;
  ration_config rations;
  relay_limits relay;
};

/// What the far side proved in the handshake.
struct link_info {
  link_id id;
  node_id node;
  link_role role = link_role::peer;
  banyan::incarnation incarnation;
  boot_id boot;
  std::uint64_t features = 0; ///< the far side's bits; `and` them with ours
  std::uint64_t minor = 0;    ///< its minor wire version
  /// The neighbour that forwards it unread; none: it is a stream of its own.
  node_id via;
  [[nodiscard]] bool relayed() const noexcept { return !via.is_none(); }
  /// The far end of the stream, as seen here; of a relayed link the
  /// neighbour's.
  address remote;
  address listen;  ///< what it says that others may dial
  address seen_as; ///< our end of the stream, as it sees it; empty if relayed
  bool dialled = false;  ///< by us
  duration round_trip{}; ///< of the handshake
  time_point up_since{};
  time_point last_heard{}; ///< the last whole record
  bytes handshake_hash;    ///< channel binding, 64 bytes
};

/// Why a link is gone.
enum class link_end : std::uint8_t {
  end_of_stream = 1, ///< The process ended, or was killed: evidence.
  reset,             ///< The far kernel tore it down: evidence.
  timed_out,         ///< The stream layer gave up on the far side.
  goodbye,           ///< The far side closed it on purpose.
  replaced,          ///< Another link to this node is up. Not evidence.
  protocol_error,    ///< It sent what no peer may send.
  local,             ///< This node closed it.
  relay_lost,        ///< A relayed link broke, somewhere. Not evidence.
};
const char* to_string(link_end e) noexcept;

/// Why a dial did not become a link.
enum class dial_error : std::uint8_t {
  refused = 1, ///< Nobody listens there: evidence that the process is gone.
  unreachable, ///< No route, or no such name.
  timed_out,   ///< 2 s without a byte, or 5 s in all.
  hung_up,     ///< The far side closed during the handshake: most often
               ///< another mesh, mesh key or wire version. It never says.
  not_a_peer,  ///< It answered, but doesn't have the mesh key or its proof is
               ///< bad.
  wrong_node,  ///< It proved another node id than the one wanted or pinned.
  self,        ///< That address is this node; an address target ends so.
  local,       ///< This node ran out of descriptors or is stopping.
  not_allowed, ///< The far side says that this node isn't on the list of nodes
               ///< that may be in the mesh.
  unlisted,    ///< The far node isn't on it; this node refuses the link.
};
const char* to_string(dial_error e) noexcept;

/// Why nothing was queued.
enum class send_errc : std::uint8_t {
  not_linked = 1, ///< No link is up.
  overloaded,     ///< The lane's queue is full; `on_writable` tells when not.
  too_large,      ///< Over `frame_bytes_max`.
  forbidden,      ///< A client link carries no such channel.
};
const char* to_string(send_errc e) noexcept;

/// A frame as it came. `payload` is borrowed until the call returns.
struct frame_view {
  net::channel channel = channel::link;
  const_bytes payload;
};

/// What a dial is for: a node wherever it is, or whoever is at an address.
struct dial_target {
  node_id node; ///< none: whoever answers
  address at;
};

/// A probe's answer: who is there, in which boot.
struct probe_answer {
  node_id node;
  boot_id boot;
  banyan::incarnation incarnation;
  address seen_as; ///< this node's end of the stream, as the far side saw it
};

/// What a table tells its node. Called at the end of the table's own calls,
/// never in the middle: calling back into the table is fine.
class link_events {
public:
  virtual ~link_events() = default;

  /// A link is up. `replaces` names the older link to that node, if any: its
  /// `on_link_down(replaced)` follows once it has drained, and until then its
  /// last frames may still arrive, under its own id. New sends use `info.id`.
  virtual void on_link_up(const link_info& info, link_id replaces) = 0;
  /// With any reason but `replaced`, no link to that node is left.
  virtual void on_link_down(const link_info& info, link_end why) = 0;
  /// All whole frames of one arrival, in order within each lane. When two
  /// links of a pair met and one lost at once, its frames may come under an id
  /// that was never up.
  virtual void on_frames(const link_info& info,
                         const std::vector<frame_view>& frames) = 0;
  /// A wanted dial failed; the table tries again by itself at `retry_at`
  /// (`never` when it gives up).
  virtual void on_dial_failed(const dial_target& target, dial_error why,
                              time_point retry_at) = 0;
  /// After a refused send: the lane is half empty again.
  virtual void on_writable(const link_info& info, lane l) = 0;
  /// Exactly one per `probe`.
  virtual void on_probed(std::uint64_t token,
                         const result<probe_answer, dial_error>& answer) = 0;
  /// Somebody proved this node's own key in another boot, in a handshake of
  /// either side: a copied data directory is at work.
  virtual void on_own_key_met(const boot_id& boot, const address& at);
  /// A peer of this mesh key proved that id, and `set_allowed` doesn't let it
  /// in: no link was made.
  virtual void on_unlisted(const node_id& node, const address& at);
};

/// Counted since the start; for /metrics.
struct link_counters {
  std::uint64_t dials = 0, dials_failed = 0;
  std::uint64_t accepted = 0;         ///< inbound streams let in to a handshake
  std::uint64_t refused_rationed = 0; ///< no slot or no budget
  std::uint64_t refused_strangers = 0; ///< no psk fits: key, mesh or version
  std::uint64_t refused_replays = 0;   ///< an ephemeral seen before
  std::uint64_t refused_proofs = 0;    ///< the identity proof is bad
  std::uint64_t refused_self = 0;
  std::uint64_t refused_unlisted = 0; ///< proved an id that isn't allowed
  std::uint64_t handshake_timeouts = 0;
  std::uint64_t handshakes_cut = 0; ///< the far side left in the middle
  std::uint64_t links_up = 0, links_down = 0, links_replaced = 0;
  std::uint64_t client_violations = 0; ///< a client off its channels
  std::uint64_t protocol_errors = 0;   ///< forged records, bad fragments
  std::uint64_t unknown_frames = 0;    ///< of a newer minor version; skipped
  std::uint64_t sends_refused = 0;     ///< `overloaded`
  std::uint64_t records_out = 0, records_in = 0;
  std::uint64_t frames_out = 0, frames_in = 0;
  std::uint64_t bytes_out = 0, bytes_in = 0; ///< with handshakes
  relay_counters relay;
};

/// All links of one node: dials what is wanted, answers what comes, keeps one
/// link per node pair, seals and opens records, orders the lanes.
///
/// Pure: time, randomness and streams are given to it. Loop thread only. Its
/// owner calls `flush` once per loop turn, `on_time` at `deadline()`, and
/// makes the streams send their events here.
///
/// What a bad peer can cost: its link and a counter. Memory is bounded by
/// `link_limits` per link and `ration_config` for strangers.
class link_table final : public stream_events {
public:
  /// `io`, `random` and `events` are borrowed and outlive the table. `random`
  /// makes ephemeral keys: the system's source outside tests. Sets itself as
  /// the events of `io`.
  link_table(link_config config, link_limits limits, streams& io,
             random_source& random, link_events& events);
  ~link_table() override;
  link_table(const link_table&) = delete;
  link_table& operator=(const link_table&) = delete;

  /// Listens at `at` and answers. @returns the bound address, which replaces
  /// `link_config::listen` when that was empty.
  result<address, stream_end> listen(const address& at);
  /// What later handshakes will claim; links that are up keep what they said.
  void set_incarnation(incarnation i);
  /// What later handshakes will say that others may dial.
  void set_listen(const address& a);
  /// Hosts of known members: their half-open slots and their budget are not
  /// for strangers.
  void set_known(const std::vector<address>& members);

  /// Takes part in relaying (relay.hpp): forwards between its own links to
  /// nodes that `may` says are members, and answers streams that members open
  /// to it through others. Needs `feature_relay` in the configuration, on all
  /// three nodes. Once, before the first link.
  void set_relaying(std::function<bool(const node_id&)> may);

  /// Which nodes may be peers, asked in each handshake once the far side has
  /// proved its id; without it all. A dialler that may not is told so, and
  /// dials again after its delay. Links that are up stay.
  void set_allowed(std::function<bool(const node_id&)> may);

  /// Keeps a link to `node`: dials `at` until one is up, from either side, and
  /// again when it is lost. A second call changes the address; a failed dial's
  /// delay then starts over.
  void want(const node_id& node, const address& at, time_point now);
  /// The same for a node that can hardly be dialled: through one of `relays`
  /// that this node has a link of its own with, and at `at`, unless that is
  /// empty, in turn. A link of its own replaces a relayed one. Begins after
  /// `wait`, in which the far side may dial.
  void want(const node_id& node, const address& at, std::vector<node_id> relays,
            duration wait, time_point now);
  /// Keeps a link to whoever is at `at` (`--join`), or only to `pinned`.
  void want(const address& at, const std::optional<node_id>& pinned,
            time_point now);
  /// Stops dialling; a link that is up stays.
  void unwant(const node_id& node);
  void unwant(const address& at);
  /// Dials now instead of at the end of the delay: there is evidence.
  void hurry(const node_id& node, time_point now);
  /// Asks who is at `at`, without making a link. `on_probed` has the answer.
  void probe(const address& at, std::uint64_t token, time_point now);

  /// Queues a frame for the node's link; `flush` sends it.
  /// @returns `not_linked`, `overloaded`, `too_large` or `forbidden`.
  result<void, send_errc> send(const node_id& to, channel c,
                               const_bytes payload);
  /// The same, for a frame that `pack` writes straight into the queue:
  /// `[](writer& w) {...}`. Whatever it wrote is taken back on an error.
  template <class Pack>
  result<void, send_errc> send_packed(const node_id& to, channel c,
                                      Pack&& pack) {
    auto room = begin_frame(to, c);
    if (!room)
      return failure{room.error()};
    writer w{**room};
    std::forward<Pack>(pack)(w);
    return end_frame();
  }
  /// Seals and hands over what is queued on all links. Once per loop turn.
  void flush(time_point now);
  /// Something is queued that `flush` would work on. The table's own words
  /// (welcome, goodbye) never wait for it.
  [[nodiscard]] bool needs_flush() const;
  /// Bytes queued on a lane of the node's link; zero without one.
  [[nodiscard]] std::size_t queued(const node_id& to, lane l) const;

  /// Says goodbye after what is queued, then closes. `on_link_down(local)`
  /// follows in this call; a wanted node is dialled again after a delay.
  void close(const node_id& node, time_point now);
  /// The node is dead: closes at once. A wanted node is dialled again now.
  void cut(const node_id& node, time_point now);
  /// Goodbye to everybody, no more dials, no more listening. No events follow
  /// for links; `idle()` becomes true once everything is handed over.
  void stop(time_point now);
  [[nodiscard]] bool idle() const;

  /// The link in use, or null. Valid until the table's next call.
  [[nodiscard]] const link_info* find(const node_id& node) const;
  [[nodiscard]] std::vector<link_info> links() const;
  [[nodiscard]] const link_counters& counters() const noexcept;
  [[nodiscard]] const node_id& self() const noexcept;

  /// When `on_time` is due: handshakes that take too long, dials, drains.
  [[nodiscard]] time_point deadline() const;
  void on_time(time_point now);

  void on_opened(stream_id id, const address& remote, bool inbound,
                 time_point now) override;
  void on_dial_failed(stream_id id, stream_end why, time_point now) override;
  void on_data(stream_id id, const_bytes data, time_point now) override;
  void on_drained(stream_id id, time_point now) override;
  void on_closed(stream_id id, stream_end why, time_point now) override;

private:
  result<bytes*, send_errc> begin_frame(const node_id& to, channel c);
  result<void, send_errc> end_frame();

  class state;
  std::unique_ptr<state> s_;
};

} // namespace banyan::net
