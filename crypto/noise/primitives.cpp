#include "crypto/noise/primitives.hpp"

#include "crypto/detail/sodium.hpp"

namespace banyan::noise {
namespace {

void run_sha256(std::initializer_list<const_bytes> parts, std::uint8_t* out) {
  crypto_hash_sha256_state s;
  crypto_hash_sha256_init(&s);
  for (auto p : parts)
    crypto_hash_sha256_update(&s, p.data(), p.size());
  crypto_hash_sha256_final(&s, out);
  wipe(&s, sizeof s);
}

void run_sha512(std::initializer_list<const_bytes> parts, std::uint8_t* out) {
  crypto_hash_sha512_state s;
  crypto_hash_sha512_init(&s);
  for (auto p : parts)
    crypto_hash_sha512_update(&s, p.data(), p.size());
  crypto_hash_sha512_final(&s, out);
  wipe(&s, sizeof s);
}

void run_blake2b(std::initializer_list<const_bytes> parts, std::uint8_t* out) {
  crypto_generichash_state s;
  crypto_generichash_init(&s, nullptr, 0, 64);
  for (auto p : parts)
    crypto_generichash_update(&s, p.data(), p.size());
  crypto_generichash_final(&s, out, 64);
  wipe(&s, sizeof s);
}

using nonce12 = std::array<std::uint8_t, 12>;

nonce12 little_endian_nonce(std::uint64_t n) {
  nonce12 out{};
  for (std::size_t i = 0; i < 8; ++i)
    out[4 + i] = static_cast<std::uint8_t>(n >> (8 * i));
  return out;
}

nonce12 big_endian_nonce(std::uint64_t n) {
  nonce12 out{};
  for (std::size_t i = 0; i < 8; ++i)
    out[11 - i] = static_cast<std::uint8_t>(n >> (8 * i));
  return out;
}

void seal_chacha(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
                 const_bytes ad, const_bytes plaintext, std::uint8_t* out) {
  const auto n = little_endian_nonce(nonce);
  crypto_aead_chacha20poly1305_ietf_encrypt(
      out, nullptr, plaintext.data(), plaintext.size(), ad.data(), ad.size(),
      nullptr, n.data(), key.data());
}

bool open_chacha(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
                 const_bytes ad, const_bytes sealed, std::uint8_t* out) {
  const auto n = little_endian_nonce(nonce);
  return crypto_aead_chacha20poly1305_ietf_decrypt(
             out, nullptr, nullptr, sealed.data(), sealed.size(), ad.data(),
             ad.size(), n.data(), key.data())
         == 0;
}

void seal_aes(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
              const_bytes ad, const_bytes plaintext, std::uint8_t* out) {
  const auto n = big_endian_nonce(nonce);
  crypto_aead_aes256gcm_encrypt(out, nullptr, plaintext.data(),
                                plaintext.size(), ad.data(), ad.size(), nullptr,
                                n.data(), key.data());
}

bool open_aes(const secret_bytes<key_bytes>& key, std::uint64_t nonce,
              const_bytes ad, const_bytes sealed, std::uint8_t* out) {
  const auto n = big_endian_nonce(nonce);
  return crypto_aead_aes256gcm_decrypt(out, nullptr, nullptr, sealed.data(),
                                       sealed.size(), ad.data(), ad.size(),
                                       n.data(), key.data())
         == 0;
}

} // namespace

const hash_function sha256{"SHA256", 32, 64, run_sha256};
const hash_function sha512{"SHA512", 64, 128, run_sha512};
const hash_function blake2b{"BLAKE2b", 64, 128, run_blake2b};
const cipher_function chacha_poly{"ChaChaPoly", seal_chacha, open_chacha};
const cipher_function aes_gcm{"AESGCM", seal_aes, open_aes};

bool aes_gcm_available() noexcept {
  return crypto_aead_aes256gcm_is_available() != 0;
}

dh_keypair dh_keypair::generate(random_source& random) {
  return from_secret(secret_bytes<dh_bytes>{random});
}

dh_keypair dh_keypair::from_secret(secret_bytes<dh_bytes> secret) {
  dh_keypair out;
  crypto_scalarmult_base(out.pub.data(), secret.data());
  out.secret = std::move(secret);
  return out;
}

bool dh(const secret_bytes<dh_bytes>& mine, const dh_public& theirs,
        secret_bytes<dh_bytes>& out) {
  return crypto_scalarmult(out.data(), mine.data(), theirs.data()) == 0;
}

void hmac(const hash_function& hash, const_bytes key,
          std::initializer_list<const_bytes> parts, std::uint8_t* out) {
  constexpr std::size_t block_max = 128;
  BANYAN_ASSERT(hash.block <= block_max && hash.size <= hash_bytes_max);
  secret_bytes<block_max> padded;
  if (key.size() > hash.block)
    hash.run({key}, padded.data());
  else
    std::copy(key.begin(), key.end(), padded.data());
  const auto turn = [&](std::uint8_t mask) {
    for (std::size_t i = 0; i < hash.block; ++i)
      padded.data()[i] ^= mask;
  };
  const auto pad = padded.view().first(hash.block);
  secret_bytes<hash_bytes_max> inner;
  turn(0x36);
  BANYAN_ASSERT(parts.size() <= 2); // what HKDF needs: no allocation here
  const auto* p = parts.begin();
  hash.run({pad, parts.size() > 0 ? p[0] : const_bytes{},
            parts.size() > 1 ? p[1] : const_bytes{}},
           inner.data());
  turn(0x36 ^ 0x5C);
  hash.run({pad, inner.view().first(hash.size)}, out);
}

void hkdf(const hash_function& hash, const_bytes chaining_key,
          const_bytes input, std::uint8_t* out1, std::uint8_t* out2,
          std::uint8_t* out3) {
  secret_bytes<hash_bytes_max> extracted;
  secret_bytes<hash_bytes_max> last;
  hmac(hash, chaining_key, {input}, extracted.data());
  const auto key = extracted.view().first(hash.size);
  const auto previous = last.view().first(hash.size);
  const auto expand = [&](std::uint8_t number, std::uint8_t* out) {
    const std::array<std::uint8_t, 1> counter{number};
    hmac(hash, key, {number == 1 ? const_bytes{} : previous, counter},
         last.data());
    std::copy(previous.begin(), previous.end(), out);
  };
  expand(1, out1);
  expand(2, out2);
  if (out3 != nullptr)
    expand(3, out3);
}

} // namespace banyan::noise
