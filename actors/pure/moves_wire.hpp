#pragma once
#include "actors/pure/replica_wire.hpp"
#include "base/codec.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// What operators order, as it travels between nodes: control frames 22 to 24
/// (docs/wire-groups.md, section 8). Plain data with canonical codecs.
namespace banyan {

/// A node says of itself whether it is drained, and how far that is. Sent on
/// each new link and on each change.
struct drain_notice {
  bool on = false;
  bool done = false;             ///< nothing is left there
  std::uint32_t leaderships = 0; ///< it still leads
  std::uint32_t replicas = 0;    ///< it still holds
  std::optional<std::uint32_t> eta_s;
  std::vector<std::string> blocked; ///< what it waits for, for people

  friend bool operator==(const drain_notice& a, const drain_notice& b) {
    return a.on == b.on && a.done == b.done && a.leaderships == b.leaderships
           && a.replicas == b.replicas && a.eta_s == b.eta_s
           && a.blocked == b.blocked;
  }
};
inline constexpr std::size_t drain_blocked_max = 16;
inline constexpr std::size_t operator_text_bytes_max = 1024;

/// Numbers are on the wire: never reused. A later one is answered `refused`.
enum class operator_wish : std::uint8_t {
  stop = 1,  ///< to a group's leader: "stopped by operator" as an entry
  start = 2, ///< takes that back
  move = 3,  ///< to a group's leader: its replica on `from` goes to `to`
  drain = 4, ///< to the node `from`: hand over all
  keep = 5,  ///< takes that back
};

/// Asked again with the same token until there is an answer that ends it: it is
/// carried out once.
struct operator_order {
  std::uint64_t token = 0; ///< the asker's, echoed
  std::uint8_t what = 0;   ///< an `operator_wish`
  group_id group;          ///< of stop, start and move; else none
  node_id from;            ///< of move, drain and keep; else none
  node_id to;              ///< of move; none: the next in placement order
  /// Of drains: a group may have fewer voters behind it. Of a move to `to`: it
  /// has begun, so that what stands against it now is waited for.
  bool force = false;
};

enum class operator_progress : std::uint8_t {
  refused = 0,   ///< it won't be done; `message` says why
  later = 1,     ///< not now, or not here; ask again
  under_way = 2, ///< ask again for more
  done = 3,
};
struct operator_answer {
  std::uint64_t token = 0;
  operator_progress progress = operator_progress::refused;
  reply_status status = reply_status::ok; ///< of a refusal
  std::uint16_t permille = 0;             ///< of what is under way
  std::string message;                    ///< for people; one line
};

/// @name What follows a frame's kind; texts are cut and made one line
/// @{
inline constexpr std::size_t drain_notice_elements = 6;
inline constexpr std::size_t operator_order_elements = 7;
inline constexpr std::size_t operator_answer_elements = 5;
void write(writer& w, const drain_notice& f);
void write(writer& w, const operator_order& f);
void write(writer& w, const operator_answer& f);
void read(reader& r, drain_notice& f);
void read(reader& r, operator_order& f);
void read(reader& r, operator_answer& f);
/// @}

} // namespace banyan
