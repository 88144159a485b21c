#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace banyan {
namespace {
thread_local char context[256] = "";
} // namespace

void set_assert_context(const char* text) noexcept {
  std::snprintf(context, sizeof context, "%s", text);
}

void assertion_failed(const char* expression, const char* file,
                      int line) noexcept {
  std::fprintf(stderr, "%s:%d: assertion failed: %s%s%s\n", file, line,
               expression, context[0] != '\0' ? " " : "", context);
  std::abort();
}

} // namespace banyan
