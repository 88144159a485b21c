// A module written by hand against module.h that breaks its rules.
#include <banyan/module.h>

#include <string>
#include <vector>

namespace {

const banyan_handler_v1 handlers[] = {{"misbehave", 0}};
int opened = 0;

void* open_rogue(const std::uint8_t*, std::size_t, banyan_sink_v1, void*) {
  return &opened;
}
void close_rogue(void*) {
}

/// What to do stands behind the text "how:" in the turn's bytes.
std::int32_t run_rogue(void*, const std::uint8_t* turn, std::size_t size,
                       banyan_sink_v1 sink, void* context) {
  const std::string in{reinterpret_cast<const char*>(turn), size};
  const auto at = in.find("how:");
  const char how = at == std::string::npos ? '?' : in[at + 4];
  const auto give = [&](const std::vector<std::uint8_t>& out) {
    sink(context, out.data(), out.size());
  };
  switch (how) {
  case 'n': // nothing
    return 0;
  case 'c': // a code
    return 7;
  case 't': // twice
    give({0x82, 1, 0, 2, 0xc4, 1, 0xc0});
    give({0x82, 1, 0, 2, 0xc4, 1, 0xc0});
    return 0;
  case 'h': // huge
    give(std::vector<std::uint8_t>(5 << 20, 0xc0));
    return 0;
  case 'e': // empty
    give({});
    return 0;
  case 'l': // a count of 2^32-1
    give({0x81, 6, 0xdd, 0xff, 0xff, 0xff, 0xff});
    return 0;
  default:
    give({0x82, 1, 0, 2, 0xc4, 1, 0xc0});
    return 0;
  }
}

const banyan_app_v1 app = {
    BANYAN_TABLE_VERSION, 1,          "rogue", 1, 0, handlers, &open_rogue,
    &close_rogue,         &run_rogue, nullptr};
const banyan_app_v1* const apps[] = {&app};
const banyan_module_v1 table = {BANYAN_TABLE_VERSION, 1, apps};

} // namespace

extern "C" __attribute__((visibility("default"))) const banyan_module_v1*
banyan_module() {
  return &table;
}
