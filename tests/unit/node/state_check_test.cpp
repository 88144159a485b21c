// The check of a state by a child: what it says counts, and so does silence.
#include "actors/bin/state_child.hpp"
#include "net/io/asio_loop.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <future>

namespace banyan::bin {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

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
