// Loading modules, and what a bad one gets.
#include "base/codec.hpp"
#include "base/random.hpp"
#include "harness.hpp"

#include <limits>

namespace banyan {
namespace {

const std::string modules = BANYAN_TEST_MODULES;
const std::string apps = BANYAN_TEST_APPS;

std::string load_error(const std::string& file, const std::string& name,
                       host_errc why) {
  const auto m = load_module(file, name);
  if (m)
    return "loaded";
  EXPECT_EQ(m.error().why, why);
  return m.error().message;
}

TEST(modules, load_and_run_through_the_table) {
  const auto module = load_module(apps + "/ledger.so", "ledger");
  ASSERT_TRUE(module) << module.error().message;
  EXPECT_EQ(module->info.app, "ledger");
  EXPECT_EQ(module->info.state_version, 1U);
  ASSERT_NE(module->info.find("balance"), nullptr);
  EXPECT_TRUE(module->info.find("balance")->query);
  EXPECT_FALSE(module->info.find("deposit")->query);
  EXPECT_TRUE(module->info.find("deposited")->reply_only);
  EXPECT_EQ(module->info.find("nothing"), nullptr);
  auto runner = module_runner::open(*module, {}).value();
  turn_order o;
  o.actor = "alice";
  o.command = "deposit";
  o.argument = json_to_msgpack(R"({"cents":5})").value();
  const turn_result r = runner.run(o);
  EXPECT_EQ(r.outcome, turn_outcome::ok) << r.message;
  EXPECT_EQ(r.answer, bytes{5});
  EXPECT_TRUE(r.state);
  o.argument = json_to_msgpack(R"({"cents":"5"})").value();
  EXPECT_EQ(runner.run(o).message,
            "deposit: argument.cents: expected integer, got string");
}

TEST(modules, examples_have_their_commands) {
  const std::pair<const char*, std::vector<const char*>> expected[] = {
      {"counter", {"add", "get"}},
      {"kv", {"put", "append", "cas", "delete", "get"}},
      {"ledger", {"deposit", "withdraw", "transfer", "balance"}}};
  for (const auto& [name, commands] : expected) {
    const auto m = load_module(apps + "/" + name + ".so", name);
    ASSERT_TRUE(m) << m.error().message;
    for (const char* command : commands)
      EXPECT_NE(m->info.find(command), nullptr) << name << " " << command;
  }
}

TEST(modules, errors_name_the_file_and_the_next_step) {
  EXPECT_EQ(load_error("/nowhere/x.so", "x", host_errc::not_found),
            "no module file /nowhere/x.so: build it there or name its folder "
            "with --apps");
  EXPECT_NE(load_error(BANYAN_SOURCE_DIR "/CMakeLists.txt", "x",
                       host_errc::not_a_module)
                .find("can't load"),
            std::string::npos);
  EXPECT_EQ(load_error(modules + "/no_module.so", "no_module",
                       host_errc::not_a_module),
            modules
                + "/no_module.so is no Banyan module: it doesn't export "
                  "banyan_module; build it from a source with BANYAN_APP(...)");
  EXPECT_EQ(
      load_error(modules + "/no_app.so", "no_app", host_errc::not_a_module),
      modules + "/no_app.so holds no app: it has no BANYAN_APP(...) list");
  EXPECT_EQ(
      load_error(modules + "/probe_1.so", "bank", host_errc::name_mismatch),
      modules
          + "/probe_1.so holds the app `probe`, not `bank`: a module "
            "is named like its app's struct");
}

TEST(modules, another_table_version_is_refused) {
  EXPECT_EQ(
      load_error(modules + "/other_version.so", "other_version",
                 host_errc::table_version),
      modules
          + "/other_version.so was built for module table version 2, this "
            "peer speaks version 1: rebuild it with this peer's "
            "<banyan/app.hpp>");
}

TEST(modules, two_versions_of_an_app_keep_apart) {
  const auto one = load_module(modules + "/probe_1.so", "probe").value();
  const auto two = load_module(modules + "/probe_2.so", "probe").value();
  EXPECT_NE(one.table, two.table);
  auto first = module_runner::open(one, {}).value();
  auto second = module_runner::open(two, {}).value();
  const auto ask = [](module_runner& r, const char* query) {
    turn_order o;
    o.actor = "a";
    o.command = query;
    return msgpack_to_json(r.run(o).answer).value();
  };
  EXPECT_EQ(ask(first, "version"), "1");
  EXPECT_EQ(ask(second, "version"), "2");
  EXPECT_EQ(ask(first, "count"), "1");
  EXPECT_EQ(ask(first, "count"), "2");
  EXPECT_EQ(ask(second, "count"), "1"); // its own static
}

TEST(modules, take_secrets_unless_they_were_built_before_there_were_any) {
  const auto now = load_module(modules + "/probe_1.so", "probe").value();
  auto older_table = *now.table;
  older_table.extras = 0;
  older_table.secrets = nullptr;
  auto older = now;
  older.table = &older_table;
  bytes values;
  writer{values}.map(1).text("db").blob(as_bytes("hunter2"));
  const auto ask = [](module_runner& r, const char* query) {
    turn_order o;
    o.actor = "a";
    o.command = query;
    const auto result = r.run(o);
    return result.outcome == turn_outcome::ok
               ? msgpack_to_json(result.answer).value()
               : std::string{to_string(result.outcome)} + ": " + result.message;
  };
  auto given = module_runner::open(now, {}, values).value();
  EXPECT_EQ(ask(given, "secret"), "\"hunter2\"");
  auto none = module_runner::open(now, {}).value();
  const std::string lacks = "failed: secret: no secret 'db': list it in the "
                            "spec's `secrets`";
  EXPECT_EQ(ask(none, "secret"), lacks);
  auto before = module_runner::open(older, {}, values).value();
  EXPECT_EQ(ask(before, "version"), "1");
  EXPECT_EQ(ask(before, "secret"), lacks);
}

TEST(modules, tables_are_checked_before_they_are_used) {
  const auto why = [](const banyan_module_v1* m) {
    const auto checked = check_table(m, "m.so", "x");
    return checked ? "ok" : checked.error().message;
  };
  EXPECT_EQ(why(nullptr), "m.so: banyan_module gave nothing");
  const banyan_module_v1 many{BANYAN_TABLE_VERSION, 2000, nullptr};
  EXPECT_EQ(why(&many), "m.so: its table is malformed");
  banyan_app_v1 app{};
  const banyan_app_v1* list[] = {&app};
  const banyan_module_v1 one{BANYAN_TABLE_VERSION, 1, list};
  EXPECT_EQ(why(&one), "m.so: its table is malformed");
  app.name = "x";
  EXPECT_EQ(why(&one), "m.so: its table is malformed");
  app.state_version = 1;
  app.handler_count = 5000;
  EXPECT_EQ(why(&one), "m.so: its table is malformed");
}

TEST(modules, malformed_results_are_failed_turns) {
  const auto module = load_module(modules + "/rogue.so", "rogue");
  ASSERT_TRUE(module) << module.error().message;
  auto runner = module_runner::open(*module, {}).value();
  const auto how = [&](const char* what) {
    turn_order o;
    o.actor = "a";
    o.command = "misbehave";
    writer{o.argument}.text(std::string{"how:"} + what);
    const turn_result r = runner.run(o);
    return std::string{to_string(r.outcome)} + ": " + r.message;
  };
  EXPECT_EQ(how("fine"), "ok: ");
  EXPECT_EQ(how("nothing"),
            "failed: misbehave: the module gave no result (code 0)");
  EXPECT_EQ(how("code"),
            "failed: misbehave: the module gave no result (code 7)");
  EXPECT_EQ(how("twice"),
            "failed: misbehave: the module gave no result (code 0)");
  EXPECT_EQ(how("huge"),
            "failed: misbehave: the turn's effects are over 4 MiB");
  EXPECT_EQ(
      how("empty"),
      "failed: misbehave: the module's result is refused: malformed bytes");
  EXPECT_EQ(
      how("large count"),
      "failed: misbehave: the module's result is refused: malformed bytes");
}

// ---- the bytes of a result --------------------------------------------------

std::string refused(const bytes& b) {
  turn_result r;
  std::string why;
  return decode_result(b, r, why) ? "ok" : why;
}
template <class Fill>
bytes with(std::size_t fields, turn_outcome outcome, Fill&& fill) {
  bytes b;
  writer w{b};
  w.map(fields).uint(1).uint(static_cast<std::uint64_t>(outcome));
  fill(w);
  return b;
}

TEST(results, break_no_rule_unseen) {
  const bytes nil = {0xc0};
  EXPECT_EQ(refused(with(2, turn_outcome::ok,
                         [&](writer& w) { w.uint(2).blob(nil); })),
            "ok");
  EXPECT_EQ(refused(with(1, turn_outcome::ok, [](writer&) {})), "no answer");
  EXPECT_EQ(refused(with(1, turn_outcome::rejected, [](writer&) {})),
            "a rejection without a code");
  EXPECT_EQ(refused(with(1, turn_outcome::needs_rows, [](writer&) {})),
            "an outcome that doesn't fit the rows it needs");
  EXPECT_EQ(refused(with(2, turn_outcome::failed,
                         [&](writer& w) { w.uint(5).blob(nil); })),
            "effects with an outcome that has none");
  EXPECT_EQ(
      refused(with(3, turn_outcome::ok,
                   [&](writer& w) { w.uint(2).blob(nil).uint(5).blob({}); })),
      "the state has no bytes");
  EXPECT_EQ(refused(with(4, turn_outcome::ok,
                         [&](writer& w) {
                           w.uint(2).blob(nil).uint(5).blob(nil);
                           w.uint(10).boolean(true);
                         })),
            "a removed actor that keeps something");
  EXPECT_EQ(refused(with(3, turn_outcome::ok,
                         [&](writer& w) {
                           w.uint(2).blob(nil).uint(7).array(1).array(5);
                           w.text("").text("").text("x").blob({}).text("");
                         })),
            "a send to nobody");
  EXPECT_EQ(refused(with(3, turn_outcome::ok,
                         [&](writer& w) {
                           w.uint(2).blob(nil).uint(8).array(1).array(4);
                           w.text("").uint(UINT64_MAX).text("x").blob({});
                         })),
            "a timer of more than a hundred years");
  EXPECT_EQ(refused(with(2, turn_outcome::needs_rows,
                         [&](writer& w) {
                           w.uint(13).array(1).array(3);
                           w.blob({}).blob({}).uint(0);
                         })),
            "a range without rows");
  EXPECT_EQ(refused(with(
                2, turn_outcome::needs_rows,
                [&](writer& w) { w.uint(12).array(1).blob(bytes(1025, 1)); })),
            "a row's key is too long");
}

TEST(results, answers_are_plain) {
  const char* why = "the answer isn't plain: a number that isn't finite, text "
                    "that isn't UTF-8 or malformed bytes";
  const auto answer = [](const bytes& value) {
    return refused(
        with(2, turn_outcome::ok, [&](writer& w) { w.uint(2).blob(value); }));
  };
  const auto made = [](auto&& fill) {
    bytes b;
    writer w{b};
    fill(w);
    return b;
  };
  EXPECT_EQ(answer(made([](writer& w) { w.number(0.5); })), "ok");
  EXPECT_EQ(answer(made([](writer& w) {
              w.number(std::numeric_limits<double>::infinity());
            })),
            why);
  EXPECT_EQ(answer(made([](writer& w) {
              w.array(1).number(std::numeric_limits<double>::quiet_NaN());
            })),
            why);
  EXPECT_EQ(answer(made([](writer& w) { w.map(1).text("\xff").nil(); })), why);
  EXPECT_EQ(answer(made([](writer& w) { w.map(1).nil().nil(); })), why);
  EXPECT_EQ(answer(made([](writer& w) { w.nil().nil(); })), why);
  EXPECT_EQ(answer(bytes(40, 0x91)), why);
  EXPECT_EQ(answer({0xdd, 0xff, 0xff, 0xff, 0xff}), why);
}

TEST(results, every_truncation_and_flip_is_met) {
  const bytes good = with(8, turn_outcome::ok, [](writer& w) {
    w.uint(2).blob(bytes{0x81, 0xa1, 'k', 0x01}).uint(5).blob(bytes{1, 2});
    w.uint(6).array(2).array(2).blob(bytes{1}).blob(bytes{2});
    w.array(2).blob(bytes{3}).nil();
    w.uint(7).array(1).array(5).text("a").text("k").text("c").blob({}).text("");
    w.uint(8).array(1).array(4).text("n").uint(70000).text("c").blob({});
    w.uint(9).array(1).text("m").uint(11).array(1).text("line");
  });
  ASSERT_EQ(refused(good), "ok");
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_NE(
        refused({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)}),
        "ok");
  for (std::size_t i = 0; i < good.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes flipped = good;
      flipped[i] ^= static_cast<std::uint8_t>(1U << bit);
      refused(flipped); // any answer, no crash
    }
  seeded_random random{17};
  for (int round = 0; round < 20'000; ++round) {
    bytes b(1 + random.below(40));
    random.fill(b.data(), b.size());
    b[0] = static_cast<std::uint8_t>(0x80 + random.below(9));
    refused(b);
  }
}

} // namespace
} // namespace banyan
