#include "tests/integration/netns_scenarios.hpp"

#include <algorithm>
#include <fstream>

namespace banyan::test {
namespace {

namespace fs = std::filesystem;

/// Up to the last byte that isn't zero: what lies behind was never written.
std::uint64_t used_bytes(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  constexpr std::uint64_t piece = 1 << 16;
  for (auto end = fs::file_size(file); end > 0;) {
    const auto from = end > piece ? end - piece : 0;
    std::string bytes(end - from, '\0');
    in.seekg(static_cast<std::streamoff>(from));
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (const auto at = bytes.find_last_not_of('\0'); at != std::string::npos)
      return from + at + 1;
    end = from;
  }
  return 0;
}

void flip(const fs::path& file, std::uint64_t at, unsigned bit) {
  std::fstream f{file, std::ios::binary | std::ios::in | std::ios::out};
  f.seekg(static_cast<std::streamoff>(at));
  const auto byte = static_cast<unsigned>(f.get()) ^ (1U << bit);
  f.seekp(static_cast<std::streamoff>(at));
  f.put(static_cast<char>(byte));
}

std::vector<fs::path> segments(const fs::path& data) {
  std::vector<fs::path> out;
  for (const auto& e : fs::directory_iterator{data / "log"})
    if (e.path().extension() == ".seg")
      out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

/// How often the peer has said that something on its disk is damaged.
std::size_t complaints(const netns_world& w, std::size_t host) {
  std::ifstream in{w.mesh().dir() / ("p" + std::to_string(host) + ".log")};
  std::size_t n = 0;
  for (std::string line; std::getline(in, line);)
    n += line.find(" is damaged (") != std::string::npos ? 1U : 0U;
  return n;
}

} // namespace

/// One store at a time is stopped, gets flipped bits where it has written, and
/// comes back: the group repairs it, and nobody is told anything wrong.
int netns_bit_flips(netns_world::settings s) {
  netns_world w{std::move(s)};
  w.begin();
  while (w.time_left()) {
    w.dwell(500ms, 1200ms);
    const auto host = w.random() % 2 == 0 ? w.leader("counter") : w.any_host();
    w.mesh().kill(host);
    const auto data = w.mesh().data(host);
    const bool in_log = w.random() % 2 == 0;
    const auto file =
        in_log ? segments(data).front() : data / "state" / "data.mdb";
    const auto used = used_bytes(file);
    // Most pages of the state hold nothing any more, and most of a log does.
    const auto flips = in_log ? 1 + w.random() % 4 : 64;
    for (std::uint64_t i = 0; i < flips; ++i)
      flip(file, w.random() % used, static_cast<unsigned>(w.random() % 8));
    w.struck(in_log ? "bits flipped in a log" : "bits flipped in a state");
    const auto before = complaints(w, host);
    w.mesh().start(host);
    w.demand_health(20s);
    if (complaints(w, host) > before)
      w.noted("seen at the start, and rebuilt");
  }
  return w.end();
}

} // namespace banyan::test
