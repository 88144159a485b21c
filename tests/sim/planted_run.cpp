// One test run in a process of its own, with one bug in it.
#include "sim/planted.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace banyan::test {
namespace {

/// A bug may well keep a run from its end: that is a find, too, but by far the
/// slowest one.
constexpr unsigned seconds_max = 60;

[[noreturn]] void be_the_child(planted_bug b, const suite& s,
                               std::uint64_t seed, int out) {
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  alarm(seconds_max);
  if (s.seeded) { // NOLINTBEGIN(concurrency-mt-unsafe): no thread yet
    setenv("BANYAN_SEED", std::to_string(seed).c_str(), 1);
    setenv("BANYAN_SEEDS", "1", 1);
  } else {
    unsetenv("BANYAN_SEED");
    unsetenv("BANYAN_SEEDS");
  } // NOLINTEND(concurrency-mt-unsafe)
  ::testing::GTEST_FLAG(filter) = std::string{s.filter};
  ::testing::GTEST_FLAG(color) = "no";
  plant(b);
  const auto code = RUN_ALL_TESTS();
  if (::testing::UnitTest::GetInstance()->test_to_run_count() == 0)
    std::printf("no test matches %s\n", std::string{s.filter}.c_str());
  std::fflush(nullptr);
  _exit(code);
}

std::string trimmed(const std::string& line) {
  const auto from = line.find_first_not_of(" \t");
  return from == std::string::npos
             ? std::string{}
             : line.substr(from, line.find_last_not_of(" \t\r") + 1 - from);
}

bool is_noise(const std::string& text) {
  static const std::array<std::string_view, 11> beginnings{"[",
                                                           "Failed",
                                                           "Expected equality",
                                                           "Which is: \"\"",
                                                           "\"\"",
                                                           "replay:",
                                                           "Value of:",
                                                           "Actual: ",
                                                           "Expected",
                                                           "Google Test trace",
                                                           "complaint"};
  return text.empty()
         || std::any_of(beginnings.begin(), beginnings.end(),
                        [&](std::string_view b) {
                          return text.compare(0, b.size(), b) == 0;
                        });
}

/// Of gtest's many words: the assertion of ours that ended it, else the first
/// failure's own.
std::string first_words(const std::string& output) {
  std::istringstream lines{output};
  std::string out;
  bool failure = false;
  int taken = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto at = line.find(": assertion failed: ");
    if (at != std::string::npos) {
      const auto slash = line.find_last_of('/', at);
      return "assert "
             + line.substr(slash == std::string::npos ? 0 : slash + 1);
    }
    if (line.find(": Failure") != std::string::npos) {
      if (failure)
        continue;
      failure = true;
      const auto slash = line.find_last_of('/');
      out = line.substr(slash == std::string::npos ? 0 : slash + 1);
      out.resize(out.find(": Failure"));
      out += ":";
      continue;
    }
    auto text = trimmed(line);
    if (!failure || taken == 2 || is_noise(text))
      continue;
    if (text.rfind("Which is: ", 0) == 0)
      text = text.substr(10);
    text.resize(std::min(text.size(), text.find("\\n")));
    out += ' ' + text;
    ++taken;
  }
  if (out.size() > 160)
    out = out.substr(0, 160) + "…";
  return out;
}

} // namespace

run_end run_planted(planted_bug b, const suite& s, std::uint64_t seed) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0)
    throw std::runtime_error{"no pipe"};
  const auto begun = std::chrono::steady_clock::now();
  std::fflush(nullptr);
  const auto child = fork();
  if (child == 0) {
    close(ends[0]);
    be_the_child(b, s, seed, ends[1]);
  }
  close(ends[1]);
  std::string output;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = read(ends[0], buffer.data(), buffer.size())) > 0;)
    output.append(buffer.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  run_end out;
  out.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun)
          .count();
  if (output.find("no test matches") != std::string::npos)
    throw std::runtime_error{"no test matches " + std::string{s.filter}};
  out.failed = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  if (!out.failed)
    return out;
  out.said = first_words(output);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    out.said = "no end in " + std::to_string(seconds_max) + " s. " + out.said;
  else if (WIFSIGNALED(status) && out.said.rfind("assert ", 0) != 0)
    out.said = "signal " + std::to_string(WTERMSIG(status)) + ". " + out.said;
  return out;
}

} // namespace banyan::test
