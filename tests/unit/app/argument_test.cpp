// What callers get wrong, and the message that each mistake gets.
#include "harness.hpp"

namespace argument_test {

struct inner {
  std::int32_t n = 0;
  BANYAN_FIELDS(n);
};
struct everything {
  std::int64_t cents = 0;
  std::optional<std::uint8_t> small;
  std::optional<bool> flag;
  std::optional<double> ratio;
  std::optional<std::string> name;
  std::optional<std::vector<std::uint8_t>> raw;
  std::optional<std::vector<inner>> list;
  std::optional<std::map<std::string, inner>> named;
  std::optional<std::map<std::int32_t, std::string>> numbered;
  std::optional<std::set<std::string>> tags;
  std::optional<std::array<bool, 2>> pair;
  std::optional<std::uint64_t> large;
  BANYAN_FIELDS(cents, small, flag, ratio, name, raw, list, named, numbered,
                tags, pair, large);
};
struct nothing_kept {
  std::int64_t sum = 0;
  BANYAN_FIELDS(sum);
};
struct tree {
  std::vector<tree> children;
  BANYAN_FIELDS(children);
};

struct checker : banyan::app<checker, nothing_kept> {
  static std::int64_t deposit(nothing_kept& s, const everything& e) {
    return s.sum += e.cents;
  }
  static everything echo(const nothing_kept&, everything e) { return e; }
  static tree plant(const nothing_kept&, const tree& t) { return t; }
  static void delete_(nothing_kept&) {}
};
BANYAN_APP(checker, deposit, echo, plant, delete_)

using actor = banyan::test::actor<checker>;

TEST(arguments, are_refused_with_their_path) {
  actor a;
  const std::pair<const char*, const char*> cases[] = {
      {R"({"cents":"5"})",
       "invalid: deposit: argument.cents: expected integer, got string"},
      {R"({"cents":5.0})",
       "invalid: deposit: argument.cents: expected integer, got number"},
      {R"({"cents":null})",
       "invalid: deposit: argument.cents: expected integer, got null"},
      {R"({"cents":true})",
       "invalid: deposit: argument.cents: expected integer, got boolean"},
      {R"({"cents":[1]})",
       "invalid: deposit: argument.cents: expected integer, got array"},
      {R"({"cents":{}})",
       "invalid: deposit: argument.cents: expected integer, got object"},
      {R"({})", "invalid: deposit: argument.cents: missing"},
      {"", "invalid: deposit: argument.cents: missing"},
      {"null", "invalid: deposit: argument: expected object, got null"},
      {"[5]", "invalid: deposit: argument: expected object, got array"},
      {"5", "invalid: deposit: argument: expected object, got integer"},
      {R"({"cents":1,"cents":1})",
       "invalid: deposit: argument.cents: given twice"},
      {R"({"cents":18446744073709551615})",
       "invalid: deposit: argument.cents: integer out of range: "
       "18446744073709551615 is not in "
       "-9223372036854775808..9223372036854775807"},
      {R"({"cents":1e30})",
       "invalid: deposit: argument.cents: expected integer, got number"},
      {R"({"cents":1,"small":256})",
       "invalid: deposit: argument.small: integer out of range: 256 is not in "
       "0..255"},
      {R"({"cents":1,"small":-1})",
       "invalid: deposit: argument.small: integer out of range: -1 is not in "
       "0..255"},
      {R"({"cents":1,"flag":1})",
       "invalid: deposit: argument.flag: expected boolean, got integer"},
      {R"({"cents":1,"ratio":"1"})",
       "invalid: deposit: argument.ratio: expected number, got string"},
      {R"({"cents":1,"name":1})",
       "invalid: deposit: argument.name: expected string, got integer"},
      {R"({"cents":1,"raw":1})",
       "invalid: deposit: argument.raw: expected bytes, got integer"},
      {R"({"cents":1,"raw":"a*=="})",
       "invalid: deposit: argument.raw: expected bytes as base64"},
      {R"({"cents":1,"list":[{"n":1},{"n":"x"}]})",
       "invalid: deposit: argument.list[1].n: expected integer, got string"},
      {R"({"cents":1,"list":[{}]})",
       "invalid: deposit: argument.list[0].n: missing"},
      {R"({"cents":1,"named":{"a":{"n":1},"b":7}})",
       "invalid: deposit: argument.named.b: expected object, got integer"},
      {R"({"cents":1,"named":{"a":{"n":1},"a":{"n":1}}})",
       "invalid: deposit: argument.named.a: given twice"},
      {R"({"cents":1,"numbered":{"x":"y"}})",
       "invalid: deposit: argument.numbered (key): expected integer, got "
       "string"},
      {R"({"cents":1,"tags":["a","a"]})",
       "invalid: deposit: argument.tags[1]: given twice"},
      {R"({"cents":1,"pair":[true]})",
       "invalid: deposit: argument.pair: expected 2 elements, got 1"},
      {R"({"cents":1,"large":"9007199254740992"})",
       "invalid: deposit: argument.large: expected integer, got string"},
      {R"({"cents":1,"large":"99999999999999999999"})",
       "invalid: deposit: argument.large: integer out of range: "
       "99999999999999999999 is not in 0..18446744073709551615"},
      {R"({"cents":1,"large":"-9007199254740993"})",
       "invalid: deposit: argument.large: integer out of range: "
       "-9007199254740993 is not in 0..18446744073709551615"},
  };
  for (const auto& [json, message] : cases)
    EXPECT_EQ(a.say("deposit", json), message) << json;
  EXPECT_EQ(a.say("deposit", R"({"cents":1})"), "1"); // nothing was kept
}

TEST(arguments, an_unknown_field_lists_the_known_ones) {
  actor a;
  EXPECT_EQ(a.say("deposit", R"({"cent":5})"),
            "invalid: deposit: argument: unknown field 'cent' (known: cents, "
            "small, flag, ratio, name, raw, list, named, numbered, tags, pair, "
            "large)");
  EXPECT_EQ(a.say("deposit", R"({"cents":5,"list":[{"n":1,"m":2}]})"),
            "invalid: deposit: argument.list[0]: unknown field 'm' (known: n)");
}

TEST(arguments, of_a_handler_without_any) {
  actor a;
  EXPECT_EQ(a.say("delete"), "null");
  EXPECT_EQ(a.say("delete", "{}"), "null");
  EXPECT_EQ(a.say("delete", "null"), "null");
  EXPECT_EQ(a.say("delete", R"({"x":1})"),
            "invalid: delete: argument: unknown field 'x' (takes no argument)");
  EXPECT_EQ(a.say("delete", "[]"),
            "invalid: delete: argument: expected nothing, got array");
}

TEST(arguments, optional_fields_may_be_missing_or_null) {
  actor a;
  EXPECT_EQ(a.say("echo", R"({"cents":1,"name":null})"),
            R"({"cents":1,"small":null,"flag":null,"ratio":null,"name":null,)"
            R"("raw":null,"list":null,"named":null,"numbered":null,)"
            R"("tags":null,"pair":null,"large":null})");
}

TEST(arguments, json_spellings_are_taken) {
  actor a;
  EXPECT_EQ(a.say("echo",
                  R"({"cents":"-9223372036854775808","ratio":2,"raw":"/+8=",)"
                  R"("numbered":{"-3":"x"},"large":"18446744073709551615"})"),
            R"({"cents":-9223372036854775808,"small":null,"flag":null,)"
            R"("ratio":2,"name":null,"raw":"/+8=","list":null,"named":null,)"
            R"("numbered":{"-3":"x"},"tags":null,"pair":null,)"
            R"("large":18446744073709551615})");
}

TEST(arguments, unknown_commands_name_the_known_ones) {
  actor a;
  EXPECT_EQ(a.say("depsit"), "unknown_command: checker has no command or query "
                             "'depsit' (it has: deposit, echo, plant, delete)");
  EXPECT_EQ(a.call("delete_").outcome, banyan::turn_outcome::unknown_command);
}

TEST(arguments, a_query_runs_no_command) {
  actor a;
  banyan::turn_order o;
  o.query = true;
  EXPECT_EQ(actor::said(a.call("delete", o)),
            "invalid: delete is a command, not a query");
  o.argument = banyan::json_to_msgpack(R"({"cents":1})").value();
  EXPECT_EQ(a.call("echo", o).outcome, banyan::turn_outcome::ok);
}

TEST(arguments, foreign_bytes_are_bounded) {
  actor a;
  const auto with = [&](banyan::bytes argument) {
    banyan::turn_order o;
    o.argument = std::move(argument);
    return actor::said(a.call("deposit", o));
  };
  using banyan::bytes;
  // an array of 2^32-1 elements in five bytes, and the like for maps and text
  EXPECT_EQ(with({0xdd, 0xff, 0xff, 0xff, 0xff}),
            "invalid: deposit: argument: malformed msgpack");
  EXPECT_EQ(with({0xdf, 0xff, 0xff, 0xff, 0xff}),
            "invalid: deposit: argument: malformed msgpack");
  EXPECT_EQ(with({0x81, 0xdb, 0xff, 0xff, 0xff, 0xff}),
            "invalid: deposit: argument: malformed msgpack");
  EXPECT_EQ(with({0xc1}), "invalid: deposit: argument: malformed msgpack");
  EXPECT_EQ(with({0x81, 0x01, 0x01}),
            "invalid: deposit: argument: expected field names, got integer");
  EXPECT_EQ(with({0xd4, 0x01, 0x01}),
            "invalid: deposit: argument: expected object, got extension");
  EXPECT_EQ(with(bytes((1 << 20) + 1, 0xc0)),
            "invalid: deposit: argument: over 1 MiB");
  EXPECT_EQ(with({0x81, 0xa1, 0xff, 0x01}),
            "invalid: deposit: argument: unknown field '?' (known: cents, "
            "small, flag, ratio, name, raw, list, named, numbered, tags, pair, "
            "large)");
  bytes good = banyan::json_to_msgpack(R"({"cents":1})").value();
  good.push_back(0);
  EXPECT_EQ(with(good), "invalid: deposit: argument: bytes after the value");
  bytes text = {0x82, 0xa5, 'c', 'e', 'n', 't',  's', 0x01,
                0xa4, 'n',  'a', 'm', 'e', 0xa1, 0xff};
  EXPECT_EQ(with(text),
            "invalid: deposit: argument.name: expected a string of UTF-8");
}

TEST(arguments, any_form_of_msgpack_is_read) {
  actor a;
  const auto cents = [&](banyan::bytes value) {
    banyan::bytes whole = {0xde, 0x00, 0x01, 0xd9, 0x05};
    banyan::append(whole, banyan::as_bytes("cents"));
    banyan::append(whole, value);
    banyan::turn_order o;
    o.argument = whole;
    actor fresh;
    return actor::said(fresh.call("deposit", o));
  };
  EXPECT_EQ(cents({0x07}), "7");
  EXPECT_EQ(cents({0xcc, 0x07}), "7");
  EXPECT_EQ(cents({0xcd, 0x00, 0x07}), "7");
  EXPECT_EQ(cents({0xcf, 0, 0, 0, 0, 0, 0, 0, 7}), "7");
  EXPECT_EQ(cents({0xd0, 0x07}), "7");
  EXPECT_EQ(cents({0xd0, 0xf9}), "-7");
  EXPECT_EQ(cents({0xd1, 0xff, 0xf9}), "-7");
  EXPECT_EQ(cents({0xd2, 0xff, 0xff, 0xff, 0xf9}), "-7");
  EXPECT_EQ(cents({0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf9}),
            "-7");
  EXPECT_EQ(cents({0xf9}), "-7");
}

TEST(arguments, are_refused_when_nested_too_deep) {
  actor a;
  banyan::turn_order o; // {"children": [{"children": [...]}]}
  for (int i = 0; i < 40; ++i) {
    o.argument.push_back(0x81);
    o.argument.push_back(0xa8);
    banyan::append(o.argument, banyan::as_bytes("children"));
    o.argument.push_back(i < 39 ? 0x91 : 0x90);
  }
  const auto r = a.call("plant", o);
  EXPECT_EQ(r.outcome, banyan::turn_outcome::invalid);
  EXPECT_NE(r.message.find("nested deeper than 32"), std::string::npos)
      << r.message;
}

TEST(arguments, every_truncation_and_flip_is_met) {
  actor a;
  const banyan::bytes good =
      banyan::json_to_msgpack(
          R"({"cents":70000,"name":"x","list":[{"n":1}],"named":{"k":{"n":2}},)"
          R"("ratio":0.5,"tags":["t"],"pair":[true,false],"raw":"AAEC"})")
          .value();
  std::size_t refused = 0;
  for (std::size_t n = 1; n < good.size(); ++n) {
    banyan::turn_order o;
    o.argument = {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)};
    refused += a.call("deposit", o).outcome == banyan::turn_outcome::invalid;
  }
  EXPECT_EQ(refused, good.size() - 1);
  for (std::size_t i = 0; i < good.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      banyan::turn_order o;
      o.argument = good;
      o.argument[i] ^= static_cast<std::uint8_t>(1U << bit);
      const auto outcome = a.call("deposit", o).outcome;
      EXPECT_TRUE(outcome == banyan::turn_outcome::ok
                  || outcome == banyan::turn_outcome::invalid);
    }
}

} // namespace argument_test
