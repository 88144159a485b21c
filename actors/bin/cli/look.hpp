#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/value.hpp"

#include <string>

namespace banyan::cli {

/// A node's id as tables show it.
inline std::string brief(const value& id) {
  return id.text().substr(0, 8);
}

/// Asks the peer for `target` and prints the answer: with `--json` as it is,
/// else what `show` makes of it.
template <class Show>
outcome look(const session& s, const std::string& target, Show show) {
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  if (s.json) {
    const auto json = peer->get_json(target);
    if (!json.ok())
      return failure{json.error()};
    print(*json);
    return {};
  }
  const auto v = peer->get(target);
  if (!v.ok())
    return failure{v.error()};
  print(show(*v));
  return {};
}

} // namespace banyan::cli
