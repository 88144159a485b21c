// What users write: app specs and peer configurations in TOML, specs as maps.
#include "actors/docs/peer_config.hpp"
#include "actors/docs/spec_file.hpp"
#include "actors/docs/spec_map.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/whole_spec.hpp"

namespace banyan::fuzz {
namespace {

void plausible(const config_error& e) {
  BANYAN_ASSERT(!e.message.empty());
}

void run(const_bytes in) {
  input i{in};
  const auto which = i.u8() % 3;
  const auto text = as_text(i.rest());
  if (which == 0) {
    const auto spec = parse_spec(text, "app.toml");
    if (spec.ok())
      BANYAN_ASSERT(why_invalid(spec->spec).empty());
    else
      plausible(spec.error());
  } else if (which == 1) {
    const auto settings = parse_peer_toml(text, "peer.toml");
    if (!settings.ok())
      return plausible(settings.error());
    const auto checked = check_settings(*settings, {false, "/home/a"});
    if (!checked.ok())
      return plausible(checked.error());
    BANYAN_ASSERT(checked->mesh_file || checked->listen.is_loopback());
    BANYAN_ASSERT(!checked->http_off_loopback() || checked->http_plain
                  || (checked->http_cert && checked->http_key));
  } else {
    const auto spec = parse_spec_map(i.rest());
    if (spec.ok())
      BANYAN_ASSERT(why_invalid(*spec).empty());
    else
      plausible(spec.error());
  }
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  for (const auto* t :
       {"name = \"ledger\"\nmodule = \"ledger\"\n", test::whole_spec,
        R"(
name = "a"
[module]
x86_64-linux = "a.so"
aarch64-linux = "b.so"
[config]
when = 1979-05-27T07:32:00Z
big = 9223372036854775807
odd = [nan, inf, "\u00e9"]
)"})
    out.push_back(tagged(0, to_bytes(t)));
  for (const auto* t : {R"(
data = "/var/lib/banyan"
listen = "0.0.0.0:7600"
join = ["10.0.0.1:7600", "10.0.0.2:7600"]
http = "127.0.0.1:7680"
mesh_file = "orchard.mesh"
region = "eu"
zone = "a"
apps = ["/opt/apps"]
log_level = "debug"
log_format = "json"
)",
                        "http = \"0.0.0.0:7680\"\nhttp_plain = true\n"})
    out.push_back(tagged(1, to_bytes(t)));
  bytes map;
  writer w{map};
  w.map(6).text("config").map(1).text("a").uint(1);
  w.text("module").text("ledger").text("name").text("ledger");
  w.text("regions").array(1).text("eu").text("replace_after").text("5m");
  w.text("shards").uint(4);
  out.push_back(tagged(2, map));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(specs)
