#pragma once
#include "base/ids.hpp"
#include "store/log.hpp"
#include "store/raft/configuration.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace banyan::sim {

/// Keeps book of what every disk has synced of every log, from the orders that
/// logs complete and from what they recover, and checks with that:
/// - an entry that a client was answered for is synced by a majority of its
///   group's voters (so is nothing that only an old leader has);
/// - an entry that was committed once never changes, on no disk and in no term;
/// - what a disk said to have synced it still has after a restart.
class log_watch {
public:
  using report = std::function<void(const std::string&)>;
  explicit log_watch(report problem) : problem_{std::move(problem)} {}
  log_watch(const log_watch&) = delete;
  log_watch& operator=(const log_watch&) = delete;

  /// A group begins, with these voters.
  void born(const group_id& g, std::vector<replica_ref> voters);
  /// The log of `node`, which is watched from now on.
  std::unique_ptr<store::log> watched(const node_id& node,
                                      std::unique_ptr<store::log> inner);
  /// What `node` found at its start.
  void opened(const node_id& node, const store::log_recovery& found);
  /// This node's disk loses what was synced, now or at any later time: nothing
  /// is demanded of what it recovers.
  void loses(const node_id& node) { lossy_.insert(node); }
  [[nodiscard]] bool lossy(const node_id& node) const {
    return lossy_.count(node) != 0;
  }

  /// Its owner recovered it and accepts loss: there may be two histories, and
  /// nothing is demanded of it any more.
  void abandon(const group_id& g) {
    abandoned_.insert(g);
    books_.erase(g);
  }

  /// A client got `ok` for the entry at `index`, or read what it wrote.
  void acknowledged(const group_id& g, log_index index);
  /// A state says that the log up to `index` (with this hash) is committed.
  void committed(const group_id& g, log_index index, const digest& hash);
  /// All is well again: a majority of each group's voters still has the last
  /// entry that was acknowledged.
  void settled();

  /// As of the last entry that is known to be committed; null: no such group.
  [[nodiscard]] const raft::configuration*
  configuration(const group_id& g) const;
  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  [[nodiscard]] std::vector<group_id> groups() const;

private:
  friend class watched_log;
  /// An entry as some disk synced it; others may have another one there.
  struct candidate {
    digest hash;
    digest before; ///< the hash of the entry before it
    banyan::term term;
    /// That it brings itself, if it is one.
    std::optional<std::uint32_t> configuration;
    mutable std::optional<std::uint32_t> inherited; ///< once looked up
    std::vector<std::uint16_t> holders;
  };
  /// One replica's log, as far as it said that it was synced.
  struct copy {
    std::uint16_t number = 0;
    log_index base; ///< all up to here it has, in a snapshot
    digest base_hash;
    std::vector<digest> hashes; ///< of base.index + 1 and on
  };
  struct book {
    std::vector<raft::configuration> configurations;
    std::map<log_index, std::vector<candidate>> entries;
    std::set<log_index> changes; ///< where some disk has a configuration
    std::map<log_index, std::pair<digest, banyan::term>> committed;
    std::map<replica_ref, copy> copies;
    std::vector<replica_ref> replicas; ///< by number
    log_index acknowledged;            ///< the highest
  };
  void synced(const node_id& node, const store::order_id& order,
              const std::optional<log_base>& reset,
              const std::vector<log_entry>& entries,
              const std::vector<digest>& hashes);
  void recovered(const node_id& node, const store::recovered_log& r);
  copy& copy_of(book& b, const replica_ref& who);
  /// `found`: at a restart; it was written some time before.
  void note(const group_id& g, book& b, copy& c, const log_entry& e,
            const digest& hash, bool found);
  [[nodiscard]] static const candidate* find(const book& b, log_index index,
                                             const digest& hash);
  /// Of the voters as of this entry, or as of a later one on top of it: who
  /// leads counts by the last configuration in its log.
  [[nodiscard]] static bool majority_of(const book& b, log_index index,
                                        const candidate& c,
                                        const raft::replica_set& set);
  [[nodiscard]] static bool has_majority(const book& b, log_index index,
                                         const candidate& c);
  [[nodiscard]] static bool has_majority(const book& b, log_index index,
                                         const candidate& c,
                                         const raft::configuration& conf);
  [[nodiscard]] static const raft::configuration*
  configuration_at(const book& b, log_index index, const candidate& c);
  [[nodiscard]] static bool held(const book& b, log_index index,
                                 const candidate& c, const replica_ref& r);
  [[nodiscard]] static std::string describe(const book& b, log_index index);
  void settle_on(const group_id& g, book& b, log_index index,
                 const digest& hash, const char* who);

  report problem_;
  std::unordered_map<group_id, book> books_;
  std::set<node_id> lossy_;
  std::set<group_id> abandoned_;
  std::uint64_t entries_ = 0;
  std::uint64_t answers_ = 0;
};

} // namespace banyan::sim
