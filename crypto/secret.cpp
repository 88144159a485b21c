#include "crypto/secret.hpp"

#include "crypto/detail/sodium.hpp"
#include "crypto/system_random.hpp"

namespace banyan {

void wipe(void* data, std::size_t size) noexcept {
  if (size > 0)
    sodium_memzero(data, size);
}

bool same_secret(const_bytes a, const_bytes b) noexcept {
  return a.size() == b.size()
         && (a.empty() || sodium_memcmp(a.data(), b.data(), a.size()) == 0);
}

void system_random::fill(std::uint8_t* out, std::size_t size) {
  if (size > 0)
    randombytes_buf(out, size);
}

} // namespace banyan
