#include "actors/testing/mesh_engine.hpp"

#include <banyan/testing.hpp>

namespace banyan::testing {

local_mesh::local_mesh(mesh_options o)
    : mesh{detail::mesh_engine::make(
        {o.nodes, std::move(o.regions), o.with_mesh_file, std::move(o.apps)})} {
}

std::string local_mesh::data_directory(std::size_t node) const {
  return engine().directory(node);
}
std::string local_mesh::client_key_file() const {
  return engine().client_key_file();
}

} // namespace banyan::testing
