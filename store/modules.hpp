#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/errors.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace banyan::store {

/// The files of apps' code in `DIR/modules`, each named by its BLAKE2b-256:
/// whole ones, and those of which only a first part is here yet. 0600, never
/// followed through a link.
///
/// Loop thread only; nothing blocks it: writing, reading and hashing happen on
/// a thread of their own, begun when it is first needed, in the order of the
/// calls. Everything completes on the loop thread; nothing does once this is
/// gone. A crash leaves a whole file as it was; of a partial one it may leave
/// anything, which its hash tells when it is finished.
class modules {
public:
  struct held {
    std::uint64_t bytes = 0;
    bool whole = false; ///< all of it, with the right hash as it was finished
  };
  using done = std::function<void(result<void, store_error>)>;
  using read_done = std::function<void(result<bytes, store_error>)>;

  virtual ~modules() = default;

  /// What is here, as the calls that have completed left it.
  [[nodiscard]] virtual const std::map<digest, held>& list() const = 0;

  /// Adds `piece` to the partial file, which is begun with offset 0.
  /// @returns `stale` when it doesn't end at `offset`, or is whole by now;
  /// `full`: nothing of the piece is there; `io`.
  virtual void append(const digest& hash, std::uint64_t offset, bytes piece,
                      done on_done) = 0;
  /// The partial file has all of its bytes: hashes it, and makes it whole,
  /// durably. @returns `mismatch`: the bytes are others, and are gone now;
  /// `stale`: there is none; `full` or `io`: it is as it was.
  virtual void finish(const digest& hash, done on_done) = 0;
  /// Hashes a whole file again, before it is used for the first time since a
  /// start. @returns `damaged`: it was not what it had been, and is gone now;
  /// `stale`: there is none; `io`.
  virtual void check(const digest& hash, done on_done) = 0;
  /// At most `size` bytes of a file, whole or not; fewer at its end.
  virtual void read(const digest& hash, std::uint64_t offset, std::size_t size,
                    read_done on_read) = 0;
  /// Removes it, whole or not; none is fine.
  virtual void drop(const digest& hash, done on_done) = 0;

  /// Where a loader finds a whole one.
  [[nodiscard]] virtual std::string path(const digest& hash) const = 0;
};

} // namespace banyan::store
