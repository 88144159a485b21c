// JSON at the gateway and back.
#include "actors/host/json.hpp"
#include "base/codec.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace banyan {
namespace {

std::string there_and_back(const std::string& json) {
  const auto packed = json_to_msgpack(json);
  if (!packed)
    return "refused: " + packed.error().message;
  const auto text = msgpack_to_json(*packed);
  return text ? *text : "unplain: " + text.error().message;
}

TEST(json, round_trips) {
  for (const char* same :
       {"null", "true", "false", "0", "-1", "9007199254740993",
        "18446744073709551615", "-9223372036854775808", "0.1", "1e+300",
        "-2.5e-07", R"("")", R"("é")", R"("\"\\\n\r\t\u0000\u001f")", "[]",
        "{}", R"([1,[2,[3]],{}])", R"({"a":{"b":[null]},"c":""})",
        R"({"z":1,"a":2})"})
    EXPECT_EQ(there_and_back(same), same);
}

TEST(json, is_made_plain) {
  EXPECT_EQ(there_and_back(" [ 1 ,\n\t2 ] "), "[1,2]");
  EXPECT_EQ(there_and_back(R"("\u00e9\/\ud83d\ude00")"), R"("é/😀")");
  EXPECT_EQ(there_and_back("1E3"), "1000"); // stays a float64
  EXPECT_EQ(json_to_msgpack("1E3").value()[0], 0xcb);
  EXPECT_EQ(json_to_msgpack("1.0").value()[0], 0xcb);
  EXPECT_EQ(there_and_back("18446744073709551616"), "18446744073709551616");
  EXPECT_EQ(json_to_msgpack("18446744073709551616").value()[0], 0xcb);
}

TEST(json, no_text_is_no_argument) {
  EXPECT_TRUE(json_to_msgpack("").value().empty());
  EXPECT_TRUE(json_to_msgpack(" \r\n\t").value().empty());
}

TEST(json, names_given_twice_stay_for_the_module_to_see) {
  EXPECT_EQ(there_and_back(R"({"a":1,"a":2})"), R"({"a":1,"a":2})");
}

TEST(json, is_canonical_msgpack) {
  std::string large = "[";
  for (int i = 0; i < 300; ++i)
    large += std::to_string(i * 1000) + ",";
  large +=
      "{\"" + std::string(40, 'k') + "\":\"" + std::string(300, 'v') + "\"}]";
  const bytes b = json_to_msgpack(large).value();
  reader r{b};
  r.raw();
  EXPECT_TRUE(r.done());
}

TEST(json, errors_say_where) {
  const std::tuple<const char*, json_errc, std::size_t> cases[] = {
      {"{", json_errc::malformed, 1},
      {"[1,]", json_errc::malformed, 3},
      {R"({"a" 1})", json_errc::malformed, 5},
      {"nul", json_errc::malformed, 3},
      {"1 2", json_errc::malformed, 2},
      {"NaN", json_errc::malformed, 0},
      {"01", json_errc::malformed, 1},
      {"1e999", json_errc::malformed, 4},
      {"// no", json_errc::malformed, 0},
      {"\"\xff\"", json_errc::malformed, 1},
      {R"("\ud800")", json_errc::malformed, 7},
      {"'x'", json_errc::malformed, 0},
  };
  for (const auto& [text, code, position] : cases) {
    const auto r = json_to_msgpack(text);
    ASSERT_FALSE(r.ok()) << text;
    EXPECT_EQ(r.error().code, code) << text;
    EXPECT_EQ(r.error().position, position)
        << text << ": " << r.error().message;
    EXPECT_FALSE(r.error().message.empty());
  }
}

TEST(json, depth_is_bounded) {
  const auto nested = [](std::size_t n) {
    return std::string(n, '[') + std::string(n, ']');
  };
  EXPECT_EQ(there_and_back(nested(31)), nested(31));
  const auto deep = json_to_msgpack(nested(32));
  ASSERT_FALSE(deep.ok());
  EXPECT_EQ(deep.error().code, json_errc::too_deep);
  EXPECT_EQ(deep.error().position, 31U);
  EXPECT_FALSE(json_to_msgpack(std::string(1 << 20, '[')).ok());
  EXPECT_EQ(there_and_back(R"("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[")"),
            R"("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[")");
}

TEST(json, size_is_bounded) {
  const std::string at = '"' + std::string((1 << 20) - 2, 'x') + '"';
  EXPECT_TRUE(json_to_msgpack(at).ok());
  EXPECT_EQ(json_to_msgpack(at + ' ').error().code, json_errc::too_large);
  bytes b;
  writer{b}.text(std::string(100, 'x'));
  EXPECT_EQ(msgpack_to_json(b, {50}).error().code, json_errc::too_large);
}

TEST(json, says_what_msgpack_has_beyond_it) {
  bytes b;
  writer w{b};
  w.map(3).uint(7).blob(bytes{0, 1, 2, 3}).sint(-7).blob({}).text("f");
  w.blob(bytes{0xff, 0xfe});
  EXPECT_EQ(msgpack_to_json(b).value(),
            R"({"7":"AAECAw==","-7":"","f":"//4="})");
}

TEST(json, refuses_what_it_cannot_say) {
  const auto why = [](auto&& fill) {
    bytes b;
    writer w{b};
    fill(w);
    const auto r = msgpack_to_json(b);
    return r ? *r : r.error().message;
  };
  EXPECT_EQ(why([](writer& w) {
              w.number(std::numeric_limits<double>::quiet_NaN());
            }),
            "a number that isn't finite");
  EXPECT_EQ(why([](writer& w) {
              w.number(-std::numeric_limits<double>::infinity());
            }),
            "a number that isn't finite");
  EXPECT_EQ(why([](writer& w) { w.text("\xc0\x80"); }),
            "text that isn't UTF-8");
  EXPECT_EQ(why([](writer& w) { w.map(1).boolean(true).nil(); }),
            "a key that is no text and no integer");
  EXPECT_EQ(why([](writer& w) { w.nil().nil(); }), "bytes after the value");
  EXPECT_EQ(why([](writer&) {}), "malformed msgpack");
  EXPECT_EQ(why([](writer& w) {
              w.raw(bytes{0xdd, 0xff, 0xff, 0xff, 0xff});
            }),
            "malformed msgpack");
  EXPECT_EQ(why([](writer& w) {
              w.raw(bytes{0xca, 0, 0, 0, 0});
            }),
            "malformed msgpack");
  EXPECT_EQ(why([](writer& w) { w.raw(bytes(60, 0x91)); }),
            "nested deeper than 31");
}

TEST(json, strings_are_always_valid) {
  std::string out;
  append_json_string(out, "a\xff\"b");
  EXPECT_EQ(out, "\"a\xef\xbf\xbd\\\"b\"");
}

} // namespace
} // namespace banyan
