// What handlers may do in a turn, and what leaves with it.
#include "harness.hpp"

#include <limits>
#include <random>

namespace turn_test {

enum class color : std::uint8_t { red, green };
struct point {
  double x = 0;
  float y = 0;
  BANYAN_FIELDS(x, y);
};
struct all_types {
  bool b = false;
  std::int8_t i8 = 0;
  std::int16_t i16 = 0;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  double d = 0;
  std::string s;
  std::vector<std::uint8_t> raw;
  std::vector<point> points;
  std::vector<bool> bits;
  std::map<std::string, std::vector<std::string>> named;
  std::map<std::int64_t, point> numbered;
  std::set<std::uint32_t> set;
  std::array<std::int32_t, 3> triple{};
  std::optional<point> maybe;
  color c = color::red;
  std::map<color, bool> colors;
  std::vector<std::vector<std::int64_t>> matrix;
  std::optional<std::vector<std::uint8_t>> maybe_raw;
  point inner;
  BANYAN_FIELDS(b, i8, i16, i32, i64, u8, u16, u32, u64, d, s, raw, points,
                bits, named, numbered, set, triple, maybe, c, colors, matrix,
                maybe_raw, inner);
};
struct number {
  std::int64_t n = 0;
  BANYAN_FIELDS(n);
};
struct settings {
  std::int64_t limit = 7;
  std::string greeting = "hello";
  BANYAN_FIELDS(limit, greeting);
};

struct turns : banyan::app<turns, all_types> {
  static all_types store(all_types& s, const all_types& a) { return s = a; }
  static all_types load(const all_types& s) { return s; }
  static banyan::reply<void> refuse(all_types& s, banyan::context& ctx) {
    s.i64 = 99;
    ctx.send<&turns::add>("bob", {1});
    ctx.log("refusing");
    return banyan::reject("no", "not today");
  }
  static void throw_(all_types& s) {
    s.i64 = 99;
    throw std::runtime_error{"it broke"};
  }
  static void throw_int(all_types&) { throw 5; }
  static void throw_bytes(all_types&) { throw std::runtime_error{"\xff"}; }
  static std::int64_t add(all_types& s, const number& n) {
    return s.i64 += n.n;
  }
  static double ratio(const all_types&, const number& n) {
    return n.n == 0   ? std::numeric_limits<double>::quiet_NaN()
           : n.n == 1 ? std::numeric_limits<double>::infinity()
                      : 0.5;
  }
  static std::map<std::string, std::vector<std::string>>
  broken_text(const all_types&) {
    return {{"k", {"fine", "\xc3\x28"}}};
  }
  static banyan::reply<std::int64_t> bad_code(all_types&) {
    return banyan::reject("");
  }
  static void everything(all_types& s, banyan::context& ctx) {
    s.s = ctx.key() + "," + ctx.caller();
    ctx.send<&turns::add>("bob", {1});
    ctx.send<&turns::add>("bob", {2}, banyan::on_reply<&turns::added>);
    ctx.after<&turns::add>(std::chrono::seconds{5}, {3});
    ctx.after<&turns::add>("daily", std::chrono::hours{1}, {4});
    ctx.after<&turns::add>("daily", std::chrono::hours{24}, {5});
    ctx.after<&turns::add>("gone", std::chrono::hours{1}, {6});
    ctx.cancel("gone");
    ctx.log("done");
  }
  static std::int64_t added(all_types& s,
                            const banyan::answer<number, std::int64_t>& r) {
    s.s = r.to + "/" + r.code + "/" + r.message;
    return s.i64 = r.ok() ? r.value * 100 + r.sent.n : -r.sent.n;
  }
  static void gone(all_types& s, banyan::context& ctx) {
    s.i64 = 5;
    ctx.after<&turns::add>("t", std::chrono::seconds{1}, {1});
    ctx.send<&turns::add>("bob", {1});
    ctx.remove();
  }
  static void sneaky(const all_types&, banyan::context& ctx) { ctx.remove(); }
  static void nobody(all_types&, banyan::context& ctx) {
    ctx.send<&turns::add>("", {1});
  }
  static std::vector<std::uint64_t> facts(const all_types&,
                                          banyan::context& ctx) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(
        ctx.now().time_since_epoch());
    std::uniform_int_distribution<std::uint64_t> die{1, 6};
    return {static_cast<std::uint64_t>(ms.count()), ctx.random()(),
            die(ctx.random()), ctx.random().below(0)};
  }
  static settings config(const all_types&, banyan::context& ctx) {
    return ctx.config<settings>();
  }
  static void loud(all_types&, banyan::context& ctx) {
    for (int i = 0; i < 5000; ++i)
      ctx.log(std::string(100, 'x'));
  }
  static std::string large(all_types&, const number& n) {
    return std::string(static_cast<std::size_t>(n.n), 'x');
  }
  static void many(all_types&, const number& n, banyan::context& ctx) {
    for (std::int64_t i = 0; i < n.n; ++i)
      ctx.send<&turns::add>("bob", {i});
  }
};
BANYAN_APP(turns, store, load, refuse, throw_, throw_int, throw_bytes, add,
           ratio, broken_text, bad_code, everything, added, gone, sneaky,
           nobody, facts, config, loud, large, many)

using actor = banyan::test::actor<turns>;
using banyan::turn_order;
using banyan::turn_outcome;
using banyan::turn_result;

TEST(turns, all_types_round_trip) {
  actor a;
  const std::string json =
      R"({"b":true,"i8":-128,"i16":-32768,"i32":-2147483648,)"
      R"("i64":-9223372036854775808,"u8":255,"u16":65535,"u32":4294967295,)"
      R"("u64":18446744073709551615,"d":-0.125,"s":"é \"\\\u0001","raw":"AP8=",)"
      R"("points":[{"x":1.5,"y":-2.5}],"bits":[true,false],)"
      R"("named":{"k":["a",""]},"numbered":{"-1":{"x":0,"y":0}},)"
      R"("set":[1,2],"triple":[1,-2,3],"maybe":{"x":1e+300,"y":0},"c":1,)"
      R"("colors":{"1":true},"matrix":[[1],[],[-300,70000]],"maybe_raw":"",)"
      R"("inner":{"x":3,"y":4}})";
  EXPECT_EQ(a.say("store", json), json);
  EXPECT_EQ(a.say("load"), json);
}

TEST(turns, a_command_that_changes_nothing_writes_nothing) {
  actor a;
  EXPECT_TRUE(a.call("add", R"({"n":0})").state); // the actor now exists
  EXPECT_FALSE(a.call("add", R"({"n":0})").state);
  EXPECT_TRUE(a.call("add", R"({"n":1})").state);
}

TEST(turns, a_rejection_leaves_only_its_log) {
  actor a;
  const turn_result r = a.call("refuse");
  EXPECT_EQ(r.outcome, turn_outcome::rejected);
  EXPECT_EQ(r.code, "no");
  EXPECT_EQ(r.message, "not today");
  EXPECT_FALSE(r.state);
  EXPECT_TRUE(r.sends.empty());
  EXPECT_EQ(r.log, std::vector<std::string>{"refusing"});
}

TEST(turns, whatever_is_thrown_is_a_failed_turn) {
  actor a;
  EXPECT_EQ(a.say("throw"), "failed: throw: it broke");
  EXPECT_EQ(a.say("throw_int"),
            "failed: throw_int: threw something that is no std::exception");
  EXPECT_EQ(a.say("throw_bytes"), "failed: throw_bytes: ?");
  EXPECT_EQ(a.say("add", R"({"n":1})"), "1");
}

TEST(turns, answers_that_json_cannot_say_fail) {
  actor a;
  EXPECT_EQ(a.say("ratio", R"({"n":0})"),
            "failed: ratio: answer: not a finite number");
  EXPECT_EQ(a.say("ratio", R"({"n":1})"),
            "failed: ratio: answer: not a finite number");
  EXPECT_EQ(a.say("ratio", R"({"n":2})"), "0.5");
  EXPECT_EQ(a.say("broken_text"),
            "failed: broken_text: answer.k[1]: not UTF-8 (use "
            "std::vector<std::uint8_t> for bytes)");
}

TEST(turns, a_rejection_needs_a_code) {
  actor a;
  EXPECT_EQ(a.call("bad_code").outcome, turn_outcome::failed);
}

TEST(turns, effects_leave_with_the_turn) {
  actor a;
  turn_order o;
  o.caller = "shop/cart";
  const turn_result r = a.call("everything", o);
  ASSERT_EQ(r.outcome, turn_outcome::ok) << r.message;
  ASSERT_EQ(r.sends.size(), 2U);
  EXPECT_EQ(r.sends[0].app, ""); // its own
  EXPECT_EQ(r.sends[0].key, "bob");
  EXPECT_EQ(r.sends[0].command, "add");
  EXPECT_EQ(r.sends[0].argument, banyan::json_to_msgpack(R"({"n":1})").value());
  EXPECT_EQ(r.sends[0].on_reply, "");
  EXPECT_EQ(r.sends[1].on_reply, "added");
  ASSERT_EQ(r.timers.size(), 2U);
  EXPECT_EQ(r.timers[0].name, "");
  EXPECT_EQ(r.timers[0].after, std::chrono::seconds{5});
  EXPECT_EQ(r.timers[1].name, "daily");
  EXPECT_EQ(r.timers[1].after, std::chrono::hours{24});
  EXPECT_EQ(r.timers[1].argument,
            banyan::json_to_msgpack(R"({"n":5})").value());
  EXPECT_EQ(r.cancelled, std::vector<std::string>{"gone"});
  EXPECT_EQ(r.log, std::vector<std::string>{"done"});
  EXPECT_NE(a.say("load").find(R"("s":"alice,shop/cart")"), std::string::npos);
}

TEST(turns, answers_come_back_as_a_command_that_nobody_else_can_call) {
  actor a;
  const banyan::turn_send sent{
      "", "bob", "add", banyan::json_to_msgpack(R"({"n":2})").value(), "added"};
  turn_order o;
  o.argument = banyan::reply_argument(
      sent, banyan::json_to_msgpack("7").value(), "", "");
  EXPECT_EQ(
      actor::said(a.call("added", o)),
      "unknown_command: added takes answers to this app's own sends only");
  o.origin = banyan::turn_origin::send;
  EXPECT_EQ(a.call("added", o).outcome, turn_outcome::unknown_command);
  o.origin = banyan::turn_origin::reply;
  EXPECT_EQ(actor::said(a.call("added", o)), "702");
  o.argument = banyan::reply_argument(sent, {}, "poisoned", "it crashed");
  EXPECT_EQ(actor::said(a.call("added", o)), "-2");
  EXPECT_NE(a.say("load").find(R"("s":"bob/poisoned/it crashed")"),
            std::string::npos);
}

TEST(turns, a_removed_actor_keeps_nothing_but_its_sends) {
  actor a;
  a.call("add", R"({"n":1})");
  const turn_result r = a.call("gone");
  EXPECT_TRUE(r.removed);
  EXPECT_FALSE(r.state);
  EXPECT_TRUE(r.timers.empty());
  EXPECT_EQ(r.sends.size(), 1U);
}

TEST(turns, a_query_has_no_effects) {
  actor a;
  EXPECT_EQ(a.say("sneaky"), "failed: sneaky: a query can't remove");
}

TEST(turns, a_send_needs_a_good_key) {
  actor a;
  EXPECT_EQ(a.say("nobody"),
            "failed: nobody: an actor's key is 1 to 255 bytes of UTF-8");
}

TEST(turns, now_and_random_are_the_orders) {
  actor a;
  turn_order o;
  o.now = std::chrono::milliseconds{1234567890123};
  o.seed = 5;
  const std::string first = actor::said(a.call("facts", o));
  EXPECT_EQ(first.rfind("[1234567890123,", 0), 0U) << first;
  EXPECT_EQ(actor::said(a.call("facts", o)), first);
  o.seed = 6;
  EXPECT_NE(actor::said(a.call("facts", o)), first);
}

TEST(turns, config_comes_with_defaults_and_checks) {
  banyan::host_catalog catalog;
  catalog.add(banyan::module_table<turns>());
  const auto module = catalog.find("turns").value();
  const auto with = [&](const std::string& json) {
    auto runner = banyan::module_runner::open(
        module, banyan::json_to_msgpack(json).value());
    if (!runner)
      return runner.error().message;
    turn_order o;
    o.actor = "a";
    o.command = "config";
    return actor::said(std::move(runner).value().run(o));
  };
  EXPECT_EQ(with(""), R"({"limit":7,"greeting":"hello"})");
  EXPECT_EQ(with(R"({"limit":8,"other":[]})"),
            R"({"limit":8,"greeting":"hello"})");
  EXPECT_EQ(with(R"({"limit":"8"})"),
            "failed: config: config.limit: expected integer, got string");
  EXPECT_EQ(with("[]"),
            "turns refused its configuration: the config is no map");
}

TEST(turns, limits_are_failures_that_name_the_limit) {
  actor a;
  const turn_result loud = a.call("loud");
  EXPECT_EQ(loud.outcome, turn_outcome::ok);
  EXPECT_EQ(loud.log.size(), 655U); // 64 KiB
  EXPECT_EQ(a.call("large", R"({"n":1000000})").outcome, turn_outcome::ok);
  EXPECT_EQ(a.say("large", R"({"n":5000000})"),
            "failed: large: the turn's effects are over 4 MiB");
  EXPECT_EQ(a.call("many", R"({"n":1000})").outcome, turn_outcome::ok);
  EXPECT_EQ(a.say("many", R"({"n":1001})"),
            "failed: many: the module's result is refused: more than 1000 "
            "sends");
}

TEST(turns, the_echo_names_key_and_version) {
  actor a;
  turn_order o;
  o.key.number = 17;
  o.key.term = banyan::term{3};
  o.key.group.shard = 2;
  o.version = 40;
  for (const char* command : {"load", "throw", "nothing", "refuse"}) {
    const turn_result r = a.call(command, o);
    EXPECT_EQ(r.key, o.key);
    EXPECT_EQ(r.version, 40U);
  }
}

struct hidden {
  static void unlisted(all_types&) {}
};

TEST(turns, send_of_an_unlisted_handler_throws) {
  banyan::context ctx;
  EXPECT_NO_THROW(ctx.send<&turns::add>("x", {1}));
  EXPECT_THROW(ctx.send<&hidden::unlisted>("x"), std::logic_error);
}

} // namespace turn_test
