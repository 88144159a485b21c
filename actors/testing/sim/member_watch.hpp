#pragma once
#include "base/ids.hpp"
#include "net/membership/membership.hpp"

#include <functional>
#include <map>
#include <string>

namespace banyan::sim {

class world;

/// Checks what every peer thinks of every other: a member that was dead lives
/// again only with a higher incarnation.
class member_watch {
public:
  using report = std::function<void(const std::string&)>;
  explicit member_watch(report problem) : problem_{std::move(problem)} {}

  void on_down(std::size_t machine);
  void look(world& w);

private:
  report problem_;
  /// By observer and member: the incarnation in which it is dead there.
  std::map<std::pair<std::size_t, std::size_t>,
           std::pair<node_id, banyan::incarnation>>
      dead_;
};

} // namespace banyan::sim
