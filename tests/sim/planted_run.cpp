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

constexpr std::string_view told = "first failure: ";

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

/// What gtest writes around the words of the test itself.
bool is_noise(std::string_view text) {
  static const std::array<std::string_view, 9> beginnings{
      "Failed",         "Expected",  "Value of:",         "Actual: ",
      "Which is: \"\"", "complaint", "Google Test trace", "\"\"",
      "With diff"};
  return text.empty()
         || std::any_of(beginnings.begin(), beginnings.end(),
                        [&](std::string_view b) { return begins(text, b); });
}

/// The first thing that a simulation complains of, in one line.
std::string complaint(const std::string& message) {
  std::istringstream lines{message};
  for (std::string line; std::getline(lines, line);) {
    std::string_view text{line};
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
    if (is_noise(text) || begins(text, "replay:"))
      continue;
    for (const std::string_view before : {"Which is: ", "\""})
      if (begins(text, before))
        text.remove_prefix(before.size());
    return std::string{text.substr(0, text.find("\\n"))};
  }
  return message;
}

/// `…/a_rule.txt:12: …` in a message: that script, by its name.
std::string script_in(const std::string& message) {
  const auto end = message.find(".txt:");
  if (end == std::string::npos)
    return {};
  const auto slash = message.rfind('/', end);
  return message.substr(slash == std::string::npos ? 0 : slash + 1,
                        end - (slash == std::string::npos ? 0 : slash + 1));
}

/// Says in one line which test failed first, or what a simulation complained
/// of, and nothing else.
class first_failure final : public ::testing::EmptyTestEventListener {
public:
  explicit first_failure(bool seeded) : seeded_{seeded} {}
  void OnTestStart(const ::testing::TestInfo& t) override {
    test_ = std::string{t.test_suite_name()} + '.' + t.name();
  }
  // gtest holds its lock here: nothing of it may be asked.
  void OnTestPartResult(const ::testing::TestPartResult& r) override {
    if (!r.failed() || std::exchange(said_, true))
      return;
    const std::string message{r.message()};
    auto text = seeded_ ? complaint(message) : script_in(message);
    std::printf("\n%s%s\n", std::string{told}.c_str(),
                (text.empty() ? test_ : text).c_str());
    std::fflush(stdout);
  }

private:
  bool seeded_;
  bool said_ = false;
  std::string test_;
};

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
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  delete listeners.Release(listeners.default_result_printer());
  listeners.Append(new first_failure{s.seeded});
  plant(b);
  const auto code = RUN_ALL_TESTS();
  if (::testing::UnitTest::GetInstance()->test_to_run_count() == 0)
    std::printf("no test matches %s\n", std::string{s.filter}.c_str());
  std::fflush(nullptr);
  _exit(code);
}

/// The assertion that ended it, else the first failure.
std::string first_words(const std::string& output) {
  std::istringstream lines{output};
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (const auto at = line.find(": assertion failed: ");
        at != std::string::npos) {
      const auto slash = line.find_last_of('/', at);
      return "assert "
             + line.substr(slash == std::string::npos ? 0 : slash + 1);
    }
    if (out.empty() && begins(line, told))
      out = line.substr(told.size());
  }
  if (out.size() > 120)
    out = out.substr(0, 120) + "…";
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
