#include "crypto/identity.hpp"

#include "crypto/detail/sodium.hpp"

namespace banyan {
namespace {

constexpr std::string_view key_header = "banyan key 1\n";

bool parse_key(const_bytes content, secret_bytes<32>& out) {
  auto text = as_text(content);
  if (text.substr(0, key_header.size()) != key_header)
    return false;
  text.remove_prefix(key_header.size());
  if (!text.empty() && text.back() == '\n')
    text.remove_suffix(1);
  bytes seed;
  seed.reserve(64); // so that no growth leaves a copy behind
  const bool ok = text.size() == 52 && from_base32(text, seed)
                  && secret_bytes<32>::from(seed, out);
  wipe(seed);
  return ok;
}

} // namespace

identity identity::generate(random_source& random) {
  return from_seed(secret_bytes<32>{random});
}

identity identity::from_seed(const secret_bytes<32>& seed) {
  identity out;
  std::array<std::uint8_t, node_id::size> pub{};
  crypto_sign_seed_keypair(pub.data(), out.key_.data(), seed.data());
  out.id_ = node_id{pub};
  return out;
}

secret_bytes<32> identity::seed() const {
  secret_bytes<32> out;
  crypto_sign_ed25519_sk_to_seed(out.data(), key_.data());
  return out;
}

identity identity::clone() const {
  identity out;
  out.id_ = id_;
  out.key_ = key_.clone();
  return out;
}

result<identity, key_file_error>
identity::load(const std::filesystem::path& file) {
  auto content = key_file::read(file);
  if (!content)
    return failure{content.error()};
  secret_bytes<32> seed;
  const bool ok = parse_key(*content, seed);
  wipe(*content);
  if (!ok)
    return failure{key_file_error{
        key_file_errc::malformed,
        file.string()
            + ": is not a banyan key; restore it from a copy, or move it away "
              "to become a new node"}};
  return from_seed(seed);
}

result<identity, key_file_error>
identity::load_or_create(const std::filesystem::path& file,
                         random_source& random) {
  auto loaded = load(file);
  if (loaded.ok() || loaded.error().code != key_file_errc::missing)
    return loaded;
  auto fresh = generate(random);
  if (auto saved = fresh.save(file); !saved) {
    if (saved.error().code == key_file_errc::exists)
      return load(file); // another process was faster: its key counts
    return failure{saved.error()};
  }
  return fresh;
}

result<void, key_file_error>
identity::save(const std::filesystem::path& file) const {
  std::string text = to_base32(seed().view());
  bytes content;
  content.reserve(key_header.size() + text.size() + 1);
  append(content, as_bytes(key_header));
  append(content, as_bytes(text));
  content.push_back('\n');
  auto done = key_file::create(file, content);
  wipe(content);
  wipe(text);
  return done;
}

signature identity::sign(sign_kind kind, const mesh_id& mesh,
                         const_bytes body) const {
  const bytes message = signed_bytes(kind, mesh, body);
  std::array<std::uint8_t, signature::size> out{};
  crypto_sign_detached(out.data(), nullptr, message.data(), message.size(),
                       key_.data());
  return signature{out};
}

secret_bytes<32> identity::box_secret() const {
  secret_bytes<32> out;
  crypto_sign_ed25519_sk_to_curve25519(out.data(), key_.data());
  return out;
}

} // namespace banyan
