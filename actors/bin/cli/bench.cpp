// `banyan bench`: what this machine is worth to a mesh. No peer is needed.
#include "actors/bin/cli/bench.hpp"

#include "actors/bin/cli/commands.hpp"
#include "actors/hardware/measure.hpp"
#include "actors/host/json.hpp"

#include <unistd.h>

#include <cstdio>

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t bar_width = 30;

/// A bar that grows on a terminal; elsewhere a line for each thing measured.
class bench_progress {
public:
  void show(const char* what, std::uint32_t permille) {
    if (!terminal_) {
      if (what != last_)
        note("measuring: " + std::string{what});
      last_ = what;
      return;
    }
    const auto full = bar_width * permille / 1000;
    if (full == shown_ && what == last_)
      return;
    shown_ = full;
    last_ = what;
    std::fprintf(stderr, "\r\x1b[Kmeasuring %-8s [%s%s]", what,
                 std::string(full, '#').c_str(),
                 std::string(bar_width - full, ' ').c_str());
  }
  void end() {
    if (terminal_)
      std::fputs("\r\x1b[K", stderr);
  }

private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::size_t shown_ = bar_width + 1;
  std::string last_;
};

/// Where a peer's data would be: that directory, or what is there of its path.
fs::path nearest(const fs::path& dir) {
  std::error_code ec;
  auto at = fs::absolute(dir, ec).lexically_normal();
  while (!fs::exists(at, ec) && at.has_relative_path())
    at = at.parent_path();
  return at;
}

problem refused(const store::store_error& e) {
  return {e.code == store::store_errc::unreadable ? exit_code::usage
                                                  : exit_code::failed,
          "bench: " + e.message};
}

std::string ms(std::uint32_t us) {
  char text[32];
  std::snprintf(text, sizeof text, us < 10'000 ? "%.2f ms" : "%.0f ms",
                us / 1000.0);
  return text;
}

} // namespace

std::string bench_screen(const hardware_figures& f, const tier_verdict& v,
                         const std::string& dir) {
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  table t{{"TIER " + number(v.tier), v.tier == tiers_max
                                         ? "the highest"
                                         : "of 0 to " + number(tiers_max)}};
  t.row({"processor", f.machine.processor});
  t.row({"cores", number(f.machine.cores)});
  t.row({"memory", number(f.machine.memory_mib) + " MiB, "
                       + number(f.available_mib) + " MiB available"});
  t.row({"disk", dir});
  t.row({"  fsync",
         ms(f.fsync_p50_us) + " (median), " + ms(f.fsync_p99_us) + " (p99)"});
  t.row({"  write", number(f.disk_write_mb_s) + " MB/s"});
  t.row({"  read", number(f.disk_read_mb_s) + " MB/s"});
  t.row({"crypto", number(f.crypto_mb_s) + " MB/s (ChaCha20-Poly1305), "
                       + number(f.verify_per_s)
                       + " verifications/s (Ed25519), one core"});
  auto out = t.text();
  if (v.missing.empty())
    return out + "no tier asks for more\n";
  out += "what keeps it from tier " + number(v.tier + 1U) + ":\n";
  for (const auto& gap : v.missing)
    out += "  " + gap.what + ": " + gap.has + ", wanted " + gap.wants + "\n";
  return out;
}

std::string bench_json(const hardware_figures& f, const tier_verdict& v,
                       const std::string& dir, bool beside_peer) {
  const auto text = [](const std::string& s) {
    std::string out;
    append_json_string(out, s);
    return out;
  };
  const auto field = [](const char* name, std::uint64_t n) {
    return std::string{",\""} + name + "\":" + std::to_string(n);
  };
  std::string out = "{\"tier\":" + std::to_string(v.tier);
  out += ",\"missing\":[";
  for (const auto& gap : v.missing)
    out += (&gap == v.missing.data() ? "" : ",") + std::string{"{\"what\":"}
           + text(gap.what) + ",\"has\":" + text(gap.has)
           + ",\"wants\":" + text(gap.wants) + "}";
  out += "],\"data\":" + text(dir)
         + ",\"beside_peer\":" + (beside_peer ? "true" : "false")
         + ",\"processor\":" + text(f.machine.processor);
  out += field("cores", f.machine.cores)
         + field("memory_mib", f.machine.memory_mib)
         + field("available_mib", f.available_mib)
         + field("fsync_p50_us", f.fsync_p50_us)
         + field("fsync_p99_us", f.fsync_p99_us)
         + field("disk_write_mb_s", f.disk_write_mb_s)
         + field("disk_read_mb_s", f.disk_read_mb_s)
         + field("crypto_mb_s", f.crypto_mb_s)
         + field("verify_per_s", f.verify_per_s);
  return out + "}";
}

outcome bench(const session& s, bool data_given) {
  const auto asked = s.place.data;
  const auto at = data_given ? asked : nearest(asked);
  if (at != asked && !s.json)
    note(asked.string() + " isn't there yet: measuring " + at.string());
  const bool beside = store::has_peer(at);
  if (beside)
    note("a peer runs with this directory: measuring gently beside it, so what "
         "it does counts against these figures");
  bench_progress bar;
  const auto f = measure_hardware(
      at, beside ? measure_pace::gentle : measure_pace::thorough,
      [&](const char* what, std::uint32_t permille) {
        bar.show(what, permille);
      });
  bar.end();
  if (!f.ok())
    return failure{refused(f.error())};
  const auto verdict = tier_of(*f, mesh_policy{});
  print(s.json ? bench_json(*f, verdict, at.string(), beside)
               : bench_screen(*f, verdict, at.string()));
  return {};
}

} // namespace banyan::cli
