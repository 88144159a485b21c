#include "actors/docs/peer_config.hpp"
#include "folder.hpp"

namespace banyan {
namespace {

using test::contains;

const process_place someone{false, "/home/ada"};

peer_config checked(const peer_settings& s) {
  auto config = check_settings(s, someone);
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().message);
  return config.ok() ? std::move(*config) : peer_config{};
}

std::string refused(const peer_settings& s) {
  const auto config = check_settings(s, someone);
  EXPECT_FALSE(config.ok());
  return config.ok() ? std::string{} : config.error().message;
}

peer_settings with(std::optional<std::string> peer_settings::*field,
                   const std::string& value) {
  peer_settings s;
  s.*field = value;
  return s;
}

TEST(peer_config, defaults_are_those_of_the_design) {
  const auto config = checked({});
  EXPECT_EQ(config.data, "/home/ada/.local/state/banyan");
  EXPECT_EQ(to_string(config.listen), "127.0.0.1:7600");
  EXPECT_FALSE(config.http.has_value());
  EXPECT_FALSE(config.mesh_file.has_value());
  EXPECT_EQ(config.log_level, log_threshold::info);
  EXPECT_FALSE(config.log_json);
  EXPECT_EQ(check_settings({}, {true, "/root"})->data, "/var/lib/banyan");
  EXPECT_FALSE(check_settings({}, {false, ""}).ok());
}

// A non-loopback listen without mesh file.
TEST(peer_config, without_a_mesh_file_a_peer_stays_on_loopback) {
  for (const char* listen : {"0.0.0.0:7600", "192.0.2.7:7600", "[::]:7600",
                             "[2001:db8::1]:7600", "peer.example:7600"}) {
    auto s = with(&peer_settings::listen, listen);
    const auto message = refused(s);
    EXPECT_TRUE(contains(message, "--listen")) << message;
    EXPECT_TRUE(contains(message, "banyan init NAME"));
    EXPECT_TRUE(contains(message, "--mesh-file NAME.mesh"));
    s.mesh_file = "orchard.mesh";
    EXPECT_EQ(to_string(checked(s).listen), listen);
  }
  for (const char* listen : {"127.0.0.1:0", "[::1]:7600", "localhost:7600"})
    EXPECT_EQ(to_string(checked(with(&peer_settings::listen, listen)).listen),
              listen);
  peer_settings joining;
  joining.join = {"192.0.2.7:7600"};
  EXPECT_TRUE(contains(refused(joining), "--join 192.0.2.7:7600"));
  EXPECT_TRUE(
      contains(refused(with(&peer_settings::advertise, "192.0.2.7:7600")),
               "--advertise"));
}

TEST(peer_config, addresses_are_host_and_port) {
  for (const char* bad : {"", "127.0.0.1", "7600", ":7600", "127.0.0.1:",
                          "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:7600 ",
                          "::1:7600", "[::1]", "[::1:7600", "127.0.0.1:76x"}) {
    EXPECT_TRUE(
        contains(refused(with(&peer_settings::listen, bad)), "is no HOST:PORT"))
        << bad;
    EXPECT_TRUE(
        contains(refused(with(&peer_settings::http, bad)), "is no HOST:PORT"))
        << bad;
  }
}

TEST(peer_config, what_is_advertised_can_be_dialled) {
  for (const char* bad : {"0.0.0.0:7600", "[::]:7600", "192.0.2.7:0"}) {
    auto s = with(&peer_settings::advertise, bad);
    s.mesh_file = "orchard.mesh";
    EXPECT_TRUE(contains(refused(s), "--advertise")) << bad;
  }
}

TEST(peer_config, a_join_may_pin_a_node) {
  seeded_random random{1};
  const node_id id{random.array<32>()};
  join_target target;
  ASSERT_TRUE(parse_join(to_string(id) + "@[2001:db8::1]:7600", target));
  EXPECT_EQ(target.pinned, id);
  EXPECT_EQ(to_string(target.at), "[2001:db8::1]:7600");
  ASSERT_TRUE(parse_join("peer.example:7600", target));
  EXPECT_FALSE(target.pinned.has_value());
  for (const std::string bad : {"", "@127.0.0.1:7600", "abc@127.0.0.1:7600",
                                "127.0.0.1:0", "0.0.0.0:7600", "127.0.0.1"})
    EXPECT_FALSE(parse_join(bad, target)) << bad;
  EXPECT_FALSE(parse_join(std::string(52, 'a') + "@127.0.0.1:7600", target));
  peer_settings s;
  s.join = {"127.0.0.1:7601", "nonsense"};
  EXPECT_TRUE(contains(refused(s), "--join: 'nonsense'"));
}

// [4] `--http` off loopback needs a certificate, or `--http-plain`.
TEST(peer_config, http_off_loopback_needs_tls_or_a_word) {
  auto s = with(&peer_settings::http, "0.0.0.0:8080");
  EXPECT_TRUE(contains(refused(s), "--http-plain"));
  EXPECT_TRUE(contains(refused(s), "--http-cert"));
  s.http_plain = false;
  EXPECT_TRUE(contains(refused(s), "--http-plain"));
  s.http_plain = true;
  EXPECT_TRUE(checked(s).http_off_loopback());
  s.http_cert = "c.pem";
  EXPECT_TRUE(contains(refused(s), "--http-cert needs --http-key"));
  s.http_key = "k.pem";
  EXPECT_TRUE(contains(refused(s), "contradicts"));
  s.http_plain.reset();
  EXPECT_TRUE(checked(s).http_off_loopback());
  s.http = "127.0.0.1:8080"; // TLS on loopback, why not
  EXPECT_FALSE(checked(s).http_off_loopback());
  s.http.reset();
  EXPECT_TRUE(contains(refused(s), "add --http"));
  EXPECT_FALSE(
      checked(with(&peer_settings::http, "127.0.0.1:0")).http_off_loopback());
  EXPECT_FALSE(checked(with(&peer_settings::http, "off")).http.has_value());
}

TEST(peer_config, words_are_checked) {
  EXPECT_TRUE(contains(refused(with(&peer_settings::log_level, "loud")),
                       "none of debug, info, warning and error"));
  EXPECT_TRUE(contains(refused(with(&peer_settings::log_format, "xml")),
                       "neither text nor json"));
  EXPECT_TRUE(contains(refused(with(&peer_settings::region, "EU west")),
                       "--region: 'EU west' names no place"));
  EXPECT_TRUE(contains(refused(with(&peer_settings::zone, "")), "--zone"));
  auto s = with(&peer_settings::region, "eu-west");
  s.zone = "a1";
  s.log_level = "debug";
  s.log_format = "json";
  const auto config = checked(s);
  EXPECT_EQ(config.region, "eu-west");
  EXPECT_EQ(config.zone, "a1");
  EXPECT_EQ(config.log_level, log_threshold::debug);
  EXPECT_TRUE(config.log_json);
}

TEST(peer_toml, is_read_and_flags_override_it) {
  const auto file = parse_peer_toml(R"(
data = "/srv/banyan"
listen = "127.0.0.1:7601"
join = ["127.0.0.1:7600"]
http = "127.0.0.1:8080"
advertise = "127.0.0.1:7601"
mesh_file = "orchard.mesh"
region = "eu"
zone = "a"
apps = ["/opt/apps", "more"]
http_cert = "c"
http_key = "k"
http_plain = false
log_level = "warning"
log_format = "json"
)",
                                    "peer.toml");
  ASSERT_TRUE(file.ok()) << file.error().message;
  peer_settings flags;
  flags.listen = "127.0.0.1:7700";
  flags.apps = {"mine"};
  const auto config = checked(override_settings(*file, flags));
  EXPECT_EQ(config.data, "/srv/banyan");
  EXPECT_EQ(config.listen.port, 7700);
  ASSERT_EQ(config.join.size(), 1U);
  EXPECT_EQ(config.http->port, 8080);
  EXPECT_EQ(config.advertise->port, 7601);
  EXPECT_EQ(config.mesh_file, "orchard.mesh");
  EXPECT_EQ(config.region, "eu");
  EXPECT_EQ(config.zone, "a");
  EXPECT_EQ(config.apps, std::vector<std::filesystem::path>{"mine"});
  EXPECT_EQ(config.http_cert, "c");
  EXPECT_EQ(config.http_key, "k");
  EXPECT_EQ(config.log_level, log_threshold::warning);
  EXPECT_TRUE(config.log_json);
}

TEST(peer_toml, the_doors_names_and_rate_are_of_the_file) {
  const auto file = parse_peer_toml(
      "http_hosts = [\"api.example.org\"]\nhttp_rate = 0", "peer.toml");
  ASSERT_TRUE(file.ok()) << file.error().message;
  auto config = checked(override_settings(*file, {}));
  EXPECT_EQ(config.http_hosts, std::vector<std::string>{"api.example.org"});
  EXPECT_EQ(config.http_rate, 0U);
  EXPECT_EQ(checked({}).http_rate, 2000U);
  peer_settings behind_a_proxy;
  behind_a_proxy.http = "127.0.0.1:80";
  behind_a_proxy.http_plain = true;
  EXPECT_EQ(checked(behind_a_proxy).http_rate, 0U);
  behind_a_proxy.http_rate = 7; // said is said
  EXPECT_EQ(checked(behind_a_proxy).http_rate, 7U);
  for (const auto* wrong : {"Api.example.org", "https://a", "a:80", "a b"}) {
    peer_settings s;
    s.http_hosts = {wrong};
    EXPECT_TRUE(contains(refused(s), "http_hosts")) << wrong;
  }
  for (const auto* wrong : {"http_rate = -1", "http_rate = \"fast\"",
                            "http_rate = 1000001", "http_hosts = \"a\""})
    EXPECT_FALSE(parse_peer_toml(wrong, "peer.toml").ok()) << wrong;
}

// Bad TOML.
TEST(peer_toml, the_scrubs_rate_is_a_number_of_the_file) {
  const auto file = parse_peer_toml("scrub_mib_per_s = 40", "peer.toml");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->scrub_mib_per_s, 40U);
  for (const auto* wrong : {"0", "10001", "\"fast\"", "-3"})
    EXPECT_FALSE(
        parse_peer_toml(std::string{"scrub_mib_per_s = "} + wrong, "peer.toml")
            .ok())
        << wrong;
}

TEST(peer_toml, what_is_wrong_is_named_with_its_line) {
  const auto error = [](const char* toml) {
    const auto file = parse_peer_toml(toml, "peer.toml");
    EXPECT_FALSE(file.ok());
    return file.ok() ? std::string{} : file.error().message;
  };
  EXPECT_TRUE(contains(error("listen = [\n"), "peer.toml:"));
  EXPECT_TRUE(contains(error("\nlisten = 7600"),
                       "peer.toml:2: listen: must be a text"));
  EXPECT_TRUE(contains(error("lisen = \"a\""), "peer.toml:1: lisen: unknown"));
  EXPECT_TRUE(contains(error("join = \"a:1\""), "join: must be a list"));
  EXPECT_TRUE(contains(error("http_plain = \"yes\""),
                       "http_plain: must be true or false"));
  EXPECT_TRUE(contains(error("[listen]\nport = 1"), "listen: must be a text"));
}

} // namespace
} // namespace banyan
