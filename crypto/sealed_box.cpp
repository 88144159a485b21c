#include "crypto/sealed_box.hpp"

#include "crypto/detail/sodium.hpp"
#include "crypto/hash.hpp"
#include "crypto/identity.hpp"

namespace banyan {
namespace {

constexpr std::string_view box_context = "banyan seal 1";
constexpr std::array<std::uint8_t, crypto_aead_chacha20poly1305_ietf_NPUBBYTES>
    once{}; // a fresh ephemeral makes a fresh key, used for this one box

secret_bytes<32> box_key(const secret_bytes<32>& shared, const_bytes ephemeral,
                         const node_id& to, const_bytes context) {
  return derive_key(shared,
                    {as_bytes(box_context), ephemeral, to.view(), context});
}

} // namespace

bool seal_secret(const node_id& to, const_bytes context,
                 const secret_bytes<32>& secret, random_source& random,
                 sealed_secret& out) {
  std::array<std::uint8_t, 32> theirs{};
  if (crypto_sign_ed25519_pk_to_curve25519(theirs.data(), to.view().data())
      != 0)
    return false;
  const secret_bytes<32> ephemeral{random};
  std::array<std::uint8_t, sealed_secret::size> box{};
  crypto_scalarmult_base(box.data(), ephemeral.data());
  secret_bytes<32> shared;
  if (crypto_scalarmult(shared.data(), ephemeral.data(), theirs.data()) != 0)
    return false;
  const auto key = box_key(shared, {box.data(), 32}, to, context);
  crypto_aead_chacha20poly1305_ietf_encrypt(
      box.data() + 32, nullptr, secret.data(), secret.size, nullptr, 0, nullptr,
      once.data(), key.data());
  out = sealed_secret{box};
  return true;
}

bool open_secret(const identity& self, const_bytes context,
                 const sealed_secret& box, secret_bytes<32>& out) {
  const auto mine = self.box_secret();
  const auto ephemeral = box.view().first(32);
  const auto sealed = box.view().from(32);
  secret_bytes<32> shared;
  if (crypto_scalarmult(shared.data(), mine.data(), ephemeral.data()) != 0)
    return false;
  const auto key = box_key(shared, ephemeral, self.id(), context);
  return crypto_aead_chacha20poly1305_ietf_decrypt(
             out.data(), nullptr, nullptr, sealed.data(), sealed.size(),
             nullptr, 0, once.data(), key.data())
         == 0;
}

} // namespace banyan
