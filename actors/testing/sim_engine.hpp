#pragma once
#include "actors/testing/mesh_engine.hpp"

#include <functional>
#include <map>
#include <string_view>
#include <utility>

namespace banyan::testing::detail {

/// As `sim_options` in <banyan/testing.hpp>.
struct sim_engine_options {
  std::size_t nodes = 3;
  std::uint64_t seed = 1;
  std::vector<std::string> regions;
  std::chrono::microseconds near_low{}, near_high{}, far_low{}, far_high{};
};

/// `sim_mesh` behind its public face, which says what each of these does.
class sim_engine : public mesh_engine {
public:
  static std::unique_ptr<sim_engine> make(sim_engine_options options);

  [[nodiscard]] virtual std::uint64_t seed() const = 0;
  [[nodiscard]] virtual std::chrono::nanoseconds elapsed() const = 0;
  virtual void begin(std::size_t node, banyan::detail::call_order order,
                     banyan::detail::call_done done) = 0;
  virtual void after(std::chrono::nanoseconds d, std::function<void()> f) = 0;
  static std::vector<std::pair<std::string, std::string>> fault_names();
  virtual bool harm(std::string_view fault, std::size_t node, std::size_t other,
                    std::chrono::milliseconds lasts) = 0;
  virtual void trouble(std::chrono::milliseconds length,
                       const std::vector<std::string>& kinds) = 0;
  virtual void end_faults() = 0;
  [[nodiscard]] virtual std::map<std::string, std::uint64_t> faults() const = 0;
  virtual void jump_clock(std::size_t node, std::chrono::milliseconds by) = 0;
  [[nodiscard]] virtual const std::vector<std::string>& problems() const = 0;
  [[nodiscard]] virtual std::uint64_t trace_hash() const = 0;
};

} // namespace banyan::testing::detail
