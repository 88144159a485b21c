#pragma once
#include "net/link/detail/handshake.hpp"
#include "net/link/detail/lanes.hpp"
#include "net/link/detail/rations.hpp"
#include "net/link/detail/record_reader.hpp"
#include "net/link/link_table.hpp"
#include "net/link/relay_ends.hpp"
#include "net/link/relay_forwarder.hpp"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <variant>

namespace banyan::net {

/// What a stream is about to become, or is.
enum class phase : std::uint8_t {
  dialling,   ///< the stream is not open yet
  shaking,    ///< messages 1 to 3
  confirming, ///< dialled, message 3 is sent; the far side's welcome is due
  up,         ///< the link in use for its node
  draining,   ///< sends what is queued, then goodbye; then it ends
};

/// A wish of the node: a link to a node, or to whoever is at an address.
struct target {
  dial_target what;
  bool by_address = false;
  node_id resolved; ///< by address: who answered there last
  unsigned failures = 0;
  time_point next_dial{};
  stream_id dialling;    ///< none: waiting for `next_dial`, or satisfied
  bool given_up = false; ///< that address is this node

  std::vector<node_id> relays;
  duration wait{}; ///< for the far side to dial first
  /// A round of dials: the relays, beginning at that one, then `what.at`; and
  /// how far it has come.
  std::size_t first_relay = 0;
  std::size_t turn = 0;
};

/// Why a stream was dialled.
struct dial_purpose {
  enum class kind : std::uint8_t { none, node, address, refresh, probe };
  kind what = kind::none;
  node_id node; ///< kind node or refresh, or the pin
  address at;
  node_id via;             ///< through that neighbour instead
  std::uint64_t token = 0; ///< kind probe
};

/// One stream, from dial or accept to its end.
struct connection {
  stream_id stream;
  net::phase phase = phase::dialling;
  dial_purpose purpose;
  bool dialled = false; ///< by us
  node_id via;          ///< of a relayed stream
  [[nodiscard]] bool relayed() const noexcept { return !via.is_none(); }
  address remote;
  time_point started{};
  time_point due = never; ///< when this phase has taken too long
  time_point sent_at{};   ///< our last handshake message, for the round trip
  bool has_slot = false;  ///< of the rations; `slot_known` as it was then
  bool slot_known = false;

  std::unique_ptr<link_handshake> shake;
  bytes input; ///< of the handshake: at most one message

  /// After the handshake.
  std::shared_ptr<link_info> info;
  link_role role = link_role::peer; ///< of the dialler
  banyan::incarnation own_incarnation;
  std::uint64_t dial = 0;  ///< the dialler's count
  std::uint64_t knows = 0; ///< what the dialler said it knows
  std::unique_ptr<record_sealer> sealer;
  std::unique_ptr<record_reader> reader;
  std::unique_ptr<lanes> out;
  std::uint64_t bytes_moved = 0;
  bool dirty = false;     ///< stands in the list that `flush` works on
  bool announced = false; ///< on_link_up was said
  bool silent = false;    ///< on_link_down was said: nothing more follows
  bool refused = false;   ///< one of the two may not be in the mesh
  bool said_goodbye = false;
  bool heard_goodbye = false;
  bool refreshing = false; ///< a new link is being dialled in its place
};

/// Everything behind link_table. Split over table_*.cpp: dialling, shaking
/// hands, links that are up. Public calls end with `deliver`.
class link_table::state {
public:
  state(link_config config, link_limits limits, streams& io,
        random_source& random, link_events& events);

  // dialling
  void want(target t, time_point now);
  void unwant(target& t);
  void dial_due(time_point now);
  void start_dial(target& t, time_point now);
  stream_id open_dial(const address& at, dial_purpose purpose, time_point now);
  /// Ends the connection `c` and tells its target.
  void dial_failed(connection& c, dial_error why, time_point now);
  /// Ends `c` because the node is linked already.
  void dial_needless(connection& c, const node_id& answered);
  duration backoff(unsigned failures);
  target* find_target(const dial_purpose& p);
  bool satisfied(const target& t) const;
  /// The neighbour to reach the target through next, or none.
  node_id next_relay(target& t) const;
  /// A dial that nobody answers would be in the relays' way for seconds.
  void dial_no_longer(target& t);
  /// The next round begins behind that relay.
  static void relay_failed(target& t, const node_id& via);
  /// The link to `c`'s node is gone: when to dial again.
  void link_lost(const connection& c, duration lived, bool at_once,
                 time_point now);
  /// A link of its own to a neighbour is up: who waits for that?
  void relay_found(const node_id& neighbour, time_point now);
  /// The node's link is up: its targets rest.
  void link_found(const connection& c);

  // shaking hands
  void opened(stream_id id, const address& remote, bool inbound,
              time_point now);
  void shake(connection& c, const_bytes data, time_point now);
  /// These three end or advance `c`; false when it has ended.
  bool take_first(connection& c, time_point now);
  bool take_second(connection& c, time_point now);
  bool take_third(connection& c, time_point now);
  void establish(connection& c, const hello& far, time_point now);
  /// Asks `set_allowed`; tells the node of whom it refuses.
  bool lets_in(const hello& far, const connection& c);
  hello own_hello(const connection& c) const;
  void write(connection& c, const_bytes data);

  // links
  void records(connection& c, const_bytes data, time_point now);
  /// Acts on the link's own frames of the batch and takes them out; false if
  /// one may not stand there.
  bool own_frames(connection& c, time_point now);
  /// Decides between this link and the one in use; true if this one is used.
  bool enter(connection& c, time_point now);
  [[nodiscard]] bool beats(const connection& a, const connection& b) const;
  void heard_goodbye(connection& c, time_point now);
  void say_word(connection& c, link_word w);
  void drain(connection& c, time_point now);
  /// Seals and hands over; may end a draining `c`.
  void pump(connection& c, time_point now);
  void mark_dirty(connection& c);
  void flush(time_point now);
  void went_down(connection& c, link_end why, time_point now,
                 bool redial_at_once = false);
  void violated(connection& c, read_errc why, time_point now);
  void refresh(connection& c, time_point now);
  connection* current(const node_id& node) const;

  // relayed streams beside those of `io_`
  void stream_write(stream_id id, const_bytes data);
  [[nodiscard]] std::size_t stream_unsent(stream_id id) const;
  void stream_close(stream_id id);
  void stream_reset(stream_id id);
  /// This node's own link to it, if that carries relayed streams.
  connection* neighbour(const node_id& node) const;
  bool send_relayed(const node_id& to, const relay_frame& f);
  /// False if it is none.
  bool relay_came(connection& c, const_bytes payload, time_point now);
  void relay_event(relay_ends::event& e, time_point now);
  void neighbour_lost(const node_id& node, time_point now);

  // ends
  enum class ending : std::uint8_t { gone, close, reset };
  /// Forgets `c`, giving back what it holds.
  void drop(connection& c, ending how);
  void closed(connection& c, stream_end why, time_point now);
  void timed_out(connection& c, time_point now);
  void on_time(time_point now);
  void stop(time_point now);
  time_point deadline();
  connection* find(stream_id id) const;
  void changed() { deadline_known_ = false; }

  // events, in order
  struct up_event {
    std::shared_ptr<link_info> info;
    link_id replaces;
  };
  struct down_event {
    std::shared_ptr<link_info> info;
    link_end why;
  };
  struct frames_event {
    std::shared_ptr<link_info> info;
  };
  struct failed_event {
    dial_target what;
    dial_error why;
    time_point retry_at;
  };
  struct writable_event {
    std::shared_ptr<link_info> info;
    lane which;
  };
  struct probed_event {
    std::uint64_t token;
    result<probe_answer, dial_error> answer;
  };
  struct own_key_event {
    boot_id boot;
    address at;
  };
  struct unlisted_event {
    node_id node;
    address at;
  };
  using event =
      std::variant<up_event, down_event, frames_event, failed_event,
                   writable_event, probed_event, own_key_event, unlisted_event>;
  /// Ends a public call: sends the table's own words, then hands over events.
  void finish(time_point now);
  void deliver();
  void say(event e) { pending_.push_back(std::move(e)); }

  link_config config_;
  link_limits limits_;
  streams& io_;
  random_source& random_;
  link_events& events_;

  noise::dh_keypair static_key_;
  link_psk dial_psk_;
  handshake_keys keys_;
  rations rations_;
  seen_ephemerals seen_;
  link_counters counters_;

  std::map<stream_id, std::unique_ptr<connection>> connections_;
  std::unordered_map<node_id, connection*> current_;
  std::map<node_id, target> by_node_;
  std::map<address, target> by_address_;
  /// For each node, the last of its dials that became a link here, and in
  /// which of its boots: see `hello::knows`.
  std::unordered_map<node_id, std::pair<boot_id, std::uint64_t>> knows_;
  std::vector<stream_id> dirty_;
  bool words_waiting_ = false; ///< a welcome or goodbye stands in a queue
  std::uint64_t last_link_ = 0;
  std::uint64_t last_dial_ = 0;
  bool stopping_ = false;
  bool answering_ = false; ///< `listen` was called

  std::function<bool(const node_id&)> allowed_;   ///< none: all are
  std::function<bool(const node_id&)> may_relay_; ///< none: doesn't relay
  relay_forwarder forwarder_;
  relay_ends ends_;
  time_point now_{}; ///< of the last call that told it

  connection* open_frame_ = nullptr; ///< between begin_frame and end_frame
  frame_batch batch_;
  bytes sealed_; ///< what `pump` hands over; kept for its capacity
  std::deque<event> pending_;
  bool delivering_ = false;
  time_point deadline_ = never;
  bool deadline_known_ = false;
};

} // namespace banyan::net
