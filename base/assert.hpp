#pragma once

namespace banyan {

/// Prints expression, place and the context line (node, seed), then aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file,
                                   int line) noexcept;

/// What an assertion prints besides its place, e.g. `node=abcd seed=17`. Kept
/// per thread, cut at 255 characters.
void set_assert_context(const char* text) noexcept;

} // namespace banyan

/// Guards our own state only, in release builds too. What a peer, a disk or a
/// user can cause is a `result`, a drop or a counter, never an assertion.
#define BANYAN_ASSERT(expression)                                              \
  (static_cast<bool>(expression)                                               \
       ? static_cast<void>(0)                                                  \
       : ::banyan::assertion_failed(#expression, __FILE__, __LINE__))
