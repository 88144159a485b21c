#include "crypto/secret_box.hpp"

#include "base/assert.hpp"

#include <sodium.h>

namespace banyan {
namespace {

constexpr std::size_t nonce_bytes =
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
static_assert(nonce_bytes + tag_bytes == box_overhead);
static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == 32);

} // namespace

bytes make_box(const secret_bytes<32>& key, const_bytes about,
               const_bytes plain, random_source& random) {
  const auto nonce = random.array<nonce_bytes>();
  bytes out(nonce_bytes + plain.size() + tag_bytes);
  std::copy(nonce.begin(), nonce.end(), out.begin());
  unsigned long long size = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(
      out.data() + nonce_bytes, &size, plain.data(), plain.size(), about.data(),
      about.size(), nullptr, nonce.data(), key.view().data());
  BANYAN_ASSERT(size == plain.size() + tag_bytes);
  return out;
}

bool open_box(const secret_bytes<32>& key, const_bytes about, const_bytes box,
              bytes& plain) {
  plain.clear();
  if (box.size() < box_overhead)
    return false;
  bytes out(box.size() - box_overhead);
  unsigned long long size = 0;
  const auto sealed = box.from(nonce_bytes);
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(
          out.data(), &size, nullptr, sealed.data(), sealed.size(),
          about.data(), about.size(), box.data(), key.view().data())
      != 0)
    return false;
  plain = std::move(out);
  return true;
}

} // namespace banyan
