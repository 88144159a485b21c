#pragma once
#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/documents.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// When a node may not trust its own logs and votes (DESIGN section 7,
/// "Amnesia"): its documents' file was damaged, its directory is a copy, or the
/// mesh proved that its disk is older than what it had said. Then every replica
/// here is given up: its document goes, so that it can't vote again, its leader
/// makes another under a new id, and the old log is kept in `aside/`.
namespace banyan::actors {

/// What a start can see of its own directory.
struct directory_marks {
  /// Of the identity file: a copy has another one. Zero: not known, and then
  /// nothing follows from it.
  std::uint64_t key_inode = 0;
  /// The last stop was announced: the copy of a stopped peer is as good as the
  /// original, unless a peer proves a higher incarnation.
  bool was_clean = false;
};

/// Why logs and votes of this directory count no more, for people; nothing when
/// they do. Changes nothing.
[[nodiscard]] std::optional<std::string> forgetful(const store::documents& d,
                                                   const directory_marks& m);

/// Erases the documents of all replicas and reservations here. `why` is kept
/// until a start has set the log aside. No start goes below `incarnation`.
[[nodiscard]] std::vector<store::documents::change>
give_up_changes(const store::documents& d, const std::string& why,
                incarnation at_least);

/// At a start, before anything else is put: gives up what `forgetful` named and
/// remembers the identity file. Blocks for up to two fsyncs, and does nothing
/// in an ordinary start. @returns why replicas were given up, or nothing.
[[nodiscard]] result<std::optional<std::string>, store::store_error>
recollect(store::documents& d, const directory_marks& m);

/// The inode of the identity file; zero when it can't be read.
[[nodiscard]] std::uint64_t inode_of(const std::string& file);

[[nodiscard]] incarnation read_incarnation(const store::documents& d);

} // namespace banyan::actors
