#pragma once
#include "crypto/noise/primitives.hpp"

namespace banyan::test {

/// BLAKE2s (RFC 7693), for the published Noise vectors alone: nothing in
/// production uses it and libsodium lacks it.
extern const noise::hash_function blake2s;

} // namespace banyan::test
