#pragma once
#include "actors/pure/replica_wire.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

namespace banyan {

/// A call of a stateless app, to be made by the router; its end comes back with
/// the token.
struct sent_call {
  std::uint64_t token = 0;
  app_id to;
  std::string app; ///< as the sender named it
  std::string key;
  std::string command;
  bytes argument;
};
/// What this node knows of the app that a call names.
struct called_app {
  bool contested = false;   ///< two apps bear the name
  std::optional<app_id> is; ///< who bears it now; none: nobody
  duration turn_time_max{}; ///< by its spec
};
/// For the group that sent, on this node: how far its messages are done with.
struct sent_done {
  stream_frame ack;
};
/// Likewise: answers, to be taken in order (`replica_core::on_answers`).
struct sent_answers {
  stream_frame frame;
};
using sent_effect = std::variant<sent_call, sent_done, sent_answers>;

/// What actors send to stateless apps: the messages of the outboxes of groups
/// that are led on this node, made into calls of any instance. Stands where a
/// receiving group stands for other streams, and keeps nothing: the outbox
/// does, until a message is acknowledged here. Pure; one per node.
///
/// - A message is called at least once: again with each leader of its group,
///   and when the outbox sends it again while there is no answer that lasts (no
///   instance, overloaded, out of time). So it never expires, and its retries
///   are the outbox's: 200 ms to 5 s apart.
/// - Whatever the app or its absence says for good is an answer: `rejected`,
///   `not_found`, `app_failed`, ... The stream goes on.
/// - First in first out per sender and receiver: of one actor's messages to one
///   key the next is called once the one before is answered. Others are called
///   meanwhile, `at_once_max` of a stream.
/// - The answer for `on_reply` takes effect exactly once: it has its message's
///   number, which the group keeps by the entry that takes it. Answers go to
///   the group in order, and the next ones once it has taken those; a message
///   is acknowledged when its answer is taken.
class sent_calls {
public:
  static constexpr std::size_t at_once_max = 32;
  static constexpr std::size_t answers_bytes = std::size_t{256} << 10;

  using effects = std::vector<sent_effect>;

  /// Messages of an outbox here.
  void on_messages(const stream_frame& f, effects& out);
  /// The group took answers, up to the one that is acknowledged.
  void on_taken(const stream_frame& ack, effects& out);
  /// The end of a call; one that nobody waits for is dropped.
  void on_reply(std::uint64_t token, reply r, effects& out);
  /// The group has another leader, or leads anew: what it sent comes again.
  void forget(const group_id& sender);

  /// How a call ends that isn't to be made; nothing: it is made. An app that
  /// was removed, or whose name another one bears now, is an answer for good.
  /// While two apps bear the name none is served: the message waits until their
  /// owner removed one.
  [[nodiscard]] static std::optional<reply> refusal(const sent_call& c,
                                                    const called_app& app);
  /// How long a call may take: those that go at once may be run one by one, and
  /// who gave up sooner would have them run twice. At most an hour.
  [[nodiscard]] static duration patience(const called_app& app);

  [[nodiscard]] std::size_t under_way() const { return calls_.size(); }

private:
  /// Source group, its lineage, the app's only group.
  using stream_id = std::tuple<group_id, lineage_id, group_id>;
  struct sent {
    stream_message message;
    std::uint64_t token = 0; ///< of its call; 0: none is under way
    bool due = true;         ///< to be called, again or at all
    bool done = false;
    bytes answer; ///< as `reply_argument` makes it, if one is wanted
  };
  struct stream {
    std::map<std::uint64_t, sent> messages; ///< above `done`
    std::uint64_t done = 0;                 ///< all up to it
    std::uint64_t taken = 0;                ///< answers up to it
    std::uint64_t offered = 0; ///< answers up to it are at the group; 0: none
  };

  void start(const stream_id& id, stream& s, effects& out);
  static void settle(const stream_id& id, stream& s, bool again, effects& out);

  std::map<stream_id, stream> streams_;
  std::unordered_map<std::uint64_t, std::pair<stream_id, std::uint64_t>> calls_;
  std::uint64_t next_ = 0;
};

} // namespace banyan
