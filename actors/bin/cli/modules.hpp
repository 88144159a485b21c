#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/peer_client.hpp"
#include "actors/docs/spec_file.hpp"

#include <filesystem>
#include <vector>

namespace banyan::cli {

/// A module's file for one target, read and hashed.
struct local_module {
  std::filesystem::path file;
  module_ref ref;
};

/// Reads what `[module]` of the spec `spec` names, relative to its folder, and
/// hashes it. Ascending by target.
/// @returns `usage` for a file that isn't there, has no byte or over 512 MiB,
/// or is no library for the target that it is named for
result<std::vector<local_module>, problem>
read_modules(const std::filesystem::path& spec,
             const std::vector<module_file>& files);

/// Brings the peer what it lacks of them, on from where an earlier upload
/// ended, and says on standard error how far that is. On return it has all of
/// them, hashed. Nothing happens twice when it is repeated.
outcome upload_modules(peer_client& peer,
                       const std::vector<local_module>& modules);

} // namespace banyan::cli
