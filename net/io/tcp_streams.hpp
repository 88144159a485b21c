#pragma once
#include "net/io/asio_loop.hpp"
#include "net/io/net_error.hpp"
#include "net/io/workers.hpp"
#include "net/link/streams.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace banyan::io {

struct tcp_limits {
  duration dial_timeout = 3s; ///< All addresses of a name together.
  /// Accepted connections per second, and how many may come at once. The rest
  /// waits in the kernel's queue.
  double accepts_per_second = 1000;
  std::size_t accepts_burst = 200;
  /// Further inbound connections are closed at once.
  std::size_t inbound_max = 8192;
};

struct tcp_counters {
  std::uint64_t dialled = 0, accepted = 0, refused_full = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::size_t open = 0, inbound = 0;
};

/// The addresses of a name, best first, each an IPv4 or IPv6 literal; none if
/// it has none. Called on a worker; may block.
using name_resolver =
    std::function<std::vector<net::address>(const net::address& name)>;

/// Byte streams over TCP (net/link/streams.hpp says what they promise).
///
/// All on the loop's thread, the destructor too, which tears every stream
/// down. Names are resolved by a worker, by the system unless somebody else is
/// named. When dialling, all addresses of a name are tried until one takes the
/// connection, each with an equal share of the time; the next dial of that name
/// begins with the next one, since what answers needn't be what was meant.
/// `listen` alone resolves a name in place: it is called while a node starts.
class tcp_streams final : public net::streams {
public:
  tcp_streams(asio_loop& l, workers& w, tcp_limits limits = {},
              name_resolver resolve = {});
  ~tcp_streams() override;

  void set_events(net::stream_events& events) override;
  net::stream_id dial(const net::address& to) override;
  result<net::address, net::stream_end> listen(const net::address& at) override;
  /// The same, with an error for users; `flag` is the option that it names.
  result<net::address, net_error> listen_at(const net::address& at,
                                            const char* flag = "--listen");
  void stop_listening() override;
  void write(net::stream_id id, const_bytes data) override;
  [[nodiscard]] std::size_t unsent(net::stream_id id) const override;
  void close(net::stream_id id) override;
  void reset(net::stream_id id) override;

  [[nodiscard]] tcp_counters counters() const;

private:
  struct core;
  std::shared_ptr<core> core_;
};

} // namespace banyan::io
