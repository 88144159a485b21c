#pragma once
#include "actors/node/peer.hpp"
#include "actors/testing/cut_streams.hpp"
#include "crypto/system_random.hpp"
#include "net/io/tcp_streams.hpp"
#include "store/data_dir.hpp"

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace banyan::testing::detail {

/// What all peers of a mesh share.
struct mesh_shared {
  std::filesystem::path mesh_file; ///< empty: mesh `local`
  std::vector<std::string> apps;
  host_catalog linked;
  cut_map cuts;
  bool log = false; ///< to standard error
};

/// One peer of a local mesh: a loop with a thread of its own, a directory, and
/// between `start` and `kill` everything that `banyan-peer` is made of.
class mesh_node {
public:
  mesh_node(mesh_shared& shared, std::size_t number, std::string region,
            std::filesystem::path directory);
  ~mesh_node();
  mesh_node(const mesh_node&) = delete;
  mesh_node& operator=(const mesh_node&) = delete;

  /// Throws std::runtime_error.
  void start(const std::vector<net::address>& seeds);
  void kill();
  void stop(); ///< asks first
  void freeze();
  void thaw();
  /// The cuts have changed. A frozen peer notices as it thaws.
  void apply_cuts();

  /// Runs `f(peer)` on the loop and waits. False: it doesn't run, or is frozen.
  bool ask(const std::function<void(actors::peer&)>& f);
  /// Runs `f(peer)` on the loop some time, or drops it. False: no such peer.
  bool post(std::function<void(actors::peer&)> f);

  [[nodiscard]] bool running() const;
  [[nodiscard]] bool frozen() const;
  [[nodiscard]] const net::address& address() const { return address_; }
  [[nodiscard]] const node_id& id() const { return id_; }
  [[nodiscard]] const std::filesystem::path& directory() const {
    return directory_;
  }
  [[nodiscard]] std::string fault() const;

private:
  struct ice; ///< what a frozen loop waits at
  void assemble(const std::vector<net::address>& seeds);
  void destroy(std::unique_ptr<actors::peer> p, bool clean = false);
  void log(actors::log_level level, const std::string& line) const;

  mesh_shared& shared_;
  std::size_t number_;
  std::string region_;
  std::filesystem::path directory_;
  net::address address_;
  node_id id_;

  system_random random_;
  std::unique_ptr<io::asio_loop> loop_;
  std::unique_ptr<io::thread_workers> workers_;
  std::optional<store::data_dir> dir_;
  std::unique_ptr<actors::state_checker> check_;
  cut_streams* streams_ = nullptr; ///< the peer's
  mutable std::mutex mutex_;       ///< guards what follows
  std::unique_ptr<actors::peer> peer_;
  std::shared_ptr<ice> ice_; ///< while frozen
  std::string fault_;
};

} // namespace banyan::testing::detail
