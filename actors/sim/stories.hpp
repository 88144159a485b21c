#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace banyan::sim {

/// Demonstrations with a plot of their own: `banyan sim --story NAME`.
struct story_request {
  std::optional<std::uint64_t> seed;
  std::optional<std::size_t> nodes;
  std::optional<std::uint32_t> days;
  bool json = false; ///< `text` is to be JSON
};
struct story_outcome {
  bool held = false; ///< all that the story promises
  std::string text;  ///< the result, for standard output
  std::string csv;   ///< for `--csv`; empty: the story has none
};
/// Takes a line of progress; false: the user wants it to stop.
using story_progress = std::function<bool(const std::string& line)>;

struct story {
  const char* name;
  const char* text; ///< what it shows
  story_outcome (*play)(const story_request& request,
                        const story_progress& progress);
};
/// All there are.
const std::vector<story>& stories();

} // namespace banyan::sim
