#include "actors/docs/spec_file.hpp"
#include "base/codec.hpp"
#include "folder.hpp"
#include "tests/support/whole_spec.hpp"

namespace banyan {
namespace {

using test::contains;

std::string error_of(const std::string& toml) {
  const auto spec = parse_spec(toml, "app.toml");
  EXPECT_FALSE(spec.ok()) << toml;
  return spec.ok() ? std::string{} : spec.error().message;
}

const std::string least = "name = \"ledger\"\nmodule = \"ledger\"\n";

TEST(spec, the_least_one_has_the_defaults_of_the_design) {
  const auto spec = parse_spec(least, "app.toml");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->spec.name, "ledger");
  EXPECT_EQ(spec->spec.module, "ledger");
  EXPECT_EQ(spec->spec.kind, app_kind::durable);
  EXPECT_EQ(spec->spec.shards, 8U);
  EXPECT_EQ(spec->spec.replicas, 3U);
  EXPECT_EQ(spec->spec.replace_after, 5min);
  EXPECT_EQ(spec->spec.isolation, app_isolation::process);
  EXPECT_EQ(spec->spec.access, app_access::token);
  EXPECT_TRUE(spec->spec.regions.empty());
  EXPECT_TRUE(spec->spec.config.empty());
  EXPECT_TRUE(spec->modules.empty());
}

TEST(spec, every_field_is_read) {
  const auto spec = parse_spec(test::whole_spec, "app.toml");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  const auto& s = spec->spec;
  EXPECT_EQ(s.shards, 16U);
  EXPECT_EQ(s.replicas, 5U);
  EXPECT_EQ(s.regions, (std::vector<std::string>{"eu", "us-east"}));
  EXPECT_EQ(s.spread, app_spread::regions);
  EXPECT_EQ(s.min_tier, 2);
  EXPECT_EQ(s.isolation, app_isolation::none);
  EXPECT_EQ(s.access, app_access::everyone);
  EXPECT_EQ(s.replace_after, 2s);
  EXPECT_EQ(s.secrets, std::vector<std::string>{"smtp_password"});
  bytes expected;
  writer w{expected};
  w.map(4).text("deep").map(1).text("list").array(3).sint(1).sint(-2);
  w.boolean(true);
  w.text("limit").sint(300).text("name").text("x").text("ratio").number(0.5);
  EXPECT_EQ(to_hex(s.config), to_hex(expected));
}

TEST(spec, a_stateless_app_has_instances) {
  const auto spec =
      parse_spec(least + "kind = \"stateless\"\ninstances = 4\n", "app.toml");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  EXPECT_EQ(spec->spec.kind, app_kind::stateless);
  EXPECT_EQ(spec->spec.replicas, 4U);
  EXPECT_EQ(spec->spec.shards, 1U);
  EXPECT_TRUE(contains(error_of(least + "kind=\"stateless\"\nshards = 2"),
                       "app.toml:4: shards: a stateless app has none"));
  EXPECT_TRUE(contains(error_of(least + "kind=\"stateless\"\nreplicas = 3"),
                       "app.toml:4: replicas: a stateless app has instances"));
  EXPECT_TRUE(contains(error_of(least + "instances = 3"),
                       "instances: a durable app has replicas"));
}

TEST(spec, a_module_may_name_a_file_for_each_target) {
  const auto spec = parse_spec("name = \"ledger\"\n[module]\n"
                               "x86_64-linux = \"build/ledger.so\"\n"
                               "aarch64-linux = \"arm/ledger.so\"\n",
                               "app.toml");
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  ASSERT_EQ(spec->modules.size(), 2U);
  EXPECT_EQ(spec->modules[0].target, "aarch64-linux");
  EXPECT_EQ(spec->modules[0].file, "arm/ledger.so");
  EXPECT_EQ(spec->spec.module, "ledger");
}

// An app name with `..`.
TEST(spec, app_names_are_one_path_part_at_most) {
  for (const char* name : {"", "..", "../etc", "a/b", "a.b", "A", "1a", "-a",
                           "a b", "a\\\\b", "\xc3\xa4"})
    EXPECT_TRUE(contains(
        error_of("name = \"" + std::string{name} + "\"\nmodule = \"m\"\n"),
        "app.toml:1: name: "))
        << name;
  EXPECT_TRUE(
      parse_spec("name = \"" + std::string(63, 'a') + "\"\nmodule=\"m\"", "f")
          .ok());
  EXPECT_FALSE(
      parse_spec("name = \"" + std::string(64, 'a') + "\"\nmodule=\"m\"", "f")
          .ok());
  EXPECT_TRUE(
      contains(error_of("name = \"a\"\nmodule = \"../m\""), "module: "));
}

TEST(spec, spread_counts_regions) {
  const auto read = [](const std::string& more) {
    return parse_spec(least + more, "app.toml");
  };
  for (const char* two : {"spread = 2\n", "spread = \"regions\"\n"}) {
    const auto s = read(two);
    ASSERT_TRUE(s.ok()) << s.error().message;
    EXPECT_EQ(s->spec.spread, app_spread::regions);
    EXPECT_EQ(s->spec.spread_regions, 2);
  }
  const auto s = read("spread = 3\n");
  ASSERT_TRUE(s.ok()) << s.error().message;
  EXPECT_EQ(s->spec.spread_regions, 3);
  app_spec back;
  ASSERT_TRUE(decode(encode(s->spec), back));
  EXPECT_EQ(back.spread, app_spread::regions);
  EXPECT_EQ(back.spread_regions, 3);
  EXPECT_EQ(encode(back), encode(s->spec));
  // Of two a spec says nothing new: an older peer reads the same bytes.
  EXPECT_EQ(encode(read("spread = 2\n")->spec),
            encode(read("spread = \"regions\"\n")->spec));
  const auto many = read("replicas = 3\nspread = 5\n");
  ASSERT_FALSE(many.ok());
  EXPECT_TRUE(contains(many.error().message,
                       "spread: 5 regions need as many replicas; there are 3"))
      << many.error().message;
}

TEST(spec, what_is_wrong_is_named_with_its_line) {
  const auto wrong = [](const std::string& line, const std::string& message) {
    const auto got = error_of(least + line);
    EXPECT_TRUE(contains(got, "app.toml:3: " + message)) << got;
  };
  wrong("shards = 0", "shards: must be a whole number from 1 to 1024");
  wrong("shards = 1025", "shards: must be");
  wrong("shards = \"8\"", "shards: must be a whole number");
  wrong("shards = 8.0", "shards: must be a whole number");
  wrong("replicas = 2", "replicas: must be 1, 3, 5 or 7");
  wrong("replicas = 9", "replicas: must be");
  wrong("replicas = -1", "replicas: must be");
  wrong("kind = \"durabel\"", "kind: must be \"durable\" or \"stateless\"");
  wrong("isolation = true", "isolation: must be \"process\" or \"none\"");
  wrong("access = \"all\"", "access: must be \"token\" or \"public\"");
  wrong("spread = 1", "spread: must be \"none\", \"regions\" or a whole");
  wrong("spread = 8", "spread: must be");
  wrong("spread = \"2\"", "spread: must be");
  wrong("min_tier = 256", "min_tier: must be");
  wrong("regions = \"eu\"", "regions: must be a list");
  wrong("regions = [\"\"]", "regions: each must be");
  wrong("regions = [3]", "regions: each must be");
  wrong("replace_after = 2", "replace_after: must be a text");
  wrong("replace_after = \"soon\"", "replace_after: must be a time");
  wrong("replace_after = \"10ms\"", "replace_after: must be a time");
  wrong("memory = 5", "memory: must be a text");
  wrong("memory = \"31MiB\"", "memory: must be a size of at least 32MiB");
  wrong("memory = \"1TB\"", "memory: must be a size");
  wrong("turn_time = \"99ms\"", "turn_time: must be a time from 100ms to 10m");
  wrong("turn_time = \"11m\"", "turn_time: must be a time");
  wrong("update_watch = \"25h\"", "update_watch: must be a time up to 24h");
  wrong("config = 3", "config: must be a table");
  wrong("config = {since = 1979-05-27}", "config: may hold");
  wrong("replica = 3", "replica: unknown; known are access, config");
  wrong("shards = = 3", "no TOML: ");
}

TEST(spec, missing_fields_are_named) {
  EXPECT_TRUE(contains(error_of("module = \"ledger\""), "name: "));
  EXPECT_TRUE(contains(error_of("name = \"ledger\""), "module: missing"));
  EXPECT_TRUE(contains(error_of(""), "name: "));
}

TEST(spec, hostile_text_is_bounded) {
  EXPECT_TRUE(contains(error_of(std::string(config_file_bytes_max + 1, '#')),
                       "larger than 1 MiB"));
  std::string deep = least + "config = ";
  EXPECT_FALSE(parse_spec(least + "[config]\nx = " + std::string(100'000, '[')
                              + std::string(100'000, ']'),
                          "app.toml")
                   .ok());
  EXPECT_TRUE(contains(error_of(least + "[config]\nx = " + std::string(40, '[')
                                + std::string(40, ']')),
                       "at most 16 deep"));
  EXPECT_TRUE(contains(
      error_of(least + "[config]\nx = \"" + std::string(70'000, 'x') + "\""),
      "larger than 64 KiB"));
  EXPECT_FALSE(parse_spec(std::string("name = \"a\0b\"", 13), "f").ok());
}

TEST(spec, is_read_from_a_file) {
  const test::folder dir;
  test::put(dir / "app.toml", least, 0644);
  EXPECT_TRUE(load_spec(dir / "app.toml").ok());
  const auto none = load_spec(dir / "none.toml");
  ASSERT_FALSE(none.ok());
  EXPECT_TRUE(contains(none.error().message, "none.toml: cannot be read"));
  EXPECT_TRUE(
      contains(load_spec(dir.path()).error().message, "is a directory"));
}

TEST(duration, has_a_number_and_a_unit) {
  duration d{};
  EXPECT_TRUE(parse_duration("500ms", d));
  EXPECT_EQ(d, 500ms);
  EXPECT_TRUE(parse_duration("2s", d));
  EXPECT_EQ(d, 2s);
  EXPECT_TRUE(parse_duration("5m", d));
  EXPECT_EQ(d, 5min);
  EXPECT_TRUE(parse_duration("1h", d));
  EXPECT_EQ(d, 1h);
  EXPECT_TRUE(parse_duration("8760h", d));
  for (const char* bad : {"", "s", "2", "2 s", "-2s", "2.5s", "2x", "8761h",
                          "99999999999999999999s", "+2s", "2ss"})
    EXPECT_FALSE(parse_duration(bad, d)) << bad;
}

} // namespace
} // namespace banyan
