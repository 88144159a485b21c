#pragma once
#include "net/io/http_client.hpp"
#include "tests/support/process.hpp"
#include "tests/support/value.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace banyan::test {

using namespace std::chrono_literals;

inline time_point now() {
  return std::chrono::steady_clock::now();
}

struct peer_place {
  std::string region = "here";
  std::string zone{};
  std::string address = "127.0.0.1"; ///< of its host
  int net_space = -1;      ///< the host's network namespace; -1: the caller's
  std::string mesh_file{}; ///< empty: that of the mesh
  std::vector<std::string> flags{}; ///< further ones, for this peer
};

struct mesh_options {
  std::string mesh_file;            ///< empty: the mesh `local`
  std::vector<std::string> flags{}; ///< further ones, for each peer
  duration start_limit = 20s;       ///< until a peer's ready line
  bool apps = true; ///< the examples are in each peer's `--apps`
  /// Each joins another one than most do: a sponsor lets in 64 at once, then
  /// one a second.
  bool join_tree = false;
};

struct replica_row {
  std::string node;
  std::string state;
};
struct group_row {
  std::uint32_t shard = 0;
  std::uint64_t term = 0;
  std::uint64_t committed = 0;
  std::string leader; ///< node id; empty: none
  std::string health;
  std::vector<replica_row> voters, learners;
};
struct app_row {
  std::string name;
  std::string health;
  std::vector<group_row> groups;
};

/// Real peers in real processes, in a directory of their own: on loopback, or
/// each on a host of its own (`peer_place`). Calls go out from the caller's
/// network.
///
/// `start`, `restart`, `kill`, `terminate` and `wipe` belong to one thread
/// that outlives the mesh (see `process`); everything else to any thread.
/// What can't go on throws std::runtime_error with the peer's last words.
class process_mesh {
public:
  explicit process_mesh(std::vector<peer_place> places,
                        mesh_options options = {});
  ~process_mesh();
  process_mesh(process_mesh&&) = delete;

  [[nodiscard]] std::size_t size() const { return peers_.size(); }
  [[nodiscard]] const std::filesystem::path& dir() const { return dir_.path(); }

  /// Starts peer `i` on its directory and its ports, joining another living
  /// peer, and waits until it is ready. Without `join` it joins nobody: it has
  /// what its disk holds.
  void start(std::size_t i, bool join = true);
  /// All of them; they start at once.
  void start_all();
  /// From now on who joins names this host, with the other peer's port; empty:
  /// the other peer's address again.
  void join_by_name(const std::string& host) { join_host_ = host; }
  /// What its next start runs; the build's own `banyan-peer` unless said.
  void use_binary(std::size_t i, const std::string& file);
  void kill(std::size_t i); ///< SIGKILL, and waits for its end
  /// SIGTERM; its exit code, -1 if it had to be killed after `limit`.
  int terminate(std::size_t i, duration limit = 40s);
  void signal(std::size_t i, int number); ///< without waiting for anything
  void freeze(std::size_t i);             ///< SIGSTOP
  void thaw(std::size_t i);
  /// Gives a peer that is down another address and other ports.
  void move(std::size_t i, const std::string& address);
  void wipe(std::size_t i); ///< removes the directory of a peer that is down
  [[nodiscard]] bool running(std::size_t i) const;
  /// Running and not frozen.
  [[nodiscard]] bool serving(std::size_t i) const;
  /// Started and not killed, but it has ended.
  [[nodiscard]] bool ended(std::size_t i) const;
  /// Peers that ended by themselves, with their last words; empty: none.
  std::string casualties();

  [[nodiscard]] const std::string& node(std::size_t i) const;
  [[nodiscard]] std::optional<std::size_t>
  index_of(const std::string& node) const;
  /// Of a running peer.
  [[nodiscard]] pid_t pid(std::size_t i) const;
  [[nodiscard]] std::filesystem::path data(std::size_t i) const;
  [[nodiscard]] std::string listening(std::size_t i) const;
  [[nodiscard]] std::uint16_t link_port(std::size_t i) const;
  /// The HTTP door; the control socket.
  [[nodiscard]] io::http_target http(std::size_t i) const;
  [[nodiscard]] io::http_target control(std::size_t i) const;

  /// One call on a connection of its own. Status 0: no answer.
  io::http_reply call(const io::http_target& to, io::http_call c) const;
  /// A GET whose answer is read as msgpack; nil without a 200.
  value get(std::size_t i, const std::string& target,
            duration timeout = 2s) const;
  /// Deploys a plain spec (TOML). Throws unless it is taken.
  void deploy(const std::string& name, const std::string& toml,
              std::size_t by = 0) const;
  /// A command, retried on the same peer until answered or `limit`.
  io::http_reply command(std::size_t i, const std::string& path,
                         const std::string& body, duration limit = 10s) const;

  /// The app as peer `i` sees it; nothing while that doesn't answer.
  [[nodiscard]] std::optional<app_row> app(std::size_t i,
                                           const std::string& name) const;
  /// Who leads with the highest term in the views of all serving peers.
  [[nodiscard]] std::optional<std::size_t>
  leader_of(const std::string& app, std::uint32_t shard = 0) const;
  /// All groups healthy with `voters` voters, each led by a serving peer, in
  /// every serving peer's view. Throws at the end of `limit`.
  void wait_healthy(const std::string& app, std::size_t voters,
                    duration limit = 30s) const;
  /// Every serving peer counts `alive` members.
  void wait_members(std::size_t alive, duration limit = 30s) const;

  /// The end of each peer's standard error.
  [[nodiscard]] std::string last_words(std::size_t bytes = 3000) const;

private:
  struct peer;
  void launch(std::size_t i, bool join = true);
  void await_ready(std::size_t i);

  temporary_directory dir_;
  mesh_options options_;
  std::string join_host_;
  mutable std::mutex mutex_; ///< of the peers' states
  std::vector<std::unique_ptr<peer>> peers_;
};

/// Polls until `holds`; false at the end of `limit`.
bool wait_until(const std::function<bool()>& holds, duration limit,
                duration pause = 10ms);

} // namespace banyan::test
