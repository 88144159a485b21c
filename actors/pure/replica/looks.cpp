// Looks: queries of the runtime's own, which no app code runs for. `_state`
// shows an actor's stored state, `_watch` the next one, `_ls` which actors
// there are. They are answered when the app is parked or stopped, too.
#include "actors/pure/replica/impl.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t watches_max = 1024; ///< of a group
constexpr std::size_t listed_max = 1000;

} // namespace

std::optional<replica_core::impl::look>
replica_core::impl::look_named(std::string_view command) {
  if (command == look_state)
    return look::state;
  if (command == look_watch)
    return look::watch;
  if (command == look_list)
    return look::list;
  return std::nullopt;
}

void replica_core::impl::on_look(std::uint64_t call, request_frame& r,
                                 time_point now) {
  query q;
  const auto what = look_named(r.command);
  if (!what)
    return answer(call, reply_status::not_found,
                  "no query has that name: names with a leading underscore are "
                  "the runtime's");
  q.what = *what;
  if (!read_look(q, r.argument))
    return answer(call, reply_status::invalid_argument,
                  "the argument of " + r.command + " makes no sense");
  if (q.what == look::watch && watching_ >= watches_max)
    return answer(call, reply_status::overloaded, "too many watch this group");
  if (q.what == look::watch && r.max_staleness)
    return answer(call, reply_status::invalid_argument,
                  "a watch is the leader's: it can't be stale");
  admit_query(call, std::move(q), r, now);
}

bool replica_core::impl::read_look(query& q, const bytes& argument) const {
  reader in{argument};
  switch (q.what) {
  case look::none:
  case look::state:
    return argument.empty();
  case look::watch:
    if (argument.empty())
      return true;
    q.after = log_index{in.uint()};
    return in.done();
  case look::list:
    break;
  }
  in.require(in.array(3) == 3);
  q.prefix = in.text(actor_key_bytes_max);
  q.behind = in.text(actor_key_bytes_max);
  q.limit = in.uint(listed_max);
  return in.done() && q.limit > 0;
}

/// Its row is here: the next flush answers it.
void replica_core::impl::look_ready(run& r) {
  r.launched = true;
  looks_due_.push_back(r.key.number);
}

void replica_core::impl::answer_looks(time_point now) {
  for (const auto number : std::exchange(looks_due_, {})) {
    const auto at = runs_.find(number);
    if (at == runs_.end())
      continue;
    auto& r = *at->second;
    auto& q = queries_.at(r.owner);
    const auto version = version_of(r);
    const auto state = known(r, replica::actor_row(r.actor));
    end_run(number);
    if (q.what == look::watch && q.after && version <= *q.after) {
      watches_.emplace(q.actor, q.id);
      continue;
    }
    bytes result;
    writer w{result};
    w.array(2).id(version);
    if (state && state->value)
      w.blob(state->value->view());
    else
      w.nil();
    finish_look(q, std::move(result), version, now);
  }
}

void replica_core::impl::finish_look(query& q, bytes result, log_index version,
                                     time_point now) {
  q.version = version;
  q.reply.result = std::move(result);
  q.reply.term = raft_->term();
  q.reply.index = version;
  q.done = true;
  if (q.version > committed_) {
    gate_item item;
    item.query_id = q.id;
    gate_[q.version].push_back(std::move(item));
  }
  try_answer(q, now);
}

// ---- watches ----------------------------------------------------------------

/// An entry of this actor is committed: whoever watches it looks again.
void replica_core::impl::wake_watches(const std::string& actor) {
  std::vector<std::uint64_t> ids;
  const auto [from, to] = watches_.equal_range(actor);
  for (auto i = from; i != to; ++i)
    ids.push_back(i->second);
  watches_.erase(from, to);
  for (const auto id : ids)
    begin_query(queries_.at(id));
}

void replica_core::impl::forget_watch(const query& q) {
  const auto [from, to] = watches_.equal_range(q.actor);
  for (auto i = from; i != to; ++i)
    if (i->second == q.id) {
      watches_.erase(i);
      return;
    }
}

// ---- lists ------------------------------------------------------------------

void replica_core::impl::scan_list(query& q, bytes from) {
  order_scan scan;
  scan.order = next_order();
  scan.request.prefix = replica::actor_row(q.prefix);
  scan.request.from = from;
  scan.request.rows_max = q.limit + 1;
  read_wait w;
  w.list = q.id;
  w.key = std::move(from);
  reads_[scan.order.number] = std::move(w);
  out_.emplace_back(std::move(scan));
}

void replica_core::impl::begin_list(query& q) {
  auto from = replica::actor_row(std::max(q.prefix, q.behind));
  if (!q.behind.empty() && q.behind >= q.prefix)
    from.push_back(0); // the first key behind it
  scan_list(q, std::move(from));
}

/// The page's actors, with what the overlay knows of that stretch.
void replica_core::impl::on_list_page(const read_wait& w,
                                      const store::scan_page& page,
                                      time_point now) {
  const auto at = queries_.find(w.list);
  if (at == queries_.end())
    return;
  auto& q = at->second;
  if (!page.damaged.empty()) {
    answer(q.call, reply_status::overloaded, "a damaged row is being put back");
    return drop_query(q.id);
  }
  const auto prefix = replica::actor_row(q.prefix);
  const auto in_stretch = [&](const_bytes key) {
    return !(key < const_bytes{w.key}) && key.size() >= prefix.size()
           && key.first(prefix.size()) == const_bytes{prefix}
           && (page.next.empty() || key < const_bytes{page.next});
  };
  std::map<bytes, bool> rows; // whether it is there
  for (const auto& row : page.rows)
    if (in_stretch(row.key))
      rows[row.key] = true;
  overlay_.each_actor([&](const store::row_change& row, log_index index) {
    if (!in_stretch(row.key))
      return;
    rows[row.key] = row.value.has_value();
    q.version = std::max(q.version, index);
  });
  for (const auto& [key, there] : rows) {
    if (!there)
      continue;
    if (q.listed.size() >= q.limit)
      return end_list(q, true, now);
    q.listed.push_back(to_text(const_bytes{key}.from(1)));
  }
  if (page.next.empty())
    return end_list(q, false, now);
  scan_list(q, page.next);
}

void replica_core::impl::end_list(query& q, bool more, time_point now) {
  bytes result;
  writer w{result};
  w.array(2).array(q.listed.size());
  for (const auto& key : q.listed)
    w.text(key);
  w.boolean(more);
  finish_look(q, std::move(result), q.version, now);
}

} // namespace banyan
