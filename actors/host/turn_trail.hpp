#pragma once
#include "base/bytes.hpp"
#include "base/ids.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace banyan {

struct left_trail;

/// What an app's code was running when its peer came to its end: a small mapped
/// file that the host keeps, turn by turn, and that is still there when host
/// and peer are killed. It names requests, so that the next process of this
/// node can say which one was running and, by that, which ones were not.
///
/// One writer, the thread or process that runs the turns; never the loop, which
/// touches no mapped file. It outlives processes, not the machine: what was
/// written before a reboot can't be read.
class turn_trail {
public:
  /// A request that is longer isn't named, and its trail can't be read then.
  static constexpr std::size_t request_bytes_max = 1100;
  static constexpr std::size_t fallen_max = 8;

  /// `since` is the node's incarnation. What an earlier process of the same
  /// host was running when it died (the file says) counts as fallen.
  /// @returns null: no such file can be had; the app runs without it.
  static std::unique_ptr<turn_trail> open(const std::string& file,
                                          incarnation since);
  ~turn_trail();
  turn_trail(const turn_trail&) = delete;
  turn_trail& operator=(const turn_trail&) = delete;

  /// A turn for this request begins; empty: for a query.
  void begin(const_bytes request) noexcept;
  void end() noexcept;

private:
  friend std::vector<left_trail> take_trails(const std::filesystem::path& dir);
  struct page;
  static void read(const std::filesystem::path& file, left_trail& out);
  explicit turn_trail(page* p) : page_{p} {}
  page* page_;
};

/// The name of a request among all groups, and back: false if it is of another
/// one than `g`.
bytes trail_request(const group_id& g, const_bytes request);
bool read_trail_request(const_bytes named, const group_id& g, bytes& request);

/// What the trails of one app say that the last process of this node left.
struct left_trail {
  std::string app;
  incarnation since; ///< of that process
  bool readable = true;
  bool running = false; ///< some turn was running as it ended
  /// That one, unless it was a query, and those that hosts had died of before.
  std::vector<bytes> requests;
};
/// The name of the `number`th trail of an app, in a directory of trails.
std::string trail_name(const std::string& app, std::uint64_t number);
/// Reads all trails in the directory, one item for each app, and removes them.
/// Blocks: for the start of a peer.
std::vector<left_trail> take_trails(const std::filesystem::path& dir);

} // namespace banyan
