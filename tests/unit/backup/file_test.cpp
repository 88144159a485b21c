// The file: what is changed, missing or put elsewhere is found, with its place.
#include "actors/pure/backup/file.hpp"

#include <gtest/gtest.h>

namespace banyan::backup {
namespace {

header a_header() {
  header h;
  h.mesh_name = "orchard";
  h.app = "ledger";
  h.shards = 2;
  h.at_unix_ms = 1'700'000'000'000;
  h.number = {1, 2, 3};
  h.papers = to_bytes("papers");
  h.version = "0.1.0";
  return h;
}

struct written {
  bytes all;
  std::vector<std::size_t> borders; ///< of frames
};
written a_file() {
  file_writer w;
  written out;
  const auto put = [&](const bytes& b) {
    append(out.all, b);
    out.borders.push_back(out.all.size());
  };
  put(w.put(a_header()));
  stream_begin b;
  b.shard = 1;
  b.attempt = 2;
  b.led = true;
  put(w.put(b));
  put(w.put(part{1, 2, to_bytes("first")}));
  put(w.put(part{1, 2, bytes(3000, 7)}));
  put(w.finish());
  return out;
}

struct seen {
  std::vector<frame> frames;
  std::optional<fault> bad;
};
seen read(const_bytes in, std::size_t piece = 1000) {
  file_reader r;
  seen s;
  while (!in.empty() && !r.bad()) {
    const auto n = std::min(piece, in.size());
    r.add(in.first(n));
    in = in.from(n);
    while (auto f = r.next())
      s.frames.push_back(std::move(*f));
  }
  if (!r.finish())
    s.bad = r.bad();
  return s;
}

TEST(backup_file, comes_back_as_it_was_written_in_pieces_of_any_size) {
  const auto f = a_file();
  for (const std::size_t piece : {1, 2, 7, 100, 100'000}) {
    const auto s = read(f.all, piece);
    ASSERT_FALSE(s.bad) << s.bad->message;
    ASSERT_EQ(s.frames.size(), 5U);
    const auto& h = std::get<header>(s.frames[0]);
    EXPECT_EQ(h.app, "ledger");
    EXPECT_EQ(h.number, a_header().number);
    EXPECT_EQ(h.at_unix_ms, a_header().at_unix_ms);
    const auto& b = std::get<stream_begin>(s.frames[1]);
    EXPECT_EQ(b.attempt, 2U);
    EXPECT_TRUE(b.led);
    EXPECT_EQ(std::get<part>(s.frames[3]).sealed, bytes(3000, 7));
  }
}

TEST(backup_file, cut_short_anywhere_is_found_with_its_place) {
  const auto f = a_file();
  for (std::size_t n = 0; n < f.all.size(); ++n) {
    const auto s = read(const_bytes{f.all}.first(n));
    ASSERT_TRUE(s.bad) << n;
    EXPECT_LE(s.bad->offset, n);
    EXPECT_NE(s.bad->message.find("cut short"), std::string::npos)
        << s.bad->message;
  }
}

TEST(backup_file, a_flipped_byte_is_found_in_its_frame) {
  const auto f = a_file();
  for (std::size_t i = 0; i < f.all.size(); ++i) {
    auto bad = f.all;
    bad[i] = static_cast<std::uint8_t>(bad[i] ^ 0x10);
    const auto s = read(bad);
    ASSERT_TRUE(s.bad) << i;
    EXPECT_LE(s.bad->offset, i);
    EXPECT_FALSE(s.bad->message.empty());
  }
}

TEST(backup_file, a_frame_left_out_or_put_elsewhere_is_found) {
  const auto f = a_file();
  const auto frame_at = [&](std::size_t i) {
    return const_bytes{f.all}
        .first(f.borders[i])
        .from(i == 0 ? 0 : f.borders[i - 1]);
  };
  const auto joined = [&](const std::vector<std::size_t>& order) {
    bytes out;
    for (const auto i : order)
      append(out, frame_at(i));
    return out;
  };
  EXPECT_FALSE(read(joined({0, 1, 2, 3, 4})).bad);
  for (const auto& order : std::vector<std::vector<std::size_t>>{
           {0, 1, 3, 4}, {0, 1, 3, 2, 4}, {0, 1, 2, 2, 3, 4}, {0, 4}, {0, 0}}) {
    const auto s = read(joined(order));
    EXPECT_TRUE(s.bad);
  }
  auto more = f.all;
  more.push_back(0);
  EXPECT_TRUE(read(more).bad);
}

TEST(backup_file, an_unfinished_one_says_why) {
  file_writer w;
  auto all = w.put(a_header());
  append(all, w.put(given_up{"no replica of shard 0 could be copied"}));
  const auto s = read(all);
  ASSERT_TRUE(s.bad);
  EXPECT_NE(s.bad->message.find("no replica of shard 0"), std::string::npos);
}

TEST(backup_file, what_is_no_backup_is_called_so) {
  const auto s = read(to_bytes("{\"error\":\"not_found\"}"));
  ASSERT_TRUE(s.bad);
  EXPECT_NE(s.bad->message.find("no backup"), std::string::npos);
}

TEST(backup_file, a_stream_is_bound_to_app_shard_and_file) {
  const app_id a{std::array<std::uint8_t, 32>{1}};
  const app_id b{std::array<std::uint8_t, 32>{2}};
  const auto one = stream_context(a, 0, {});
  EXPECT_NE(one, stream_context(b, 0, {}));
  EXPECT_NE(one, stream_context(a, 1, {}));
  EXPECT_NE(one, stream_context(a, 0, {9}));
}

} // namespace
} // namespace banyan::backup
