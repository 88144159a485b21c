#pragma once
#include "base/time.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace banyan::test {

/// One HTTP request, put to doors of 127.0.0.1 by many clients at once.
struct http_load_options {
  std::vector<std::uint16_t> ports; ///< client i begins at the i-th, by turns
  std::string request;              ///< the whole text, to be kept alive
  std::size_t clients = 64;         ///< each asks again once it was answered
  double rate = 0; ///< calls per second of all; 0: as fast as they are answered
  duration span = std::chrono::seconds{5};
  /// Without an answer for so long, or without its door, a client asks the next
  /// one: only for requests that may be made twice.
  duration patience = std::chrono::milliseconds{500};
  duration deadline = std::chrono::seconds{5}; ///< of a call, over all doors
  duration slow = std::chrono::milliseconds{100};
};

struct http_load_report {
  std::uint64_t answered = 0; ///< with 200
  std::uint64_t failed = 0;   ///< another status, or none by the deadline
  std::uint64_t slow = 0;     ///< answered, but over `slow`
  std::uint64_t repeated = 0; ///< attempts at a further door
  double per_second = 0;
  double p50_ms = 0, p99_ms = 0, longest_ms = 0;
};

/// In the calling thread, on one epoll; returns after `span` and the last
/// answers. With a rate, a call that finds no free client waits, and the wait
/// is part of its time.
http_load_report run_http_load(const http_load_options& options);

} // namespace banyan::test
