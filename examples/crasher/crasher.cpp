#include "crasher.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

// The compiler must not see that what follows has no end or no effect.
volatile bool for_ever = true;
volatile std::int64_t depth = 0;

std::int64_t deeper(std::int64_t n) {
  volatile char page[4096];
  page[0] = static_cast<char>(n);
  depth = n;
  return for_ever ? deeper(n + 1) + page[0] : n;
}

} // namespace

void crasher::throw_(crash_count& s) {
  ++s.touched;
  throw std::runtime_error{"thrown on command"};
}

void crasher::segv(crash_count& s) {
  ++s.touched;
  volatile int* nowhere = nullptr;
  *nowhere = 1;
}

void crasher::abort_(crash_count& s) {
  ++s.touched;
  std::abort();
}

void crasher::leave(crash_count& s) {
  ++s.touched;
  std::_Exit(0);
}

void crasher::spin(crash_count& s) {
  ++s.touched;
  while (for_ever) {
  }
}

void crasher::leak(crash_count& s) {
  ++s.touched;
  static std::vector<std::vector<char>> kept;
  while (for_ever)
    kept.emplace_back(std::size_t{1} << 20, 'x');
}

void crasher::recurse(crash_count& s) {
  s.touched = deeper(0);
}

void crasher::print(const crash_count& s, const crash_times& t) {
  for (std::int64_t i = 0; i < t.n; ++i)
    std::printf("line %lld of %lld, touched %lld\n",
                static_cast<long long>(i + 1), static_cast<long long>(t.n),
                static_cast<long long>(s.touched));
}

std::int64_t crasher::fork_(crash_count& s) {
  ++s.touched;
  const auto copy = ::fork();
  if (copy != 0)
    return copy;
  ::setsid();
  for (;;)
    ::pause();
}

void crasher::twins(crash_count& s) {
  ++s.touched;
  static_cast<void>(::fork());
}

void crasher::shut(crash_count& s) {
  ++s.touched;
  for (int fd = 0; fd < 64; ++fd)
    ::close(fd);
}
