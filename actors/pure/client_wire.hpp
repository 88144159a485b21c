#pragma once
#include "actors/pure/replica_wire.hpp"

/// What a client link carries: calls by app name to any peer, and answers. The
/// peer's router finds the group's leader. Canonical msgpack, see
/// docs/wire-format.md.
namespace banyan {

enum class client_call_kind : std::uint8_t {
  command = 0,
  query = 1,
  open_session = 2, ///< for the shard of `key`; answer: `reply.session`
  close_session = 3,
  lookup = 4, ///< how many shards the app has: `client_reply_frame::shards`
};

struct client_call_frame {
  std::uint64_t call = 0; ///< the client's number, echoed
  client_call_kind kind = client_call_kind::command;
  std::string app;
  std::string key;
  std::string command;
  bytes argument;
  request_identity identity;
  duration deadline = std::chrono::seconds{5};
  std::optional<duration> max_staleness;
};

struct client_reply_frame {
  std::uint64_t call = 0;
  banyan::reply reply;
  std::uint32_t shards = 0;
};

void encode(const client_call_frame& f, bytes& out);
bool decode(const_bytes in, client_call_frame& out);
void encode(const client_reply_frame& f, bytes& out);
bool decode(const_bytes in, client_reply_frame& out);

} // namespace banyan
