#include "actors/bin/cli/peer_client.hpp"

#include <gtest/gtest.h>

namespace banyan::cli {
namespace {

TEST(Address, IsSplitAtTheFirstSlash) {
  actor_address a;
  std::string why;
  ASSERT_TRUE(split_address("ledger/alice", a, why));
  EXPECT_EQ(a.app, "ledger");
  EXPECT_EQ(a.key, "alice");
  ASSERT_TRUE(split_address("ledger/a/b//c", a, why));
  EXPECT_EQ(a.key, "a/b//c");
  ASSERT_TRUE(split_address("ledger/" + std::string(255, 'k'), a, why));
}

TEST(Address, WhatIsNoneSaysWhy) {
  actor_address a;
  for (const auto& [text, part] :
       std::vector<std::pair<std::string, std::string>>{
           {"ledger", "APP/KEY"},
           {"", "APP/KEY"},
           {"../x", "no app name"},
           {"/alice", "no app name"},
           {"Ledger/alice", "no app name"},
           {"ledger/", "1 to 255 bytes"},
           {"ledger/" + std::string(5000, 'k'), "5000 bytes"}}) {
    std::string why;
    EXPECT_FALSE(split_address(text, a, why)) << text;
    EXPECT_NE(why.find(part), std::string::npos) << why;
  }
}

TEST(Percent, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(percent_encoded("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encoded("a/b c?d#e%"), "a%2Fb%20c%3Fd%23e%25");
  EXPECT_EQ(percent_encoded("\xC3\xA9"), "%C3%A9");
  EXPECT_EQ(percent_encoded("{\"n\":1}"), "%7B%22n%22%3A1%7D");
  EXPECT_EQ(percent_encoded(std::string{"\0\x7F", 2}), "%00%7F");
  EXPECT_EQ(percent_encoded(""), "");
}

TEST(Percent, ASegmentOfDotsStaysASegment) {
  EXPECT_EQ(percent_encoded("."), "%2E");
  EXPECT_EQ(percent_encoded(".."), "%2E%2E");
  EXPECT_EQ(percent_encoded("..."), "...");
}

TEST(Table, AlignsColumnsAndShowsWhatIsMissing) {
  table t{{"NAME", "HEALTH"}};
  t.row({"ledger", "healthy"});
  t.row({"kv"});
  EXPECT_EQ(t.text(), "NAME    HEALTH\n"
                      "ledger  healthy\n"
                      "kv      -\n");
}

TEST(Table, CountsCharactersNotBytes) {
  table t{{"K", "V"}};
  t.row({"\xC3\xA9\xC3\xA9", "1"});
  t.row({"ab", "2"});
  EXPECT_EQ(t.text(), "K   V\n\xC3\xA9\xC3\xA9  1\nab  2\n");
}

TEST(Table, NothingFromAPeerMovesTheCursor) {
  table t{{"NAME"}};
  t.row({"a\x1B[2Jb\nc"});
  EXPECT_EQ(t.text(), "NAME\na?[2Jb?c\n");
}

TEST(Counted, OneIsSingular) {
  EXPECT_EQ(counted(0, "group"), "0 groups");
  EXPECT_EQ(counted(1, "group"), "1 group");
  EXPECT_EQ(counted(2, "group"), "2 groups");
}

problem answered(int status, const std::string& body, effect e) {
  io::http_reply r;
  r.status = status;
  r.body = body;
  return problem_of(r, e);
}

TEST(ExitCode, UnknownIsOnlyWhatMayHaveHappened) {
  const std::string unknown =
      R"({"error":"unknown","message":"sent, no answer"})";
  EXPECT_EQ(answered(504, unknown, effect::changes).code, exit_code::unknown);
  EXPECT_EQ(answered(504, unknown, effect::none).code, exit_code::failed);
  // `deadline` is a 504 too, but provably not executed.
  EXPECT_EQ(
      answered(504, R"({"error":"deadline","message":"m"})", effect::changes)
          .code,
      exit_code::failed);
  for (const auto* code :
       {"invalid_argument", "unauthorized", "forbidden", "not_found",
        "conflict", "expired", "too_large", "overloaded", "app_failed",
        "poisoned", "no_quorum", "parked", "disk_full", "rejected"})
    EXPECT_EQ(answered(500, std::string{"{\"error\":\""} + code + "\"}",
                       effect::changes)
                  .code,
              exit_code::failed)
        << code;
}

TEST(ExitCode, TheMessageNamesCodeCauseAndWhenToTryAgain) {
  EXPECT_EQ(
      answered(429,
               R"({"error":"overloaded","message":"full","retry_after_ms":40})",
               effect::changes)
          .message,
      "overloaded: full; try again in 40 ms");
  EXPECT_EQ(answered(422,
                     R"({"error":"rejected","code":"no_funds","message":"5"})",
                     effect::changes)
                .message,
            "rejected (no_funds): 5");
}

TEST(ExitCode, AnAnswerThatIsNoPeersFailsPlainly) {
  for (const auto* body : {"", "<html>", "[]", "{}", "{\"error\":5}"}) {
    const auto p = answered(502, body, effect::changes);
    EXPECT_EQ(p.code, exit_code::failed);
    EXPECT_NE(p.message.find("502"), std::string::npos);
    EXPECT_EQ(p.json, "");
  }
}

TEST(ExitCode, TheApisErrorIsKeptAsItIs) {
  const std::string body = R"({"error":"not_found","message":"m"})";
  const auto p = answered(404, body, effect::none);
  EXPECT_EQ(p.json, body);
  EXPECT_TRUE(says(p, "not_found"));
  EXPECT_FALSE(says(p, "conflict"));
}

} // namespace
} // namespace banyan::cli
