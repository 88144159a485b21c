#pragma once
#include "base/bytes.hpp"
#include "base/random.hpp"

#include <string>
#include <string_view>

namespace banyan {

/// What opens one app to callers off loopback: 20 random bytes as text. The
/// mesh knows only its hash, in the app's spec (`app_spec::token_hash`), so
/// that nobody who reads documents can call.
struct app_token {
  std::string text; ///< 32 letters and digits; shown to its owner once
  bytes hash;
};
[[nodiscard]] app_token new_app_token(random_source& random);
/// Whether `given` is the token of that hash; never for an empty hash. Its time
/// says nothing about either.
[[nodiscard]] bool is_app_token(std::string_view given, const bytes& hash);

} // namespace banyan
