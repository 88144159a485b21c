#include "tests/support/owned_mesh.hpp"

#include "actors/docs/key_files.hpp"
#include "crypto/system_random.hpp"

#include <fstream>

namespace banyan::test {

owned_mesh::owned_mesh(const net_hosts& hosts, std::vector<std::string> flags,
                       const std::vector<std::string>& regions) {
  system_random entropy;
  const auto made = init_mesh(keys_.path(), "hosts", entropy);
  if (!made.ok())
    throw std::runtime_error{made.error().message};
  owner_ = made->owner_file.string();
  std::vector<peer_place> places;
  for (std::size_t i = 0; i < hosts.size(); ++i)
    places.push_back({i < regions.size() ? regions[i] : "here", "",
                      hosts.address(i), hosts.space(i).fd()});
  mesh_options o;
  o.mesh_file = made->mesh.string();
  o.flags = std::move(flags);
  o.flags.emplace_back("--http-plain");
  peers_ = std::make_unique<process_mesh>(std::move(places), std::move(o));
}

void owned_mesh::deploy(const std::string& name, const std::string& spec) {
  const auto file = keys_.path() / (name + ".toml");
  std::ofstream{file} << "name = \"" << name << "\"\nmodule = \"" << name
                      << "\"\naccess = \"public\"\n"
                      << spec;
  const auto r =
      run_program({BANYAN_CLI_BINARY, "--data", peers_->data(0).string(),
                   "deploy", file.string(), "--owner", owner_});
  if (r.end.code != 0)
    throw std::runtime_error{"deploy of " + name + ": " + r.out + r.err
                             + peers_->last_words()};
}

} // namespace banyan::test
