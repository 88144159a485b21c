// Server-sent events, however they are cut into pieces.
#include "actors/bin/cli/sse.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace banyan::cli {
namespace {

std::vector<std::string> read(const std::string& stream, std::size_t piece) {
  std::vector<std::string> out;
  sse_reader r;
  for (std::size_t i = 0; i < stream.size(); i += piece)
    r.put(std::string_view{stream}.substr(i, piece),
          [&](std::string_view id, std::string_view data) {
            out.push_back(std::string{id} + "=" + std::string{data});
            return true;
          });
  return out;
}

TEST(sse_reader, takes_messages_however_they_are_cut) {
  const std::string stream = "id: 1\ndata: {\"a\":1}\n\n: still here\n\n"
                             "id: 2\r\ndata: {}\r\n\r\nid: 3\ndata: cut off";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece)
    EXPECT_EQ(read(stream, piece),
              (std::vector<std::string>{"1={\"a\":1}", "2={}"}))
        << piece;
}

TEST(sse_reader, skips_what_is_no_stream_of_events) {
  EXPECT_TRUE(
      read("{\"error\":\"not_found\",\"message\":\"no\"}\n\n", 7).empty());
}

TEST(sse_reader, drops_a_line_that_is_too_long) {
  const auto stream = "data: " + std::string(sse_reader::line_bytes_max, 'x')
                      + "\n\nid: 2\ndata: y\n\n";
  EXPECT_EQ(read(stream, 65'536), std::vector<std::string>{"2=y"});
}

TEST(sse_reader, stops_when_told) {
  sse_reader r;
  int seen = 0;
  EXPECT_FALSE(
      r.put("data: a\n\ndata: b\n\n",
            [&](std::string_view, std::string_view) { return ++seen < 1; }));
  EXPECT_EQ(seen, 1);
}

TEST(time_text, is_utc_with_milliseconds) {
  EXPECT_EQ(time_text(0), "1970-01-01 00:00:00.000");
  EXPECT_EQ(time_text(1'700'000'000'123), "2023-11-14 22:13:20.123");
  EXPECT_EQ(time_text(-5), "1970-01-01 00:00:00.000");
}

} // namespace
} // namespace banyan::cli
