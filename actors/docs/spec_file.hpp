#pragma once
#include "actors/docs/app_documents.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace banyan {

/// What is wrong with a file of the user's: `FILE:LINE: field: cause; what
/// would be right`. Exit code 2.
struct config_error {
  std::string message;
};

/// A module for one target: `[module] x86_64-linux = "ledger.so"`.
struct module_file {
  std::string target;
  std::filesystem::path file; ///< as written: relative to the spec's folder
};

struct spec_file {
  app_spec spec;
  std::vector<module_file> modules; ///< empty: `module` names one in `--apps`
};

inline constexpr std::size_t config_file_bytes_max = 1U << 20;

/// Reads an app spec (TOML). Every field is checked, unknown ones are refused;
/// what `why_invalid` says is said here with its line. `file` is for messages.
result<spec_file, config_error> parse_spec(std::string_view toml,
                                           std::string_view file);
/// The same from a file of at most `config_file_bytes_max`.
result<spec_file, config_error> load_spec(const std::filesystem::path& file);

/// The values of secrets in a TOML file: `NAME = "value"` on each line. What is
/// wrong is said without any of the content.
result<std::vector<std::pair<std::string, std::string>>, config_error>
parse_secrets(std::string_view toml, std::string_view file);

/// `500ms`, `2s`, `5m`, `1h`: a whole number and a unit; false on anything else
/// or above 365 days.
[[nodiscard]] bool parse_duration(std::string_view text, duration& out);

/// `64MiB`, `2GiB`: a whole number and B, KiB, MiB or GiB; false on anything
/// else or above 1 PiB.
[[nodiscard]] bool parse_size(std::string_view text, std::uint64_t& out);

} // namespace banyan
