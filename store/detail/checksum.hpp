#pragma once
#include "base/bytes.hpp"
#include "base/endian.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>

namespace banyan::store::detail {

using banyan::get_le;
using banyan::put_le;

/// The first 16 bytes of BLAKE2b-256: finds rot, not forgery.
using checksum = std::array<std::uint8_t, 16>;

/// Over the parts one after the other; fixed-size parts come first, so that a
/// run of them reads in one way only.
checksum checksum_of(std::initializer_list<const_bytes> parts);

} // namespace banyan::store::detail
