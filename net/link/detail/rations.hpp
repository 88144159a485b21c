#pragma once
#include "crypto/noise/primitives.hpp"
#include "net/link/link_table.hpp"

#include <list>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace banyan::net {

/// So much per second, saved up to a burst.
class token_bucket {
public:
  token_bucket(double per_second, double burst, time_point now)
      : per_second_{per_second}, burst_{burst}, tokens_{burst}, at_{now} {}
  /// Takes one token if at least `least` (and one) are there.
  bool take(time_point now, double least = 1);

private:
  double per_second_;
  double burst_;
  double tokens_;
  time_point at_;
};

/// Decides which inbound streams get to shake hands. Half of the slots and
/// half of the budget are out of strangers' reach; addresses of known members
/// don't count against their prefix.
class rations {
public:
  explicit rations(const ration_config& config) : config_{config} {}

  void set_known(const std::vector<address>& members);
  [[nodiscard]] bool is_known(const address& a) const {
    return known_.count(a.host) != 0;
  }
  /// Takes a slot, or says no.
  bool admit(const address& from, time_point now);
  /// Gives the slot back: the handshake is over. `was_known` as it was then.
  void release(bool was_known);

private:
  bool prefix_allows(const address& from, time_point now);

  struct prefix_state {
    std::string prefix;
    token_bucket bucket;
  };

  ration_config config_;
  std::set<std::string> known_;
  std::size_t half_open_known_ = 0;
  std::size_t half_open_strangers_ = 0;
  std::optional<token_bucket> total_;
  std::list<prefix_state> by_use_; ///< the latest first
  std::unordered_map<std::string, std::list<prefix_state>::iterator> prefixes_;
};

/// The ephemeral keys of late: the same one twice is a replay. Forgets the
/// older half when full.
class seen_ephemerals {
public:
  explicit seen_ephemerals(std::size_t max) : half_max_{max / 2 + 1} {}
  /// False if it was seen.
  bool insert(const noise::dh_public& key);

private:
  std::size_t half_max_;
  std::unordered_set<std::string> newer_;
  std::unordered_set<std::string> older_;
};

} // namespace banyan::net
