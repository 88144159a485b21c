#pragma once
#include "actors/host/host.hpp"
#include "base/bytes.hpp"

#include <cstdint>
#include <optional>

namespace banyan {

/// What a peer and an app-host process say to each other, over a stream of
/// frames: 4 bytes of length (little endian), one of kind, the rest. The peer
/// trusts nothing that comes back; the host trusts its peer.
enum class host_frame_kind : std::uint8_t {
  open = 1, ///< to the host, first: what to load
  run,      ///< to the host: one turn
  ready,    ///< from the host: loaded
  failed,   ///< from the host: not loaded, and why; it ends
  ran       ///< from the host: what a turn gave, in the order of the turns
};

struct host_open {
  std::string module;
  std::string file;
  bytes config;
  std::uint64_t memory_max = 0; ///< bytes of data; 0: no limit
  std::string trail{};          ///< file of its `turn_trail`; empty: none
  incarnation life{};           ///< of the peer, for it
  bytes secrets{};              ///< msgpack; empty: none
};

struct host_run {
  std::uint64_t number = 0;
  const_bytes request; ///< as the trail names it
  const_bytes turn;
};

/// The exit code of a host process whose app has used up its memory.
constexpr int host_exit_memory = 3;

struct host_limits {
  /// To the host: a turn with its state and rows.
  static constexpr std::size_t order_bytes_max = std::size_t{128} << 20;
  /// From it.
  static constexpr std::size_t result_bytes_max =
      turn_limits::result_bytes_max + 64;
};

/// Appends one frame.
void put_open(bytes& out, const host_open& m);
void put_run(bytes& out, const host_run& m);
void put_ready(bytes& out, const module_info& m);
void put_failed(bytes& out, const host_failed& m);
void put_ran(bytes& out, const raw_turn& m);

bool read_open(const_bytes body, host_open& out);
/// Views into `body`.
bool read_run(const_bytes body, host_run& out);
bool read_ready(const_bytes body, module_info& out);
bool read_failed(const_bytes body, host_failed& out);
bool read_ran(const_bytes body, raw_turn& out);

/// Cuts a stream into frames.
class host_frames {
public:
  struct frame {
    host_frame_kind kind{};
    const_bytes body; ///< valid until the next `add`
  };
  explicit host_frames(std::size_t frame_bytes_max) : max_{frame_bytes_max} {}

  void add(const_bytes piece);
  /// The next whole frame; none: more bytes are needed, or `broken`.
  std::optional<frame> next();
  /// A frame that is too long, or empty: nothing after it can be read.
  [[nodiscard]] bool broken() const noexcept { return broken_; }

private:
  std::size_t max_;
  bytes buffer_;
  std::size_t from_ = 0;
  bool broken_ = false;
};

} // namespace banyan
