#pragma once
#include "net/io/asio_loop.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace banyan::io {

/// Boost's side of an asio_loop: for the .cpp files of net/io alone.
struct asio_loop::state {
  boost::asio::io_context context{1}; // hint 1: one thread runs it
  boost::asio::steady_timer timer{context};
  time_point armed = never;
  bool quit = false;
  bool in_turn = false;
};

namespace detail {
inline boost::asio::io_context& context(asio_loop& l) {
  return l.internals().context;
}
} // namespace detail
} // namespace banyan::io
