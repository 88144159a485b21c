#pragma once
#include "base/bytes.hpp"

#include <string>

/// What code is compiled for, as specs, members and module files name it:
/// `x86_64-linux`.
namespace banyan {

/// What this program itself is compiled for; `unknown` where no module of
/// anybody's could be.
constexpr const char* target_here() noexcept {
#if defined(__linux__) && defined(__x86_64__) && !defined(__ILP32__)
  return "x86_64-linux";
#elif defined(__linux__) && defined(__aarch64__) && !defined(__ILP32__)
  return "aarch64-linux";
#elif defined(__linux__) && defined(__riscv) && __riscv_xlen == 64
  return "riscv64-linux";
#else
  return "unknown";
#endif
}

/// So many bytes from the start of a file are enough for what follows.
inline constexpr std::size_t library_head_bytes = 20;

/// What a shared library is compiled for, by the first bytes of its file;
/// empty when they are no shared library's, or one's for a machine that has no
/// name here. They may be anybody's: nothing is believed beyond the name.
std::string target_of_library(const_bytes head);

} // namespace banyan
