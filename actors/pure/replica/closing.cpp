// A group that is closed: being restored, or removed and kept. And one that
// goes on alone after a majority was lost.
#include "actors/pure/replica/impl.hpp"
#include "base/codec.hpp"

namespace banyan {
namespace {

constexpr std::size_t load_entries_max = 100'000;

/// What a restore may write: an actor's rows, timers and messages, or the
/// answer that an idempotency key gets. Nothing that names a session, a stream
/// or a timer of the life before.
bool may_be_loaded(const replica::entry& e) {
  const auto* turn = std::get_if<replica::turn_entry>(&e.body);
  return turn != nullptr
         && (std::holds_alternative<std::monostate>(turn->by)
             || std::holds_alternative<replica::by_idempotency>(turn->by))
         && !turn->removed && turn->cancelled.empty()
         && turn->idempotency_floor == log_index{};
}

} // namespace

void replica_core::impl::set_closed(bool closed, time_point now) {
  if (std::exchange(config_.closed, closed) == closed || closed || !raft_
      || failed_ || !leading_)
    return;
  sender_.reset(); // nothing was sent that waits for an answer
  pump_streams(now);
}

void replica_core::impl::on_load(std::uint64_t call, const request_frame& r,
                                 time_point now) {
  if (!config_.closed)
    return answer(call, reply_status::conflict,
                  "the app is open: nothing can be loaded into it");
  if (log_full_)
    return answer(call, reply_status::disk_full);
  reader in{r.argument};
  std::vector<replica::entry> entries;
  const auto n = in.array(load_entries_max);
  for (std::size_t i = 0; i < n && in.ok(); ++i) {
    auto& e = entries.emplace_back();
    in.require(replica::decode(in.blob(load_bytes_max), e) && may_be_loaded(e));
  }
  if (!in.done() || entries.empty())
    return answer(call, reply_status::invalid_argument,
                  "these are no entries that a restore may write");
  std::optional<log_index> last;
  const auto began = log_time(now);
  for (auto& e : entries) {
    auto& turn = std::get<replica::turn_entry>(e.body);
    for (auto& t : turn.timers)
      t.value.due += began; // what was left of it
    last = propose(std::move(turn), now);
    if (!last)
      return answer(call, reply_status::overloaded,
                    "not all of it fits the log's next write: repeat it");
  }
  gate_item item;
  item.call = call;
  item.direct = reply_of({}, *last);
  gate_[*last].push_back(std::move(item));
}

void replica_core::impl::recover(const lineage_id& lineage, time_point now) {
  if (!raft_ || failed_)
    return;
  abandon_install();
  while (!offers_.empty())
    drop_offer(offers_.begin()->first);
  config_.lineage = lineage;
  raft_->recover(now);
}

} // namespace banyan
