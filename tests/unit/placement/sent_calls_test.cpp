// What becomes of messages to stateless apps: calls until there is an answer,
// and answers that the sending group takes once.
#include "actors/pure/sent_calls.hpp"
#include "base/codec.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace banyan::sent_calls_tests {
namespace {

const group_id sender{app_id{std::array<std::uint8_t, 32>{1}}, 3};
const group_id greeter{app_id{std::array<std::uint8_t, 32>{2}}, 0};
const lineage_id line{std::array<std::uint8_t, 16>{7}};

struct sent_calls : ::testing::Test {
  /// What `ann` sends to `key`.
  static stream_message message(std::uint64_t number, std::string key,
                                std::string on_reply = {}) {
    stream_message m;
    m.number = number;
    m.from_app = "guests";
    m.from_key = "ann";
    m.to_app = "hello";
    m.to_key = std::move(key);
    m.command = "greet";
    m.on_reply = std::move(on_reply);
    writer{m.argument}.uint(number);
    return m;
  }
  void send(std::vector<stream_message> list, std::uint64_t acknowledged = 0) {
    stream_frame f;
    f.from = sender;
    f.lineage = line;
    f.to = greeter;
    f.acknowledged = acknowledged;
    f.messages = std::move(list);
    core.on_messages(f, out);
    take();
  }
  void taken(std::uint64_t number) {
    stream_frame ack;
    ack.from = greeter;
    ack.lineage = line;
    ack.to = sender;
    ack.is_ack = true;
    ack.acknowledged = number;
    core.on_taken(ack, out);
    take();
  }
  /// The call of the message with this number ends so.
  void ends(std::uint64_t number, reply_status s = reply_status::ok) {
    const auto at = std::find_if(calls.begin(), calls.end(), [&](auto& c) {
      reader in{c.argument};
      return in.uint() == number;
    });
    ASSERT_NE(at, calls.end()) << number << " is not under way";
    const auto token = at->token;
    calls.erase(at);
    reply r;
    r.status = s;
    writer{r.result}.text("hello");
    core.on_reply(token, std::move(r), out);
    take();
  }
  void take() {
    for (auto& e : out)
      if (auto* c = std::get_if<sent_call>(&e)) {
        EXPECT_EQ(c->to, greeter.app);
        calls.push_back(std::move(*c));
      } else if (auto* d = std::get_if<sent_done>(&e)) {
        EXPECT_EQ(addressee(d->ack), sender);
        done = d->ack.acknowledged;
      } else {
        auto& f = std::get<sent_answers>(e).frame;
        EXPECT_EQ(addressee(f), sender);
        EXPECT_EQ(f.lineage, line);
        answers.push_back(f.messages);
      }
    out.clear();
  }
  /// Numbers of the messages that are called right now.
  std::vector<std::uint64_t> under_way() {
    std::vector<std::uint64_t> all;
    for (const auto& c : calls) {
      reader in{c.argument};
      all.push_back(in.uint());
    }
    return all;
  }
  using numbers = std::vector<std::uint64_t>;

  banyan::sent_calls core;
  std::vector<sent_effect> out;
  std::vector<sent_call> calls;
  std::uint64_t done = 0;
  std::vector<std::vector<stream_message>> answers;
};

TEST_F(sent_calls, a_message_is_acknowledged_once_it_is_answered) {
  send({message(1, "x"), message(2, "y"), message(3, "z")});
  EXPECT_EQ(under_way(), (numbers{1, 2, 3}));
  EXPECT_EQ(calls[0].app, "hello");
  EXPECT_EQ(calls[0].key, "x");
  EXPECT_EQ(calls[0].command, "greet");
  ends(2);
  EXPECT_EQ(done, 0U);
  ends(1);
  EXPECT_EQ(done, 2U);
  ends(3, reply_status::app_failed); // and that is its end
  EXPECT_EQ(done, 3U);
  EXPECT_TRUE(answers.empty()) << "nobody waits for one";
}

// [6] First in first out per sender and receiver.
TEST_F(sent_calls, of_one_actor_to_one_key_they_are_called_in_order) {
  send({message(1, "x"), message(2, "x"), message(3, "y")});
  EXPECT_EQ(under_way(), (numbers{1, 3}));
  ends(1, reply_status::no_quorum); // not yet: the next must not overtake it
  EXPECT_EQ(under_way(), (numbers{3}));
  send({message(1, "x"), message(2, "x"), message(3, "y")});
  EXPECT_EQ(under_way(), (numbers{3, 1}));
  ends(1);
  EXPECT_EQ(under_way(), (numbers{3, 2}));
}

// [6] Calls at least once; they never expire.
TEST_F(sent_calls, what_was_not_taken_is_called_again_when_it_is_sent_again) {
  const auto wanted = message(1, "x");
  for (const auto s : {reply_status::overloaded, reply_status::no_quorum,
                       reply_status::deadline, reply_status::unknown}) {
    send({wanted});
    ASSERT_EQ(under_way(), (numbers{1}));
    send({wanted}); // the outbox repeats what takes long
    ASSERT_EQ(under_way(), (numbers{1}));
    ends(1, s);
    EXPECT_TRUE(under_way().empty()) << "the outbox says when";
    EXPECT_EQ(done, 0U);
  }
  send({wanted});
  ends(1);
  EXPECT_EQ(done, 1U);
  done = 0;
  send({wanted}); // the acknowledgement was lost
  EXPECT_TRUE(under_way().empty());
  EXPECT_EQ(done, 1U);
}

TEST_F(sent_calls, answers_come_in_order_and_wait_to_be_taken) {
  send({message(1, "x", "done"), message(2, "y"), message(3, "z", "done"),
        message(4, "u", "done")});
  ends(3);
  EXPECT_TRUE(answers.empty()) << "the first one is not answered";
  ends(1);
  ASSERT_EQ(answers.size(), 1U);
  ASSERT_EQ(answers[0].size(), 1U) << "2 is not answered";
  const auto& m = answers[0][0];
  EXPECT_EQ(m.number, 1U);
  EXPECT_EQ(m.what, stream_message::kind::reply);
  EXPECT_EQ(m.from_app, "hello");
  EXPECT_EQ(m.to_app, "guests");
  EXPECT_EQ(m.to_key, "ann");
  EXPECT_EQ(m.command, "done");
  EXPECT_EQ(done, 0U) << "its answer could still be lost";
  ends(2);
  ends(4, reply_status::rejected);
  EXPECT_EQ(answers.size(), 1U) << "the group has not taken the first yet";
  taken(1);
  EXPECT_EQ(done, 2U);
  ASSERT_EQ(answers.size(), 2U);
  ASSERT_EQ(answers[1].size(), 2U);
  EXPECT_EQ(answers[1][0].number, 3U);
  EXPECT_EQ(answers[1][1].number, 4U);
  send({message(3, "z", "done"), message(4, "u", "done")}, 2);
  ASSERT_EQ(answers.size(), 3U) << "they may be lost: again, both";
  EXPECT_EQ(answers[2].size(), 2U);
  taken(4);
  EXPECT_EQ(done, 4U);
}

TEST_F(sent_calls, another_leader_begins_anew_behind_what_is_acknowledged) {
  send({message(1, "x"), message(2, "y")});
  const auto late = calls[0].token;
  core.forget(sender);
  calls.clear();
  EXPECT_EQ(core.under_way(), 0U);
  reply r;
  core.on_reply(late, r, out);
  EXPECT_TRUE(out.empty());
  // Elsewhere the first was acknowledged.
  send({message(3, "z")}, 1);
  EXPECT_TRUE(under_way().empty()) << "2 lacks: it comes again";
  send({message(2, "y"), message(3, "z")}, 1);
  EXPECT_EQ(under_way(), (numbers{2, 3}));
  ends(2);
  ends(3);
  EXPECT_EQ(done, 3U);
}

TEST_F(sent_calls, only_so_many_are_called_at_once) {
  std::vector<stream_message> many;
  for (std::uint64_t n = 1; n <= banyan::sent_calls::at_once_max + 5; ++n)
    many.push_back(message(n, "k" + std::to_string(n)));
  send(many);
  EXPECT_EQ(calls.size(), banyan::sent_calls::at_once_max);
  ends(1);
  EXPECT_EQ(calls.size(), banyan::sent_calls::at_once_max);
}

// [6] What is said for good is an answer, and the stream goes on.
TEST_F(sent_calls, a_removed_app_is_an_answer_for_good) {
  send({message(1, "x")});
  ASSERT_EQ(calls.size(), 1U);
  called_app app;
  auto r = banyan::sent_calls::refusal(calls[0], app);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, reply_status::not_found);
  core.on_reply(calls[0].token, *r, out);
  take();
  EXPECT_EQ(done, 1U);
  app.is = sender.app; // another one bears the name now
  r = banyan::sent_calls::refusal(calls[0], app);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->status, reply_status::not_found);
  app.is = greeter.app;
  EXPECT_FALSE(banyan::sent_calls::refusal(calls[0], app));
}

TEST_F(sent_calls, while_two_apps_bear_the_name_a_message_waits) {
  send({message(1, "x")});
  called_app app;
  app.contested = true;
  for (const auto& is : {std::optional{greeter.app}, std::optional<app_id>{}}) {
    app.is = is; // whichever of them this node shows
    const auto r = banyan::sent_calls::refusal(calls[0], app);
    ASSERT_TRUE(r);
    EXPECT_EQ(r->status, reply_status::conflict);
  }
  core.on_reply(calls[0].token, *banyan::sent_calls::refusal(calls[0], app),
                out);
  calls.clear();
  take();
  EXPECT_EQ(done, 0U);
  send({message(1, "x")}); // its owner removed one
  EXPECT_EQ(under_way(), (numbers{1}));
}

TEST_F(sent_calls, those_that_go_at_once_may_be_run_one_by_one) {
  called_app app;
  app.turn_time_max = 1s;
  EXPECT_EQ(banyan::sent_calls::patience(app), 37s);
  app.turn_time_max = 10min;
  EXPECT_EQ(banyan::sent_calls::patience(app), 1h);
}

} // namespace
} // namespace banyan::sent_calls_tests
