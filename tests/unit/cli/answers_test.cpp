#include "actors/bin/cli/answers.hpp"

#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

const auto node = to_string(node_id{std::array<std::uint8_t, 32>{1}});
const std::string replica(32, 'b');

void voter(writer& w, const std::string& of = node) {
  w.map(2).text("node").text(of).text("replica").text(replica);
}
bytes plan(std::size_t shards, std::size_t voters) {
  bytes b;
  writer w{b};
  w.map(2).text("nonce").text(std::string(32, 'c')).text("voters");
  w.array(shards);
  for (std::size_t s = 0; s < shards; ++s) {
    w.array(voters);
    for (std::size_t v = 0; v < voters; ++v)
      voter(w);
  }
  return b;
}
bool reads(const bytes& answer) {
  value v;
  prepared_app out;
  return value::decode(answer, v) && read_prepared(v, out);
}
bool holds_a_control_character(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\n';
  });
}

TEST(Answers, APlanIsReadWithItsVoters) {
  value v;
  prepared_app out;
  ASSERT_TRUE(value::decode(plan(2, 3), v));
  ASSERT_TRUE(read_prepared(v, out));
  ASSERT_EQ(out.voters.size(), 2u);
  EXPECT_EQ(out.voters[1].size(), 3u);
  EXPECT_EQ(to_string(out.voters[1][2].node), node);
  EXPECT_EQ(to_hex(out.nonce), std::string(32, 'c'));
}

// Whatever comes of a plan is signed: it must be what an app can be.
TEST(Answers, APlanBeyondTheBoundsOfAnAppIsRefused) {
  EXPECT_TRUE(reads(plan(1024, 7)));
  EXPECT_FALSE(reads(plan(1025, 1)));
  EXPECT_FALSE(reads(plan(1, 8)));
  EXPECT_FALSE(reads(plan(1, 0)));
  EXPECT_FALSE(reads(plan(0, 0)));
}

TEST(Answers, AnAppIdIsPutInItsPlace) {
  bytes answer;
  bytes wanted;
  writer{answer}.map(2).text("app").nil().text("survives").uint(1);
  writer{wanted}.map(2).text("app").text("abc").text("survives").uint(1);
  EXPECT_EQ(with_app(answer, "abc"), wanted);
}

TEST(Answers, ManyFieldsAndLongNamesArePassedOn) {
  bytes answer;
  writer w{answer};
  w.map(66).text(std::string(100, 'n')).uint(1);
  for (std::uint64_t i = 0; i < 65; ++i)
    w.text("f" + std::to_string(i)).uint(i);
  EXPECT_EQ(with_app(answer, "abc"), answer);
  const bytes list{0x91, 0x01};
  EXPECT_EQ(with_app(list, "abc"), list);
  EXPECT_EQ(with_app(bytes{}, "abc"), bytes{});
}

TEST(Answers, NothingThatATerminalObeysIsShownOfAVerification) {
  bytes b;
  writer w{b};
  w.map(5).text("state").text("\x1b[2Jdone\n");
  w.text("rows").text("\x1b]0;gotcha\x07").text("open").text("\r1");
  w.text("rows_damaged").text("\x1b[A");
  w.text("findings").array(1).text("ledger/0\x1b[31m");
  value v;
  ASSERT_TRUE(value::decode(b, v));
  EXPECT_FALSE(holds_a_control_character(verify_progress(v)));
  EXPECT_EQ(verify_progress(v).find('\n'), std::string::npos);
  EXPECT_FALSE(holds_a_control_character(verify_report(v)));
}

} // namespace
} // namespace banyan::cli
