// What a peer shows of its instances of stateless apps.
#include "actors/node/instance.hpp"

namespace banyan::actors {

std::string instance_metrics(const node_context& ctx) {
  std::string out;
  const auto add = [&](const char* name, const char* type, const char* help,
                       auto value_of) {
    const auto full = std::string{"banyan_"} + name;
    out +=
        "# HELP " + full + " " + help + "\n# TYPE " + full + " " + type + "\n";
    for (const auto& [app, load] : ctx.instance_loads)
      out += full + "{app=\"" + app + "\"} " + std::to_string(value_of(*load))
             + "\n";
  };
  if (ctx.instance_loads.empty())
    return out;
  add("instances", "gauge", "instances of stateless apps that serve here",
      [](const instance_load& l) { return l.serving == 0 ? 0 : 1; });
  add("instance_turns_total", "counter", "turns that instances here ran",
      [](const instance_load& l) { return l.turns; });
  add("instance_turns_under_way", "gauge", "turns at the hosts of instances",
      [](const instance_load& l) {
        std::size_t n = 0;
        for (const auto& [version, count] : l.outstanding)
          n += count;
        return n;
      });
  add("instance_calls_waiting", "gauge", "calls that wait for a turn",
      [](const instance_load& l) { return l.waiting; });
  add("instance_restarts_total", "counter",
      "times that the host of an instance here was up again after a failure",
      [](const instance_load& l) { return l.restarts; });
  return out;
}

} // namespace banyan::actors
