#pragma once
#include "store/state.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>

namespace banyan::sim {

/// Checks that replicas which stand at the same index hold the same rows, by
/// the digests of everything that disks store.
class state_watch {
public:
  using report = std::function<void(const std::string&)>;
  explicit state_watch(report problem) : problem_{std::move(problem)} {}

  void stored(std::size_t machine, const group_id& g, log_index index,
              const store::state_digest& digest) {
    ++stored_;
    if (abandoned_.count(g) != 0)
      return;
    const auto [at, fresh] =
        digests_[g].emplace(index, std::pair{digest, machine});
    if (fresh)
      return;
    ++compared_;
    if (at->second.first != digest)
      problem_(short_string(g.app) + "/" + std::to_string(g.shard)
               + ": the replicas on " + std::to_string(machine) + " and "
               + std::to_string(at->second.second) + " differ at index "
               + std::to_string(index.value()));
  }
  /// See `log_watch::abandon`.
  void abandon(const group_id& g) { abandoned_.insert(g); }
  [[nodiscard]] std::uint64_t stored() const { return stored_; }
  [[nodiscard]] std::uint64_t compared() const { return compared_; }

private:
  report problem_;
  std::unordered_map<
      group_id,
      std::map<log_index, std::pair<store::state_digest, std::size_t>>>
      digests_;
  std::set<group_id> abandoned_;
  std::uint64_t stored_ = 0;
  std::uint64_t compared_ = 0;
};

} // namespace banyan::sim
