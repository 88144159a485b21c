#pragma once
#include "actors/docs/spec_file.hpp"
#include "base/ids.hpp"
#include "net/link/address.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// What `peer.toml` or the command line says, unchecked. The keys of the file
/// are the long names of the flags with `_` for `-`; `join` and `apps` are
/// lists.
struct peer_settings {
  std::optional<std::string> data;
  std::optional<std::string> listen;
  std::vector<std::string> join; ///< `[ID@]HOST:PORT`
  std::optional<std::string> http;
  std::optional<std::string> advertise;
  std::optional<std::string> mesh_file;
  std::optional<std::string> region;
  std::optional<std::string> zone;
  std::vector<std::string> apps;
  std::optional<std::string> http_cert;
  std::optional<std::string> http_key;
  std::optional<bool> http_plain;
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;
  /// @name In the file alone
  /// @{
  std::optional<std::uint64_t> scrub_mib_per_s;
  std::vector<std::string> http_hosts;
  std::optional<std::uint32_t> http_rate;
  /// @}
};

/// Reads `peer.toml`; unknown keys and other types are refused.
result<peer_settings, config_error> parse_peer_toml(std::string_view toml,
                                                    std::string_view file);
result<peer_settings, config_error>
load_peer_toml(const std::filesystem::path& file);

/// `flags` override `file`, field by field; a list that is given replaces the
/// other one.
[[nodiscard]] peer_settings override_settings(peer_settings file,
                                              peer_settings flags);

struct join_target {
  std::optional<node_id> pinned; ///< only this node will do
  net::address at;
};
/// `[ID@]HOST:PORT`; false on anything else, port 0 and wildcards included.
[[nodiscard]] bool parse_join(std::string_view text, join_target& out);

enum class log_threshold : std::uint8_t { debug, info, warning, error };

/// A peer's configuration, checked.
struct peer_config {
  std::filesystem::path data;
  net::address listen{"127.0.0.1", 7600};
  std::vector<join_target> join;
  std::optional<net::address> http;
  std::optional<net::address> advertise;
  std::optional<std::filesystem::path> mesh_file; ///< none: the mesh `local`
  std::string region;                             ///< empty: not said
  std::string zone;
  std::vector<std::filesystem::path> apps;
  std::optional<std::filesystem::path> http_cert;
  std::optional<std::filesystem::path> http_key;
  bool http_plain = false;
  /// More names by which browsers may call the HTTP API, lower case.
  std::vector<std::string> http_hosts;
  /// Requests per second of one client address off loopback; 0: any number,
  /// which `http_plain` means too: a proxy is the only address there.
  std::uint32_t http_rate = 2000;
  log_threshold log_level = log_threshold::info;
  bool log_json = false;
  /// How fast the disk is re-read in the background.
  std::uint64_t scrub_mib_per_s = 8;

  /// App calls over HTTP need the app's token then.
  [[nodiscard]] bool http_off_loopback() const {
    return http && !http->is_loopback();
  }
};

/// Where this process stands, for the defaults.
struct process_place {
  bool root = false;
  std::string home; ///< empty: unknown
};
/// `/var/lib/banyan` for root, else `~/.local/state/banyan`; empty if there is
/// no home.
[[nodiscard]] std::filesystem::path
default_data_directory(const process_place& place);

/// Checks each field and what they mean together: without a mesh file nothing
/// but loopback; HTTP off loopback needs TLS or `--http-plain`. Touches no
/// file.
result<peer_config, config_error> check_settings(const peer_settings& s,
                                                 const process_place& place);

} // namespace banyan
