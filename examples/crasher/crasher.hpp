#pragma once
#include <banyan/app.hpp>

#include <cstdint>
#include <string>

/// An app that harms its own process, on command: to see what it costs the
/// others (nothing) and how soon it is back.
struct crash_count {
  std::int64_t touched = 0;
  BANYAN_FIELDS(touched);
};

struct crash_times {
  std::int64_t n = 1;
  BANYAN_FIELDS(n);
};

struct crasher : banyan::app<crasher, crash_count> {
  /// Well behaved: how often it was called.
  static std::int64_t touch(crash_count& s) { return ++s.touched; }
  static std::int64_t touched(const crash_count& s) { return s.touched; }

  static void throw_(crash_count& s);  ///< an exception
  static void segv(crash_count& s);    ///< writes where nothing is
  static void abort_(crash_count& s);  ///< std::abort
  static void leave(crash_count& s);   ///< ends its process, politely
  static void spin(crash_count& s);    ///< never comes back
  static void leak(crash_count& s);    ///< takes memory until none is left
  static void recurse(crash_count& s); ///< uses up its stack
  static void print(const crash_count& s, const crash_times& t); ///< n lines
  /// Leaves a copy of its process behind, in a session of its own; its pid.
  static std::int64_t fork_(crash_count& s);
  static void twins(crash_count& s); ///< both of a fork come back
  static void shut(crash_count& s);  ///< closes every descriptor it has
};
BANYAN_APP(crasher, touch, touched, throw_, segv, abort_, leave, spin, leak,
           recurse, print, fork_, twins, shut)
