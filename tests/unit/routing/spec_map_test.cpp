// Each refusal of a spec that came as JSON.
#include "actors/docs/spec_map.hpp"
#include "actors/host/json.hpp"

#include <gtest/gtest.h>

namespace banyan {
namespace {

std::string error_of(const std::string& json) {
  const auto map = json_to_msgpack(json);
  if (!map.ok())
    return "no JSON";
  const auto s = parse_spec_map(*map);
  return s.ok() ? "" : s.error().message;
}

TEST(spec_map, every_field) {
  const auto map = json_to_msgpack(R"({
    "name": "ledger", "module": "bank", "kind": "durable", "shards": 16,
    "replicas": 5, "regions": ["eu", "us"], "spread": "regions",
    "min_tier": 2, "isolation": "none", "access": "public",
    "replace_after": "2s", "config": {"limit": 5}, "secrets": ["api"]})");
  ASSERT_TRUE(map.ok());
  const auto s = parse_spec_map(*map);
  ASSERT_TRUE(s.ok()) << s.error().message;
  EXPECT_EQ(s->name, "ledger");
  EXPECT_EQ(s->module, "bank");
  EXPECT_EQ(s->shards, 16U);
  EXPECT_EQ(s->replicas, 5U);
  EXPECT_EQ(s->regions, (std::vector<std::string>{"eu", "us"}));
  EXPECT_EQ(s->spread, app_spread::regions);
  EXPECT_EQ(s->min_tier, 2);
  EXPECT_EQ(s->isolation, app_isolation::none);
  EXPECT_EQ(s->access, app_access::everyone);
  EXPECT_EQ(s->replace_after, std::chrono::seconds{2});
  EXPECT_FALSE(s->config.empty());
  EXPECT_EQ(s->secrets.size(), 1U);
}

TEST(spec_map, comes_back_as_it_was_written) {
  app_spec s;
  s.name = "ledger";
  s.module = "bank";
  s.shards = 16;
  s.replicas = 5;
  s.regions = {"eu", "us"};
  s.spread = app_spread::regions;
  s.spread_regions = 3;
  s.min_tier = 2;
  s.isolation = app_isolation::none;
  s.access = app_access::everyone;
  s.replace_after = 2500ms;
  s.turn_time_max = 20s;
  s.update_watch = 0s;
  s.memory_max = (std::uint64_t{64} << 20) + 1;
  s.config = json_to_msgpack(R"({"limit":5})").value();
  s.secrets = {"api"};
  const digest a{std::array<std::uint8_t, 32>{1}};
  s.modules = {{"aarch64-linux", a, 5}, {"x86_64-linux", {}, module_bytes_max}};
  const auto encoded = [](const app_spec& x) {
    return app_version{{}, x, {}}.encode();
  };
  auto back = parse_spec_map(spec_map(s));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(encoded(*back), encoded(s));
  app_spec plain;
  plain.name = plain.module = "page";
  plain.kind = app_kind::stateless;
  plain.shards = 1; // as none is written
  plain.replicas = 2;
  back = parse_spec_map(spec_map(plain));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(encoded(*back), encoded(plain));
}

TEST(spec_map, modules_have_a_hash_and_a_size_each) {
  const std::string hash(64, 'a');
  const auto with = [](const std::string& modules) {
    return error_of(R"({"name":"a","modules":)" + modules + "}");
  };
  EXPECT_EQ(with(R"({"x86_64-linux":{"hash":")" + hash + R"(","size":5}})"),
            "");
  EXPECT_EQ(with("{}"), "");
  for (const auto* bad :
       {R"([])", R"({"x86_64-linux":5})", R"({"x86_64-linux":{"size":5}})",
        R"({"x86_64-linux":{"hash":"zz","size":5}})",
        R"({"x86_64-linux":{"hash":"","size":5}})"})
    EXPECT_NE(with(bad).find("spec.modules: must be like"), std::string::npos)
        << bad << with(bad);
  EXPECT_NE(
      with(R"({"X86":{"hash":")" + hash + R"(","size":5}})").find("no target"),
      std::string::npos);
  EXPECT_NE(
      with(R"({"x86_64-linux":{"hash":")" + hash + R"(","size":629145600}})")
          .find("512 MiB"),
      std::string::npos);
}

TEST(spec_map, the_module_is_the_name_unless_told) {
  const auto map = json_to_msgpack(R"({"name":"kv"})");
  const auto s = parse_spec_map(*map);
  ASSERT_TRUE(s.ok());
  EXPECT_EQ(s->module, "kv");
}

TEST(spec_map, refusals_name_the_field_and_what_would_be_right) {
  const std::pair<const char*, const char*> cases[] = {
      {"5", "spec: expected an object"},
      {R"({})", "spec.name: '' is no app name"},
      {R"({"name":"a..b"})", "spec.name: 'a..b' is no app name"},
      {R"({"name":5})", "spec.name: must be a string"},
      {R"({"name":"a","module":[]})", "spec.module: must be a string"},
      {R"({"name":"a","module":"x.so"})", "without .so"},
      {R"({"name":"a","kind":"big"})",
       "spec.kind: must be \"durable\" or \"stateless\""},
      {R"({"name":"a","shards":"8"})", "spec.shards: must be a whole number"},
      {R"({"name":"a","shards":0})", "spec.shards: must be 1 to 1024"},
      {R"({"name":"a","shards":1025})", "spec.shards: must be 1 to 1024"},
      {R"({"name":"a","shards":-1})", "spec.shards: must be a whole number"},
      {R"({"name":"a","replicas":1.5})",
       "spec.replicas: must be a whole number"},
      {R"({"name":"a","replicas":2})", "spec.replicas: must be 1, 3, 5 or 7"},
      {R"({"name":"a","replicas":9})", "spec.replicas: must be 1, 3, 5 or 7"},
      {R"({"name":"a","regions":"eu"})",
       "spec.regions: must be a list of strings"},
      {R"({"name":"a","regions":[1]})",
       "spec.regions: must be a list of strings"},
      {R"({"name":"a","secrets":{}})",
       "spec.secrets: must be a list of strings"},
      {R"({"name":"a","spread":"zones"})",
       "spec.spread: must be \"none\", \"regions\" or a whole number from "
       "2 to 7"},
      {R"({"name":"a","spread":1})",
       "spec.spread: must be \"none\", \"regions\" or a whole number from "
       "2 to 7"},
      {R"({"name":"a","min_tier":256})",
       "spec.min_tier: must be a number from 0 to 255"},
      {R"({"name":"a","isolation":true})",
       "spec.isolation: must be \"process\" or \"none\""},
      {R"({"name":"a","access":"all"})",
       "spec.access: must be \"token\" or \"public\""},
      {R"({"name":"a","replace_after":"2 days"})",
       "spec.replace_after: must be like \"2s\" or \"5m\""},
      {R"({"name":"a","replace_after":2})",
       "spec.replace_after: must be like \"2s\" or \"5m\""},
      {R"({"name":"a","replace_after":"5ms"})",
       "spec.replace_after: must be at least 100ms"},
      {R"({"name":"a","config":[]})", "spec.config: must be an object"},
      {R"({"name":"a","colour":"red"})", "spec: unknown field 'colour'"},
  };
  for (const auto& [json, want] : cases) {
    const auto got = error_of(json);
    EXPECT_NE(got.find(want), std::string::npos) << json << "\n  " << got;
  }
}

TEST(spec_map, a_config_over_64_kib_is_refused) {
  EXPECT_NE(error_of(R"({"name":"a","config":{"x":")"
                     + std::string(65 * 1024, 'x') + "\"}}")
                .find("at most 64 KiB"),
            std::string::npos);
}

TEST(spec_map, a_field_name_over_64_bytes_is_malformed) {
  const auto got =
      error_of(R"({"name":"a",")" + std::string(65, 'f') + R"(":1})");
  EXPECT_NE(got.find("longer than 64 bytes"), std::string::npos) << got;
}

TEST(spec_map, a_field_given_twice_is_refused) {
  // {"name": "a", "name": "b"}
  const bytes twice{0x82, 0xa4, 'n', 'a', 'm', 'e',  0xa1, 'a',
                    0xa4, 'n',  'a', 'm', 'e', 0xa1, 'b'};
  const auto s = parse_spec_map(twice);
  ASSERT_FALSE(s.ok());
  EXPECT_EQ(s.error().message, "spec.name: given twice");
}

TEST(spec_map, no_truncation_is_taken) {
  const auto map = json_to_msgpack(R"({"name":"kv","shards":3})");
  ASSERT_TRUE(map.ok());
  for (std::size_t n = 0; n < map->size(); ++n)
    EXPECT_FALSE(parse_spec_map(const_bytes{map->data(), n}).ok());
}

} // namespace
} // namespace banyan
