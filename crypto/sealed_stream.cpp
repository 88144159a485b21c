#include "crypto/sealed_stream.hpp"

#include "crypto/detail/sodium.hpp"

namespace banyan {
namespace {

constexpr std::size_t tag_bytes = crypto_aead_chacha20poly1305_ietf_ABYTES;
static_assert(stream_opener::overhead == 1 + tag_bytes);

using nonce =
    std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>;

nonce nonce_of(std::uint64_t number, bool last) {
  nonce n{};
  for (std::size_t i = 0; i < 8; ++i)
    n[i] = static_cast<std::uint8_t>(number >> (8 * i));
  n[8] = last ? 1 : 0;
  return n;
}

} // namespace

stream_sealer::stream_sealer(secret_bytes<32> key, bytes context)
    : key_{std::move(key)}, context_{std::move(context)} {
}

bytes stream_sealer::seal(const_bytes part, bool last) {
  BANYAN_ASSERT(!ended_);
  bytes out(stream_opener::overhead + part.size());
  out[0] = last ? 1 : 0;
  const auto n = nonce_of(number_++, last);
  crypto_aead_chacha20poly1305_ietf_encrypt(
      out.data() + 1, nullptr, part.data(), part.size(), context_.data(),
      context_.size(), nullptr, n.data(), key_.data());
  ended_ = last;
  return out;
}

stream_opener::stream_opener(secret_bytes<32> key, bytes context)
    : key_{std::move(key)}, context_{std::move(context)} {
}

bool stream_opener::open(const_bytes sealed, bytes& out) {
  if (ended_ || sealed.size() < overhead || sealed[0] > 1)
    return false;
  const bool last = sealed[0] == 1;
  const auto n = nonce_of(number_, last);
  const auto box = sealed.from(1);
  out.resize(box.size() - tag_bytes);
  if (crypto_aead_chacha20poly1305_ietf_decrypt(
          out.data(), nullptr, nullptr, box.data(), box.size(), context_.data(),
          context_.size(), n.data(), key_.data())
      != 0)
    return false;
  ++number_;
  ended_ = last;
  return true;
}

} // namespace banyan
