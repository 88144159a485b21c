#include "actors/testing/sim_engine.hpp"

#include <banyan/testing.hpp>

#include <cstdlib>

namespace banyan::testing {
namespace {

detail::sim_engine_options engine_options(sim_options o) {
  detail::sim_engine_options out;
  out.nodes = o.nodes;
  out.seed = o.seed;
  // Before this process has a thread that could change the environment.
  if (const char* s = std::getenv("BANYAN_SEED")) // NOLINT
    out.seed = std::strtoull(s, nullptr, 10);
  out.regions = std::move(o.regions);
  out.near_low = o.near_low;
  out.near_high = o.near_high;
  out.far_low = o.far_low;
  out.far_high = o.far_high;
  return out;
}

} // namespace

sim_mesh::sim_mesh(sim_options o)
    : mesh{detail::sim_engine::make(engine_options(std::move(o)))} {
}
detail::sim_engine& sim_mesh::sim() const {
  return static_cast<detail::sim_engine&>(engine());
}

std::uint64_t sim_mesh::seed() const {
  return sim().seed();
}
std::chrono::nanoseconds sim_mesh::elapsed() const {
  return sim().elapsed();
}
void sim_mesh::begin_order(std::size_t node, banyan::detail::call_order order,
                           banyan::detail::call_done done) {
  sim().begin(node, std::move(order), std::move(done));
}
void sim_mesh::after(std::chrono::nanoseconds d, std::function<void()> f) {
  sim().after(d, std::move(f));
}

std::vector<sim_mesh::fault_name> sim_mesh::fault_names() {
  std::vector<fault_name> out;
  for (auto& [name, meaning] : detail::sim_engine::fault_names())
    out.push_back({std::move(name), std::move(meaning)});
  return out;
}
bool sim_mesh::harm(std::string_view fault, std::size_t node, std::size_t other,
                    milliseconds lasts) {
  return sim().harm(fault, node, other, lasts);
}
void sim_mesh::trouble(milliseconds length,
                       const std::vector<std::string>& kinds) {
  sim().trouble(length, kinds);
}
void sim_mesh::end_faults() {
  sim().end_faults();
}
std::map<std::string, std::uint64_t> sim_mesh::faults() const {
  return sim().faults();
}
void sim_mesh::jump_clock(std::size_t node, std::chrono::milliseconds by) {
  sim().jump_clock(node, by);
}
const std::vector<std::string>& sim_mesh::problems() const {
  return sim().problems();
}
std::uint64_t sim_mesh::trace_hash() const {
  return sim().trace_hash();
}

} // namespace banyan::testing
