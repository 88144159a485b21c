// Runs seeds and committed corpora through every fuzz target, without
// libFuzzer: ctest `fuzz_corpus`. A broken rule aborts with the file's name
// above it.
//
//   fuzz_corpus CORPUS              all targets
//   fuzz_corpus CORPUS TARGET...    these
//   fuzz_corpus --seeds CORPUS      writes each target's seeds into CORPUS
#include "crypto/hash.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace banyan::fuzz {

std::vector<target>& targets() {
  static std::vector<target> all;
  return all;
}

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& dir) {
  std::vector<fs::path> out;
  std::error_code none;
  for (const auto& e : fs::directory_iterator{dir, none})
    if (e.is_regular_file())
      out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

bytes read(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

void write_seeds(const target& t, const fs::path& corpus) {
  const auto dir = corpus / t.name;
  fs::create_directories(dir);
  for (const auto& s : t.seeds()) {
    const auto name = "seed-" + to_hex(hash(s).view()).substr(0, 16);
    std::ofstream{dir / name, std::ios::binary}.write(
        reinterpret_cast<const char*>(s.data()),
        static_cast<std::streamsize>(s.size()));
  }
}

// The last line before an abort says which input it was.
void note(const char* target, const std::string& input) {
  std::fprintf(stderr, "%s %s\r", target, input.c_str());
  std::fflush(stderr);
}

bool replay(const target& t, const fs::path& corpus) {
  std::size_t ran = 0;
  for (const auto& s : t.seeds()) {
    note(t.name, "seed " + std::to_string(ran++));
    t.run(s);
  }
  const auto files = files_in(corpus / t.name);
  for (const auto& f : files) {
    note(t.name, f.string());
    t.run(read(f));
  }
  note(t.name, "empty");
  t.run({});
  std::printf("%-20s %4zu seeds %5zu files\n", t.name, ran, files.size());
  if (!files.empty())
    return true;
  std::fprintf(stderr, "%s has no corpus in %s\n", t.name, corpus.c_str());
  return false;
}

// The cap of scripts/fuzz, as far as a build without sanitizers can have it.
void cap_memory() {
#if !defined(BANYAN_FUZZ_SANITIZED)
  constexpr rlim_t most = std::size_t{1} << 30;
  const rlimit cap{most, most};
  setrlimit(RLIMIT_AS, &cap);
#endif
}

int main_of(std::vector<std::string> args) {
  const bool seeds = !args.empty() && args[0] == "--seeds";
  if (seeds)
    args.erase(args.begin());
  if (args.empty() || targets().empty()) {
    std::fputs("usage: fuzz_corpus [--seeds] CORPUS [TARGET...]\n", stderr);
    return 2;
  }
  cap_memory();
  const fs::path corpus{args[0]};
  std::sort(targets().begin(), targets().end(),
            [](const target& a, const target& b) {
              return std::strcmp(a.name, b.name) < 0;
            });
  bool good = true;
  std::size_t found = 0;
  for (const auto& t : targets()) {
    if (args.size() > 1
        && std::find(args.begin() + 1, args.end(), t.name) == args.end())
      continue;
    ++found;
    if (seeds)
      write_seeds(t, corpus);
    else
      good = replay(t, corpus) && good;
  }
  return good && found > 0 ? 0 : 1;
}

} // namespace
} // namespace banyan::fuzz

int main(int argc, char** argv) {
  return banyan::fuzz::main_of({argv + 1, argv + argc});
}
