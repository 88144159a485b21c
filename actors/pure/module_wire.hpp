#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <cstdint>

/// What travels on the channel `module`, in the bulk lane: pieces of the files
/// of apps' code. docs/wire-groups.md, section 9.
namespace banyan {

/// Whoever asks may ask for less.
inline constexpr std::size_t module_piece_bytes_max = std::size_t{1} << 20;

/// Part of a module, as it was asked for; shorter at its end.
struct module_piece {
  digest hash; ///< of the whole module
  std::uint64_t offset = 0;
  bytes data;
};
void encode(const module_piece& p, bytes& out);
/// False, with `out` of no use, on anything but one whole well-formed piece.
bool decode(const_bytes in, module_piece& out);

} // namespace banyan
