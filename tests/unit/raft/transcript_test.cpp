// Each file of tests/transcripts/raft is named after the rule that it shows.
// BANYAN_REWRITE=1 writes the present output into the files.
#include "script.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace banyan::raft_test {
namespace {

TEST(raft_transcripts, all) {
  const auto files = text_files(BANYAN_SOURCE_DIR "/tests/transcripts/raft");
  std::size_t commands = 0;
  for (const auto& file : files) {
    set_assert_context(file.c_str());
    script s;
    commands += run_file(file, [&](const auto& d) { return s.run(d); });
  }
  std::cout << files.size() << " files, " << commands << " commands\n";
  EXPECT_GT(files.size(), 0u);
}

} // namespace
} // namespace banyan::raft_test
