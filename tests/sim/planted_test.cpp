// Proves that the tests notice: each planted bug must fail the run that is
// written down for it, or one of the next few seeds, and without the bug that
// run must pass.
//   bin/planted_bugs                                    what CI runs
//   BANYAN_PLANTED=no_pre_vote bin/planted_bugs         that one alone
//   BANYAN_PLANTED=… BANYAN_SUITE=node BANYAN_SEED=1 BANYAN_SEEDS=500
//     bin/planted_bugs                                  the first seed of 500
#include "sim/planted.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

namespace banyan::test {
namespace {

/// Schedules move when a simulator learns something new; then one of the next
/// seeds has to do.
constexpr std::uint64_t more_seeds = 12;

std::string text_of(const char* variable) {
  const char* t = std::getenv(variable); // NOLINT(concurrency-mt-unsafe)
  return t == nullptr ? "" : t;
}
std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
  const auto t = text_of(variable);
  return t.empty() ? otherwise : std::stoull(t);
}

struct find {
  finder by;
  run_end end;
};

std::optional<find> search(planted_bug b, const suite& s, std::uint64_t first,
                           std::uint64_t seeds) {
  for (auto seed = first; seed < first + seeds; ++seed)
    if (auto end = run_planted(b, s, seed); end.failed)
      return find{{s.name, s.seeded ? seed : 0}, std::move(end)};
  return std::nullopt;
}

/// The recorded runs first, then a few seeds around.
std::optional<find> find_bug(const planted_row& row) {
  for (const auto& f : row.found_by)
    if (auto end = run_planted(row.bug, suite_of(f.suite), f.seed); end.failed)
      return find{f, std::move(end)};
  for (const auto& f : row.found_by)
    if (const auto& s = suite_of(f.suite); s.seeded)
      if (auto found = search(row.bug, s, 1, more_seeds))
        return found;
  return std::nullopt;
}

void print(const planted_row& row, const std::optional<find>& f) {
  const std::string name{row.name};
  if (!f) {
    std::printf("%-42s SURVIVED\n", name.c_str());
  } else {
    const auto seed = f->by.seed == 0 ? "" : " " + std::to_string(f->by.seed);
    std::printf("%-42s %-28s %4.1f s  %s\n", name.c_str(),
                (std::string{f->by.suite} + seed).c_str(), f->end.seconds,
                f->end.said.c_str());
  }
  std::fflush(stdout);
}

int run_search(const planted_row& row) {
  const auto& s = suite_of(text_of("BANYAN_SUITE"));
  const auto found = search(row.bug, s, number_of("BANYAN_SEED", 1),
                            s.seeded ? number_of("BANYAN_SEEDS", 100) : 1);
  print(row, found);
  return found ? 0 : 1;
}

int run_all(const std::string& only) {
  std::map<std::pair<std::string_view, std::uint64_t>, bool> sound;
  std::size_t survived = 0;
  std::size_t unsound = 0;
  std::size_t found = 0;
  for (const auto& row : planted_table()) {
    if (!only.empty() && row.name != only)
      continue;
    const auto f = find_bug(row);
    print(row, f);
    if (!f) {
      ++survived;
      continue;
    }
    ++found;
    const auto [at, fresh] = sound.try_emplace({f->by.suite, f->by.seed});
    if (!fresh)
      continue;
    const auto without =
        run_planted(planted_bug::none, suite_of(f->by.suite), f->by.seed);
    at->second = !without.failed;
    if (without.failed) {
      ++unsound;
      std::printf("  FAILS WITHOUT A BUG: %s\n", without.said.c_str());
    }
  }
  std::printf("%zu found, %zu survived, %zu runs fail without a bug\n", found,
              survived, unsound);
  return survived + unsound == 0 && found != 0 ? 0 : 1;
}

int run() {
  const auto& table = planted_table();
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].bug) != i + 1
        || table[i].found_by.empty())
      throw std::runtime_error{"the table lacks a bug or is out of order at "
                               + std::string{table[i].name}};
  if (table.size() != planted_bugs)
    throw std::runtime_error{"the table lacks bugs at its end"};
  const auto only = text_of("BANYAN_PLANTED");
  if (text_of("BANYAN_SUITE").empty())
    return run_all(only);
  const auto row =
      std::find_if(table.begin(), table.end(),
                   [&](const planted_row& r) { return r.name == only; });
  if (row == table.end())
    throw std::runtime_error{"no such bug: " + only};
  return run_search(*row);
}

} // namespace
} // namespace banyan::test

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return banyan::test::run();
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 2;
  }
}
