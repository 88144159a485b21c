#include "actors/docs/app_token.hpp"

#include "crypto/hash.hpp"
#include "crypto/secret.hpp"

namespace banyan {
namespace {

bytes hash_of_token(std::string_view token) {
  return hash_of({as_bytes("app token"), as_bytes(token)}).view().copy();
}

} // namespace

app_token new_app_token(random_source& random) {
  app_token t;
  t.text = to_base32(random.array<20>());
  t.hash = hash_of_token(t.text);
  return t;
}

bool is_app_token(std::string_view given, const bytes& hash) {
  return !hash.empty() && same_secret(hash_of_token(given), hash);
}

} // namespace banyan
