#pragma once
#include "actors/pure/hardware/tiers.hpp"

#include <string>

namespace banyan::cli {

/// One screen: the figures, the tier and what keeps the machine from the next.
[[nodiscard]] std::string bench_screen(const hardware_figures& f,
                                       const tier_verdict& v,
                                       const std::string& dir);
/// The same for scripts: numbers by name.
[[nodiscard]] std::string bench_json(const hardware_figures& f,
                                     const tier_verdict& v,
                                     const std::string& dir, bool beside_peer);

} // namespace banyan::cli
