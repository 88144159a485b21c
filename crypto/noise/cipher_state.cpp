#include "crypto/noise/cipher_state.hpp"

namespace banyan::noise {

result<void, cipher_errc>
cipher_state::encrypt(const_bytes ad, const_bytes plaintext, bytes& out) {
  if (!has_key_) {
    append(out, plaintext);
    return {};
  }
  if (plaintext.size() > message_bytes_max - tag_bytes)
    return failure{cipher_errc::too_large};
  if (counter_ == UINT64_MAX)
    return failure{cipher_errc::exhausted};
  const std::size_t before = out.size();
  out.resize(before + plaintext.size() + tag_bytes);
  cipher_->seal(key_, counter_++, ad, plaintext, out.data() + before);
  return {};
}

result<void, cipher_errc>
cipher_state::decrypt(const_bytes ad, const_bytes sealed, bytes& out) {
  if (!has_key_) {
    append(out, sealed);
    return {};
  }
  if (sealed.size() > message_bytes_max)
    return failure{cipher_errc::too_large};
  if (counter_ == UINT64_MAX)
    return failure{cipher_errc::exhausted};
  if (sealed.size() < tag_bytes)
    return failure{cipher_errc::forged};
  const std::size_t before = out.size();
  out.resize(before + sealed.size() - tag_bytes);
  if (!cipher_->open(key_, counter_, ad, sealed, out.data() + before)) {
    out.resize(before);
    return failure{cipher_errc::forged};
  }
  ++counter_;
  return {};
}

void cipher_state::rekey() {
  BANYAN_ASSERT(has_key_);
  constexpr std::array<std::uint8_t, key_bytes> zeros{};
  secret_bytes<key_bytes + tag_bytes> out;
  cipher_->seal(key_, UINT64_MAX, {}, zeros, out.data());
  std::copy(out.data(), out.data() + key_bytes, key_.data());
}

} // namespace banyan::noise
