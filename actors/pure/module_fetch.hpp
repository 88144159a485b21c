#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

namespace banyan {

struct module_fetch_config {
  std::uint64_t piece_bytes = 256 * 1024;
  unsigned window = 8;     ///< pieces asked for and not here yet, per module
  std::size_t at_once = 2; ///< modules
  duration patience = 5s;  ///< without a piece, before another is asked
  duration retry_first = 500ms; ///< of a peer that failed; doubles, up to
  duration retry_max = 60s;
  duration wrong_pause = 10min; ///< of a peer whose bytes had another hash
  duration store_pause = 10s;   ///< after a disk that was full, or failed
};

/// Ask this peer for a piece.
struct module_ask {
  node_id from;
  digest hash;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
/// All of its bytes are stored: hash them, then `on_checked`.
struct module_finish {
  digest hash;
};
/// What is here of it is of no use: drop it, then `on_held` with nothing.
struct module_discard {
  digest hash;
};
/// This peer's bytes had another hash: for the log.
struct module_wrong {
  node_id from;
  digest hash;
};
using module_fetch_effect =
    std::variant<module_ask, module_finish, module_discard, module_wrong>;
using module_fetch_effects = std::vector<module_fetch_effect>;

/// Which modules this node fetches, from whom, and how far that is: one peer at
/// a time for each, a window of pieces in order, on from what is here. A peer
/// that says nothing, or refuses, is left for a while; one whose bytes turn out
/// wrong for long. What an earlier process or several peers brought accuses
/// nobody: then it is fetched anew, from one alone.
///
/// Pure. Everything that comes from outside may be late, wrong or a lie.
class module_fetch {
public:
  explicit module_fetch(module_fetch_config c = {}) : config_{c} {}

  /// What is to be here, with its size; replaces what was wanted before.
  /// @returns those that are new: tell what is on disk of them.
  std::vector<digest> want(const std::map<digest, std::uint64_t>& modules);
  /// What is on disk: at the start, after each change that isn't told by
  /// `on_stored` or `on_checked`.
  void on_held(const digest& hash, std::uint64_t have, bool whole);

  /// Somebody else brings it until then.
  void pause(const digest& hash, time_point until);

  /// What a peer has whole; replaces what it said before.
  void on_peer(const node_id& who, std::set<digest> whole);
  void on_peer_gone(const node_id& who);

  /// A piece came. True: it is the next one, store it; then `on_stored`.
  [[nodiscard]] bool on_piece(const node_id& from, const digest& hash,
                              std::uint64_t offset, std::uint64_t size,
                              time_point now);
  void on_refused(const node_id& from, const digest& hash, bool not_here,
                  time_point now);
  /// So many bytes are on disk.
  void on_stored(const digest& hash, std::uint64_t have);
  /// They couldn't be stored: what is here of it goes, until there is room.
  void on_store_failed(const digest& hash, time_point now,
                       module_fetch_effects& out);
  /// It has the right hash, or not: then nothing is left of it.
  void on_checked(const digest& hash, bool right, time_point now,
                  module_fetch_effects& out);

  /// Call at `deadline()` and after everything above.
  void step(time_point now, module_fetch_effects& out);
  [[nodiscard]] time_point deadline(time_point now) const;

  struct progress {
    std::uint64_t bytes = 0;
    std::uint64_t size = 0;
    std::optional<node_id> source;
    bool checking = false;
  };
  /// Of each that is wanted and not here.
  [[nodiscard]] std::map<digest, progress> under_way() const;

private:
  struct fetch {
    std::uint64_t size = 0;
    std::uint64_t stored = 0;
    std::uint64_t arrived = 0; ///< stored, or about to be
    std::uint64_t asked = 0;   ///< up to where
    std::optional<node_id> source;
    std::set<node_id> sources; ///< of the bytes that are here
    bool inherited = false;    ///< some are from an earlier process
    bool checking = false;
    bool whole = false;
    bool alone = false;      ///< one source only: several had it wrong
    time_point heard{};      ///< the last piece, or the first question
    time_point not_before{}; ///< its disk, or its source, is busy
  };
  struct peer {
    std::set<digest> whole;
    unsigned failures = 0;
    time_point not_before{};
    std::map<digest, time_point> wrong; ///< not this one before then
  };
  [[nodiscard]] bool may_ask(const peer& p, const digest& hash,
                             time_point now) const;
  [[nodiscard]] std::optional<node_id> choose(const digest& hash,
                                              time_point now) const;
  void leave(fetch& f);
  void fail(const node_id& who, time_point now);
  void ask(const digest& hash, fetch& f, time_point now,
           module_fetch_effects& out);
  static void restart(fetch& f);
  [[nodiscard]] static bool runs(const fetch& f) {
    return f.source.has_value() || f.arrived > f.stored || f.checking;
  }

  module_fetch_config config_;
  std::map<digest, fetch> fetches_; ///< of all that is wanted
  std::map<node_id, peer> peers_;
};

} // namespace banyan
