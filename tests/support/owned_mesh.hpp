#pragma once
#include "tests/support/net_hosts.hpp"
#include "tests/support/process_mesh.hpp"

namespace banyan::test {

/// A mesh with keys and an owner, a peer on each host. Apps are open to callers
/// of any host.
class owned_mesh {
public:
  /// `regions`: by host; those without one are of the region `here`.
  explicit owned_mesh(const net_hosts& hosts,
                      std::vector<std::string> flags = {},
                      const std::vector<std::string>& regions = {});

  process_mesh& peers() { return *peers_; }
  /// By the owner, with the command line. `spec` is what follows name, module
  /// and access. @throws std::runtime_error with the peers' last words
  void deploy(const std::string& name, const std::string& spec);

private:
  temporary_directory keys_;
  std::string owner_;
  std::unique_ptr<process_mesh> peers_;
};

} // namespace banyan::test
