// The check of a state by a child: what it says counts, and so does silence.
#include "actors/bin/state_child.hpp"
#include "net/io/asio_loop.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <optional>
#include <thread>

namespace banyan::bin {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// While it lives this process opens nothing.
class no_handles {
public:
  no_handles() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &none);
  }
  ~no_handles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_handles(const no_handles&) = delete;
  no_handles& operator=(const no_handles&) = delete;

private:
  rlimit before_{};
};

class state_child : public ::testing::Test {
protected:
  state_child() {
    std::string name = "/tmp/banyan-child-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    dir = name;
  }
  ~state_child() override { fs::remove_all(dir); }

  /// A program that stands for the peer's own.
  std::string script(const std::string& body) {
    const auto file = (dir / "program").string();
    std::ofstream{file} << "#!/bin/sh\n" << body << "\n";
    EXPECT_EQ(::chmod(file.c_str(), 0700), 0);
    return file;
  }
  store::state_verdict check(const std::string& body, duration patience = 10s) {
    return check_in_child(dir, status, stop, script(body), patience);
  }

  fs::path dir;
  actors::state_check_status status;
  std::atomic<bool> stop{false};
};

TEST_F(state_child, a_word_at_its_end_counts) {
  EXPECT_TRUE(check("echo end").ok);
  const auto bad = check("echo bad page 7; echo bad page 8; echo end");
  EXPECT_FALSE(bad.ok);
  EXPECT_EQ(bad.damage, "page 7");
}

TEST_F(state_child, no_word_a_signal_and_a_hang_are_bad) {
  EXPECT_FALSE(check("exit 0").ok);
  const auto died = check("kill -SEGV $$");
  EXPECT_FALSE(died.ok);
  EXPECT_NE(died.damage.find("died"), std::string::npos) << died.damage;
  EXPECT_FALSE(check("echo end; kill -SEGV $$").ok);
  EXPECT_FALSE(check("exec sleep 1000", 300ms).ok);
}

TEST_F(state_child, who_ends_it_from_outside_says_nothing_of_the_file) {
  const auto flag = (dir / "flag").string();
  for (const std::string signal : {"KILL", "TERM", "INT"}) {
    fs::remove(flag);
    const auto v = check("if [ -e " + flag + " ]; then echo end; else touch "
                         + flag + "; kill -" + signal + " $$; fi");
    EXPECT_TRUE(v.ok) << signal << ": " << v.damage;
    EXPECT_TRUE(fs::exists(flag));
  }
}

TEST_F(state_child, progress_and_damaged_rows_are_passed_on) {
  group_id g;
  g.shard = 3;
  const auto app = to_hex(g.app.view());
  const auto v = check("echo progress 10 40; echo row " + app
                       + " 3 0102ff; echo row x; echo end");
  EXPECT_TRUE(v.ok);
  const auto seen = status.look();
  EXPECT_EQ(seen.bytes_done, 10U);
  EXPECT_EQ(seen.bytes_all, 40U);
  ASSERT_EQ(seen.damaged_rows.size(), 1U);
  EXPECT_EQ(seen.damaged_rows[0].first, g);
  EXPECT_EQ(seen.damaged_rows[0].second, (bytes{1, 2, 255}));
}

TEST_F(state_child, one_that_cant_judge_yet_is_asked_again) {
  const auto flag = (dir / "flag").string();
  const auto v = check("if [ -e " + flag + " ]; then echo end; else touch "
                       + flag + "; echo later held; echo end; fi");
  EXPECT_TRUE(v.ok);
}

// A rebuild of a good state is the price of a mistake here.
TEST_F(state_child, who_is_short_of_something_asks_again_and_says_why) {
  const auto flag = (dir / "flag").string();
  std::string why;
  for (const std::string first :
       {"echo later Cannot allocate memory; echo end", "exit 127"}) {
    fs::remove(flag);
    const auto v = check("if [ -e " + flag
                         + " ]; then echo end; "
                           "else touch "
                         + flag + "; " + first + "; fi");
    EXPECT_TRUE(v.ok) << v.damage;
    EXPECT_FALSE(status.look().damage.empty());
    why += status.look().damage + "\n";
  }
  EXPECT_NE(why.find("Cannot allocate memory"), std::string::npos) << why;
  EXPECT_NE(why.find("can't be loaded"), std::string::npos) << why;
}

TEST_F(state_child, no_handle_for_a_child_is_no_verdict) {
  const auto program = script("echo end");
  std::optional<no_handles> none{std::in_place};
  auto verdict = std::async(std::launch::async, [&] {
    return check_in_child(dir, status, stop, program, 10s);
  });
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (status.look().damage.empty()
         && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_NE(status.look().damage.find("Too many open files"),
            std::string::npos);
  none.reset();
  EXPECT_TRUE(verdict.get().ok);
}

TEST_F(state_child, a_state_that_cant_be_read_for_want_of_handles_is_not_bad) {
  { std::ofstream{dir / "data.mdb"} << std::string(8192, 'x'); }
  std::optional<no_handles> none{std::in_place};
  const auto report = store::verify_state(dir);
  none.reset();
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->later, "Too many open files");
  const auto again = store::verify_state(dir);
  ASSERT_TRUE(again.ok());
  EXPECT_FALSE(again->ok());
  EXPECT_TRUE(again->later.empty());
}

TEST_F(state_child, is_not_waited_for_when_the_peer_ends) {
  stop = true;
  EXPECT_FALSE(check("exec sleep 1000").ok);
}

TEST_F(state_child, the_checker_answers_on_the_loop) {
  io::asio_loop loop;
  const auto shared = std::make_shared<actors::state_check_status>();
  std::promise<bool> on_loop;
  {
    std::ofstream{dir / "data.mdb"} << "something";
    actors::state_checker checker{
        loop, shared,
        [](const fs::path&, actors::state_check_status&,
           const std::atomic<bool>&) {
          return store::state_verdict{false, "rotten"};
        }};
    checker.function()(dir, [&](const store::state_verdict& v) {
      on_loop.set_value(loop.on_thread() && !v.ok && v.damage == "rotten");
    });
    EXPECT_TRUE(on_loop.get_future().get());
  }
  EXPECT_EQ(shared->look().now, actors::state_check_status::phase::bad);
}

TEST_F(state_child, a_directory_without_a_state_is_whole_at_once) {
  io::asio_loop loop;
  const auto shared = std::make_shared<actors::state_check_status>();
  std::promise<bool> whole;
  actors::state_checker checker{
      loop, shared,
      [](const fs::path&, actors::state_check_status&,
         const std::atomic<bool>&) {
        return store::state_verdict{false, "never called"};
      }};
  checker.function()(
      dir, [&](const store::state_verdict& v) { whole.set_value(v.ok); });
  EXPECT_TRUE(whole.get_future().get());
  EXPECT_EQ(shared->look().now, actors::state_check_status::phase::none);
}

} // namespace
} // namespace banyan::bin
