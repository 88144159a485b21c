#include "crypto/hash.hpp"

#include "crypto/detail/sodium.hpp"

namespace banyan {
namespace {

crypto_generichash_state* state_of(std::uint8_t* raw) noexcept {
  return reinterpret_cast<crypto_generichash_state*>(raw);
}

digest finish_parts(hasher& h,
                    std::initializer_list<const_bytes> parts) noexcept {
  for (auto p : parts)
    h.part(p);
  return h.finish();
}

} // namespace

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): libsodium fills it
hasher::hasher() noexcept {
  static_assert(sizeof(crypto_generichash_state) <= state_bytes);
  static_assert(alignof(crypto_generichash_state) <= 64);
  crypto_generichash_init(state_of(state_.data()), nullptr, 0, digest::size);
}

// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): libsodium fills it
hasher::hasher(const secret_bytes<32>& key) noexcept {
  crypto_generichash_init(state_of(state_.data()), key.data(), key.size,
                          digest::size);
}

hasher::~hasher() {
  wipe(state_.data(), state_.size());
}

hasher& hasher::update(const_bytes more) noexcept {
  crypto_generichash_update(state_of(state_.data()), more.data(), more.size());
  return *this;
}

hasher& hasher::part(const_bytes more) noexcept {
  std::array<std::uint8_t, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<std::uint8_t>(more.size() >> (8 * i));
  return update(length).update(more);
}

digest hasher::finish() noexcept {
  std::array<std::uint8_t, digest::size> out{};
  crypto_generichash_final(state_of(state_.data()), out.data(), out.size());
  return digest{out};
}

digest hash(const_bytes b) noexcept {
  std::array<std::uint8_t, digest::size> out{};
  crypto_generichash(out.data(), out.size(), b.data(), b.size(), nullptr, 0);
  return digest{out};
}

digest keyed_hash(const secret_bytes<32>& key, const_bytes b) noexcept {
  std::array<std::uint8_t, digest::size> out{};
  crypto_generichash(out.data(), out.size(), b.data(), b.size(), key.data(),
                     key.size);
  return digest{out};
}

digest hash_of(std::initializer_list<const_bytes> parts) noexcept {
  hasher h;
  return finish_parts(h, parts);
}

digest keyed_hash_of(const secret_bytes<32>& key,
                     std::initializer_list<const_bytes> parts) noexcept {
  hasher h{key};
  return finish_parts(h, parts);
}

secret_bytes<32> derive_key(const secret_bytes<32>& key,
                            std::initializer_list<const_bytes> parts) noexcept {
  digest d = keyed_hash_of(key, parts);
  secret_bytes<32> out;
  std::copy(d.array().begin(), d.array().end(), out.data());
  wipe(&d, sizeof d);
  return out;
}

} // namespace banyan
