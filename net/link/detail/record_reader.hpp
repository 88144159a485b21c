#pragma once
#include "base/result.hpp"
#include "crypto/record.hpp"
#include "net/link/link_table.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

namespace banyan::net {

/// The frames of one arrival, and the memory that they lie in. Kept and used
/// again: nothing is allocated per frame.
class frame_batch {
public:
  [[nodiscard]] std::vector<frame_view>& frames() noexcept { return frames_; }
  /// Forgets the frames; room for `plaintext` bytes of new ones.
  void reset(std::size_t plaintext);

private:
  friend class record_reader;
  bytes arena_; ///< plaintext of whole records; never grows during a batch
  std::size_t used_ = 0;
  std::deque<bytes> large_; ///< frames that were put together
  std::vector<frame_view> frames_;
};

enum class read_errc : std::uint8_t {
  bad_record = 1, ///< Forged, out of order, or of an impossible size.
  bad_fragment,   ///< Against the rules of wire.hpp.
  forbidden,      ///< A client link carries no such channel.
};

/// Opens a link's records and puts its frames together. Memory: one record,
/// and one frame of `frame_bytes_max` per lane, as far as they have arrived.
class record_reader {
public:
  record_reader(noise::cipher_state keys, link_role role)
      : opener_{std::move(keys)}, role_{role} {}

  /// Takes bytes as they come. Frames that became whole are appended to
  /// `batch`, which was reset for `data.size() + record_plaintext_max` bytes;
  /// those before an error are good. After an error the link is lost.
  result<void, read_errc> feed(const_bytes data, frame_batch& batch);

  [[nodiscard]] std::uint64_t records() const noexcept {
    return opener_.counter();
  }
  [[nodiscard]] std::uint64_t unknown() const noexcept { return unknown_; }

private:
  result<void, read_errc> open(const_bytes body, frame_batch& batch);
  result<void, read_errc> parse(const_bytes plaintext, frame_batch& batch);
  result<void, read_errc> add(channel c, bool more, const_bytes piece,
                              frame_batch& batch);

  struct unfinished {
    bool any = false;
    net::channel channel = channel::link;
    bytes payload;
  };

  record_opener opener_;
  link_role role_;
  bytes partial_; ///< a record of which the end has not come
  std::array<unfinished, lane_count> unfinished_;
  std::uint64_t unknown_ = 0;
};

} // namespace banyan::net
