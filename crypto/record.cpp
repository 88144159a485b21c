#include "crypto/record.hpp"

#include "crypto/detail/sodium.hpp"

namespace banyan {
namespace {

using nonce_bytes =
    std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

static_assert(record_tag_bytes == crypto_aead_chacha20poly1305_ietf_ABYTES);

nonce_bytes nonce_of(std::uint64_t counter) noexcept {
  nonce_bytes out{};
  for (std::size_t i = 0; i < 8; ++i)
    out[4 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
  return out;
}

/// Noise's REKEY, before the first record of each interval but the first.
void rekey_if_due(secret_bytes<32>& key, std::uint64_t counter) noexcept {
  if (counter == 0 || counter % record_rekey_interval != 0)
    return;
  const auto nonce = nonce_of(UINT64_MAX);
  constexpr std::array<std::uint8_t, 32> zeros{};
  secret_bytes<32 + record_tag_bytes> out;
  crypto_aead_chacha20poly1305_ietf_encrypt(out.data(), nullptr, zeros.data(),
                                            zeros.size(), nullptr, 0, nullptr,
                                            nonce.data(), key.data());
  std::copy(out.data(), out.data() + 32, key.data());
}

secret_bytes<32> key_of(noise::cipher_state& keys) {
  BANYAN_ASSERT(keys.cipher().name == noise::chacha_poly.name);
  return keys.take_key();
}

} // namespace

record_sealer::record_sealer(noise::cipher_state keys)
    : key_{key_of(keys)}, counter_{keys.counter()} {
}

result<std::size_t, record_errc> record_sealer::seal(const_bytes plaintext,
                                                     std::uint8_t* record) {
  if (plaintext.size() > record_plaintext_max)
    return failure{record_errc::too_large};
  if (counter_ == UINT64_MAX) // Noise keeps the last nonce for REKEY
    return failure{record_errc::exhausted};
  rekey_if_due(key_, counter_);
  const auto nonce = nonce_of(counter_++);
  const std::size_t body = plaintext.size() + record_tag_bytes;
  crypto_aead_chacha20poly1305_ietf_encrypt(
      record + record_header_bytes, nullptr, plaintext.data(), plaintext.size(),
      nullptr, 0, nullptr, nonce.data(), key_.data());
  record[0] = static_cast<std::uint8_t>(body >> 8);
  record[1] = static_cast<std::uint8_t>(body);
  return record_header_bytes + body;
}

result<std::size_t, record_errc>
record_sealer::seal_in_place(std::uint8_t* record, std::size_t plaintext_size) {
  return seal(const_bytes{record + record_header_bytes, plaintext_size},
              record);
}

result<void, record_errc> record_sealer::seal(const_bytes plaintext,
                                              bytes& out) {
  if (plaintext.size() > record_plaintext_max)
    return failure{record_errc::too_large};
  const std::size_t before = out.size();
  out.resize(before + plaintext.size() + record_overhead_bytes);
  if (auto sealed = seal(plaintext, out.data() + before); !sealed) {
    out.resize(before);
    return failure{sealed.error()};
  }
  return {};
}

record_opener::record_opener(noise::cipher_state keys)
    : key_{key_of(keys)}, counter_{keys.counter()} {
}

result<std::size_t, record_errc> record_opener::open(const_bytes body,
                                                     std::uint8_t* out) {
  const auto refuse = [this](record_errc why) {
    lost_ = true;
    wipe(key_.data(), key_.size);
    return failure{why};
  };
  if (lost_)
    return refuse(record_errc::forged);
  if (body.size() < record_tag_bytes)
    return refuse(record_errc::too_short);
  if (body.size() > record_plaintext_max + record_tag_bytes)
    return refuse(record_errc::too_large);
  if (counter_ == UINT64_MAX)
    return refuse(record_errc::exhausted);
  rekey_if_due(key_, counter_);
  const auto nonce = nonce_of(counter_);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(
          out, nullptr, nullptr, body.data(), body.size(), nullptr, 0,
          nonce.data(), key_.data())
      != 0)
    return refuse(record_errc::forged);
  ++counter_;
  return body.size() - record_tag_bytes;
}

result<std::size_t, record_errc>
record_opener::open_in_place(std::uint8_t* body, std::size_t size) {
  return open(const_bytes{body, size}, body);
}

} // namespace banyan
