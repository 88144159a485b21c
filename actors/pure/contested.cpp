#include "actors/pure/contested.hpp"

namespace banyan {

const contested_app* choose(const std::vector<contested_app>& bearers,
                            std::string_view beginning) {
  const contested_app* found = nullptr;
  for (const auto& b : bearers) {
    if (to_string(b.id).compare(0, beginning.size(), beginning) != 0)
      continue;
    if (found != nullptr)
      return nullptr;
    found = &b;
  }
  return found;
}

std::string contested_words(std::string_view name,
                            const std::vector<contested_app>& of) {
  const std::string app{name};
  auto out = std::to_string(of.size()) + " apps bear the name '" + app + "': ";
  for (const auto& b : of)
    out += (&b == of.data() ? "" : ", ") + short_string(b.id) + " (owner "
           + short_string(b.owner) + ")";
  return out
         + "; none is served, each keeps its data, until an owner removes all "
           "but one: `banyan remove "
         + app + " --id ID`";
}

} // namespace banyan
