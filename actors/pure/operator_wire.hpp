#pragma once
#include "actors/pure/event_log.hpp"
#include "actors/pure/log_ring.hpp"
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "crypto/sealed_box.hpp"

#include <string>
#include <vector>

/// What nodes tell each other for those who run them: control frames 30 to 34
/// (docs/wire-groups.md, section 8). Plain data with canonical codecs.
namespace banyan {

class reader;
class writer;

/// @name Limits of one answer; a further one goes on behind its last line
/// @{
inline constexpr std::size_t log_lines_max = 4096;
inline constexpr std::size_t log_answer_bytes_max = std::size_t{64} << 10;
/// @}

/// Which lines of an app are there with a number above `after`?
struct logs_wanted {
  std::uint64_t token = 0; ///< the asker's, echoed
  std::string app;
  std::uint64_t after = 0;
  std::int64_t since_ms = 0; ///< and of that time or later
};
struct logs_held {
  std::uint64_t token = 0;
  std::vector<log_line> lines; ///< ascending numbers
  bool more = false;           ///< further ones are there now
};

struct event_told {
  mesh_event what; ///< of the sender
};

/// The sender hosts this app and lacks the key of its version's secrets.
struct secret_wanted {
  app_id app;
  std::uint64_t number = 0; ///< of the version
};
/// Sealed to the receiver.
struct secret_key {
  app_id app;
  std::uint64_t number = 0;
  sealed_secret key;
};

/// The bodies of the frames: what follows the kind. The readers fail their
/// reader on anything that isn't within the bounds above.
void write_body(writer& w, const logs_wanted& f);   // 4 elements
void write_body(writer& w, const logs_held& f);     // 3
void write_body(writer& w, const event_told& f);    // 1
void write_body(writer& w, const secret_wanted& f); // 2
void write_body(writer& w, const secret_key& f);    // 3
void read_body(reader& r, logs_wanted& f);
void read_body(reader& r, logs_held& f);
void read_body(reader& r, event_told& f);
void read_body(reader& r, secret_wanted& f);
void read_body(reader& r, secret_key& f);

} // namespace banyan
