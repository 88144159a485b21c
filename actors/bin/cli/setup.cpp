#include "actors/bin/cli/commands.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/host/json.hpp"

#include <cstdio>

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;

problem refused(const setup_error& e) {
  return {e.usage ? exit_code::usage : exit_code::failed, e.message};
}

std::string
object(std::initializer_list<std::pair<const char*, std::string>> fields) {
  std::string out = "{";
  for (const auto& [name, text] : fields) {
    if (out.size() > 1)
      out.push_back(',');
    append_json_string(out, name);
    out.push_back(':');
    append_json_string(out, text);
  }
  return out + "}";
}

result<fs::path, problem> only_mesh_file() {
  std::error_code ec;
  std::optional<fs::path> found;
  for (const auto& e : fs::directory_iterator{".", ec}) {
    if (e.path().extension() != ".mesh")
      continue;
    if (found)
      return failure{problem{exit_code::usage,
                             "several mesh files are here; choose one with "
                             "--mesh-file FILE"}};
    found = e.path().filename();
  }
  if (!found)
    return failure{problem{exit_code::usage,
                           "no mesh file is here; give --mesh-file FILE, or "
                           "make a mesh with `banyan init NAME`"}};
  return *found;
}

} // namespace

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (text.empty() || text.back() != '\n')
    std::fputc('\n', stdout);
  std::fflush(stdout);
}

void note(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
}

outcome init(const session& s, const std::string& name) {
  const auto made = init_mesh(".", name, s.random);
  if (!made.ok())
    return failure{refused(made.error())};
  const auto mesh = made->mesh.filename().string();
  const auto owner = made->owner_file.filename().string();
  if (s.json) {
    print(object({{"mesh", name},
                  {"id", to_string(made->id)},
                  {"owner", to_string(made->owner)},
                  {"mesh_file", mesh},
                  {"owner_file", owner}}));
    return {};
  }
  print("made " + mesh
        + ": copy it to every machine of the mesh (whoever has "
          "it may join)\n"
        + "made " + owner
        + ": keep it to yourself (whoever has it may deploy "
          "and remove apps)\n"
        + "next: banyan-peer --mesh-file " + mesh
        + " --listen HOST:7600 [--join HOST:7600], then banyan deploy "
          "SPEC.toml --owner "
        + owner);
  return {};
}

outcome keygen_node(const session& s, const std::string& file) {
  const fs::path path = file.empty() ? "node.key" : file;
  const auto made = make_node_key(path, s.random);
  if (!made.ok())
    return failure{refused(made.error())};
  if (s.json)
    print(object({{"node", to_string(*made)}, {"file", path.string()}}));
  else
    print("made " + path.string() + ": node " + to_string(*made)
          + "\nnext: put it into one peer's data directory as node.key, before "
            "its first start; two peers with one key exclude each other");
  return {};
}

outcome keygen_client(const session& s, const std::string& mesh_file) {
  fs::path mesh = mesh_file;
  if (mesh_file.empty()) {
    const auto found = only_mesh_file();
    if (!found.ok())
      return failure{found.error()};
    mesh = *found;
  }
  const auto made = make_client_key(mesh);
  if (!made.ok())
    return failure{refused(made.error())};
  if (s.json)
    print(object({{"file", made->string()}}));
  else
    print("made " + made->string()
          + ": give it to programs that call apps with <banyan/client.hpp>; it "
            "lets them call, not join or deploy");
  return {};
}

} // namespace banyan::cli
