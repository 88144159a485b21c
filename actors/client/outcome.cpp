#include "actors/client/outcome.hpp"

namespace banyan {
namespace {

call_errc to_errc(reply_status s) {
  switch (s) {
  case reply_status::rejected:
    return call_errc::rejected;
  case reply_status::invalid_argument:
    return call_errc::invalid_argument;
  case reply_status::not_found:
    return call_errc::not_found;
  case reply_status::app_failed:
    return call_errc::app_failed;
  case reply_status::poisoned:
    return call_errc::poisoned;
  case reply_status::too_large:
    return call_errc::too_large;
  case reply_status::conflict:
    return call_errc::conflict;
  case reply_status::expired:
    return call_errc::expired;
  case reply_status::overloaded:
    return call_errc::overloaded;
  case reply_status::deadline:
    return call_errc::deadline;
  case reply_status::parked:
    return call_errc::parked;
  case reply_status::stopped:
    return call_errc::stopped;
  case reply_status::no_quorum:
    return call_errc::no_quorum;
  case reply_status::disk_full:
    return call_errc::disk_full;
  case reply_status::unauthorized:
    return call_errc::unauthorized;
  case reply_status::forbidden:
    return call_errc::forbidden;
  case reply_status::ok:
  case reply_status::unknown:
  case reply_status::not_leader:
  case reply_status::no_such_replica:
    break;
  }
  return call_errc::unknown;
}

} // namespace

detail::call_outcome outcome_of(reply r) {
  if (r.status == reply_status::ok)
    return std::move(r.result);
  auto e = make_error(to_errc(r.status), std::move(r.message));
  if (e.error == call_errc::rejected)
    e.code = std::move(r.code);
  if (r.retry_after)
    e.retry_after =
        std::chrono::ceil<std::chrono::milliseconds>(*r.retry_after);
  return e;
}

call_error make_error(call_errc e, std::string message) {
  return {e, to_string(e), std::move(message), std::nullopt};
}

const char* why_unsendable(const detail::call_order& o) noexcept {
  if (o.app.empty() || o.app.size() > name_bytes_max)
    return "an app's name has 1 to 63 bytes";
  if (o.key.size() > actor_key_bytes_max || (o.key.empty() && !o.query))
    return "an actor's key has 1 to 255 bytes; only calls of stateless apps "
           "(queries, as their handlers change nothing) go without";
  if (o.command.empty() || o.command.size() > name_bytes_max)
    return "a command's name has 1 to 255 bytes";
  if (o.argument.size() > argument_bytes_max)
    return "an argument has at most 1 MiB";
  if (o.options.idempotency_key.size() > idempotency_key_bytes_max)
    return "an idempotency key has at most 255 bytes";
  if (o.options.deadline.count() <= 0)
    return "the deadline is not in the future";
  return nullptr;
}

} // namespace banyan
