#pragma once
#include "net/io/asio_loop.hpp"

#include <functional>
#include <initializer_list>
#include <memory>

namespace banyan::io {

/// Turns signals into calls on the loop's thread: SIGTERM and SIGINT of a
/// process that wants to stop in order. While one exists, these signals no
/// longer end the process. Loop's thread; or any, before the loop runs.
/// SIGPIPE needs none of this: every asio_loop ignores it.
class signals {
public:
  signals(asio_loop& l, std::initializer_list<int> numbers,
          std::function<void(int)> handler);
  ~signals();
  signals(const signals&) = delete;
  signals& operator=(const signals&) = delete;

private:
  struct state;
  std::shared_ptr<state> state_;
};

} // namespace banyan::io
