#pragma once
#include <cstdint>
#include <string>

namespace banyan::io {

enum class net_errc : std::uint8_t {
  in_use = 1,  ///< Another process listens there; nothing was opened.
  not_allowed, ///< The system forbids it (a port below 1024, a directory).
  no_address,  ///< The host name has no address, or isn't one of this host.
  refused,     ///< Nobody listens there; nothing was sent.
  timeout,     ///< Over the deadline before anything was sent.
  bad_key,     ///< Certificate or key can't be read or don't match.
  bad_peer,    ///< What came back isn't the protocol, or isn't trusted.
  unknown,     ///< Sent, then the connection or the deadline ended: it may or
               ///< may not have been carried out.
  system       ///< Anything else: too many descriptors, no route.
};

/// `message` is one sentence for a user: what, where and what to do next.
struct net_error {
  net_errc code;
  std::string message;
};

} // namespace banyan::io
