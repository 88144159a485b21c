#include "base/target.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace banyan {
namespace {

/// The start of a 64-bit little-endian library.
bytes library(std::uint8_t machine) {
  bytes b{0x7f, 'E', 'L', 'F', 2, 1, 1, 0};
  b.resize(16);
  b.insert(b.end(), {3, 0, machine, 0});
  b.resize(64);
  return b;
}

TEST(target, a_library_names_its_machine) {
  EXPECT_EQ(target_of_library(library(62)), "x86_64-linux");
  EXPECT_EQ(target_of_library(library(183)), "aarch64-linux");
  EXPECT_EQ(target_of_library(library(243)), "riscv64-linux");
  auto gnu = library(62);
  gnu[7] = 3;
  EXPECT_EQ(target_of_library(gnu), "x86_64-linux");
}

TEST(target, what_is_no_library_has_none) {
  EXPECT_EQ(target_of_library({}), "");
  EXPECT_EQ(target_of_library(library(8)), ""); // of a machine without a name
  for (std::size_t size = 0; size < library_head_bytes; ++size)
    EXPECT_EQ(target_of_library(const_bytes{library(62)}.first(size)), "");
  for (const std::size_t at : {0, 3, 4, 5, 7, 16, 17, 19}) {
    auto bad = library(62);
    bad[at] ^= 0x40;
    EXPECT_EQ(target_of_library(bad), "") << at;
  }
  EXPECT_EQ(target_of_library(as_bytes("#!/bin/sh\necho no library here\n")),
            "");
}

TEST(target, this_program_is_compiled_for_the_target_it_names) {
  std::ifstream in{"/proc/self/exe", std::ios::binary};
  std::string head(library_head_bytes, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  ASSERT_TRUE(in);
  head[16] = 3; // a program and a library differ in this field alone
  EXPECT_EQ(target_of_library(as_bytes(head)), target_here());
}

} // namespace
} // namespace banyan
