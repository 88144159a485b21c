#pragma once
#include "base/time.hpp"
#include "crypto/sealed_box.hpp"
#include "crypto/signing.hpp"
#include "store/types.hpp"

#include <optional>
#include <string>
#include <vector>

namespace banyan {

/// @name Limits of an app's documents
/// @{
inline constexpr std::size_t app_name_bytes_max = 63;
inline constexpr std::size_t shards_max = 1024;
inline constexpr std::uint32_t instances_max = 64; ///< of a stateless app
inline constexpr std::size_t spec_list_max = 64; ///< regions, secrets, modules
inline constexpr std::size_t spec_config_bytes_max = 64U * 1024;
inline constexpr std::size_t spec_secrets_bytes_max = 64U * 1024;
inline constexpr std::uint64_t module_bytes_max = 512ULL << 20;
inline constexpr std::uint64_t app_memory_min = 32ULL << 20;
inline constexpr duration turn_time_min = 100ms;
inline constexpr duration turn_time_most = 10min;
inline constexpr duration update_watch_most = 24h;
/// @}

enum class app_kind : std::uint8_t { durable = 0, stateless = 1 };
enum class app_isolation : std::uint8_t { process = 0, none = 1 };
enum class app_access : std::uint8_t { token = 0, everyone = 1 };
/// How far apart the voters of a group must be, beyond the default diversity.
enum class app_spread : std::uint8_t { none = 0, regions = 1 };
inline constexpr std::uint8_t spread_regions_min = 2;
inline constexpr std::uint8_t spread_regions_max = 7;

/// The code of an app for one target: named by its BLAKE2b-256, so that
/// whoever has bytes with that hash has the module.
struct module_ref {
  std::string target; ///< like `x86_64-linux`
  digest hash;
  std::uint64_t size = 0; ///< in bytes
};
inline bool operator==(const module_ref& a, const module_ref& b) {
  return a.target == b.target && a.hash == b.hash && a.size == b.size;
}

/// 32 bytes for one node's eyes.
struct sealed_for {
  node_id node;
  sealed_secret secret;
};

/// What an owner wants of an app: the `SPEC.toml` of a deploy.
struct app_spec {
  std::string name;   ///< [a-z][a-z0-9_-]{0,62}
  std::string module; ///< a module's name in `--apps`
  app_kind kind = app_kind::durable;
  std::uint32_t shards = 8;
  std::uint32_t replicas = 3; ///< voters: 1, 3, 5 or 7; stateless: instances
  std::vector<std::string> regions; ///< allowed; empty: any
  app_spread spread = app_spread::none;
  /// With `app_spread::regions`: at least so many of them.
  std::uint8_t spread_regions = spread_regions_min;
  std::uint8_t min_tier = 0;
  app_isolation isolation = app_isolation::process;
  app_access access = app_access::token;
  duration replace_after = std::chrono::minutes{5};
  bytes config; ///< `[config]` as a msgpack map; empty: none
  std::vector<std::string> secrets; ///< the names of what `secret_box` holds

  /// Ascending by target; empty: every peer has `module` in its `--apps`.
  std::vector<module_ref> modules;
  std::uint64_t memory_max = std::uint64_t{1} << 30; ///< of a host, in bytes
  duration turn_time_max = std::chrono::seconds{10}; ///< ends the host
  /// How long a new version is watched on one shard before the others take it.
  duration update_watch = std::chrono::seconds{10};
  bytes secret_box; ///< the secrets' values, under a key of their own
  std::vector<sealed_for> secret_keys; ///< that key, for each voter's node
  /// The number of the backup that is being loaded into it, 16 bytes: it is
  /// closed until a version without. Empty: it is open.
  bytes restoring;
  /// The deletion's version that this and each later version takes back; 0:
  /// none.
  std::uint64_t undeletes = 0;
  /// BLAKE2b-256 over `app token` and the token that opens the app off
  /// loopback, besides the admin's; empty: there is none.
  bytes token_hash;
};
/// 1 to 63 of a–z, 0–9, `_` and `-`, a letter first.
bool is_app_name(std::string_view name) noexcept;
/// 1 to 63 of a–z, 0–9, `_` and `-`: what a module is compiled for.
bool is_target(std::string_view name) noexcept;
/// `spread = 3`; false: it isn't from 2 to 7, and nothing was changed.
[[nodiscard]] bool set_spread(app_spec& s, std::int64_t regions) noexcept;
inline constexpr const char* spread_words =
    R"(must be "none", "regions" or a whole number from 2 to 7)";
/// Empty when `s` can be deployed; otherwise the field, the cause and what
/// would be right.
std::string why_invalid(const app_spec& s);

/// Builds that knew no instances took the kind `stateless` and made groups all
/// the same, of any number of shards. Of such an app the spec says what it is:
/// durable, with an odd number of voters.
void read_as_groups(app_spec& s);

/// The spec alone, as it stands in `app_version`.
[[nodiscard]] bytes encode(const app_spec& s);
/// False on anything that isn't one spec which could be deployed, or could be
/// before there were instances.
[[nodiscard]] bool decode(const_bytes in, app_spec& out);

/// An app's birth: never changes; its hash is the app's id.
struct app_genesis {
  owner_id owner;
  std::string name;
  std::array<std::uint8_t, 16> nonce{};
  lineage_id lineage;
  /// BLAKE2b-256 of the group secret: who is handed the secret can check it.
  digest secret_hash;
  /// By shard, 1 to `shards_max` of them: replicas that their nodes have made.
  /// Of a stateless app: one shard without any.
  std::vector<std::vector<replica_ref>> voters;

  [[nodiscard]] std::uint32_t shards() const noexcept {
    return static_cast<std::uint32_t>(voters.size());
  }
  /// What it is for good.
  [[nodiscard]] bool stateless() const noexcept {
    return voters.size() == 1 && voters.front().empty();
  }
  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, app_genesis& out);
};
[[nodiscard]] app_id id_of(const app_genesis& g);

/// One version of an app's spec, with the group secret for each of its nodes.
struct app_version {
  app_id app;
  app_spec spec;
  std::vector<sealed_for> secrets;

  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, app_version& out);
};

/// Ends an app; its data is kept for a while, and a version that says so
/// (`app_spec::undeletes`) takes it back. The tombstone stays.
struct app_deletion {
  app_id app;
  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, app_deletion& out);
};

/// One shard begins a new line of descent after a majority of its voters was
/// lost for good: from what one survivor has. Accepts loss.
struct app_recovery {
  app_id app;
  std::uint32_t shard = 0;
  lineage_id parent;    ///< refused from now on by who holds this
  lineage_id lineage;   ///< the new one
  replica_ref survivor; ///< the only voter of the new lineage, with its log
  banyan::term term;    ///< of its last entry
  log_index last;
  log_index committed; ///< as known there
  /// Who was asked and has less or as much, and which voters did not answer.
  std::vector<replica_ref> asked;
  std::vector<replica_ref> silent;

  static constexpr std::size_t replicas_listed_max = 64;
  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, app_recovery& out);
};

/// What the context of a sealed group secret is.
[[nodiscard]] bytes
group_secret_context(const std::array<std::uint8_t, 16>& nonce);
[[nodiscard]] digest group_secret_hash(const secret_bytes<32>& secret);

/// All documents of one app, as they travel and stand on disk.
struct app_papers {
  signed_document genesis;
  signed_document version; ///< of kind spec; `version.version` counts
  std::optional<signed_document> deletion;

  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, app_papers& out);
};

/// The same, opened and checked.
struct app_record {
  app_id id;
  app_genesis genesis;
  app_version version;
  std::uint64_t number = 0; ///< of the version
  bool deleted = false;
  bool read_as_groups = false; ///< its documents say `stateless`
  app_papers papers;
};
enum class papers_errc : std::uint8_t {
  malformed = 1, ///< not such documents, or one contradicts another
  bad_signature, ///< a signature is wrong
  untrusted,     ///< signed by an owner that this peer does not trust
};
/// Checks form, signatures, that all is about one app and one owner, and that
/// the owner is trusted.
[[nodiscard]] result<app_record, papers_errc>
open_papers(const app_papers& p, const mesh_id& mesh,
            const std::vector<owner_id>& trusted);

} // namespace banyan
