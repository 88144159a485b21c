#pragma once
#include "base/random.hpp"
#include "base/result.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace banyan {

/// The files that `banyan init` and `banyan keygen` make. Text, one `word
/// value` per line, `#` begins a comment line; 0600 or refused; read whole,
/// wiped after reading. Every call blocks for the disk.

inline constexpr std::size_t mesh_keys_max = 4;
inline constexpr std::size_t mesh_owners_max = 16;

/// `NAME.mesh`, on every machine of the mesh: who holds it may join.
///
/// ```
/// banyan mesh 1
/// name orchard
/// id <base32>       checked: hash of the name and the first owner
/// key <base32>      1 to 4: dial with the first, accept all
/// owner <base32>    1 to 16: trusted to deploy, update and remove
/// ```
struct mesh_file {
  std::string name;
  mesh_id id;
  std::vector<mesh_key> keys;
  std::vector<owner_id> owners;

  static result<mesh_file, key_file_error>
  load(const std::filesystem::path& file);
  [[nodiscard]] result<void, key_file_error>
  save(const std::filesystem::path& file) const;
  /// The mesh without a file: loopback only, keys that everybody knows.
  static mesh_file local();
};

/// `NAME.client`: may call apps, never join, gossip or deploy.
struct client_file {
  std::string mesh_name;
  mesh_id mesh;
  link_psk key;

  static result<client_file, key_file_error>
  load(const std::filesystem::path& file);
  [[nodiscard]] result<void, key_file_error>
  save(const std::filesystem::path& file) const;
};

/// `NAME.owner`, with the operator only. It names its mesh, so that nothing is
/// ever signed for a mesh that a peer merely claims to be.
struct owner_file {
  std::string mesh_name;
  mesh_id mesh;
  identity key;

  static result<owner_file, key_file_error>
  load(const std::filesystem::path& file);
  [[nodiscard]] result<void, key_file_error>
  save(const std::filesystem::path& file) const;
  static owner_file local();
};

/// 1 to 63 of a–z, 0–9, `_` and `-`, a letter first; `local` is taken.
[[nodiscard]] bool is_mesh_name(std::string_view name) noexcept;

/// Why `init` or `keygen` did nothing: cause and next step.
struct setup_error {
  bool usage = false; ///< a bad name rather than something in the way
  std::string message;
};

struct mesh_files {
  mesh_id id;
  owner_id owner;
  std::filesystem::path mesh;
  std::filesystem::path owner_file;
};
/// `banyan init NAME`: makes NAME.mesh and NAME.owner in `dir`, both or none.
result<mesh_files, setup_error> init_mesh(const std::filesystem::path& dir,
                                          std::string_view name,
                                          random_source& random);

/// `banyan keygen client`: makes NAME.client beside the mesh file, from its
/// first key. @returns the new file's path.
result<std::filesystem::path, setup_error>
make_client_key(const std::filesystem::path& mesh_file_path);

/// `banyan keygen node`: a node key in a new file. @returns its node id.
result<node_id, setup_error> make_node_key(const std::filesystem::path& file,
                                           random_source& random);

} // namespace banyan
