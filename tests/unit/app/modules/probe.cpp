// One app in two versions that differ in what they do and in their statics.
#include <banyan/app.hpp>

#include <atomic>

struct seen {
  std::int64_t turns = 0;
  BANYAN_FIELDS(turns);
};
inline std::int64_t calls = 0; // of this shared object

struct probe : banyan::app<probe, seen> {
  static std::int64_t version(const seen&) { return PROBE_VERSION; }
  static std::int64_t count(const seen&) { return ++calls; }
  static std::int64_t turn(seen& s) { return ++s.turns; }
  static std::string secret(const seen&, banyan::context& ctx) {
    return ctx.secret("db");
  }
};
BANYAN_APP(probe, version, count, turn, secret)
