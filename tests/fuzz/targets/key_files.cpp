// Mesh, client, owner and node key files.
#include "actors/docs/key_files.hpp"

#include "actors/docs/app_documents.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace banyan::fuzz {
namespace {

/// A file in memory that the loaders can open by name.
class memory_file {
public:
  memory_file() : fd_{::memfd_create("fuzz", MFD_CLOEXEC)} {
    BANYAN_ASSERT(fd_ >= 0 && ::fchmod(fd_, 0600) == 0);
  }
  ~memory_file() { ::close(fd_); }
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;

  void put(const_bytes b) const {
    BANYAN_ASSERT(::ftruncate(fd_, 0) == 0);
    BANYAN_ASSERT(b.empty()
                  || ::pwrite(fd_, b.data(), b.size(), 0)
                         == static_cast<ssize_t>(b.size()));
  }
  [[nodiscard]] std::string path() const {
    return "/proc/self/fd/" + std::to_string(fd_);
  }

private:
  int fd_;
};

// The message tells where and what, and nothing of the content.
template <class File>
void quiet(const result<File, key_file_error>& loaded, const_bytes in) {
  if (loaded.ok())
    return;
  const auto& e = loaded.error();
  BANYAN_ASSERT(e.code == key_file_errc::malformed);
  BANYAN_ASSERT(!e.message.empty());
  const auto text = as_text(in);
  for (std::size_t at = 0; at + 24 <= text.size(); at += 8)
    BANYAN_ASSERT(e.message.find(text.substr(at, 24)) == std::string::npos
                  || text.substr(at, 24).find(' ') != std::string::npos);
}

void run(const_bytes in) {
  static const memory_file file;
  file.put(in);
  const auto path = file.path();
  const auto mesh = mesh_file::load(path);
  quiet(mesh, in);
  if (mesh.ok()) {
    BANYAN_ASSERT(is_mesh_name(mesh->name));
    BANYAN_ASSERT(!mesh->keys.empty() && mesh->keys.size() <= mesh_keys_max);
    BANYAN_ASSERT(!mesh->owners.empty());
    BANYAN_ASSERT(mesh->owners.size() <= mesh_owners_max);
    BANYAN_ASSERT(mesh->id == make_mesh_id(mesh->name, mesh->owners.front()));
  }
  const auto client = client_file::load(path);
  quiet(client, in);
  if (client.ok())
    BANYAN_ASSERT(is_app_name(client->mesh_name) && !client->mesh.is_none());
  const auto owner = owner_file::load(path);
  quiet(owner, in);
  if (owner.ok())
    BANYAN_ASSERT(is_app_name(owner->mesh_name) && !owner->mesh.is_none());
  const auto node = identity::load(path);
  quiet(node, in);
  BANYAN_ASSERT(mesh.ok() + client.ok() + owner.ok() + node.ok() <= 1);
}

std::vector<bytes> seeds() {
  secret_bytes<32> secret;
  std::fill(secret.data(), secret.data() + 32, std::uint8_t{5});
  const auto key = identity::from_seed(secret);
  const auto id = make_mesh_id("orchard", key.owner());
  const auto base32 = to_base32(secret.view());
  const std::string named = "name orchard\nid " + to_string(id) + "\n";
  const std::string owner = "owner " + to_string(key.owner()) + "\n";
  return {to_bytes("banyan mesh 1\n# a comment\n" + named + "key " + base32
                   + "\nkey " + base32 + "\n" + owner),
          to_bytes("banyan client 1\n" + named + "key " + base32 + "\n"),
          to_bytes("banyan owner 1\n" + named + "key " + base32 + "\n"),
          to_bytes("banyan key 1\n" + base32 + "\n"),
          to_bytes("banyan mesh 1\n" + named + owner)};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(key_files)
