#include "sim/planted.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace banyan::test {
namespace {

constexpr std::array suites{
    suite{"raft", "raft_simulation.*"},
    suite{"raft transcripts", "raft_transcripts.all", false},
    suite{"replica", "replica_simulation.acknowledged_*"},
    suite{"replica rules",
          "replica_rules.*:replica_changes.*:replica_gate.*:"
          "replica_completions.*",
          false},
    suite{"damage rules", "replica_damage.*:replica_checkpoints.*", false},
    suite{"node", "planted_node.*"},
    suite{"memory", "memory.*", false},
    suite{"nodes", "nodes.*", false},
    suite{"membership",
          "counting.*:reports.*:record_rule.*:records.*:incarnations.*:"
          "resurrection.*",
          false},
    suite{"links", "OneLink.*", false},
    suite{"log crashes", "*log_model.power_cut*", false},
    suite{"rows", "lmdb.a_flipped_bit_*:lmdb.a_swapped_row_*", false},
    suite{"installs", "damage_contract/*.a_staged_install_*", false},
};

#define ROW(bug, ...)                                                          \
  {                                                                            \
    planted_bug::bug, #bug, {                                                  \
      __VA_ARGS__                                                              \
    }                                                                          \
  }

} // namespace

const suite& suite_of(std::string_view name) {
  const auto at = std::find_if(suites.begin(), suites.end(),
                               [&](const suite& s) { return s.name == name; });
  if (at == suites.end())
    throw std::runtime_error{"no such suite: " + std::string{name}};
  return *at;
}

const std::vector<planted_row>& planted_table() {
  static const std::vector<planted_row> table{
      ROW(forget_the_vote_on_restart, finder{"raft transcripts"}),
      ROW(vote_twice_in_a_term, finder{"node", 1}, finder{"raft", 4}),
      ROW(vote_for_a_shorter_log, finder{"raft", 1}),
      ROW(vote_before_it_is_synced, finder{"raft transcripts"}),
      ROW(no_pre_vote, finder{"raft transcripts"}),
      ROW(no_check_quorum, finder{"raft transcripts"}),
      ROW(take_messages_of_an_older_term, finder{"node", 1}, finder{"raft", 1}),
      ROW(append_without_term_check, finder{"raft", 18}),
      ROW(truncate_without_conflict, finder{"raft", 1}),
      ROW(acknowledge_before_sync, finder{"node", 2}, finder{"raft", 4},
          finder{"raft transcripts"}),
      ROW(leader_counts_its_unsynced_log, finder{"node", 2}, finder{"raft", 10},
          finder{"raft transcripts"}),
      ROW(commit_old_term_by_counting, finder{"raft transcripts"}),
      ROW(commit_beyond_what_matches, finder{"node", 4}, finder{"raft", 4}),
      ROW(count_learners, finder{"raft", 35}, finder{"raft transcripts"}),
      ROW(skip_the_outgoing_majority, finder{"raft transcripts"}),
      ROW(read_joins_a_running_round, finder{"raft", 11},
          finder{"raft transcripts"}),
      ROW(answers_of_any_round_count, finder{"raft transcripts"}),
      ROW(beats_count_as_read_acknowledgements, finder{"raft transcripts"}),
      ROW(read_before_own_term_commit, finder{"raft", 22}),
      ROW(miss_a_restarted_leader, finder{"raft transcripts"}),
      ROW(turn_on_applied_state, finder{"node", 1}, finder{"replica", 1}),
      ROW(turn_runs_twice, finder{"node", 1}, finder{"replica", 1}),
      ROW(host_result_of_another_term, finder{"replica rules"}),
      ROW(reply_before_commit, finder{"node", 1}, finder{"replica", 10},
          finder{"replica rules"}),
      ROW(rejection_before_commit, finder{"replica rules"}),
      ROW(duplicate_answered_before_commit, finder{"node", 28},
          finder{"replica rules"}),
      ROW(query_of_uncommitted_state, finder{"node", 3},
          finder{"replica rules"}),
      ROW(send_before_commit, finder{"replica rules"}),
      ROW(timer_before_commit, finder{"replica rules"}),
      ROW(keep_the_uncommitted_on_step_down, finder{"node", 1},
          finder{"replica", 45}, finder{"replica rules"}),
      ROW(forget_answers_of_sessions, finder{"replica", 1}),
      ROW(run_again_behind_the_window, finder{"replica rules"}),
      ROW(take_a_message_twice, finder{"node", 1}, finder{"replica", 1}),
      ROW(forget_timers_on_take_over, finder{"replica rules"}),
      ROW(log_completion_of_another_life, finder{"replica rules"}),
      ROW(state_completion_of_another_order, finder{"replica rules"}),
      ROW(store_the_index_ahead_of_its_rows, finder{"node", 1},
          finder{"replica", 1}),
      ROW(cut_the_log_before_the_state_is_stored, finder{"replica", 1}),
      ROW(snapshot_without_sessions, finder{"replica", 1}),
      ROW(snapshot_without_outbox, finder{"replica rules"}),
      ROW(snapshot_without_its_tail, finder{"replica rules"}),
      ROW(pending_state_serves, finder{"node", 1}, finder{"damage rules"}),
      ROW(quarantine_without_majority, finder{"damage rules"}),
      ROW(switch_to_a_snapshot_that_does_not_add_up, finder{"installs"}),
      ROW(mend_from_a_state_behind, finder{"damage rules"}),
      ROW(complete_before_sync, finder{"node", 1}, finder{"log crashes"}),
      ROW(serve_a_bad_row, finder{"rows"}),
      ROW(dead_come_back_unasked, finder{"node", 1}, finder{"membership"}),
      ROW(lower_incarnation_of_a_record, finder{"membership"}),
      ROW(lower_incarnation_of_a_link, finder{"links"}),
      ROW(wiped_replica_keeps_its_id, finder{"nodes"}),
      ROW(damaged_log_is_taken_as_it_is, finder{"node", 1}, finder{"nodes"}),
      ROW(copied_directory_votes_on, finder{"memory"}),
      ROW(left_out_and_silent, finder{"nodes"}),
      ROW(rolled_back_voter_counts, finder{"nodes"}),
  };
  return table;
}

} // namespace banyan::test
