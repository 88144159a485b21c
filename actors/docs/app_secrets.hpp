#pragma once
#include "actors/docs/app_documents.hpp"
#include "base/random.hpp"
#include "crypto/identity.hpp"
#include "crypto/secret.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace banyan {

inline constexpr std::size_t secret_name_bytes_max = 63;
inline constexpr std::size_t secret_value_bytes_max = std::size_t{16} << 10;

/// What an app's secrets are: values by name. Wiped when it goes; moved, never
/// copied; not printable.
class secret_values {
public:
  secret_values() = default;
  secret_values(secret_values&&) noexcept = default;
  secret_values& operator=(secret_values&&) noexcept = default;
  secret_values(const secret_values&) = delete;
  secret_values& operator=(const secret_values&) = delete;
  ~secret_values();

  void put(std::string name, const_bytes value);
  [[nodiscard]] bool has(const std::string& name) const;
  [[nodiscard]] bool empty() const noexcept { return values_.empty(); }
  [[nodiscard]] const std::map<std::string, bytes>& all() const noexcept {
    return values_;
  }
  /// A msgpack map {name: blob}: what a host is given. The caller wipes it.
  [[nodiscard]] bytes encode() const;
  [[nodiscard]] static bool decode(const_bytes in, secret_values& out);

private:
  std::map<std::string, bytes> values_;
};

/// 1 to 63 of letters, digits and `_`, `-` and `.`.
[[nodiscard]] bool is_secret_name(std::string_view name) noexcept;

/// Puts the values into the spec: boxed under a new key, which is sealed to
/// each of `nodes`. Whoever changes a value seals all of them anew.
/// @returns the node whose id is no public key, or that the box is over its
/// bound: an error for people, empty when it went well.
std::string seal_secrets(app_spec& spec,
                         const std::array<std::uint8_t, 16>& nonce,
                         const secret_values& values,
                         const std::set<node_id>& nodes, random_source& random);

/// The key of the spec's secrets, if it is sealed to this node.
[[nodiscard]] bool own_secret_key(const identity& self, const app_spec& spec,
                                  const std::array<std::uint8_t, 16>& nonce,
                                  secret_bytes<32>& out);
/// False when the key is another's.
[[nodiscard]] bool open_secrets(const app_spec& spec,
                                const std::array<std::uint8_t, 16>& nonce,
                                const secret_bytes<32>& key,
                                secret_values& out);
/// What the context of a sealed key of an app's secrets is.
[[nodiscard]] bytes
app_secrets_context(const std::array<std::uint8_t, 16>& nonce);

/// The first secret that the spec names and `values` lacks; empty: none.
[[nodiscard]] std::string missing_secret(const app_spec& spec,
                                         const secret_values& values);
/// Empty unless the spec names secrets and holds no box: then the cause and the
/// next step.
[[nodiscard]] std::string why_no_secrets(const app_spec& spec);
/// "secrets: no value for 'NAME': give --secret NAME=FILE".
[[nodiscard]] std::string no_value_for(const std::string& name);

} // namespace banyan
