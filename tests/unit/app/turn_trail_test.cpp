// What an app was running when host and peer came to their end.
#include "actors/host/turn_trail.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

namespace banyan {
namespace {

struct trails : ::testing::Test {
  trails() { std::filesystem::create_directory(dir); }
  ~trails() override { std::filesystem::remove_all(dir); }
  std::string file(const std::string& app = "ledger", int n = 1) const {
    return (dir / trail_name(app, static_cast<std::uint64_t>(n))).string();
  }
  /// In a process that ends in the midst of `f`.
  template <class F>
  void killed_in(F f) {
    const pid_t child = ::fork();
    if (child == 0) {
      f();
      ::kill(::getpid(), SIGKILL);
    }
    int how = 0;
    ::waitpid(child, &how, 0);
    EXPECT_TRUE(WIFSIGNALED(how));
  }
  static bytes request(std::uint8_t i) {
    return trail_request(group, bytes{'r', i});
  }

  static inline const group_id group{app_id{std::array<std::uint8_t, 32>{7}},
                                     3};
  std::filesystem::path dir = std::filesystem::temp_directory_path()
                              / ("banyan-trails-" + std::to_string(::getpid()));
};

TEST_F(trails, names_the_turn_that_a_killed_process_was_in) {
  killed_in([&] {
    const auto t = turn_trail::open(file(), incarnation{5});
    t->begin(request(1));
    t->end();
    t->begin(request(2));
  });
  const auto left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].app, "ledger");
  EXPECT_EQ(left[0].since, incarnation{5});
  EXPECT_TRUE(left[0].readable);
  EXPECT_TRUE(left[0].running);
  EXPECT_EQ(left[0].requests, std::vector<bytes>{request(2)});
  bytes back;
  ASSERT_TRUE(read_trail_request(left[0].requests[0], group, back));
  EXPECT_EQ(back, (bytes{'r', 2}));
  auto other = group;
  ++other.shard;
  EXPECT_FALSE(read_trail_request(left[0].requests[0], other, back));
  EXPECT_TRUE(take_trails(dir).empty()); // once
}

TEST_F(trails, between_turns_nothing_was_running) {
  killed_in([&] {
    const auto t = turn_trail::open(file(), incarnation{5});
    t->begin(request(1));
    t->end();
  });
  const auto left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left[0].readable);
  EXPECT_FALSE(left[0].running);
  EXPECT_TRUE(left[0].requests.empty());
}

TEST_F(trails, what_hosts_died_of_before_stays_named) {
  for (std::uint8_t i = 1; i <= 3; ++i)
    killed_in(
        [&] { turn_trail::open(file(), incarnation{5})->begin(request(i)); });
  killed_in(
      [&] { turn_trail::open(file("ledger", 2), incarnation{5})->begin({}); });
  const auto left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_TRUE(left[0].readable);
  EXPECT_TRUE(left[0].running);
  EXPECT_EQ(left[0].requests.size(), 3U);
}

TEST_F(trails, more_than_it_can_name_makes_it_unreadable) {
  for (std::size_t i = 0; i < turn_trail::fallen_max + 2; ++i)
    killed_in([&] {
      turn_trail::open(file(), incarnation{5})
          ->begin(request(static_cast<std::uint8_t>(i)));
    });
  auto left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_FALSE(left[0].readable);
  killed_in([&] {
    turn_trail::open(file(), incarnation{5})
        ->begin(bytes(turn_trail::request_bytes_max + 1, 'x'));
  });
  left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_FALSE(left[0].readable);
}

TEST_F(trails, of_another_incarnation_it_begins_anew) {
  killed_in(
      [&] { turn_trail::open(file(), incarnation{5})->begin(request(1)); });
  killed_in(
      [&] { turn_trail::open(file(), incarnation{6})->begin(request(2)); });
  const auto left = take_trails(dir);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left[0].since, incarnation{6});
  EXPECT_EQ(left[0].requests, std::vector<bytes>{request(2)});
}

// Foreign bytes: a disk may have made anything of it.
TEST_F(trails, rubbish_is_unreadable_and_goes) {
  for (const std::size_t size : {0, 1, 100, 9000, 20'000}) {
    std::ofstream{file()} << std::string(size, 'x');
    const auto left = take_trails(dir);
    ASSERT_EQ(left.size(), 1U) << size;
    EXPECT_FALSE(left[0].readable) << size;
    EXPECT_TRUE(std::filesystem::is_empty(dir));
  }
  EXPECT_TRUE(take_trails(dir / "none").empty());
  EXPECT_EQ(turn_trail::open((dir / "none" / "x.1").string(), incarnation{1}),
            nullptr);
}

} // namespace
} // namespace banyan
