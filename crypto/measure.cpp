#include "crypto/measure.hpp"

#include "base/assert.hpp"
#include "crypto/detail/sodium.hpp"

#include <array>

namespace banyan {
namespace {

constexpr std::size_t piece = std::size_t{64} * 1024;
constexpr unsigned passes = 2;

} // namespace

crypto_speed measure_crypto(duration budget,
                            const std::function<time_point()>& now) {
  crypto_speed out;
  std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_KEYBYTES> key{1};
  std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES> nonce{};
  bytes plain(piece, 7);
  bytes sealed(piece + crypto_aead_chacha20poly1305_ietf_ABYTES);
  const auto seal = [&] {
    ++nonce[0];
    crypto_aead_chacha20poly1305_ietf_encrypt(
        sealed.data(), nullptr, plain.data(), plain.size(), nullptr, 0, nullptr,
        nonce.data(), key.data());
  };
  seal(); // its pages and its code are there now
  const auto begun = now();
  for (auto t = begun; t - begun < budget / 2; t = now()) {
    seal();
    out.sealed_bytes += piece;
  }
  out.sealing = now() - begun;

  std::array<std::uint8_t, crypto_sign_PUBLICKEYBYTES> public_key{};
  std::array<std::uint8_t, crypto_sign_SECRETKEYBYTES> secret_key{};
  const std::array<std::uint8_t, crypto_sign_SEEDBYTES> seed{9};
  crypto_sign_seed_keypair(public_key.data(), secret_key.data(), seed.data());
  std::array<std::uint8_t, crypto_sign_BYTES> by{};
  constexpr std::size_t message = 256;
  crypto_sign_detached(by.data(), nullptr, plain.data(), message,
                       secret_key.data());
  const auto verifying = now();
  for (auto t = verifying; t - verifying < budget / 2; t = now()) {
    const int wrong = crypto_sign_verify_detached(by.data(), plain.data(),
                                                  message, public_key.data());
    BANYAN_ASSERT(wrong == 0);
    ++out.verified;
  }
  out.verifying = now() - verifying;
  return out;
}

std::optional<digest> fill_memory(const_bytes nonce, std::uint32_t mib) {
  BANYAN_ASSERT(nonce.size() == 32 && mib > 0);
  std::array<std::uint8_t, digest::size> out{};
  const auto* word = reinterpret_cast<const char*>(nonce.data());
  const int failed = crypto_pwhash(
      out.data(), out.size(), word, nonce.size(),
      nonce.data() + (nonce.size() - crypto_pwhash_SALTBYTES), passes,
      std::size_t{mib} << 20, crypto_pwhash_ALG_ARGON2ID13);
  return failed == 0 ? std::optional{digest{out}} : std::nullopt;
}

} // namespace banyan
