#pragma once
#include "base/random.hpp"
#include "net/membership/messages.hpp"
#include "net/membership/verifier.hpp"

#include <deque>
#include <map>
#include <set>
#include <unordered_map>
#include <variant>
#include <vector>

/// How a newcomer gets to know a large mesh. It pulls the members in pages from
/// one member, the giver, and asks two others, the witnesses, for a hash per
/// range of ids; ranges in which the giver stands alone it fetches from the
/// witnesses too. A member counts once two have named it.
namespace banyan::net {

/// The hashes by which the ids that two nodes know are compared, range by
/// range. Whoever asks draws the salt when the answer can't be fitted to it
/// any more.
class roll_hash {
public:
  explicit roll_hash(std::uint64_t salt) noexcept : salt_{salt} {}
  void add(const node_id& node) noexcept;
  [[nodiscard]] const range_hashes& ranges() const noexcept { return ranges_; }

private:
  std::uint64_t salt_;
  range_hashes ranges_{};
};

/// @name What a joiner wants done, in this order
/// @{
struct join_ask {
  node_id to;
  membership_message what;
};
/// Somebody else must be asked: make a link to this one.
struct join_dial {
  member_document member;
};
/// A member, verified and named by two.
struct join_take {
  member_document member;
};
/// What somebody says of somebody; not verified.
struct join_take_report {
  net::report report;
};
/// That one sent what no honest member sends.
struct join_blame {
  node_id node;
  const char* what = "";
};
/// All is taken.
struct join_done {
  node_id giver;
  std::size_t taken = 0;
  unsigned witnesses = 0;
  std::size_t unconfirmed = 0; ///< named by one of those asked only
  std::size_t withheld = 0;    ///< taken, and not named by the giver
};
/// @}
using join_order = std::variant<join_ask, join_dial, join_take,
                                join_take_report, join_blame, join_done>;
using join_orders = std::vector<join_order>;

struct join_progress_view {
  std::size_t have = 0;  ///< verified
  std::size_t total = 0; ///< as the giver says; zero: not known yet
};

/// The newcomer's side. Pure; owned by one membership core.
///
/// Nothing that it is told reaches the core before `join_take`. It verifies a
/// few documents per `step`, so that no call takes a millisecond; whoever owns
/// it calls `step` at `deadline`, which is at once while there is work. A giver
/// that is silent for `patience`, though it was asked again half way (one whom
/// many ask drops questions), that takes too long in all, that lies in a way
/// which can be seen, or whose link ends is left for another one, from the
/// beginning. With nobody left the joining is over, without a `join_done`: it
/// begins anew when somebody says again that there is a large mesh.
class joiner {
public:
  struct limits {
    std::size_t members_max = 20'000;
    /// So few members are taken on the word of one: as many as it could have
    /// let in itself at once.
    std::size_t believed_max = 64;
    std::size_t pages_ahead = 64;     ///< asked for and not here yet
    std::size_t verified_at_once = 8; ///< documents; two signatures each
    std::size_t taken_at_once = 128;
    std::size_t reports_at_once = 12;
    duration patience = 3s; ///< with one who says nothing
    /// With one who says little, in all; and so much more for each page, which
    /// a megabit per second is enough for.
    duration patience_in_all = 60s;
    duration patience_per_page = 200ms;
    duration one_witness = 3s; ///< then one must do
    duration no_witness = 15s; ///< then the giver's word must do
    duration dial_interval = 1s;
    std::size_t dials_at_once = 4;
    std::size_t dials_max = 64;
    duration unconfirmed_for = 600s; ///< a second who names it is awaited
  };
  static constexpr std::size_t witnesses_wanted = 2;

  /// All borrowed; they outlive this. `random` picks whom to ask.
  joiner(const node_id& self, const mesh_id& mesh, verifier& verify,
         random_source& random, limits l);

  [[nodiscard]] bool active() const noexcept { return phase_ != phase::idle; }
  /// Members are handed over: who observes whom is looked at when all are here.
  [[nodiscard]] bool taking() const noexcept { return phase_ == phase::taking; }
  [[nodiscard]] join_progress_view progress() const noexcept;
  /// Whoever gives the members; none while nobody does.
  [[nodiscard]] const node_id& giver() const noexcept;

  /// Joins at `giver`, a linked member that says it knows so many; zero: it
  /// doesn't say. Ignored while active.
  void begin(const node_id& giver, std::size_t members, time_point now,
             join_orders& out);
  void on_page(const node_id& from, const page_message& m, time_point now,
               join_orders& out);
  void on_roll(const node_id& from, const roll_message& m, time_point now,
               join_orders& out);
  /// Does a share of the work. `linked`: the members with a link now.
  void step(const std::vector<node_id>& linked, time_point now,
            join_orders& out);
  /// When `step` is to be called; long ago: at once; never: not at all.
  [[nodiscard]] time_point deadline() const noexcept;

  /// That `by` names a member, after the joining. @returns true if it is the
  /// second one: then the member counts, whoever sponsors it, once its record
  /// proves genuine. Then call `counts`.
  [[nodiscard]] bool second_names(const node_id& by, const node_id& member,
                                  time_point now) const;
  void counts(const node_id& member, time_point now);
  [[nodiscard]] std::size_t unconfirmed() const noexcept {
    return unconfirmed_.size();
  }

private:
  enum class phase : std::uint8_t { idle, paging, comparing, again, taking };
  /// Somebody who gives pages: the giver all, a witness those of some ranges.
  struct teller {
    node_id node;
    std::optional<range_set> ranges;
    std::set<std::uint32_t> asked;
    std::set<std::uint32_t> twice; ///< may come twice
    bool again = false;            ///< asked so since the last page
    std::uint32_t next = 0;
    std::optional<std::uint32_t> total;
    std::uint32_t expected = 1; ///< before the first page says
    time_point heard_at{};
    time_point begun_at{};
    std::optional<range_hashes> roll; ///< of a witness
    teller(const node_id& who, std::uint32_t members, time_point now)
        : node{who}, expected{members}, heard_at{now} {}
    [[nodiscard]] bool complete() const {
      return total && asked.empty() && *total <= next;
    }
  };
  struct candidate {
    member_document document;
    std::uint8_t named = 0; ///< a bit per source
  };
  struct unverified {
    member_document document;
    std::uint8_t source = 0;
  };

  [[nodiscard]] time_point patient_until(const teller& s) const;
  [[nodiscard]] time_point again_at(const teller& s) const;
  static void ask_again(teller& s, join_orders& out);
  void ask_on(teller& s, time_point now, join_orders& out);
  void give_up(std::size_t source, const char* why, join_orders& out);
  void choose_giver(const std::vector<node_id>& linked, time_point now,
                    join_orders& out);
  void look_for_witnesses(const std::vector<node_id>& linked, time_point now,
                          join_orders& out);
  void verify_some(join_orders& out);
  void compare(time_point now, join_orders& out);
  void begin_comparing(time_point now);
  void begin_taking();
  void take_some(time_point now, join_orders& out);
  [[nodiscard]] std::size_t rolls() const;
  [[nodiscard]] bool pages_complete() const;
  void reset();

  node_id self_;
  mesh_id mesh_;
  verifier& verify_;
  random_source& random_;
  limits limits_;

  phase phase_ = phase::idle;
  std::vector<teller> sources_; ///< the giver, then witnesses
  std::deque<unverified> queue_;
  std::unordered_map<node_id, candidate> found_;
  std::vector<node_id> order_; ///< of `found_`, as they came
  std::vector<report> reports_;
  std::uint64_t salt_ = 0;
  std::map<node_id, time_point> rolls_asked_;
  std::set<node_id> refused_; ///< as giver or witness
  time_point dial_at_{};
  std::size_t dials_ = 0;
  time_point comparing_since_{};
  std::size_t at_ = 0; ///< how far taking has come
  join_done result_;

  struct lone {
    node_id by;
  };
  std::unordered_map<node_id, lone> unconfirmed_;
  time_point unconfirmed_until_{};
};

} // namespace banyan::net
