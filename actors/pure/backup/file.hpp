#pragma once
#include "base/ids.hpp"
#include "crypto/hash.hpp"
#include "crypto/sealed_box.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

/// A backup: one file with one app as it was, docs/disk-format.md, section 11.
/// Frames with a checksum each and a hash over all at the end; what the shards
/// hold is sealed to the app's owner by the peers that read it, so that neither
/// the peer that puts the file together nor whoever keeps it can read it.
namespace banyan::backup {

inline constexpr std::string_view file_magic = "BANYBAK1";
/// Of a frame's payload: a row of 16 MiB and what stands around it.
inline constexpr std::size_t payload_max = std::size_t{18} << 20;
inline constexpr std::size_t papers_bytes_max = std::size_t{4} << 20;

/// What the file is of. In clear, under the checksums.
struct header {
  std::string mesh_name;
  mesh_id mesh;
  std::string app;
  app_id id;
  lineage_id lineage;
  std::uint32_t shards = 0;
  std::int64_t at_unix_ms = 0;
  std::array<std::uint8_t, 16> number{}; ///< random: of this backup
  bytes papers;                          ///< the app's documents
  std::string version;                   ///< of the peer that made it
};

/// A shard's copy begins. A later attempt takes the place of an earlier one.
struct stream_begin {
  std::uint32_t shard = 0;
  std::uint32_t attempt = 0;
  lineage_id lineage; ///< of the shard
  node_id node;       ///< whose replica was read
  bool led = false;   ///< that replica led the shard: there was no other
  sealed_secret key;  ///< of its parts, for the app's owner
};
/// The next part of a copy, as `stream_sealer` makes it.
struct part {
  std::uint32_t shard = 0;
  std::uint32_t attempt = 0;
  bytes sealed;
};
/// It could not be finished: the file is worth nothing.
struct given_up {
  std::string why;
};
/// All is there.
struct end {
  std::uint64_t frames = 0; ///< before this one
  std::uint64_t size = 0;   ///< bytes before this frame
  digest hash;              ///< BLAKE2b-256 of them
};
using frame = std::variant<header, stream_begin, part, given_up, end>;

/// Bytes of a frame before its payload.
inline constexpr std::size_t frame_head_bytes = 5;
/// The payload of a frame that `file_reader` gave before, read again.
[[nodiscard]] bool decode(const_bytes payload, part& out);

/// What a shard's key and parts are bound to, so that nothing of one file, app
/// or shard passes as another's.
[[nodiscard]] bytes stream_context(const app_id& app, std::uint32_t shard,
                                   const std::array<std::uint8_t, 16>& number);

/// Makes the file's bytes, in order.
class file_writer {
public:
  /// The magic, too, before the first one. Every text and blob is within its
  /// bound.
  [[nodiscard]] bytes put(const frame& f);
  /// The last frame.
  [[nodiscard]] bytes finish();
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

private:
  void add(std::uint8_t kind, const bytes& payload, bytes& out);
  hasher all_;
  std::uint64_t frames_ = 0;
  std::uint64_t size_ = 0;
};

/// Where a file stops being a backup, and why.
struct fault {
  std::uint64_t offset = 0; ///< of the frame's first byte
  std::string message;      ///< cause and next step, for people
};

/// Reads a file piece by piece and checks all that can be checked without the
/// owner's key: form, checksums, order of frames, the hash over all.
class file_reader {
public:
  /// At most one frame and a piece is held.
  void add(const_bytes piece);
  /// The next frame; nothing: more bytes are needed, or see `bad`.
  [[nodiscard]] std::optional<frame> next();
  /// Where the frame that `next` gave last begins, and its payload's size.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::size_t payload_size() const noexcept { return payload_; }
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }
  [[nodiscard]] const std::optional<fault>& bad() const noexcept {
    return bad_;
  }
  /// No more bytes come: false, with `bad` set, if the end is missing.
  [[nodiscard]] bool finish();

private:
  std::optional<frame> refuse(std::string why);
  std::optional<frame> take(std::uint8_t kind, const_bytes payload);
  bytes in_;
  std::size_t used_ = 0; ///< of `in_`
  hasher all_;
  std::uint64_t at_ = 0; ///< bytes behind the last whole frame
  std::uint64_t offset_ = 0;
  std::size_t payload_ = 0;
  std::uint64_t frames_ = 0;
  bool begun_ = false;
  bool ended_ = false;
  std::optional<fault> bad_;
};

} // namespace banyan::backup
