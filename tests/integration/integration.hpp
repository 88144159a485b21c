#pragma once
#include "tests/support/ledger_load.hpp"
#include "tests/support/process_mesh.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace banyan::test {

/// Prints what the peers said last if the test fails.
class words_on_failure {
public:
  explicit words_on_failure(const process_mesh& mesh) : mesh_{mesh} {}
  ~words_on_failure() {
    if (::testing::Test::HasFailure())
      std::cout << mesh_.last_words() << std::flush;
  }
  words_on_failure(words_on_failure&&) = delete;

private:
  const process_mesh& mesh_;
};

inline const std::string ledger_of_three = R"(name = "ledger"
module = "ledger"
shards = 4
replicas = 3
)";

/// Any mesh that a test left must still do this.
inline void expect_serves(const process_mesh& mesh, std::size_t by = 0) {
  const auto r = mesh.command(by, "/v1/apps/ledger/actors/still-there/deposit",
                              R"({"cents":1})");
  EXPECT_EQ(r.status, 200) << r.body;
}

} // namespace banyan::test
