#include "net/link/link_table.hpp"

namespace banyan::net {

void link_events::on_own_key_met(const boot_id&, const address&) {
}

void link_events::on_unlisted(const node_id&, const address&) {
}

const char* to_string(stream_end e) noexcept {
  switch (e) {
  case stream_end::end_of_stream:
    return "end of stream";
  case stream_end::reset:
    return "reset";
  case stream_end::refused:
    return "refused";
  case stream_end::unreachable:
    return "unreachable";
  case stream_end::timed_out:
    return "timed out";
  case stream_end::in_use:
    return "address in use";
  case stream_end::not_allowed:
    return "address not allowed";
  case stream_end::local:
    return "local fault";
  }
  return "unknown";
}

const char* to_string(channel c) noexcept {
  switch (c) {
  case channel::link:
    return "link";
  case channel::membership:
    return "membership";
  case channel::beat:
    return "beat";
  case channel::raft:
    return "raft";
  case channel::group:
    return "group";
  case channel::relay:
    return "relay";
  case channel::request:
    return "request";
  case channel::reply:
    return "reply";
  case channel::outbox:
    return "outbox";
  case channel::bulk:
    return "bulk";
  case channel::module:
    return "module";
  }
  return "unknown";
}

const char* to_string(link_end e) noexcept {
  switch (e) {
  case link_end::end_of_stream:
    return "end of stream";
  case link_end::reset:
    return "reset";
  case link_end::timed_out:
    return "timed out";
  case link_end::goodbye:
    return "goodbye";
  case link_end::replaced:
    return "replaced";
  case link_end::protocol_error:
    return "protocol error";
  case link_end::relay_lost:
    return "relay lost";
  case link_end::local:
    return "closed here";
  }
  return "unknown";
}

const char* to_string(dial_error e) noexcept {
  switch (e) {
  case dial_error::refused:
    return "connection refused";
  case dial_error::unreachable:
    return "unreachable";
  case dial_error::timed_out:
    return "timed out";
  case dial_error::hung_up:
    return "closed during the handshake (another mesh, mesh key or wire "
           "version?)";
  case dial_error::not_a_peer:
    return "no peer of this mesh";
  case dial_error::wrong_node:
    return "another node than expected";
  case dial_error::self:
    return "that address is this node";
  case dial_error::local:
    return "local fault";
  case dial_error::not_allowed:
    return "this node isn't on the mesh's list of allowed nodes";
  case dial_error::unlisted:
    return "that node isn't on the mesh's list of allowed nodes";
  }
  return "unknown";
}

const char* to_string(send_errc e) noexcept {
  switch (e) {
  case send_errc::not_linked:
    return "not linked";
  case send_errc::overloaded:
    return "overloaded";
  case send_errc::too_large:
    return "too large";
  case send_errc::forbidden:
    return "forbidden";
  }
  return "unknown";
}

} // namespace banyan::net
