#include "actors/sim/stories.hpp"

namespace banyan::sim {

const std::vector<story>& stories() {
  static const std::vector<story> all{};
  return all;
}

} // namespace banyan::sim
