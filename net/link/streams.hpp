#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "net/link/address.hpp"

#include <cstddef>
#include <cstdint>

namespace banyan::net {

/// One byte stream, dialled or accepted. Never reused in one process; zero
/// names none.
using stream_id = strong_number<struct stream_tag>;

/// Why a dial, a listen or a stream ended.
enum class stream_end : std::uint8_t {
  end_of_stream = 1, ///< The far end finished; after `kill -9` too.
  reset,             ///< The far end or its kernel tore the connection down.
  refused,           ///< Nobody listens there.
  unreachable,       ///< No route, or the name has no address.
  timed_out,         ///< Nothing came back in the stream layer's own time.
  in_use,            ///< listen: another socket has that address.
  not_allowed,       ///< listen: no right to that address, or no such address.
  local,             ///< Our own descriptor limit, memory or shutdown.
};
const char* to_string(stream_end e) noexcept;

/// What happens to streams. Called on the loop thread only, and never from
/// inside a call to `streams`: an implementation queues what it learns there.
/// After `on_dial_failed` or `on_closed` a stream's id is dead, and so it is
/// after our own `close` or `reset`: no event follows those.
class stream_events {
public:
  virtual ~stream_events() = default;

  /// A dial succeeded, or somebody connected to a listening address.
  /// @param remote the far end's address and port as this node sees them.
  virtual void on_opened(stream_id id, const address& remote, bool inbound,
                         time_point now) = 0;
  virtual void on_dial_failed(stream_id id, stream_end why, time_point now) = 0;
  /// Bytes in order; `data` is borrowed for the call and never empty.
  virtual void on_data(stream_id id, const_bytes data, time_point now) = 0;
  /// `unsent(id)` came down to `streams::unsent_low` or less after a `write`
  /// had left it above.
  virtual void on_drained(stream_id id, time_point now) = 0;
  /// The stream is gone, whatever was unsent with it. An end of stream from
  /// the far side closes both directions.
  virtual void on_closed(stream_id id, stream_end why, time_point now) = 0;
};

/// Byte streams of one node: TCP in production (net/io), a virtual network in
/// tests and simulations. Loop thread only; nothing here blocks.
class streams {
public:
  /// Fixes how much is left with the kernel and this layer before a link
  /// waits for `on_drained`; the rest stays in the link, where a heartbeat can
  /// still overtake a snapshot.
  static constexpr std::size_t unsent_low = 32 * 1024;

  virtual ~streams() = default;

  /// Where events go; set once, before the first call. Must outlive this.
  virtual void set_events(stream_events& events) = 0;

  /// Starts to connect. Exactly one of on_opened and on_dial_failed follows,
  /// unless `reset` comes first; failures that are known at once come through
  /// on_dial_failed as well.
  virtual stream_id dial(const address& to) = 0;

  /// Listens; port 0 picks a free one.
  /// @returns the bound address, or `in_use`, `not_allowed`, `unreachable`
  /// (no such host) or `local`.
  virtual result<address, stream_end> listen(const address& at) = 0;
  /// Stops listening everywhere; open streams stay.
  virtual void stop_listening() = 0;

  /// Sends in order: what the kernel takes goes out at once, the rest is kept
  /// and sent as it drains. `data` is borrowed for the call. On a stream that
  /// is gone: nothing happens.
  virtual void write(stream_id id, const_bytes data) = 0;
  /// Bytes given to `write` that the kernel has not taken. Zero for a stream
  /// that is gone.
  [[nodiscard]] virtual std::size_t unsent(stream_id id) const = 0;

  /// Ends a stream after what was written (for 2 s at most).
  virtual void close(stream_id id) = 0;
  /// Ends a stream, or a dial, now; what is unsent is lost.
  virtual void reset(stream_id id) = 0;
};

} // namespace banyan::net
