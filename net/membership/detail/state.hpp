#pragma once
#include "net/membership/book.hpp"
#include "net/membership/join.hpp"
#include "net/membership/membership.hpp"
#include "net/membership/messages.hpp"
#include "net/membership/newcomers.hpp"
#include "net/membership/pages.hpp"
#include "net/membership/ration.hpp"

#include <array>
#include <map>
#include <set>

namespace banyan::net {

/// Before any time that a clock shows, and far from overflow.
inline constexpr time_point long_ago = time_point{} - 24h;

/// The inside of `membership`, in ten files: calls.cpp has the calls from
/// outside, membership.cpp the node itself (incarnation, own record, clones),
/// watch.cpp liveness, evidence and reports, gossip.cpp the frames and what is
/// passed on, comparing.cpp how views are compared, wiring.cpp whom it keeps
/// links with, and where news goes, joining.cpp how it gets to know a large
/// mesh, proving.cpp how others' newcomers become members here, keeping.cpp
/// what is on disk of it, relays.cpp what is done where a node can't be
/// dialled.
class membership::state {
public:
  state(membership_config config, random_source& random, time_point now);

  // membership.cpp
  void start(time_point now, membership_effects& out);
  void incarnation_persisted(incarnation value, time_point now,
                             membership_effects& out);
  void probed(std::uint64_t token,
              const result<probe_answer, dial_error>& answer,
              membership_effects& out);
  void own_key_met(const boot_id& boot, const address& at,
                   membership_effects& out);
  void set_own(std::uint8_t tier, const node_capacity& capacity);
  void set_doubts(std::vector<member_doubt> doubts);
  [[nodiscard]] std::vector<node_id> observers(const node_id& node) const;
  void leave(time_point now, membership_effects& out);
  void tick(time_point now, membership_effects& out);
  /// Ends every call from outside: counts, sends, asks for what is due.
  void finish(time_point now, membership_effects& out);
  /// Begins every call from outside: was this observer itself late?
  void begin(time_point now);

  // watch.cpp
  void link_up(const link_info& link, time_point now, membership_effects& out);
  void link_down(const link_info& link, link_end why, time_point now,
                 membership_effects& out);
  void dial_failed(const node_id& node, dial_error why, time_point now,
                   membership_effects& out);
  /// True when that changed something.
  bool heard(const node_id& from, time_point now, membership_effects& out);
  void use_link(const node_id& node, time_point now, membership_effects& out);
  bool release_link(const node_id& node, time_point now,
                    membership_effects& out);
  void set_shares_group(const node_id& node, bool shares);
  void set_leads(const node_id& node, std::uint64_t hash);
  void set_oldest_fsync(std::optional<time_point> since) {
    oldest_fsync_ = since;
  }
  [[nodiscard]] bool hears(const node_id& node) const;
  [[nodiscard]] bool hears(const node_id& observer,
                           const node_id& subject) const;
  [[nodiscard]] duration fsync_age(const node_id& node) const;

  [[nodiscard]] time_point due() const { return due_; }
  [[nodiscard]] const member_record& own() const { return own_; }
  [[nodiscard]] const membership_counters& counters() const {
    return counters_;
  }
  [[nodiscard]] std::vector<member_view> views() const;
  [[nodiscard]] std::optional<member_view> view(const node_id& node) const;
  [[nodiscard]] const member_book& book() const { return book_; }
  [[nodiscard]] std::shared_ptr<const settled_members> settled() const;
  [[nodiscard]] std::vector<node_id> linked() const;
  [[nodiscard]] std::optional<join_progress> joining() const;
  /// Everybody observes everybody.
  [[nodiscard]] bool full() const { return book_.on_rings().full(); }
  [[nodiscard]] bool links_all() const { return cfg_.link_all || full(); }

  // gossip.cpp
  /// True when it changed more than when the sender was last heard: what is
  /// due can then only be due later than asked for.
  bool frame(const node_id& from, channel on, const_bytes payload,
             time_point now, membership_effects& out);
  bool beat(const node_id& from, const beat_message& m, time_point now,
            membership_effects& out);
  void message(const node_id& from, const membership_message& m, time_point now,
               membership_effects& out);

  enum class sight : std::uint8_t { unheard, heard, silent, gone };

  /// What this node has to do with one other, member or about to be one.
  struct peer {
    explicit peer(const liveness_config& cfg) : life{cfg} {}

    /// In the book, once it was met: see `held`.
    mutable member_book::index number = member_book::nobody;
    std::optional<link_info> link;
    bool wanted = false; ///< `want_link` said so, with `wanted_at`
    address wanted_at;
    std::vector<node_id> wanted_relays;
    time_point spared_until = long_ago; ///< not yet silent: see `spare`

    peer_liveness life;
    sight saw = sight::unheard;
    [[nodiscard]] bool lost() const {
      return saw == sight::silent || saw == sight::gone;
    }
    time_point since{};               ///< of `saw`
    bool cut = false;                 ///< its silent link was cut already
    time_point used_until = long_ago; ///< a link was asked for
    time_point idle_since = never;    ///< nobody here needs the link
    bool far_needs = true;            ///< the far side does, as far as it said
    time_point reported_at = long_ago;
    time_point pinged_at = long_ago;

    bool shares_group = false;
    std::uint64_t leads = 0;
    time_point next_beat{};
    std::uint32_t beat_number = 0;
    std::array<time_point, 16> beat_sent{};
    std::uint32_t beat_in = 0;
    time_point beat_in_at{};
    std::uint64_t hears_told = 0; ///< version of our list that it has
    std::set<node_id> hears;
    duration fsync_age{};

    std::set<node_id> news_records;
    std::set<std::pair<node_id, node_id>> news_reports; ///< observer, subject
    std::set<std::pair<node_id, node_id>> news_vouchers;
    time_point news_sent = long_ago;
    [[nodiscard]] bool has_news() const {
      return !news_records.empty() || !news_reports.empty()
             || !news_vouchers.empty();
    }

    shared_document applicant; ///< a hello that waits for a ration
    shared_document rival;     ///< another boot of the same node
    address rival_at;
    time_point told_at = long_ago; ///< a verdict
    time_point compared_since = long_ago;
    unsigned compared = 0;                ///< views, since then
    time_point names_asked_at = long_ago; ///< by it
    time_point digests_since = long_ago;
    unsigned digests = 0;              ///< of more than one member, since then
    time_point own_told_at = long_ago; ///< its own record of another boot
    time_point dial_back_at = long_ago;
    time_point dial_back_asked = long_ago; ///< of it, by this node
  };

  struct probe {
    node_id asked_by; ///< none: this node looks for a clone of itself
    std::uint64_t their_token = 0;
    address at;
  };

  [[nodiscard]] bool running() const { return own_.incarnation.value() != 0; }
  [[nodiscard]] bool is_member(const node_id& n) const {
    return book_.find(n) != nullptr;
  }
  /// The same without a search, for what is done for each peer: none for one
  /// that is no member.
  [[nodiscard]] const member_book::member* held(const node_id& node,
                                                const peer& p) const {
    if (p.number == member_book::nobody)
      p.number = book_.number(node);
    return book_.at(p.number);
  }
  peer& peer_of(const node_id& node);
  peer* find_peer(const node_id& node);

  // membership.cpp
  void restore(time_point now);
  void restore_settled(time_point now);
  void begin_with_members(time_point now);
  void begin_links(time_point now, membership_effects& out);
  void sign_own();
  void raise(incarnation above);
  void own_record_met(const member_document& d, const address& seen,
                      bool pushed, time_point now, membership_effects& out);
  void look_for_clone(const address& at, membership_effects& out);
  void tell_rolled_back(time_point now, membership_effects& out);
  [[nodiscard]] bool looks_for_clone() const;
  void learn_address(const node_id& from, const address& seen,
                     membership_effects& out);
  [[nodiscard]] time_point next_due() const;

  // wiring.cpp
  [[nodiscard]] bool needs_link(const node_id& node,
                                const member_book::member& m) const;
  void want(const node_id& node, membership_effects& out);
  void rewire(time_point now, membership_effects& out);
  void take_back_unplaced();
  void close_idle(const node_id& node, peer& p, const member_book::member& m,
                  time_point now, membership_effects& out);
  void revisit(time_point now, membership_effects& out);
  void tend_seeds(bool linked, membership_effects& out);
  void keep_evidence();
  void forget_strangers(membership_effects& out);
  /// Its silence is this node's business.
  [[nodiscard]] bool awaited(const node_id& node, const peer& p) const;
  [[nodiscard]] std::array<node_id, 4> passed_on_to(std::uint64_t item) const;

  // watch.cpp
  void note_member(const node_id& node, time_point now,
                   membership_effects& out);
  void see(const node_id& node, peer& p, sight now_seen, time_point now);
  void mark_heard(const node_id& node, peer& p, time_point now,
                  membership_effects& out);
  void mark_lost(const node_id& node, peer& p, evidence why, time_point now,
                 membership_effects& out);
  void restarted(const node_id& node, peer& p, time_point now,
                 membership_effects& out);
  void watch(time_point now, membership_effects& out);
  void reconcile_report(const node_id& node, peer& p, time_point now);
  [[nodiscard]] time_point told_at(const peer& p,
                                   const member_book::member& m) const;
  void issue_report(const node_id& node, bool down);
  void recount(time_point now, membership_effects& out);
  [[nodiscard]] duration interval_of(const peer& p) const;
  [[nodiscard]] time_point watch_due() const;

  // relays.cpp
  void look_after_reach(time_point now, membership_effects& out);
  void reach_told(const node_id& by, bool reached);
  void choose_relays();
  /// Through whom to reach it, as it says.
  [[nodiscard]] std::vector<node_id> relays_of(const member_record& r) const;
  /// Sees to a link with one of its relays.
  void seek_relay(const node_id& node, time_point now, membership_effects& out);
  /// The link to a peer broke at a neighbour, or seems to: time to try others.
  void spare(peer& p, time_point now);

  // gossip.cpp
  void send(const node_id& to, const membership_message& m,
            membership_effects& out);
  void send_beat(const node_id& to, peer& p, bool ask, time_point now,
                 membership_effects& out);
  void on_beat(const node_id& from, peer& p, const beat_message& m,
               time_point now, membership_effects& out);
  void on_hello(const node_id& from, peer& p, const hello_message& m,
                time_point now, membership_effects& out);
  void on_news(const node_id& from, const news_message& m, time_point now,
               membership_effects& out);
  void on_digest(const node_id& from, peer& p, const digest_message& m,
                 time_point now, membership_effects& out);
  void on_want(peer& p, const want_message& m);
  void on_summary(const node_id& from, peer& p, const summary_message& m,
                  time_point now, membership_effects& out);
  void on_root(const node_id& from, const root_message& m, time_point now,
               membership_effects& out);
  void on_ranges(const node_id& from, peer& p, const ranges_message& m,
                 membership_effects& out);
  void send_summary(const node_id& to, membership_effects& out);
  void look_at_ranges();
  bool may_compare(peer& p, time_point now) const;
  static bool may_digest(peer& p, time_point now);
  [[nodiscard]] bool range_moves(std::size_t range) const;
  [[nodiscard]] bool proved_dead(const node_id& node) const;
  [[nodiscard]] duration flood_interval() const {
    return full() ? cfg_.flood_interval : cfg_.flood_interval_rings;
  }
  void on_dial_back(const node_id& from, peer& p, const dial_back_message& m,
                    time_point now, membership_effects& out);
  put_outcome take_record(const node_id& from, const member_document& d,
                          time_point now, membership_effects& out);
  void renewed(const node_id& node, peer& p, const member_record& before,
               const member_record& now_held, time_point now,
               membership_effects& out);
  void take_applicant(const node_id& from, peer& p, time_point now,
                      membership_effects& out);
  void retry_waiting(time_point now, membership_effects& out);
  void tell_own_record(const node_id& to, peer& p, const member_document& d,
                       const address& seen, time_point now,
                       membership_effects& out);
  void flood_record(const node_id& node, const node_id& from);
  void flood_report(const report& r, const node_id& from);
  template <class Add>
  void pass_on(const node_id& author, const node_id& from, bool to_all,
               std::uint64_t item, Add add);
  void flood_voucher(const report& r, const node_id& from);
  void send_news(const node_id& to, peer& p, time_point now,
                 membership_effects& out);
  void send_digest(const node_id& to, const node_id& first, const node_id& last,
                   membership_effects& out);
  void bad_frame(const node_id& from, const char* what,
                 membership_effects& out);

  // joining.cpp
  [[nodiscard]] bool wants_to_join(const root_message& m) const;
  /// It has nothing to tell others of the mesh now: it is a newcomer that
  /// joins, or half of the members are handed over.
  [[nodiscard]] bool knows_little() const {
    return join_.active() && (!joined_ || join_.taking());
  }
  void join_at(const node_id& giver, std::size_t members, time_point now,
               membership_effects& out);
  /// False: it is none of those.
  bool joining_frame(const node_id& from, const membership_message& m,
                     time_point now, membership_effects& out);
  void give_pages(time_point now, membership_effects& out);
  void step_joining(time_point now, membership_effects& out);
  [[nodiscard]] time_point joining_due() const;
  void tell_progress(membership_effects& out) const;
  void carry_out(join_orders&& orders, time_point now, membership_effects& out);
  void take_joined(member_document&& d, time_point now,
                   membership_effects& out);
  void joined(const join_done& done, time_point now, membership_effects& out);
  void dial_for_now(const node_id& node, time_point now,
                    membership_effects& out);
  void seek(time_point now, membership_effects& out);

  // proving.cpp
  [[nodiscard]] bool is_linked(const node_id& node) const;
  /// Of a member, or of one that waits.
  [[nodiscard]] const member_document* document_of(const node_id& node) const;
  put_outcome let_wait(const node_id& from, const member_document& d,
                       time_point now, membership_effects& out);
  void take_in(const node_id& node, time_point now, membership_effects& out);
  bool take_in_if_proved(const node_id& node, time_point now,
                         membership_effects& out);
  /// It is in the book now.
  void came_in(const node_id& node, time_point now, membership_effects& out);
  /// True if its record is wanted.
  bool is_named(const node_id& from, const digest_message::entry& e,
                time_point now, membership_effects& out);
  void on_vouchers(const node_id& from, const vouch_message& m, time_point now,
                   membership_effects& out);
  void on_names(const node_id& from, peer& p, const name_message& m,
                time_point now, membership_effects& out);
  void vouch_for(const node_id& node);
  void vouch_for_recent();
  void send_vouchers(const node_id& to, peer& p, membership_effects& out);
  void dial_newcomer(const node_id& node, time_point now,
                     membership_effects& out);
  void drop_newcomers(membership_effects& out);
  void tend_newcomers(time_point now, membership_effects& out);
  void ask_about_newcomers(time_point now, membership_effects& out);
  [[nodiscard]] time_point ask_newcomers_due() const;
  [[nodiscard]] bool counts_voucher(const newcomer* of, const report& r) const;
  [[nodiscard]] bool would_observe(const node_id& node) const;
  [[nodiscard]] std::vector<node_id> linked_neighbours() const;

  // keeping.cpp
  void persist(time_point now, membership_effects& out);
  [[nodiscard]] time_point persist_due() const;
  [[nodiscard]] duration persist_interval() const;

  membership_config cfg_;
  std::function<bool(const node_id&)> allowed_; ///< none: all are
  random_source& random_;
  node_id self_;
  time_point started_;
  time_point now_{};
  time_point due_ = never; ///< what `deadline` last said
  member_record own_;
  bool leaving_ = false;
  incarnation wanted_;  ///< to be raised to, once the interval allows
  incarnation pending_; ///< asked to be put on disk; zero: nothing
  time_point raised_at_ = long_ago;
  incarnation restored_; ///< of the own record beside the members on disk
  /// What proved that this disk is older, and until when a clone may yet
  /// explain it.
  incarnation rolled_back_by_;
  time_point rolled_back_at_ = never;
  bool rolled_back_told_ = false;
  bool cloned_told_ = false;
  member_book book_;
  local_health health_;
  std::map<node_id, peer> peers_;
  std::uint64_t hears_version_ = 1;
  /// @name On the rings
  /// @{
  std::uint64_t wired_ = 0; ///< the version of the rings that this is of
  bool wired_full_ = true;
  rings::of_all subjects_{};  ///< by ring: the successor,
  rings::of_all observers_{}; ///< and the predecessor
  std::set<node_id> around_;  ///< all of them
  std::array<time_point, 2> late_beats_{long_ago, long_ago}; ///< the last two
  node_id revisited_;                 ///< a dead one that is being looked for
  time_point revisit_at_{};           ///< the next one
  time_point changed_at_ = long_ago;  ///< this view, by news
  time_point compared_at_ = long_ago; ///< with one that differed
  range_hashes ranges_seen_{};        ///< a digest interval ago, or less
  /// By range: for so many intervals it has not changed.
  std::array<std::uint8_t, 256> ranges_calm_{};
  /// The last view that it was compared with was another in many ranges: more
  /// than what is on its way.
  bool far_apart_ = false;
  node_id evidence_at_; ///< how far `keep_evidence` has come
  /// Who died, by digest interval, the latest first: not yet looked at for
  /// whether that can be proved.
  std::array<std::vector<member_book::index>, 4> died_;
  /// @}
  /// @name Joining
  /// @{
  joiner join_;
  page_giver pages_;
  bool seeds_wanted_ = false;
  bool joined_ = false;     ///< it has compared its members with a large mesh's
  bool rejoined_ = false;   ///< in this boot
  std::size_t claimed_ = 0; ///< so many members does the mesh have, it was told
  time_point join_told_at_ = long_ago;
  time_point seek_at_{};
  duration seek_wait_ = 2s;
  std::optional<members_damaged> damaged_;
  /// @}
  std::uint64_t report_number_ = 0;
  std::map<node_id, member_document> waiting_; ///< for their sponsors
  newcomers newcomers_{newcomers::limits{}};
  time_point names_sent_at_ = long_ago; ///< questions about them
  report_ration said_;
  std::map<std::uint64_t, probe> probes_;
  std::uint64_t token_ = 0;
  std::uint64_t dial_back_token_ = 0; ///< asked of somebody; zero: nothing
  address dial_back_at_;
  time_point dial_back_sent_ = long_ago;
  time_point reach_asked_at_ = long_ago;
  /// Who could dial this node, and who couldn't; of those it is linked with.
  std::map<node_id, bool> reached_by_;
  time_point cloned_look_at_ = long_ago;
  std::optional<time_point> oldest_fsync_;
  time_point digest_at_{};
  time_point persisted_at_ = long_ago;
  bool members_dirty_ = false;
  /// A list for the disk, as far as it is made.
  struct kept_list {
    bytes documents;
    std::size_t count = 0;
    node_id last;
  };
  std::optional<kept_list> keeping_;
  bool count_dirty_ = false;
  membership_counters counters_;
};

/// Of the list of members on disk.
inline constexpr std::uint64_t members_version = 1;

/// How long the answers of probes are awaited before this node calls its disk
/// rolled back: two processes with one key look the same at first.
inline constexpr duration clone_patience = 200ms;

/// At least this between two changes of mind about one subject, and between
/// two notices of the same kind to one peer.
inline constexpr duration membership_patience = 1s;

} // namespace banyan::net
