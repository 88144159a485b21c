// Apps in a process of their own: whatever that process does is contained.
#include "../io/loop_fixture.hpp"
#include "actors/host/held_answers.hpp"
#include "actors/host/process_host.hpp"
#include "base/codec.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <future>
#include <utility>

namespace banyan {
namespace {

/// Frames for scripts: {ready}, and an answer to turn 1.
const std::string ready_frame =
    "printf '\\x0c\\x00\\x00\\x00\\x03\\x93\\xa7crasher\\x01\\x90' >&3; ";
const std::string answer_to_1 =
    "printf '\\x0f\\x00\\x00\\x00\\x05\\x01\\x00\\x00\\x00\\x00\\x00\\x00"
    "\\x00\\x01\\x00\\x00\\x00\\x00\\x00' >&3; ";

/// A zombie that its new parent has yet to look after is gone.
bool is_gone(pid_t pid) {
  std::ifstream stat{"/proc/" + std::to_string(pid) + "/stat"};
  std::string text;
  if (!std::getline(stat, text))
    return true;
  const auto at = text.rfind(") ");
  return at != std::string::npos && text[at + 2] == 'Z';
}

class processes : public io::loop_fixture {
protected:
  std::unique_ptr<process_host> make(host_options o,
                                     io::child_process::program p) {
    host_handlers h;
    h.on_ready = [this](const module_info& m) { ready.push_back(m); };
    h.on_results = [this](std::vector<turn_result> r) {
      ++batches;
      for (auto& one : r)
        results.push_back(std::move(one));
    };
    h.on_failed = [this](const host_failed& f) {
      failed.push_back(f);
      results_before_failure = results.size();
    };
    h.on_line = [this](std::string_view s) { lines.emplace_back(s); };
    h.on_slow = [this](const std::optional<turn_key>& k, duration) {
      slow.push_back(k ? k->number : 0);
    };
    return std::make_unique<process_host>(std::move(o), std::move(h), l,
                                          std::move(p));
  }
  static host_options options(const std::string& app) {
    host_options o;
    o.module = app;
    o.file = std::string{BANYAN_TEST_APPS} + "/" + app + ".so";
    return o;
  }
  std::unique_ptr<process_host> make(host_options o = options("crasher")) {
    return make(std::move(o), {BANYAN_HOST_PROGRAM, {"host"}});
  }
  /// A host that isn't one: a script with the stream as descriptor 3.
  std::unique_ptr<process_host> script(const std::string& text) {
    return make(options("crasher"), {"/bin/bash", {"bash", "-c", text}});
  }
  static std::vector<turn_order>
  orders(const char* command, std::uint64_t first, std::uint64_t count) {
    std::vector<turn_order> out(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      out[i].actor = "a";
      out[i].command = command;
      out[i].key.number = first + i;
    }
    return out;
  }
  /// Starts anew and answers again.
  void answers_again(process_host& h) {
    const auto before = results.size();
    h.restart();
    h.submit(orders("touch", 1000, 1));
    ASSERT_TRUE(wait([&] { return results.size() > before; }));
    EXPECT_EQ(results.back().key.number, 1000U);
    EXPECT_EQ(results.back().outcome, turn_outcome::ok);
  }
  /// Harms itself in the second of three turns.
  void crashes(const char* command, const std::string& why) {
    auto h = make();
    h->start();
    auto batch = orders("touch", 1, 1);
    for (auto& o : orders(command, 2, 1))
      batch.push_back(o);
    for (auto& o : orders("touch", 3, 1))
      batch.push_back(o);
    h->submit(std::move(batch));
    ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
    EXPECT_EQ(failed[0].why, host_errc::died);
    EXPECT_EQ(failed[0].message, "crasher: " + why);
    ASSERT_TRUE(failed[0].died_of.turn);
    EXPECT_EQ(failed[0].died_of.turn->number, 2U);
    EXPECT_LE(results.size(), 1U); // of the turn before it, if any
    EXPECT_EQ(h->outstanding(), 0U);
    EXPECT_EQ(h->deadline(), never);
    answers_again(*h);
  }

  std::vector<module_info> ready;
  std::vector<turn_result> results;
  std::vector<host_failed> failed;
  std::vector<std::string> lines;
  std::vector<std::uint64_t> slow;
  std::size_t results_before_failure = 0;
  int batches = 0;
};

TEST_F(processes, a_batch_has_one_result_per_order_in_order) {
  auto h = make();
  h->start();
  h->submit(orders("touch", 1, 1000)); // before it is ready
  EXPECT_EQ(h->outstanding(), 1000U);
  ASSERT_TRUE(wait([&] { return results.size() == 1000; }));
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].app, "crasher");
  ASSERT_NE(ready[0].find("touched"), nullptr);
  EXPECT_TRUE(ready[0].find("touched")->query);
  EXPECT_EQ(h->outstanding(), 0U);
  EXPECT_LT(batches, 1000);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(results[i].key.number, i + 1);
    EXPECT_EQ(results[i].outcome, turn_outcome::ok);
  }
  EXPECT_EQ(h->deadline(), never);
}

TEST_F(processes, a_throwing_handler_is_a_result) {
  auto h = make();
  h->start();
  h->submit(orders("throw", 1, 1));
  ASSERT_TRUE(wait([&] { return results.size() == 1; }));
  EXPECT_EQ(results[0].outcome, turn_outcome::failed);
  EXPECT_EQ(results[0].message, "throw: thrown on command");
  EXPECT_TRUE(failed.empty());
}

TEST_F(processes, an_order_over_a_limit_is_refused_without_the_code) {
  auto h = make();
  h->start();
  auto big = orders("touch", 1, 1);
  big[0].argument.resize(turn_limits::argument_bytes_max + 1);
  h->submit(std::move(big));
  ASSERT_TRUE(wait([&] { return results.size() == 1; }));
  EXPECT_EQ(results[0].message, "touch: argument: over 1 MiB");
}

TEST_F(processes, a_segmentation_fault_is_contained) {
  crashes("segv", "its process ended: Segmentation fault (signal 11)");
}
TEST_F(processes, an_abort_is_contained) {
  crashes("abort", "its process ended: Aborted (signal 6)");
}
TEST_F(processes, an_exit_is_contained) {
  crashes("leave", "its process ended: exit code 0");
}
TEST_F(processes, a_stack_overflow_is_contained) {
  crashes("recurse", "its process ended: Segmentation fault (signal 11)");
}

TEST_F(processes, a_leak_ends_at_the_limit) {
  auto o = options("crasher");
  o.memory_max = std::uint64_t{64} << 20;
  auto h = make(o);
  h->start();
  h->submit(orders("leak", 4, 1));
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_EQ(failed[0].message, "crasher: reached its memory limit of 64 MiB");
  ASSERT_TRUE(failed[0].died_of.turn);
  EXPECT_EQ(failed[0].died_of.turn->number, 4U);
  answers_again(*h);
}

TEST_F(processes, an_endless_loop_is_slow_first_and_then_ended) {
  auto o = options("crasher");
  o.turn_time_slow = 20ms;
  o.turn_time_max = 60ms;
  auto h = make(o);
  h->start();
  ASSERT_TRUE(wait([&] { return ready.size() == 1; }));
  h->submit(orders("spin", 7, 2));
  const int pid = h->pid();
  ASSERT_TRUE(wait([&] {
    h->on_time(l.now());
    return failed.size() == 1;
  }));
  EXPECT_EQ(slow, std::vector<std::uint64_t>{7});
  EXPECT_EQ(failed[0].why, host_errc::hung);
  EXPECT_EQ(failed[0].message, "crasher: a turn ran longer than 60 ms");
  ASSERT_TRUE(failed[0].died_of.turn);
  EXPECT_EQ(failed[0].died_of.turn->number, 7U);
  EXPECT_TRUE(wait([&] { return ::kill(pid, 0) != 0; }));
  answers_again(*h);
}

// Answers share writes, but none waits for a turn that doesn't end.
TEST_F(processes, a_short_turn_is_answered_while_a_long_one_runs_behind_it) {
  auto o = options("crasher");
  o.turn_time_max = 10min;
  auto h = make(o);
  h->start();
  auto batch = orders("touch", 1, 3);
  batch.push_back(orders("spin", 4, 1)[0]);
  h->submit(std::move(batch));
  ASSERT_TRUE(wait([&] { return results.size() == 3; }));
  EXPECT_EQ(results[2].key.number, 3U);
  EXPECT_TRUE(failed.empty());
  EXPECT_EQ(h->outstanding(), 1U);
}

// Also when the first answer is held before the thread that looks after it has
// come up.
TEST(held_answers, are_written_however_late_their_thread_begins) {
  for (int i = 0; i < 200; ++i) {
    std::promise<void> written;
    bool once = false;
    held_answers answers{[&](const_bytes) {
      if (!std::exchange(once, true))
        written.set_value();
      return true;
    }};
    answers.turn_begins();
    ASSERT_TRUE(answers.add({}));
    answers.turn_begins();
    ASSERT_EQ(written.get_future().wait_for(20s), std::future_status::ready);
  }
}

TEST_F(processes, one_whose_turn_takes_long_gives_way_to_the_others) {
  auto h = make();
  h->start();
  h->submit(orders("touch", 1, 10));
  ASSERT_TRUE(wait([&] { return results.size() == 10; }));
  const auto niceness = [&] {
    return ::getpriority(PRIO_PROCESS, static_cast<id_t>(h->pid()));
  };
  const int usual = niceness();
  h->submit(orders("spin", 11, 1));
  ASSERT_TRUE(wait([&] {
    h->on_time(l.now());
    return niceness() != usual;
  }));
  EXPECT_EQ(niceness(), 10);
  EXPECT_TRUE(slow.empty());
  EXPECT_TRUE(failed.empty());
  h->restart();
  EXPECT_EQ(niceness(), usual);
}

// A module that never comes back from being loaded, or a host that says
// nothing: its own deadline, however short turns may be.
TEST_F(processes, one_that_never_gets_ready_is_ended) {
  auto o = options("crasher");
  o.turn_time_max = 10ms;
  auto h = make(o, {"/bin/bash", {"bash", "-c", "sleep 1000"}});
  h->start();
  const auto begun = l.now();
  h->on_time(begun + 1s);
  h->on_time(begun + 9s);
  EXPECT_TRUE(failed.empty());
  h->on_time(begun + 11s);
  h->on_time(begun + 12s); // its last chance to be read is over
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_EQ(failed[0].why, host_errc::hung);
  EXPECT_EQ(failed[0].message, "crasher: loading the module takes too long");
  EXPECT_TRUE(failed[0].died_of.known);
  EXPECT_FALSE(failed[0].died_of.turn);
}

TEST_F(processes, what_it_prints_comes_back_as_lines) {
  auto h = make();
  h->start();
  auto q = orders("print", 1, 1);
  q[0].query = true;
  q[0].argument = {0x81, 0xa1, 'n', 2}; // {n: 2}
  h->submit(std::move(q));
  ASSERT_TRUE(wait([&] { return lines.size() == 2; }));
  EXPECT_EQ(lines[1], "line 2 of 2, touched 0");
}

TEST_F(processes, what_cannot_be_loaded_is_a_failure) {
  auto o = options("crasher");
  o.file = "/nowhere/crasher.so";
  auto h = make(o);
  h->start();
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_EQ(failed[0].why, host_errc::not_found);
  EXPECT_EQ(h->deadline(), never);
  o = options("crasher");
  o.config = {0x01};
  h = make(o);
  h->start();
  ASSERT_TRUE(wait([&] { return failed.size() == 2; }));
  EXPECT_EQ(failed[1].why, host_errc::refused);
  h = make(options("crasher"), {"/nowhere/host", {"host"}});
  h->start();
  ASSERT_TRUE(wait([&] { return failed.size() == 3; }));
  EXPECT_EQ(failed[2].message,
            "crasher: can't start /nowhere/host: No such file or directory");
}

TEST_F(processes, rubbish_on_the_stream_ends_it) {
  for (const auto* text :
       {"printf 'rubbish that is no frame at all' >&3; sleep 1000",
        "printf '\\x00\\x00\\x00\\x00' >&3; sleep 1000",
        "printf '\\xff\\xff\\xff\\xff\\x03' >&3; sleep 1000",
        "printf '\\x02\\x00\\x00\\x00\\x09x' >&3; sleep 1000",
        "printf '\\x02\\x00\\x00\\x00\\x03\\x90' >&3; sleep 1000"}) {
    failed.clear();
    auto h = script(text);
    h->start();
    ASSERT_TRUE(wait([&] { return failed.size() == 1; })) << text;
    EXPECT_EQ(failed[0].why, host_errc::died);
    EXPECT_NE(failed[0].message.find("rubbish"), std::string::npos);
    EXPECT_EQ(h->pid(), 0);
  }
}

// {ready}, then an answer to turn 1 without a turn, or twice.
TEST_F(processes, an_answer_to_no_turn_ends_it) {
  auto never_asked = script(ready_frame + answer_to_1 + "sleep 1000");
  never_asked->start();
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_EQ(ready.size(), 1U);
  EXPECT_TRUE(results.empty());
  auto twice = script(ready_frame + answer_to_1 + answer_to_1 + "sleep 1000");
  twice->start();
  twice->submit(orders("touch", 1, 2));
  ASSERT_TRUE(wait([&] { return failed.size() == 2; }));
  EXPECT_EQ(failed[1].why, host_errc::died);
}

TEST_F(processes, one_that_closes_its_stream_or_forks_is_ended_whole) {
  auto h = script("sleep 1000 3>&- & echo $!; exec 3>&-; sleep 1000");
  h->start();
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  ASSERT_EQ(lines.size(), 1U);
  const int sleeper = std::stoi(lines[0]);
  EXPECT_TRUE(wait([&] { return is_gone(sleeper); }));
}

// A process that the code forked ends with its host, in whatever session.
TEST_F(processes, what_it_forks_ends_with_it_and_answers_nothing) {
  auto h = make();
  h->start();
  h->submit(orders("twins", 1, 1));
  h->submit(orders("fork", 2, 1));
  h->submit(orders("touch", 3, 1));
  ASSERT_TRUE(wait([&] { return results.size() == 3; }));
  ASSERT_EQ(results[1].outcome, turn_outcome::ok);
  reader r{results[1].answer};
  const auto copy = static_cast<pid_t>(r.sint());
  ASSERT_GT(copy, 1);
  EXPECT_EQ(::kill(copy, 0), 0);
  EXPECT_TRUE(failed.empty());
  ::kill(h->pid(), SIGKILL);
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_TRUE(wait([&] { return is_gone(copy); }));
  answers_again(*h);
}

TEST_F(processes, one_that_closes_all_its_descriptors_is_ended) {
  auto h = make();
  h->start();
  h->submit(orders("shut", 1, 1));
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_EQ(failed[0].why, host_errc::died);
  answers_again(*h);
}

// What is left of an old process has no way to the new one's owner.
TEST_F(processes, an_answer_after_a_restart_is_not_heard) {
  const auto told =
      ::testing::TempDir() + "banyan-old-answer-" + std::to_string(::getpid());
  auto h = script(ready_frame + "setsid bash -c \"trap '' PIPE; sleep 0.05; "
                  + answer_to_1 + ": >" + told + "\" & sleep 1000");
  h->start();
  h->submit(orders("touch", 1, 1));
  ASSERT_TRUE(wait([&] { return ready.size() == 1; }));
  h->restart();
  h->submit(orders("touch", 2, 1));
  ASSERT_TRUE(wait([&] { return ::access(told.c_str(), F_OK) == 0; }));
  h->stop();
  EXPECT_TRUE(results.empty()); // the new one has not answered yet
  ::unlink(told.c_str());
}

TEST_F(processes, one_that_dies_between_turns_leaves_no_suspect) {
  auto h = make();
  h->start();
  h->submit(orders("touch", 1, 1));
  ASSERT_TRUE(wait([&] { return results.size() == 1; }));
  ::kill(h->pid(), SIGKILL);
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_TRUE(failed[0].died_of.known);
  EXPECT_FALSE(failed[0].died_of.turn);
}

TEST_F(processes, orders_that_wait_for_a_module_that_is_none_are_no_suspects) {
  auto o = options("crasher");
  o.file = "/nowhere/crasher.so";
  auto h = make(o);
  h->start();
  h->submit(orders("touch", 1, 3));
  ASSERT_TRUE(wait([&] { return failed.size() == 1; }));
  EXPECT_TRUE(failed[0].died_of.known);
  EXPECT_FALSE(failed[0].died_of.turn);
}

// A peer that stood still for a day finds the answer in the stream, not a hang.
TEST_F(processes,
       what_was_answered_meanwhile_is_read_before_it_counts_as_hung) {
  auto h = make();
  h->start();
  ASSERT_TRUE(wait([&] { return ready.size() == 1; }));
  h->submit(orders("touch", 1, 1));
  h->on_time(l.now() + 24h);
  EXPECT_TRUE(failed.empty());
  ASSERT_TRUE(wait([&] { return results.size() == 1; }));
  EXPECT_EQ(h->deadline(), never);
}

TEST_F(processes, nothing_comes_after_a_failure) {
  auto h = script("read -r -n 1 <&3; exit 0");
  h->start();
  auto big = orders("touch", 1, 1);
  big[0].argument.resize(turn_limits::argument_bytes_max + 1);
  ASSERT_TRUE(wait([&] {
    if (failed.empty()) // refused ones are on their way all the time
      h->submit(big);
    return !failed.empty();
  }));
  bool idle = false;
  l.post([&] { idle = true; });
  ASSERT_TRUE(wait([&] { return idle; }));
  EXPECT_EQ(results.size(), results_before_failure);
}

TEST_F(processes, whoever_stops_a_whole_service_leaves_it_to_its_peer) {
  auto h = make();
  h->start();
  ASSERT_TRUE(wait([&] { return ready.size() == 1; }));
  for (const int s : {SIGTERM, SIGINT, SIGHUP})
    ::kill(h->pid(), s);
  h->submit(orders("touch", 1, 1));
  ASSERT_TRUE(wait([&] { return results.size() == 1; }));
  EXPECT_TRUE(failed.empty());
}

TEST_F(processes, much_more_than_the_stream_holds_is_answered) {
  auto h = make();
  h->start();
  auto many = orders("touch", 1, 200);
  for (auto& o : many)
    o.argument.assign(100'000, 0xc0); // no argument is taken: an error each
  h->submit(std::move(many));
  EXPECT_EQ(h->outstanding(), 200U);
  ASSERT_TRUE(wait([&] { return results.size() == 200; }));
  EXPECT_EQ(h->outstanding(), 0U);
  EXPECT_EQ(results.back().key.number, 200U);
}

TEST_F(processes, restart_and_stop_drop_what_is_outstanding) {
  auto h = make();
  h->start();
  h->submit(orders("touch", 1, 100));
  h->restart();
  h->submit(orders("touch", 1000, 1));
  ASSERT_TRUE(wait([&] { return !results.empty(); }));
  EXPECT_EQ(results[0].key.number, 1000U);
  h->submit(orders("touch", 2000, 100));
  h->stop();
  h->stop();
  bool idle = false;
  l.post([&] { idle = true; });
  ASSERT_TRUE(wait([&] { return idle; }));
  EXPECT_EQ(results.size(), 1U);
  h->submit(orders("touch", 3000, 1)); // dropped
  EXPECT_EQ(h->outstanding(), 0U);
}

// Killed as by `kill -9` of the peer: the host notices by its parent's death.
TEST_F(processes, it_ends_with_its_parent) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t parent = ::fork();
  if (parent == 0) {
    io::asio_loop mine{io::asio_loop::thread::caller};
    host_handlers h;
    std::unique_ptr<process_host> p;
    h.on_ready = [&](const module_info&) {
      const int pid = p->pid();
      (void)!::write(ends[1], &pid, sizeof pid);
    };
    p = std::make_unique<process_host>(
        options("crasher"), std::move(h), mine,
        io::child_process::program{BANYAN_HOST_PROGRAM, {"host"}});
    p->start();
    mine.run();
    ::_exit(0);
  }
  int host = 0;
  ASSERT_EQ(::read(ends[0], &host, sizeof host), ssize_t{sizeof host});
  EXPECT_EQ(::kill(host, 0), 0);
  ::kill(parent, SIGKILL);
  EXPECT_TRUE(wait([&] { return is_gone(host); }));
  ::close(ends[0]);
  ::close(ends[1]);
}

} // namespace
} // namespace banyan
