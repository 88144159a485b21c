#pragma once
#include "base/bytes.hpp"
#include "base/result.hpp"
#include "store/errors.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace banyan::store {

/// Small named blobs that a node must not forget: signed documents, its
/// incarnation, replica ids, last known members. Kinds are the caller's, 1–255.
///
/// Loop thread only. Everything is also held in memory, so reading never waits;
/// what is read has been synced. An append-only checksummed file, rewritten
/// when more than half of it is old. A crash leaves the old or the new blob.
class documents {
public:
  using done = std::function<void(result<void, store_error>)>;
  /// Name and content.
  using listed = std::vector<std::pair<bytes, shared_bytes>>;

  static constexpr std::size_t name_bytes_max = 1024;
  static constexpr std::size_t content_bytes_max = std::size_t{4} << 20;

  struct change {
    std::uint8_t kind = 0;
    bytes name;
    std::optional<bytes> content; ///< nothing erases it
  };

  virtual ~documents() = default;

  [[nodiscard]] virtual std::optional<shared_bytes>
  find(std::uint8_t kind, const_bytes name) const = 0;
  /// All of one kind, by name.
  [[nodiscard]] virtual listed list(std::uint8_t kind) const = 0;

  /// Completes on the loop thread once all of it is synced, in the order given;
  /// the changes of one call take effect together. `full`, `too_large`: nothing
  /// changed. `io`: for good.
  virtual void put(std::vector<change> changes, done on_done) = 0;

  /// The same, but blocks for the fsync: before the loop runs, for what must be
  /// on disk before anything else happens (the incarnation). Not with orders of
  /// `put` waiting.
  virtual result<void, store_error> put_now(std::vector<change> changes) = 0;

  /// Synced bytes were bad at this or an earlier open: anything may be missing
  /// or old (the file is kept aside). Stays true across restarts until
  /// `forget_damage`, which the node calls after it has given up what it can no
  /// longer trust.
  [[nodiscard]] virtual bool damaged() const = 0;
  virtual result<void, store_error> forget_damage() = 0;
};

} // namespace banyan::store
