#pragma once
#include "actors/pure/replica_core.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

/// A small world around replica cores: virtual time, and a log, a state, a host
/// and a network that are driven by hand or from one seed.
namespace banyan::test {

/// The app of the tests: an actor's state is a list of words.
///   append W     adds the word, answers how many there are
///   send KEY W   adds "s:W", sends `append W` to KEY, answer to `done`
///   done         takes an answer: adds "r:CODE"
///   after MS W   sets the timer "t" that appends W; `cancel` cancels it
///   rows K V     writes table row K; `row K`, `range` read the table
///   reject, throw, noop, remove; query get
///   die, hang    the host dies or hangs under it
turn_result run_app(const turn_order& o);

struct node {
  replica_ref self;
  std::unique_ptr<replica_core> core;
  bool up = false;
  std::uint64_t life = 0; ///< completions of an earlier one are lost

  // disk
  store::recovered_log log;
  bool has_log = false;
  std::deque<store::log_write> log_pending;
  std::size_t log_orders = 0;                          ///< ever given
  std::deque<std::function<void(bool)>> state_pending; ///< arg: apply only
  std::map<bytes, store::row> rows;
  std::optional<store::applied_meta> meta;
  std::map<bytes, store::row> staged;
  std::size_t commits_open = 0;
  std::size_t mends = 0;        ///< orders that put rows back
  std::size_t finishes = 0;     ///< snapshots that were to be switched in
  std::size_t rows_ordered = 0; ///< reads of one row
  store::state_digest digest;   ///< as the store keeps it, commit by commit
  std::set<bytes> rotten;       ///< rows with a bad checksum
  std::optional<store::store_errc> commit_fails; ///< the next one, so

  // host
  std::optional<left_turns> left; ///< of the process before
  bool host_up = false;
  std::uint64_t host_life = 0;
  std::size_t turns_run = 0;
  std::size_t turns_at_once = 0; ///< outstanding now
  std::size_t alone_violations = 0;
  std::vector<turn_order> held; ///< with `hold_turns`
  std::uint64_t held_version = 0;
  std::map<std::uint64_t, std::size_t> ran_on; ///< turns, by version

  role_changed last_role;
  std::vector<failover_report> failovers;
  std::vector<change_done> changes;
  std::vector<replica_lost> lost;
  bool retired = false;
  std::vector<checkpoint_judged> judged;
  std::vector<state_phase_changed> phases;
  std::size_t times_whole = 0;
  std::vector<row_damaged> damaged;
  std::vector<bytes> mended;
  raft::configuration configuration;
  version_changed version; ///< as last told
  std::vector<entry_refused> refused;
  std::optional<replica_failed> failed;
};

struct world_options {
  duration net_low = std::chrono::microseconds{50};
  duration net_high = std::chrono::microseconds{300};
  duration disk_low = std::chrono::microseconds{80};
  duration disk_high = std::chrono::microseconds{250};
  duration turn_low = std::chrono::microseconds{10};
  duration turn_high = std::chrono::microseconds{60};
  duration loop_high{1}; ///< from an input to the flush, at most
  duration verify_low{}; ///< how long a state is pending at a start
  duration verify_high{};
  double loss = 0;
  std::size_t nodes = 3;
  std::size_t voters = 3;
};

class world final : public app_directory {
public:
  explicit world(std::uint64_t seed, world_options options = {});
  ~world() override;

  std::optional<app> find(std::string_view name) const override;

  // nodes
  replica_config config_of(std::size_t n) const;
  /// Of each node, where it isn't `base`'s.
  std::map<std::size_t, feature_bits> features;
  void boot(std::size_t n);
  /// What a check of its disk would hand to it.
  [[nodiscard]] recovered_rows recovered(std::size_t n) const;
  void crash(std::size_t n);
  void cut(std::size_t a, std::size_t b, bool both = true);
  void heal();
  void evidence(std::size_t dead); ///< all others hear that it is gone
  void kill_host(std::size_t n, const turn_suspects& died_of = {});
  void start_host(std::size_t n);

  // disks (surroundings.cpp)
  void rot(std::size_t n, const bytes& key); ///< its checksum no longer fits
  void lose_state(std::size_t n);            ///< of a node that is down
  /// Another value under a valid checksum; the digest knows (applied wrongly)
  /// or doesn't (an old page came back).
  void falsify(std::size_t n, const bytes& key, bool digest_follows);
  void scrub(std::size_t n);
  [[nodiscard]] store::state_digest
  digest_of(const std::map<bytes, store::row>& rows) const;

  // calls
  std::uint64_t call(std::size_t n, request_frame r);
  request_frame command(std::string key, std::string command,
                        std::string argument);
  std::optional<reply> answered(std::uint64_t call) const;
  /// Runs until the call has its answer (at most `limit`).
  reply ask(std::size_t n, request_frame r, duration limit = 10s);
  std::uint64_t open_session(std::size_t n);

  // time
  void run_for(duration d);
  bool run_until(const std::function<bool()>& done, duration limit = 10s);
  void at(duration after, std::function<void()> f);
  std::size_t leader() const; ///< serving; SIZE_MAX: none
  std::size_t await_leader();
  void touch(std::size_t n); ///< flush soon
  /// Does what `nodes[n].core` asked for when a test called it.
  void carry(std::size_t n, replica_effects& out);

  /// What the group holds: words of an actor by overlay of a fresh query.
  std::string words(const std::string& key);
  void check_states_equal(); ///< all up nodes, once everything is applied

  time_point now{std::chrono::hours{1}};
  seeded_random random;
  world_options options;
  replica_config base;
  std::vector<node> nodes;
  std::map<std::uint64_t, reply> answers;
  std::map<banyan::term, replica_ref> leaders; ///< checked: one per term
  std::map<std::uint64_t, digest> hashes;      ///< checked: one per index
  std::set<std::pair<std::size_t, std::size_t>> cuts;
  std::vector<stream_frame> foreign; ///< frames for other groups
  std::vector<copy_given> copies;
  std::vector<std::string> problems; ///< what the checkers found
  std::uint64_t trace = 1469598103934665603u;
  bool hold_turns = false; ///< orders wait in `held`
  /// Versions of the app whose hosts are up where a host is.
  std::vector<std::uint64_t> hosts{0};
  bool disk_full = false;
  std::size_t mismatches = 0; ///< snapshots that didn't add up
  bool deliver_streams = true;
  std::function<bool(std::size_t, std::size_t, const group_frame&)> drop;

private:
  friend struct carrier;
  void write_rows(node& nd,
                  const std::vector<store::row_change>& changes) const;
  void note(std::uint64_t x);
  void flush(std::size_t n);
  void log_step(std::size_t n);
  void state_later(std::size_t n, std::function<void(bool)> f);
  void run_turns(std::size_t n, std::uint64_t version,
                 std::vector<turn_order> orders);
  void arm(std::size_t n);
  static void apply_log(node& nd, const store::log_write& w,
                        std::vector<digest>* hashes);
  using event_key = std::pair<time_point, std::uint64_t>;
  std::map<event_key, std::function<void()>> events_;
  std::uint64_t sequence_ = 0;
  std::uint64_t calls_ = 0;
  std::vector<bool> dirty_;
  std::vector<time_point> armed_;
};

} // namespace banyan::test
