#include "loop_fixture.hpp"
#include "net/io/child_process.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>

namespace banyan::io {
namespace {

class ChildProcess : public loop_fixture {
protected:
  std::unique_ptr<child_process> shell(const std::string& script,
                                       int shared = -1) {
    child_events e;
    e.on_bytes = [this](const_bytes b) { bytes_ += as_text(b); };
    e.on_line = [this](std::string_view s) { lines_.emplace_back(s); };
    e.on_end = [this](const child_end& how) { end_ = how; };
    auto c = child_process::start(l, {"/bin/sh", {"sh", "-c", script}, shared},
                                  std::move(e));
    EXPECT_TRUE(c.ok());
    return c ? std::move(*c) : nullptr;
  }
  std::string bytes_;
  std::vector<std::string> lines_;
  std::optional<child_end> end_;
};

TEST_F(ChildProcess, talks_by_its_stream_and_prints_lines) {
  auto c = shell("head -c 5 <&3 >&3; echo out; echo err >&2; printf 'no end'");
  c->write(to_bytes("hello"));
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_EQ(bytes_, "hello");
  EXPECT_EQ(lines_, (std::vector<std::string>{"out", "err", "no end"}));
  EXPECT_EQ(to_string(*end_), "exit code 0");
}

TEST_F(ChildProcess, carries_more_than_the_kernel_holds) {
  std::string much(std::size_t{4} << 20, 'x');
  much.back() = 'e';
  auto c = shell("head -c 4194304 <&3 >&3");
  c->write(to_bytes(much));
  EXPECT_GT(c->unsent(), 0U);
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_TRUE(bytes_ == much);
}

TEST_F(ChildProcess, its_end_is_told_once_with_the_reason) {
  auto c = shell("exit 7");
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_EQ(to_string(*end_), "exit code 7");
  end_.reset();
  c = shell("kill -SEGV $$");
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_EQ(end_->signal, SIGSEGV);
  EXPECT_EQ(to_string(*end_), "Segmentation fault (signal 11)");
}

// As where whoever started the peer ignores it, and passed that on.
TEST_F(ChildProcess, its_end_is_told_where_SIGCHLD_is_ignored) {
  std::signal(SIGCHLD, SIG_IGN);
  auto c = shell("head -c 1 <&3; exit 7");
  c->write(to_bytes("x"));
  EXPECT_TRUE(wait([&] { return end_.has_value(); }));
  std::signal(SIGCHLD, SIG_DFL);
}

TEST_F(ChildProcess, has_neither_descriptors_nor_environment_of_ours) {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::setenv("BANYAN_SECRET", "x", 1); // NOLINT: one thread
  auto c = shell("[ -e /proc/$$/fd/" + std::to_string(fd)
                 + " ] && echo open; env | grep SECRET; echo done");
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_EQ(lines_, std::vector<std::string>{"done"});
  ::close(fd);
}

TEST_F(ChildProcess, shares_one_descriptor) {
  const int fd = ::memfd_create("test", MFD_CLOEXEC);
  auto c = shell("printf shared >&4", fd);
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  char text[16] = {};
  EXPECT_EQ(::pread(fd, text, 15, 0), 6);
  EXPECT_STREQ(text, "shared");
  ::close(fd);
}

TEST_F(ChildProcess, whatever_it_started_ends_with_it) {
  auto c = shell("sleep 1000 & echo $!; exit 0");
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  ASSERT_EQ(lines_.size(), 1U);
  const pid_t sleeper = std::stoi(lines_[0]);
  EXPECT_TRUE(wait([&] { return ::kill(sleeper, 0) != 0; }));
}

TEST_F(ChildProcess, one_that_closes_its_stream_is_ended) {
  auto c = shell("exec 3>&-; sleep 1000");
  ASSERT_TRUE(wait([&] { return end_.has_value(); }));
  EXPECT_EQ(end_->signal, SIGKILL);
}

TEST_F(ChildProcess, is_killed_with_its_owner_and_says_nothing_then) {
  auto c = shell("echo begun; sleep 1000");
  const pid_t pid = c->pid();
  ASSERT_TRUE(wait([&] { return lines_.size() == 1; }));
  c.reset();
  EXPECT_TRUE(wait([&] { return ::kill(pid, 0) != 0; })); // reaped, too
  EXPECT_FALSE(end_);
}

TEST_F(ChildProcess, a_program_that_is_not_there_is_an_error) {
  auto c = child_process::start(l, {"/nowhere/program", {"program"}, -1}, {});
  ASSERT_FALSE(c.ok());
  EXPECT_EQ(c.error().message,
            "can't start /nowhere/program: No such file or directory");
}

} // namespace
} // namespace banyan::io
