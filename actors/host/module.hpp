#pragma once
#include "actors/host/host.hpp"
#include "base/result.hpp"

#include <banyan/module.h>

#include <map>
#include <string>
#include <string_view>

namespace banyan {

/// A module's table for one app, checked. The table is the module's and lives
/// as long as the process: modules are never unloaded, as threads may still be
/// in them.
struct loaded_module {
  module_info info;
  const banyan_app_v1* table = nullptr;
};

/// Loads the shared object `file` and finds the app `name` in it. Blocks for
/// the disk and runs the module's static constructors: not on the loop.
/// @returns `not_found`, `not_a_module`, `table_version` or `name_mismatch`,
/// with a message that names the file and the next step.
result<loaded_module, host_failed> load_module(const std::string& file,
                                               const std::string& name);

/// Checks a table that is linked into this program.
result<loaded_module, host_failed> check_table(const banyan_module_v1* module,
                                               const std::string& from,
                                               const std::string& name);

/// Apps that are linked into this program, for tests and the simulator:
/// `catalog.add(banyan::module_table<ledger>())`.
class host_catalog {
public:
  /// Another table of the same name replaces it (an update).
  void add(const banyan_app_v1& table) { tables_[table.name] = &table; }
  /// @returns `not_found`, or what is wrong with the table.
  [[nodiscard]] result<loaded_module, host_failed>
  find(const std::string& name) const;

private:
  std::map<std::string, const banyan_app_v1*, std::less<>> tables_;
};

/// A module opened with a configuration (and secrets, which one that was built
/// before there were any doesn't get): runs turns, one at a time. Whatever it
/// gives back is bounded and checked; what it does to the process is not.
class module_runner {
public:
  static result<module_runner, host_failed> open(const loaded_module& module,
                                                 const_bytes config,
                                                 const_bytes secrets = {});
  module_runner(module_runner&& other) noexcept
      : table_{other.table_}, instance_{
                                  std::exchange(other.instance_, nullptr)} {}
  module_runner& operator=(module_runner&& other) noexcept {
    std::swap(table_, other.table_);
    std::swap(instance_, other.instance_);
    return *this;
  }
  module_runner(const module_runner&) = delete;
  module_runner& operator=(const module_runner&) = delete;
  ~module_runner() {
    if (instance_ != nullptr)
      table_->close(instance_);
  }

  turn_result run(const turn_order& order);
  /// Runs the code alone: `turn` as `encode_turn` made it.
  raw_turn call(const_bytes turn);

private:
  module_runner(const banyan_app_v1* table, void* instance)
      : table_{table}, instance_{instance} {}
  const banyan_app_v1* table_;
  void* instance_;
};

} // namespace banyan
