#pragma once
#include "tests/support/process.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace banyan::test {

/// A load balancer that is not ours, in front of doors of this machine: its
/// program with a configuration, in a directory of its own.
class proxy {
public:
  enum class kind : std::uint8_t { nginx, haproxy };
  /// `tuned`: kept connections to the doors, retries, short timeouts and checks
  /// of health; else what its manual's first example has.
  proxy(kind k, bool tuned, const std::vector<std::uint16_t>& doors);
  ~proxy(); ///< ends it in order, with its workers
  proxy(proxy&&) = delete;

  [[nodiscard]] static bool installed(kind k);
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  void freeze() const; ///< SIGSTOP, with its workers
  void thaw() const;

private:
  void signal_all(int number) const;

  temporary_directory dir_;
  std::uint16_t port_;
  std::unique_ptr<process> running_;
};

} // namespace banyan::test
