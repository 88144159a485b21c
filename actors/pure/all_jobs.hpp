#pragma once
#include "actors/pure/fair_bound.hpp"
#include "base/ids.hpp"

#include <string>
#include <unordered_map>

namespace banyan {

/// How many queries of all actors a peer carries out at once: each holds its
/// sum, its keys and its argument, and has calls of its own under way. Apps
/// share them (actors/pure/fair_bound.hpp).
///
/// Pure; one per gateway.
class all_jobs {
public:
  static constexpr std::size_t jobs_max = 32;
  static constexpr std::size_t client_max = 4; ///< of one client

  /// Null: it may begin, and counts until `ended`. Else why not, for people.
  /// `client`: whom bounds count it to; empty: nobody.
  const char* begin(const app_id& app, const std::string& client) {
    if (!client.empty())
      if (const auto c = clients_.find(client);
          c != clients_.end() && c->second >= client_max)
        return "this client has too many queries of all actors under way";
    const auto at = apps_.find(app);
    const bool here = at != apps_.end();
    if (!jobs_.fits(1, here ? at->second : 0, apps_.size() + (here ? 0 : 1)))
      return "too many queries of all actors are under way at this peer";
    ++jobs_.used;
    ++apps_[app];
    if (!client.empty())
      ++clients_[client];
    return nullptr;
  }
  void ended(const app_id& app, const std::string& client) {
    --jobs_.used;
    if (const auto at = apps_.find(app); --at->second == 0)
      apps_.erase(at);
    if (client.empty())
      return;
    if (const auto at = clients_.find(client); --at->second == 0)
      clients_.erase(at);
  }
  [[nodiscard]] std::size_t under_way() const { return jobs_.used; }

private:
  fair_bound jobs_{jobs_max, 0};
  std::unordered_map<app_id, std::size_t> apps_;
  std::unordered_map<std::string, std::size_t> clients_;
};

} // namespace banyan
