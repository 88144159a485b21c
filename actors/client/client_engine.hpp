#pragma once
#include <banyan/call.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace banyan::detail {

/// What a client shows of itself; `client_counters` in public.
struct engine_counters {
  std::uint64_t calls = 0;
  std::uint64_t repeated = 0;
  std::uint64_t sessions = 0;
  std::uint64_t refused = 0;
  std::uint64_t links_lost = 0;
  std::size_t linked = 0;
};

/// The client behind its public face. Plain C++ types only: the public API and
/// the wire both have a `reply`, and no file may see the two.
class client_engine {
public:
  /// See `client::connect`.
  static call_result<std::unique_ptr<client_engine>>
  connect(const std::vector<std::string>& peers,
          const std::string& client_key_file,
          std::chrono::milliseconds patience);

  virtual ~client_engine() = default;
  /// `done` runs once, on the client's own thread or, for what can't be sent,
  /// in this call. Any thread.
  virtual void start(call_order order, call_done done) = 0;
  [[nodiscard]] virtual engine_counters counters() = 0;
};

} // namespace banyan::detail
