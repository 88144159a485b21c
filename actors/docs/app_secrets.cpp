#include "actors/docs/app_secrets.hpp"

#include "base/codec.hpp"
#include "crypto/secret_box.hpp"

#include <algorithm>

namespace banyan {

secret_values::~secret_values() {
  for (auto& [name, value] : values_)
    wipe(value);
}

void secret_values::put(std::string name, const_bytes value) {
  auto& kept = values_[std::move(name)];
  wipe(kept);
  kept = value.copy();
}

bool secret_values::has(const std::string& name) const {
  return values_.count(name) != 0;
}

bytes secret_values::encode() const {
  std::size_t size = 8;
  for (const auto& [name, value] : values_)
    size += name.size() + value.size() + 16;
  bytes out;
  out.reserve(size); // one place to wipe
  writer w{out};
  w.map(values_.size());
  for (const auto& [name, value] : values_)
    w.text(name).blob(value);
  return out;
}

bool secret_values::decode(const_bytes in, secret_values& out) {
  reader r{in};
  for (auto n = r.map(spec_list_max); n > 0 && r.ok(); --n) {
    const std::string name{r.text(secret_name_bytes_max)};
    const auto value = r.blob(secret_value_bytes_max);
    if (r.require(is_secret_name(name) && !out.has(name)))
      out.put(name, value);
  }
  return r.done();
}

bool is_secret_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= secret_name_bytes_max
         && std::all_of(name.begin(), name.end(), [](char c) {
              return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                     || (c >= '0' && c <= '9') || c == '_' || c == '-'
                     || c == '.';
            });
}

bytes app_secrets_context(const std::array<std::uint8_t, 16>& nonce) {
  constexpr std::string_view words = "app secrets ";
  bytes out(words.size() + nonce.size());
  std::copy(words.begin(), words.end(), out.begin());
  std::copy(nonce.begin(), nonce.end(),
            out.begin() + static_cast<std::ptrdiff_t>(words.size()));
  return out;
}

std::string seal_secrets(app_spec& spec,
                         const std::array<std::uint8_t, 16>& nonce,
                         const secret_values& values,
                         const std::set<node_id>& nodes,
                         random_source& random) {
  const secret_bytes<32> key{random};
  const auto context = app_secrets_context(nonce);
  auto plain = values.encode();
  spec.secret_box = make_box(key, context, plain, random);
  wipe(plain);
  spec.secret_keys.clear();
  if (spec.secret_box.size() > spec_secrets_bytes_max)
    return "secrets: they have "
           + std::to_string(spec.secret_box.size() - box_overhead)
           + " bytes together; they may have 64 KiB";
  for (const auto& n : nodes) {
    sealed_for sealed{n, {}};
    if (!seal_secret(n, context, key, random, sealed.secret))
      return "node " + to_string(n)
             + " is no public key: nothing can be sealed to it";
    spec.secret_keys.push_back(sealed);
  }
  return {};
}

bool own_secret_key(const identity& self, const app_spec& spec,
                    const std::array<std::uint8_t, 16>& nonce,
                    secret_bytes<32>& out) {
  const auto context = app_secrets_context(nonce);
  return std::any_of(spec.secret_keys.begin(), spec.secret_keys.end(),
                     [&](const sealed_for& s) {
                       return s.node == self.id()
                              && open_secret(self, context, s.secret, out);
                     });
}

bool open_secrets(const app_spec& spec,
                  const std::array<std::uint8_t, 16>& nonce,
                  const secret_bytes<32>& key, secret_values& out) {
  bytes plain;
  const bool good =
      open_box(key, app_secrets_context(nonce), spec.secret_box, plain)
      && secret_values::decode(plain, out);
  wipe(plain);
  return good;
}

std::string missing_secret(const app_spec& spec, const secret_values& values) {
  for (const auto& name : spec.secrets)
    if (!values.has(name))
      return name;
  return {};
}

std::string no_value_for(const std::string& name) {
  return "secrets: no value for '" + name + "': give --secret " + name
         + "=FILE to `banyan deploy`";
}

std::string why_no_secrets(const app_spec& spec) {
  return spec.secrets.empty() || !spec.secret_box.empty()
             ? std::string{}
             : no_value_for(spec.secrets.front());
}

} // namespace banyan
