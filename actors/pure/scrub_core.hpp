#pragma once
#include "base/result.hpp"
#include "base/time.hpp"
#include "store/log.hpp"
#include "store/state.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace banyan {

struct scrub_config {
  std::uint64_t bytes_per_second = std::uint64_t{8} << 20;
  /// From one pass of its own accord to the next; the first comes that long
  /// after the start, which reads everything anyway.
  duration interval = std::chrono::hours{24};
  std::size_t piece_bytes = std::size_t{256} << 10;
  /// How long a pass waits at its end for what it found to be mended, since
  /// the last that was.
  duration mend_patience = std::chrono::seconds{30};
  duration look_interval = std::chrono::milliseconds{100};
  /// How long it waits if only comparisons are missing: nobody may lead a
  /// group. Each is asked for again after `compare_again`: its leader may have
  /// changed.
  duration compare_patience = std::chrono::seconds{10};
  duration compare_again = std::chrono::seconds{2};
};

/// A replica of this node, as the scrub has to know it.
struct scrubbed_replica {
  replica_id id;
  bool whole = false;        ///< its state can be relied upon
  std::uint64_t lost = 0;    ///< how often its state was lost, since its start
  std::uint64_t rebuilt = 0; ///< how often it was rebuilt
  std::size_t rows_damaged = 0; ///< found, not yet mended
  log_index checkpoint;         ///< the last that its state was compared at
};

/// @name What the shell must do
/// @{
/// For `store::state::scrub`; comes back by `on_state_piece`.
struct scrub_state_piece {
  std::uint64_t number = 0;
  group_id group;
  bytes from;
  std::size_t bytes_max = 0;
};
/// For `store::log::scrub`; comes back by `on_log_piece`.
struct scrub_log_piece {
  std::uint64_t number = 0;
  store::log_place from;
  std::size_t bytes_max = 0;
};
/// For the group's replica: fetch this row (a scan key) from another voter.
struct scrub_row_damaged {
  group_id group;
  bytes key;
};
/// For the group's replica: its rows don't add up to their digest.
struct scrub_state_wrong {
  group_id group;
};
/// This node's log of the group is damaged: give the replica up, if the others
/// are enough. Given again until it is another replica.
struct scrub_log_damaged {
  group_id group;
  replica_id id;
};
/// Have the group's states compared.
struct scrub_compare {
  group_id group;
};
/// Say by `on_replica` how these stand.
struct scrub_look {
  std::vector<group_id> groups;
};
using scrub_effect = std::variant<scrub_state_piece, scrub_log_piece,
                                  scrub_row_damaged, scrub_state_wrong,
                                  scrub_log_damaged, scrub_compare, scrub_look>;
using scrub_effects = std::vector<scrub_effect>;
/// @}

/// What a pass has read, found and seen mended.
struct scrub_report {
  enum class phase : std::uint8_t { idle, reading, mending, done };
  phase now = phase::idle; ///< idle: no pass since the start
  std::uint64_t pass = 0;  ///< counts from 1
  time_point began{};
  time_point ended{}; ///< done only
  std::uint64_t groups = 0;
  std::uint64_t groups_read = 0;
  std::uint64_t rows = 0;
  std::uint64_t state_bytes = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t rows_damaged = 0;
  std::uint64_t rows_mended = 0;
  std::uint64_t states_wrong = 0; ///< by their own sum, or by the majority's
  std::uint64_t states_rebuilt = 0;
  std::uint64_t logs_damaged = 0; ///< of groups
  std::uint64_t logs_replaced = 0;
  std::uint64_t digests_compared = 0; ///< of groups, with other voters
  /// For people; the first `findings_max`.
  std::vector<std::string> findings;
  static constexpr std::size_t findings_max = 100;

  /// What was found and isn't mended yet.
  [[nodiscard]] std::uint64_t open() const {
    return (rows_damaged - rows_mended) + (states_wrong - states_rebuilt)
           + (logs_damaged - logs_replaced);
  }
};

/// Decides what of this node's disk is re-read when, and keeps the account of
/// what that finds (DESIGN section 7: only the scrub sees rot at rest). One
/// piece at a time, at a bounded rate: every row of every group with a replica
/// here, then the log; then it watches until what was found is mended.
///
/// Pure: time comes in, effects go out as data. Answers to another number than
/// the piece that is out count for nothing.
class scrub_core {
public:
  /// `seed`: this node's own, so that the nodes of a mesh that started at once
  /// don't read, and find, at once. It makes the interval up to an eighth
  /// longer.
  scrub_core(scrub_config config, time_point now, std::uint64_t seed = 0);

  /// A pass now; joins one that runs.
  void ask(time_point now);
  /// Call at `deadline()` or later. `groups`: those with a replica here.
  void on_tick(const std::vector<group_id>& groups, time_point now,
               scrub_effects& out);
  void on_state_piece(std::uint64_t number,
                      const result<store::scrub_page, store::store_errc>& page,
                      time_point now, scrub_effects& out);
  void on_log_piece(std::uint64_t number, const store::log_scrub& piece,
                    time_point now, scrub_effects& out);
  /// Nothing: this node has no replica of the group now.
  void on_replica(const group_id& group,
                  const std::optional<scrubbed_replica>& r, time_point now);
  /// The group has all its replicas, and none is here any more: whatever was
  /// found damaged of it is mended, elsewhere.
  void on_moved(const group_id& group, time_point now);

  [[nodiscard]] time_point deadline() const noexcept { return due_; }
  [[nodiscard]] const scrub_report& report() const noexcept { return report_; }

private:
  struct target {
    std::optional<scrubbed_replica> first; ///< as the pass began
    std::optional<scrubbed_replica> last;
    std::uint64_t rows_damaged = 0;
    std::uint64_t rows_mended = 0;
    bool state_wrong = false;
    bool rebuilt = false;
    bool log_damaged = false;
    bool replaced = false;
    bool asked = false; ///< for a comparison
    bool compared = false;
    time_point asked_at{};
  };
  void begin(const std::vector<group_id>& groups, time_point now,
             scrub_effects& out);
  void read_next(time_point now, scrub_effects& out);
  void watch(time_point now, scrub_effects& out);
  void wait_for(std::uint64_t read, time_point now);
  void state_is_wrong(const group_id& group, target& t, const std::string& why);
  void note(std::string finding);
  [[nodiscard]] bool mended() const;
  [[nodiscard]] bool compared() const;

  scrub_config config_;
  scrub_report report_;
  std::map<group_id, target> targets_;
  std::vector<group_id> order_;
  std::size_t at_ = 0; ///< in `order_`; at its end comes the log
  bytes from_;
  store::log_place log_from_;
  bool log_read_ = false;
  std::uint64_t number_ = 0;
  bool out_ = false; ///< a piece is out
  bool wanted_ = false;
  time_point progress_{}; ///< of mending
  time_point next_pass_;
  time_point due_;
};

} // namespace banyan
