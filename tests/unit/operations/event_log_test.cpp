// The list of what happened: numbers, bounds, and what others may say.
#include "actors/pure/event_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace banyan {
namespace {

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, 32> a{};
  a[0] = n;
  return node_id{a};
}

mesh_event about(std::string text) {
  mesh_event e;
  e.text = std::move(text);
  return e;
}

mesh_event said_by(std::uint8_t who, std::uint64_t number) {
  mesh_event e;
  e.node = node(who);
  e.number = number;
  e.kind = "failover";
  return e;
}

std::vector<std::string> texts(const event_log& l, std::uint64_t after = 0) {
  std::vector<std::string> out;
  l.each_after(after, [&](const mesh_event& e) {
    out.push_back(e.text);
    return true;
  });
  return out;
}

constexpr std::int64_t today = 1'800'000'000'000;

class events : public ::testing::Test {
protected:
  event_log list{node(1)};
  time_point now = time_point{} + 1h;
};

TEST_F(events, come_in_order_and_go_on_behind_a_number) {
  const auto first = list.add(event_kind::parked, about("a"), today).number;
  list.add(event_kind::unparked, about("b"), today);
  list.add(event_kind::disk_full, about("c"), today);
  EXPECT_EQ(texts(list), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(texts(list, first), (std::vector<std::string>{"b", "c"}));
  EXPECT_TRUE(texts(list, list.newest()).empty());
}

TEST_F(events, of_a_restarted_node_have_higher_numbers) {
  const auto before = list.add(event_kind::parked, about("a"), today).number;
  event_log anew{node(1)};
  EXPECT_GT(anew.add(event_kind::parked, about("b"), today + 1).number, before);
}

TEST_F(events, all_come_to_who_names_a_number_that_was_never_given) {
  list.add(event_kind::parked, about("a"), today);
  EXPECT_EQ(texts(list, UINT64_MAX).size(), 1U);
}

TEST_F(events, are_bounded_in_number_and_bytes) {
  for (std::size_t i = 0; i < event_log::events_max + 10; ++i)
    list.add(event_kind::parked, about(std::to_string(i)), today);
  EXPECT_EQ(list.size(), event_log::events_max);
  EXPECT_EQ(texts(list).front(), "10");
  for (int i = 0; i < 10'000; ++i)
    list.add(event_kind::parked, about(std::string(5000, 'x')), today);
  EXPECT_LE(list.bytes(), event_log::bytes_max);
  EXPECT_EQ(texts(list).back().size(), mesh_event::text_bytes_max);
}

TEST_F(events, have_one_line_each) {
  list.add(event_kind::host_failed, about("two\nlines\x1b[2J"), today);
  EXPECT_EQ(texts(list).front(), "two?lines?[2J");
}

TEST_F(events, are_cut_at_the_border_of_a_character) {
  const std::string euro = "\xe2\x82\xac";
  EXPECT_EQ(one_line("ab" + euro, 4), "ab");
  EXPECT_EQ(one_line("ab" + euro, 5), "ab" + euro);
}

TEST_F(events, are_json_whatever_they_say) {
  mesh_event e;
  e.app = "ledger";
  e.shard = 3;
  e.about = node(2);
  e.text = "\"quoted\" \xff";
  const auto json = event_json(list.add(event_kind::failover, e, today));
  EXPECT_NE(json.find("\"kind\":\"failover\",\"app\":\"ledger\",\"shard\":3"),
            std::string::npos)
      << json;
  EXPECT_NE(json.find(R"("text":"\"quoted\" )"
                      "\xef\xbf\xbd\""),
            std::string::npos)
      << json;
}

TEST_F(events, of_others_are_kept_once_and_only_their_own) {
  EXPECT_TRUE(list.hear(node(2), said_by(2, 5), today, now));
  EXPECT_FALSE(list.hear(node(2), said_by(2, 5), today, now)) << "again";
  EXPECT_FALSE(list.hear(node(2), said_by(3, 6), today, now)) << "for another";
  EXPECT_FALSE(list.hear(node(1), said_by(1, 7), today, now)) << "for us";
  EXPECT_EQ(list.size(), 1U);
  list.met(node(2)); // its clock went back, and it began anew
  EXPECT_TRUE(list.hear(node(2), said_by(2, 1), today, now));
}

TEST_F(events, of_a_node_that_says_too_much_are_left_out) {
  std::uint64_t kept = 0;
  for (std::uint64_t n = 1; n <= 5000; ++n)
    kept += list.hear(node(2), said_by(2, n), today, now) ? 1 : 0;
  EXPECT_LE(kept, 500U);
  EXPECT_TRUE(list.hear(node(3), said_by(3, 1), today, now)) << "another node";
  EXPECT_TRUE(list.hear(node(2), said_by(2, 9000), today, now + 1s));
}

TEST_F(events, are_told_at_a_bounded_rate_and_the_rest_is_counted) {
  std::uint64_t told = 0;
  for (int i = 0; i < 1000; ++i)
    told += list.may_tell(now) ? 1 : 0;
  EXPECT_EQ(told, 200U);
  EXPECT_TRUE(list.may_tell(now + 1s));
  EXPECT_EQ(list.take_untold(), 800U);
  EXPECT_EQ(list.take_untold(), 0U);
}

TEST_F(events, have_words_of_their_own_that_a_peer_takes) {
  std::vector<std::string> words;
  for (int k = 0; k <= static_cast<int>(event_kind::events_left_out); ++k) {
    const std::string word = to_string(static_cast<event_kind>(k));
    EXPECT_TRUE(is_event_kind(word)) << word;
    EXPECT_EQ(std::count(words.begin(), words.end(), word), 0) << word;
    words.push_back(word);
  }
}

} // namespace
} // namespace banyan
