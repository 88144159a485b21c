#include "sim/calls.hpp"

#include "base/codec.hpp"

namespace banyan::sim {
namespace {

using kind = operation::kind;
constexpr std::size_t text_max = std::size_t{1} << 20;

const char* command_of(kind k) {
  static constexpr const char* names[] = {
      "add",    "get", "deposit", "withdraw", "transfer", "balance", "put",
      "append", "cas", "delete",  "get",      "append",   "read",    "forward"};
  return names[static_cast<std::size_t>(k)];
}

void write_argument(const operation& o, bytes& out) {
  writer w{out};
  switch (o.what) {
  case kind::add:
    w.map(1).text("n").sint(o.number);
    return;
  case kind::deposit:
  case kind::withdraw:
    w.map(1).text("cents").sint(o.number);
    return;
  case kind::transfer:
    w.map(2).text("cents").sint(o.number).text("to").text(o.to);
    return;
  case kind::put:
  case kind::extend:
    w.map(1).text("value").text(o.text);
    return;
  case kind::swap:
    w.map(2).text("expect");
    if (o.expected)
      w.text(*o.expected);
    else
      w.nil();
    w.text("value").text(o.text);
    return;
  case kind::append:
    w.map(1).text("value").sint(o.number);
    return;
  case kind::forward:
    w.map(2).text("to").text(o.to).text("value").sint(o.number);
    return;
  default:
    w.nil();
  }
}

} // namespace

bool operation::query() const {
  return what == kind::get || what == kind::balance || what == kind::look
         || what == kind::read;
}

std::string operation::app() const {
  if (what <= kind::get)
    return "counter";
  if (what <= kind::balance)
    return "ledger";
  return what <= kind::look ? "kv" : "list";
}

call_request request_for(const operation& o, duration deadline) {
  call_request q;
  q.app = o.app();
  q.key = o.key;
  q.command = command_of(o.what);
  q.deadline = deadline;
  q.kind = o.query() ? request_kind::query : request_kind::command;
  if (o.stale)
    q.max_staleness = age_max;
  if (!o.id.empty())
    q.identity = idempotency_request{o.id};
  write_argument(o, q.argument);
  return q;
}

std::optional<answer> read_answer(const operation& o, const_bytes result) {
  reader r{result};
  answer out;
  switch (o.what) {
  case kind::put:
  case kind::extend:
  case kind::erase:
    r.nil();
    break;
  case kind::swap:
    out.yes = r.boolean();
    break;
  case kind::look:
    if (r.peek() == reader::kind::nil)
      r.nil();
    else
      out.text = std::string{r.text(text_max)};
    break;
  case kind::append:
  case kind::read: {
    const auto n = r.array(text_max);
    for (std::size_t i = 0; i < n && r.ok(); ++i)
      out.list.push_back(r.sint());
    break;
  }
  default:
    out.number = r.sint();
  }
  if (!r.done())
    return std::nullopt;
  return out;
}

effect effect_of(reply_status s, bool query) {
  switch (s) {
  case reply_status::ok:
  case reply_status::rejected:
    return effect::took;
  case reply_status::app_failed: // a typed error: nothing took effect
  case reply_status::poisoned:
  case reply_status::overloaded:
  case reply_status::no_quorum:
  case reply_status::parked:
  case reply_status::deadline:
  case reply_status::disk_full:
  case reply_status::not_found:
    return effect::none;
  case reply_status::invalid_argument:
  case reply_status::too_large:
  case reply_status::conflict:
  case reply_status::expired:
  case reply_status::unauthorized:
  case reply_status::forbidden:
  case reply_status::stopped:
    return effect::wrong;
  default:
    return query ? effect::none : effect::unclear;
  }
}

} // namespace banyan::sim
