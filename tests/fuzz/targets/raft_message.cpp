// Raft messages and configurations, as they come in a group frame.
#include "store/raft/configuration.hpp"
#include "store/raft/messages.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

const node_id far{std::array<std::uint8_t, 32>{1}};
const node_id self{std::array<std::uint8_t, 32>{2}};

void run(const_bytes in) {
  if (const auto m = raft::decode_message(in, far, self); m.ok()) {
    BANYAN_ASSERT(m->from.node == far && m->to.node == self);
    if (const auto* a = std::get_if<raft::append>(&m->body)) {
      BANYAN_ASSERT(a->entries.size() <= raft::append_entries_max);
      auto index = a->prev_index;
      for (const auto& e : a->entries) {
        index = index.next();
        BANYAN_ASSERT(e.index == index);
        BANYAN_ASSERT(e.data.size() <= raft::entry_bytes_max);
      }
    }
    // Keys of a newer version are skipped, so it isn't canonical.
    const auto once = raft::encode(*m);
    const auto again = raft::decode_message(once, far, self);
    BANYAN_ASSERT(again.ok() && raft::encode(*again) == once);
    (void)raft::name_of(m->body);
    if (!std::holds_alternative<raft::no_such_replica>(m->body))
      (void)raft::no_such_replica_answer(*m);
  }
  raft::configuration c;
  if (raft::decode(in, c))
    BANYAN_ASSERT(c.valid());
  accepts_stable<raft::configuration>(
      in, [](const raft::configuration& v) { return raft::encode(v); },
      [](const_bytes b, raft::configuration& v) { return raft::decode(b, v); });
}

std::vector<bytes> seeds() {
  const replica_ref a{far, replica_id{std::array<std::uint8_t, 16>{1}}};
  const replica_ref b{self, replica_id{std::array<std::uint8_t, 16>{2}}};
  raft::append append{log_index{7}, term{2}, log_index{6}, {}};
  append.entries.push_back(
      {term{3}, log_index{8}, entry_kind::no_op, shared_bytes{}});
  append.entries.push_back({term{3}, log_index{9}, entry_kind::command,
                            shared_bytes{to_bytes("effects")}});
  const std::vector<raft::message_body> bodies{
      raft::pre_vote{99, term{4}, log_index{9}, term{3}},
      raft::pre_vote_answer{99, true},
      raft::vote{99, log_index{9}, term{3}},
      raft::vote_answer{99, false},
      append,
      raft::append_answer{log_index{9}, true, log_index{5}, term{2}},
      raft::beat{log_index{6}},
      raft::beat_answer{},
      raft::round_question{17},
      raft::round_answer{17},
      raft::confirm_question{18},
      raft::confirm_answer{18, log_index{9}},
      raft::timeout_now{},
      raft::stopped_leading{term{3}, true},
      raft::probe{},
      raft::sleep{log_index{9}, incarnation{5}},
      raft::sleep_answer{},
      raft::no_such_replica{b.replica}};
  std::vector<bytes> out;
  for (const auto& body : bodies)
    out.push_back(raft::encode(raft::message{
        a, b,
        std::holds_alternative<raft::no_such_replica>(body) ? term{} : term{3},
        body}));
  const auto node = [](std::uint8_t n) {
    return replica_ref{node_id{std::array<std::uint8_t, 32>{n}},
                       replica_id{std::array<std::uint8_t, 16>{n}}};
  };
  raft::configuration c;
  c.voters = {node(1), node(2), node(3)};
  out.push_back(raft::encode(c));
  c.outgoing = {node(1), node(2), node(4)};
  c.learners = {node(5)};
  c.learners_next = {node(4)};
  c.auto_leave = true;
  out.push_back(raft::encode(c));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(raft_message)
