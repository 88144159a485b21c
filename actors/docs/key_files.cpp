#include "actors/docs/key_files.hpp"

#include "actors/docs/app_documents.hpp"

#include <algorithm>

namespace banyan {
namespace {

namespace fs = std::filesystem;

/// A text that holds secrets: wiped, and never grown in place, which would
/// leave copies behind.
class secret_text {
public:
  secret_text() { text_.reserve(key_file::size_max); }
  secret_text(const secret_text&) = delete;
  secret_text& operator=(const secret_text&) = delete;
  ~secret_text() { wipe(text_); }

  void line(std::string_view text) { put(text, "\n"); }
  void line(std::string_view word, std::string_view value) {
    put(word, " ");
    put(value, "\n");
  }
  template <std::size_t N>
  void line(std::string_view word, const secret_bytes<N>& secret) {
    std::string value = to_base32(secret.view());
    line(word, value);
    wipe(value);
  }
  [[nodiscard]] result<void, key_file_error>
  create(const fs::path& file) const {
    return key_file::create(file, text_);
  }

private:
  void put(std::string_view a, std::string_view b) {
    BANYAN_ASSERT(text_.size() + a.size() + b.size() <= key_file::size_max);
    append(text_, as_bytes(a));
    append(text_, as_bytes(b));
  }
  bytes text_;
};

/// Reads `word value` lines after a header; wiped at the end. Values that can't
/// be read make it bad, with the line for the message but never its content.
class key_lines {
public:
  static result<key_lines, key_file_error> open(const fs::path& file,
                                                std::string_view header) {
    auto content = key_file::read(file);
    if (!content)
      return failure{content.error()};
    key_lines out{file, std::move(*content)};
    out.next();
    if (out.whole_ != header)
      return out.malformed("is not a '" + std::string{header}
                           + "' file; is it another of NAME.mesh, "
                             "NAME.client and NAME.owner?");
    return out;
  }
  key_lines(key_lines&&) = default;
  key_lines& operator=(key_lines&&) = delete;
  ~key_lines() { wipe(content_); }

  /// The next line that says something; false at the end.
  bool next() {
    while (at_ < content_.size()) {
      auto text = as_text(const_bytes{content_}.from(at_));
      text = text.substr(0, text.find('\n'));
      at_ = std::min(at_ + text.size() + 1, content_.size());
      ++number_;
      if (text.empty() || text[0] == '#')
        continue;
      const auto space = text.find(' ');
      whole_ = text;
      word_ = text.substr(0, space);
      value_ = space == std::string_view::npos ? std::string_view{}
                                               : text.substr(space + 1);
      return true;
    }
    return false;
  }
  [[nodiscard]] std::string_view word() const { return word_; }
  [[nodiscard]] std::string_view value() const { return value_; }

  template <std::size_t N>
  [[nodiscard]] bool secret(secret_bytes<N>& out) const {
    bytes raw;
    raw.reserve(2 * N + 8);
    const bool ok = value_.size() <= 2 * N && from_base32(value_, raw)
                    && secret_bytes<N>::from(raw, out);
    wipe(raw);
    return ok;
  }

  [[nodiscard]] failure<key_file_error>
  malformed(const std::string& why) const {
    return {{key_file_errc::malformed, file_ + ": " + why}};
  }
  /// About the line just read.
  [[nodiscard]] failure<key_file_error> bad_line(const char* why) const {
    return {{key_file_errc::malformed, file_ + ":" + std::to_string(number_)
                                           + ": " + why
                                           + "; restore the file from a copy"}};
  }

private:
  key_lines(const fs::path& file, bytes content)
      : file_{file.string()}, content_{std::move(content)} {}

  std::string file_;
  bytes content_;
  std::size_t at_ = 0;
  int number_ = 0;
  // into content_, whose bytes stay where they are when this moves
  std::string_view whole_;
  std::string_view word_;
  std::string_view value_;
};

constexpr std::string_view mesh_header = "banyan mesh 1";
constexpr std::string_view client_header = "banyan client 1";
constexpr std::string_view owner_header = "banyan owner 1";

setup_error in_the_way(const key_file_error& e) {
  return {false, e.message};
}

} // namespace

bool is_mesh_name(std::string_view name) noexcept {
  return is_app_name(name) && name != local_mesh_name;
}

result<mesh_file, key_file_error> mesh_file::load(const fs::path& file) {
  auto lines = key_lines::open(file, mesh_header);
  if (!lines)
    return failure{lines.error()};
  mesh_file out;
  while (lines->next()) {
    if (lines->word() == "name") {
      out.name = lines->value();
    } else if (lines->word() == "id") {
      if (!parse_id(lines->value(), out.id))
        return lines->bad_line("no mesh id");
    } else if (lines->word() == "key") {
      if (out.keys.size() == mesh_keys_max)
        return lines->bad_line("more than four mesh keys");
      out.keys.emplace_back();
      if (!lines->secret(out.keys.back()))
        return lines->bad_line("no mesh key");
    } else if (lines->word() == "owner") {
      out.owners.emplace_back();
      if (out.owners.size() > mesh_owners_max
          || !parse_id(lines->value(), out.owners.back()))
        return lines->bad_line("no owner key, or too many of them");
    } else {
      return lines->bad_line("a word that no mesh file has");
    }
  }
  if (!is_mesh_name(out.name) || out.keys.empty() || out.owners.empty())
    return lines->malformed("lacks a name, a key or an owner; restore it from "
                            "a copy");
  if (out.id != make_mesh_id(out.name, out.owners.front()))
    return lines->malformed("its id isn't that of its name and first owner; "
                            "restore it from a copy");
  return out;
}

result<void, key_file_error> mesh_file::save(const fs::path& file) const {
  secret_text text;
  text.line(mesh_header);
  text.line("# Whoever has this file can join the mesh. Keep it to its "
            "machines (chmod 600).");
  text.line("name", name);
  text.line("id", to_string(id));
  for (const auto& key : keys)
    text.line("key", key);
  for (const auto& owner : owners)
    text.line("owner", to_string(owner));
  return text.create(file);
}

mesh_file mesh_file::local() {
  mesh_file out;
  out.name = local_mesh_name;
  out.id = local_mesh_id();
  out.keys.push_back(local_mesh_key());
  out.owners.push_back(local_mesh_owner().owner());
  return out;
}

result<client_file, key_file_error> client_file::load(const fs::path& file) {
  auto lines = key_lines::open(file, client_header);
  if (!lines)
    return failure{lines.error()};
  client_file out;
  bool has_key = false;
  while (lines->next()) {
    if (lines->word() == "name") {
      out.mesh_name = lines->value();
    } else if (lines->word() == "id") {
      if (!parse_id(lines->value(), out.mesh))
        return lines->bad_line("no mesh id");
    } else if (lines->word() == "key") {
      has_key = lines->secret(out.key);
      if (!has_key)
        return lines->bad_line("no client key");
    } else {
      return lines->bad_line("a word that no client key file has");
    }
  }
  if (!is_app_name(out.mesh_name) || !has_key || out.mesh.is_none())
    return lines->malformed("lacks a name, an id or a key; make it again with "
                            "banyan keygen client");
  return out;
}

result<void, key_file_error> client_file::save(const fs::path& file) const {
  secret_text text;
  text.line(client_header);
  text.line("# Whoever has this file can call the apps of the mesh.");
  text.line("name", mesh_name);
  text.line("id", to_string(mesh));
  text.line("key", key);
  return text.create(file);
}

result<owner_file, key_file_error> owner_file::load(const fs::path& file) {
  auto lines = key_lines::open(file, owner_header);
  if (!lines)
    return failure{lines.error()};
  std::string name;
  mesh_id mesh;
  std::optional<identity> key;
  while (lines->next()) {
    if (lines->word() == "name") {
      name = lines->value();
    } else if (lines->word() == "id") {
      if (!parse_id(lines->value(), mesh))
        return lines->bad_line("no mesh id");
    } else if (lines->word() == "key") {
      secret_bytes<32> seed;
      if (!lines->secret(seed))
        return lines->bad_line("no owner key");
      key = identity::from_seed(seed);
    } else {
      return lines->bad_line("a word that no owner key file has");
    }
  }
  if (!is_app_name(name) || !key || mesh.is_none())
    return lines->malformed("lacks a name, an id or a key; restore it from a "
                            "copy");
  return owner_file{std::move(name), mesh, std::move(*key)};
}

result<void, key_file_error> owner_file::save(const fs::path& file) const {
  secret_text text;
  text.line(owner_header);
  text.line("# Whoever has this file can deploy to the mesh and remove from "
            "it. Keep it off its machines.");
  text.line("name", mesh_name);
  text.line("id", to_string(mesh));
  text.line("key", key.seed());
  return text.create(file);
}

owner_file owner_file::local() {
  return {std::string{local_mesh_name}, local_mesh_id(), local_mesh_owner()};
}

result<mesh_files, setup_error>
init_mesh(const fs::path& dir, std::string_view name, random_source& random) {
  if (!is_mesh_name(name))
    return failure{setup_error{
        true, "'" + std::string{name}
                  + "' can't name a mesh: 1 to 63 of a-z, 0-9, _ and -, a "
                    "letter first, and not 'local'"}};
  const auto owner = identity::generate(random);
  mesh_file mesh;
  mesh.name = name;
  mesh.id = make_mesh_id(name, owner.owner());
  mesh.keys.emplace_back(random);
  mesh.owners.push_back(owner.owner());
  const mesh_files out{mesh.id, owner.owner(), dir / (mesh.name + ".mesh"),
                       dir / (mesh.name + ".owner")};
  const owner_file operators{mesh.name, mesh.id, owner.clone()};
  if (auto saved = operators.save(out.owner_file); !saved)
    return failure{in_the_way(saved.error())};
  if (auto saved = mesh.save(out.mesh); !saved) {
    std::error_code ignored; // ours, a moment old and of no mesh
    fs::remove(out.owner_file, ignored);
    return failure{in_the_way(saved.error())};
  }
  return out;
}

result<fs::path, setup_error> make_client_key(const fs::path& mesh_file_path) {
  const auto mesh = mesh_file::load(mesh_file_path);
  if (!mesh)
    return failure{in_the_way(mesh.error())};
  const client_file client{mesh->name, mesh->id,
                           derive_psk(mesh->keys.front(), link_role::client)};
  auto file = mesh_file_path;
  file.replace_extension(".client");
  if (auto saved = client.save(file); !saved)
    return failure{in_the_way(saved.error())};
  return file;
}

result<node_id, setup_error> make_node_key(const fs::path& file,
                                           random_source& random) {
  const auto key = identity::generate(random);
  if (auto saved = key.save(file); !saved)
    return failure{in_the_way(saved.error())};
  return key.id();
}

} // namespace banyan
