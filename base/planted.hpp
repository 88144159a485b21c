#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Bugs that the code knows how to have, so that the tests can prove that they
/// would notice. Each stands as one condition at the place that it breaks, and
/// all are off: `planted(…)` is false in every process.
///
/// Only a test program switches one on, in its own process, by calling `plant`
/// (tests/sim/planted_test.cpp). No environment variable, option, file or
/// message leads there, so nothing reaches it in banyan-peer; scripts/layering
/// refuses a call outside tests/. A build without tests, or with
/// -DBANYAN_PLANTED_BUGS=OFF, has constant false in their place.
namespace banyan {

enum class planted_bug : std::uint8_t {
  none = 0,
  // Raft: votes and terms
  forget_the_vote_on_restart,
  vote_twice_in_a_term,
  vote_for_a_shorter_log,
  vote_before_it_is_synced,
  no_pre_vote,
  no_check_quorum,
  take_messages_of_an_older_term,
  // Raft: the log
  append_without_term_check,
  truncate_without_conflict,
  acknowledge_before_sync,
  leader_counts_its_unsynced_log,
  commit_old_term_by_counting,
  commit_beyond_what_matches,
  count_learners,
  skip_the_outgoing_majority,
  // Raft: queries and sleep
  read_joins_a_running_round,
  answers_of_any_round_count,
  beats_count_as_read_acknowledgements,
  read_before_own_term_commit,
  miss_a_restarted_leader,
  // replica: turns and answers
  turn_on_applied_state,
  turn_runs_twice,
  host_result_of_another_term,
  reply_before_commit,
  rejection_before_commit,
  duplicate_answered_before_commit,
  query_of_uncommitted_state,
  send_before_commit,
  timer_before_commit,
  keep_the_uncommitted_on_step_down,
  forget_answers_of_sessions,
  run_again_behind_the_window,
  take_a_message_twice,
  forget_timers_on_take_over,
  // replica: storage and snapshots
  log_completion_of_another_life,
  state_completion_of_another_order,
  store_the_index_ahead_of_its_rows,
  cut_the_log_before_the_state_is_stored,
  snapshot_without_sessions,
  snapshot_without_outbox,
  snapshot_without_its_tail,
  // damage
  pending_state_serves,
  quarantine_without_majority,
  switch_to_a_snapshot_that_does_not_add_up,
  mend_from_a_state_behind,
  // store
  complete_before_sync,
  serve_a_bad_row,
  // membership and links
  dead_come_back_unasked,
  lower_incarnation_of_a_record,
  lower_incarnation_of_a_link,
  // nodes
  wiped_replica_keeps_its_id,
  damaged_log_is_taken_as_it_is,
  copied_directory_votes_on,
  left_out_and_silent,
  rolled_back_voter_counts,
  count_,
};

constexpr std::size_t planted_bugs =
    static_cast<std::size_t>(planted_bug::count_) - 1;

#ifdef BANYAN_NO_PLANTED_BUGS
constexpr bool planted(planted_bug) noexcept {
  return false;
}
#else
namespace detail {
inline planted_bug planted_now = planted_bug::none;
} // namespace detail

/// For tests alone, before anything else runs in the process.
inline void plant(planted_bug b) noexcept {
  detail::planted_now = b;
}
inline bool planted(planted_bug b) noexcept {
  return detail::planted_now == b;
}
#endif

} // namespace banyan
