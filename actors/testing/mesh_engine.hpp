#pragma once
#include <banyan/call.hpp>
#include <banyan/module.h>

#include <memory>
#include <string>
#include <vector>

namespace banyan::testing::detail {

/// @name As in <banyan/testing.hpp>, under names of their own: the public API
/// and the wire both have a `reply`, and no file may see the two.
/// @{
struct engine_options {
  std::size_t nodes = 3;
  std::vector<std::string> regions;
  bool with_mesh_file = false;
  std::vector<std::string> apps;
};
struct engine_app {
  std::string name;
  std::string module;
  std::uint32_t shards = 8;
  std::uint32_t replicas = 3;
  std::chrono::milliseconds replace_after{300'000};
  bool spread_regions = false;
  bool stateless = false;
  std::uint32_t instances = 3;
};
struct engine_member {
  std::string node, address, region, state;
  bool heard = false;
};
/// @}

/// `local_mesh` behind its public face, which says what each of these does.
class mesh_engine {
public:
  static std::unique_ptr<mesh_engine> make(engine_options options);
  virtual ~mesh_engine() = default;

  static constexpr std::size_t any = static_cast<std::size_t>(-1);

  virtual void add_table(const banyan_app_v1& table) = 0;
  virtual void deploy(const engine_app& app) = 0;
  virtual banyan::detail::call_outcome
  call(std::size_t node, banyan::detail::call_order order) = 0;

  virtual void kill(std::size_t node) = 0;
  virtual void stop(std::size_t node) = 0;
  virtual void restart(std::size_t node) = 0;
  virtual void wipe(std::size_t node) = 0;
  virtual void freeze(std::size_t node) = 0;
  virtual void thaw(std::size_t node) = 0;
  virtual void
  partition(const std::vector<std::vector<std::size_t>>& groups) = 0;

  virtual std::size_t leader_of(const std::string& app, const std::string& key,
                                std::chrono::milliseconds patience) = 0;
  virtual std::vector<std::size_t> voters_of(const std::string& app,
                                             const std::string& key) = 0;
  virtual void wait_healthy(std::chrono::milliseconds patience) = 0;
  virtual void run_for(std::chrono::milliseconds d) = 0;

  [[nodiscard]] virtual std::size_t size() const = 0;
  [[nodiscard]] virtual bool running(std::size_t node) const = 0;
  [[nodiscard]] virtual std::string address(std::size_t node) const = 0;
  [[nodiscard]] virtual std::string id(std::size_t node) const = 0;
  /// Of a local mesh alone.
  [[nodiscard]] virtual std::string directory(std::size_t) const { return {}; }
  [[nodiscard]] virtual std::string client_key_file() const { return {}; }
  [[nodiscard]] virtual std::vector<engine_member>
  members(std::size_t node) = 0;
  [[nodiscard]] virtual std::string fault(std::size_t node) const = 0;
};

} // namespace banyan::testing::detail
