#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "store/documents.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace banyan::actors {

/// Kinds of `store::documents`. Numbers are on disk: never reused.
enum class document_kind : std::uint8_t {
  incarnation = 1, ///< name empty: a number
  members = 2,     ///< name empty: the membership's own
  papers = 3,      ///< by app id: `app_papers`
  replica = 4,     ///< by app id ‖ shard: the replica id
  reservation = 5, ///< by nonce ‖ shard: a replica id without a group yet
  secret = 6,      ///< by app id: a group secret that a leader handed over
  key_file = 7,    ///< name empty: the inode of `node.key`, a number
  removed = 15,    ///< by app id: how long its data was kept, ms of running
  recovery = 16,   ///< by app id ‖ shard ‖ lineage: a signed recovery
  recovered = 17,  ///< by app id ‖ shard: the lineage that this node took up
  given_up = 8,    ///< name empty: why logs and votes here count no more
  base = 11,    ///< by app id: `app_papers` of the version that groups here run
                ///< whose logs name none, while a newer one is known
  drained = 13, ///< name empty: this node is drained; whether by force
  app_key = 18, ///< by app id: the key of its secrets that a fellow handed over
  policy = 20,  ///< by hash: a mesh policy that an owner signed
  observation = 21, ///< by day ‖ observer ‖ hash: a day, signed
  observing = 22,   ///< name empty: what this node has seen of the day so far
  hardware = 23, ///< name empty: `hardware_figures` of this machine
  pinned = 25, ///< by app id ‖ shard: the replica id that an operator put here
  excluded = 26, ///< name empty: why the mesh's policy keeps this node out
};

/// The change that stores a document, or erases it when there is no content.
inline store::documents::change document(document_kind kind, bytes name,
                                         std::optional<bytes> content) {
  return {static_cast<std::uint8_t>(kind), std::move(name), std::move(content)};
}

/// The name of a document about one shard: `prefix` ‖ shard, big endian.
inline bytes shard_name(const_bytes prefix, std::uint32_t shard) {
  bytes out = prefix.copy();
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(shard >> shift));
  return out;
}

/// The replica id that a document names.
inline std::optional<replica_id>
read_replica(const store::documents& d, document_kind kind, const bytes& name) {
  const auto found = d.find(static_cast<std::uint8_t>(kind), name);
  replica_id id;
  if (!found || !replica_id::from(found->view(), id))
    return std::nullopt;
  return id;
}

} // namespace banyan::actors
