#include "base/target.hpp"

#include <algorithm>
#include <array>

namespace banyan {
namespace {

// The ELF header's fields, by their place.
constexpr std::size_t class_at = 4;
constexpr std::size_t order_at = 5;
constexpr std::size_t system_at = 7;
constexpr std::size_t type_at = 16;
constexpr std::size_t machine_at = 18;
constexpr std::uint8_t class_64 = 2;
constexpr std::uint8_t little_endian = 1;
constexpr std::uint8_t system_v = 0;
constexpr std::uint8_t system_linux = 3;
constexpr unsigned shared_library = 3;

} // namespace

std::string target_of_library(const_bytes head) {
  constexpr std::array<std::uint8_t, 4> magic{0x7f, 'E', 'L', 'F'};
  if (head.size() < library_head_bytes
      || !std::equal(magic.begin(), magic.end(), head.begin())
      || head[class_at] != class_64 || head[order_at] != little_endian
      || (head[system_at] != system_v && head[system_at] != system_linux))
    return {};
  const auto number = [head](std::size_t at) {
    return head[at] | unsigned{head[at + 1]} << 8;
  };
  if (number(type_at) != shared_library)
    return {};
  switch (number(machine_at)) {
  case 62:
    return "x86_64-linux";
  case 183:
    return "aarch64-linux";
  case 243:
    return "riscv64-linux";
  default:
    return {};
  }
}

} // namespace banyan
