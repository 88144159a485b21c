#pragma once
#include "base/codec.hpp"
#include "base/result.hpp"
#include "store/types.hpp"

#include <variant>
#include <vector>

namespace banyan::raft {

/// May I stand? Asked before a campaign, in the sender's present term: changes
/// nothing at anybody. `campaign` is random and comes back in the answer, so
/// that an answer to an earlier life or round counts for nothing.
struct pre_vote {
  std::uint64_t campaign = 0;
  banyan::term next_term; ///< the term of the campaign that would follow
  log_index last_index;
  banyan::term last_term;
};
struct pre_vote_answer {
  std::uint64_t campaign = 0;
  bool granted = false;
};
struct vote {
  std::uint64_t campaign = 0;
  log_index last_index;
  banyan::term last_term;
};
struct vote_answer {
  std::uint64_t campaign = 0;
  bool granted = false;
};
struct append {
  log_index prev_index;
  banyan::term prev_term;
  log_index committed;
  std::vector<log_entry> entries; ///< consecutive, from prev_index + 1
};
/// Accepted: everything up to `index` is durable here and equal to the
/// leader's. Refused: the entry at `index` (the `prev_index`) does not fit, and
/// nothing behind `hint_index`, whose term is `hint_term`, can.
struct append_answer {
  log_index index;
  bool refused = false;
  log_index hint_index;
  banyan::term hint_term;
};
/// "I lead": keeps election timers quiet while nothing is appended.
struct beat {
  log_index committed; ///< never above what the receiver is known to hold
};
struct beat_answer {};
/// A ReadIndex round: do you still follow me in this term?
struct round_question {
  std::uint64_t round = 0;
};
struct round_answer {
  std::uint64_t round = 0;
};
/// A follower asks the leader to confirm its quorum (for `stale` queries).
struct confirm_question {
  std::uint64_t number = 0;
};
struct confirm_answer {
  std::uint64_t number = 0;
  log_index index; ///< what was committed when the confirmed round was sent
};
/// Leadership transfer: campaign now.
struct timeout_now {};
/// A leader that stops leading says so before anything else.
struct stopped_leading {
  banyan::term led;    ///< the term that it led
  bool handed = false; ///< a voter was asked to stand in its place
};
/// Do you still lead? Answered by a beat, or by `stopped_leading`.
struct probe {};
/// The leader has nothing to do: no beats from now on. Accepted only by a
/// replica that holds and knows as committed the whole log.
struct sleep {
  log_index last;
  banyan::incarnation incarnation; ///< of the leader's node
};
struct sleep_answer {};
/// "There is no such replica here": the addressed replica id, echoed.
struct no_such_replica {
  replica_id asked;
};

using message_body =
    std::variant<pre_vote, pre_vote_answer, vote, vote_answer, append,
                 append_answer, beat, beat_answer, round_question, round_answer,
                 confirm_question, confirm_answer, timeout_now, stopped_leading,
                 probe, sleep, sleep_answer, no_such_replica>;

/// One Raft message. Group and lineage are in the caller's envelope.
struct message {
  replica_ref from;
  replica_ref to;
  banyan::term term; ///< the sender's; zero in `no_such_replica`
  message_body body;
};

/// Limits of what is accepted from the wire, checked before any allocation.
inline constexpr std::size_t append_entries_max = 4096;
inline constexpr std::size_t entry_bytes_max = 16u << 20;

/// Encodes everything but the two node ids, which the link proves.
void encode(writer& out, const message& m);
bytes encode(const message& m);

enum class decode_errc : std::uint8_t {
  malformed = 1, ///< Not one message in canonical form within the limits.
};
/// `far` is the node that the link has proved, `self` is this node. Entries'
/// data is copied out of `in`. An unknown kind of message is malformed: new
/// kinds are only sent to those who said that they know them.
result<message, decode_errc> decode_message(const_bytes in, const node_id& far,
                                            const node_id& self);

/// The answer to a message for a replica that this node lacks; the shell sends
/// it when it has no core for the group at all. Never an answer to itself.
message no_such_replica_answer(const message& to);

/// A word for logs and transcripts.
const char* name_of(const message_body& body);

} // namespace banyan::raft
