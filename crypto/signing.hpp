#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string_view>

namespace banyan {

class identity;

/// An owner of apps, or of a mesh: an Ed25519 public key.
using owner_id = strong_bytes<struct owner_tag, 32>;
/// An Ed25519 signature.
using signature = strong_bytes<struct signature_tag, 64>;

/// What a signature is for. A signature of one kind is worth nothing as
/// another. Numbers are on the wire and on disk: never reused.
enum class sign_kind : std::uint8_t {
  link = 1,             ///< "link 1": a node's X25519 key and handshake
  member = 2,           ///< "member 1": a node's own member record
  countersignature = 3, ///< "countersignature 1": admission of a node id
  report = 4,           ///< "report 1": what an observer saw of a subject
  genesis = 5,          ///< "genesis 1": an app is born
  spec = 6,             ///< "spec 1": an app's specification, one version
  deletion = 7,         ///< "delete 1": an app may be forgotten
  recovery = 8,         ///< "recovery 1": a new lineage after loss
  policy = 9,           ///< "policy 1": a mesh's policy
  allowed_nodes = 10,   ///< "allowed 1": the nodes that may join
  observation = 11,     ///< "observation 1": one day seen by an observer
  name = 12,            ///< "name 1": which of two apps bears a name
};
inline constexpr std::uint8_t sign_kind_max = 12;

/// The text that is signed for a kind; empty for a number that names none.
[[nodiscard]] std::string_view context_of(sign_kind kind) noexcept;

/// What a signature really covers: "banyan 1", then the kind's text after one
/// byte with its length, then the 32 bytes of the mesh id, then `body`. Only
/// the last part has a free length, so it reads in one way only.
[[nodiscard]] bytes signed_bytes(sign_kind kind, const mesh_id& mesh,
                                 const_bytes body);

/// True when `who` signed `body` as `kind` in `mesh`. About 50 µs.
[[nodiscard]] bool verify(const node_id& who, sign_kind kind,
                          const mesh_id& mesh, const_bytes body,
                          const signature& by);
[[nodiscard]] bool verify(const owner_id& who, sign_kind kind,
                          const mesh_id& mesh, const_bytes body,
                          const signature& by);

/// A document that stands on its own: a body (canonical msgpack, by its
/// maker), its version and who signed it. The signature covers version (8
/// big-endian bytes) and body. On the wire: msgpack
/// `[kind, version, signer, body, signature]`.
struct signed_document {
  sign_kind kind = sign_kind::spec;
  std::uint64_t version = 0;
  owner_id signer; ///< an owner, or a node by the same 32 bytes
  bytes body;
  signature by;

  static constexpr std::size_t body_bytes_max = 1U << 20;

  static signed_document make(const identity& signer, sign_kind kind,
                              const mesh_id& mesh, std::uint64_t version,
                              bytes body);
  /// Says that `signer` signed it, not that `signer` may.
  [[nodiscard]] bool verify(const mesh_id& mesh) const;
  [[nodiscard]] bytes encode() const;
  /// Form and bounds only; false on anything else. Always verify afterwards.
  [[nodiscard]] static bool decode(const_bytes in, signed_document& out);

  friend bool operator==(const signed_document& a, const signed_document& b) {
    return a.kind == b.kind && a.version == b.version && a.signer == b.signer
           && a.body == b.body && a.by == b.by;
  }
};

} // namespace banyan
