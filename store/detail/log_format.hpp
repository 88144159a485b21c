#pragma once
#include "base/codec.hpp"
#include "store/detail/checksum.hpp"
#include "store/order.hpp"
#include "store/types.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

/// The bytes of a log segment. All numbers little-endian.
///
///   segment  := header sector, the same sector again, batch...
///   header   := "BANYLOG1" number:8 previous length:8 salt:16 zeros
///               checksum:16 (over all before; the sector has 512 bytes)
///   batch    := header:72, records, zeros up to a whole sector
///   header   := "BTCH" sectors:4 segment:8 offset:8 synced before:8
///               records:4 zero:4 checksum of what follows the header:16
///               checksum of salt and the 56 bytes before:16
///   record   := msgpack values, see log_format.cpp
///
/// The salt is random, so that no stored data and no older life of a recycled
/// file can look like a batch. A batch never shares a sector with another: a
/// torn write harms nothing that was synced before.
namespace banyan::store::detail {

constexpr std::size_t sector_bytes = 512;
constexpr std::size_t segment_header_bytes = 2 * sector_bytes;
constexpr std::size_t batch_header_bytes = 72;
constexpr std::size_t entry_data_max = std::size_t{16} << 20;

struct segment_header {
  std::uint64_t number = 0;
  /// Synced bytes of the segment before, whole when this one was begun.
  std::uint64_t previous_length = 0;
  std::array<std::uint8_t, 16> salt{};
};
bytes encode(const segment_header& header);
/// Of either copy; nothing when both are bad.
std::optional<segment_header> decode_segment_header(const_bytes two_sectors);

struct batch_header {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t synced_before = 0;
  std::uint32_t records = 0;
  std::uint64_t bytes = 0; ///< with header and padding
  checksum content{};
};
/// `buffer` holds batch_header_bytes free bytes and the records: fills in the
/// header and pads.
void seal_batch(bytes& buffer, batch_header header, const_bytes salt);
/// Nothing unless it is whole, and of this segment and place.
std::optional<batch_header> decode_batch_header(const_bytes b, const_bytes salt,
                                                std::uint64_t segment,
                                                std::uint64_t offset);
/// Without proof: the fields are right, the checksums unknown.
bool looks_like_batch(const_bytes b, std::uint64_t segment,
                      std::uint64_t offset);
/// `batch` is the whole one, header included.
bool batch_is_whole(const batch_header& header, const_bytes batch);

enum class record_kind : std::uint8_t {
  write = 1,      ///< an order of the replica
  cut = 2,        ///< a higher base
  drop = 3,       ///< forget the group
  checkpoint = 4, ///< the group's head, at the beginning of a segment
  move = 5,       ///< entries copied out of an older segment
};

struct located_entry {
  log_entry entry;
  std::uint64_t offset = 0; ///< of the encoded entry in the batch
  std::uint64_t bytes = 0;
};

/// One group's part of a batch. `sequence` counts the records of one replica,
/// so that a lost one shows.
struct record {
  record_kind kind = record_kind::write;
  group_id group;
  replica_id replica;
  std::uint64_t sequence = 0;
  std::optional<log_base> base;   ///< write: reset; cut, checkpoint: the base
  std::optional<hard_state> hard; ///< write: if changed; checkpoint: always
  digest previous;                ///< write, move: the chain before `entries`
  std::vector<located_entry> entries;
  log_index last;     ///< checkpoint: the end of the log
  digest end;         ///< checkpoint: the chain there; write, move: after
  std::string damage; ///< checkpoint: what is missing; empty when whole
};

/// Appends one encoded entry.
void encode_entry(writer& out, const log_entry& entry);
/// One entry, nothing else; false when it isn't one.
bool decode_entry(const_bytes b, log_entry& out);

/// Upper bound of what `encode` appends, but for the entries' data.
constexpr std::size_t record_bytes_bound = 640;
constexpr std::size_t entry_bytes_bound = 32;

/// Appends `r`; fills in offset and bytes of its entries (offsets count from
/// the beginning of `out`).
void encode(bytes& out, record& r);
/// All records of a whole batch; false when it isn't in our format.
bool decode_records(const batch_header& header, const_bytes batch,
                    std::vector<record>& out);

} // namespace banyan::store::detail
