#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <cstdint>

/// How members spot-check each other's hardware: control frames 49 and 50
/// (docs/wire-groups.md, section 8). Plain data with canonical codecs.
namespace banyan {

class reader;
class writer;

/// Drawn anew for each challenge, so that no answer can be made before.
using challenge_nonce = strong_bytes<struct challenge_nonce_tag, 32>;

enum class challenge_kind : std::uint8_t {
  memory = 0,   ///< fill so many MiB and say what came out of it
  bandwidth = 1 ///< send so many KiB
};

/// Asks the receiver to prove what it claims, now.
struct hardware_challenge {
  static constexpr std::uint32_t mib_max = 256;
  static constexpr std::uint32_t kib_max = 1024;

  std::uint64_t number = 0; ///< the asker's, echoed
  challenge_kind kind = challenge_kind::memory;
  challenge_nonce nonce;
  std::uint32_t size = 1; ///< at least 1; at most `mib_max` or `kib_max`
};

enum class challenge_outcome : std::uint8_t {
  done = 0,
  later = 1, ///< it has something else to do just now: ask again
  unable = 2 ///< it hasn't got the memory
};

/// The answer; of a bandwidth challenge on the bulk lane.
struct hardware_answer {
  std::uint64_t number = 0;
  challenge_outcome outcome = challenge_outcome::done;
  digest proof; ///< of what filled the memory, or of `data`
  bytes data;   ///< of a bandwidth challenge that is done; else empty
};

void write_body(writer& w, const hardware_challenge& f); // 4 elements
void write_body(writer& w, const hardware_answer& f);    // 4
void read_body(reader& r, hardware_challenge& f);
void read_body(reader& r, hardware_answer& f);

} // namespace banyan
