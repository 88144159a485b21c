#pragma once
/// Whole meshes inside a test. Two kinds share most of their surface (`mesh`),
/// so that one test body runs on both:
///
/// - `local_mesh`: N peers of this process with real sockets on loopback, real
///   encryption and real disks (in a temporary directory).
/// - `sim_mesh`: the same peers on virtual time, network, disks and hosts, in
///   one thread, from one seed: a minute passes in a fraction of a second,
///   every fault can happen, and the same seed gives the same run, always.
///
///   banyan::testing::local_mesh mesh{5};   // or sim_mesh
///   mesh.add_app<ledger>();
///   mesh.deploy("ledger");
///   mesh.call<&ledger::deposit>("alice", amount{5});
///   mesh.kill(mesh.leader_of("ledger", "alice"));
///   EXPECT_EQ(*mesh.call<&ledger::balance>("alice"), 5);
///
/// Link with `banyan_testing` (`Banyan::testing` after find_package).
#include <banyan/detail/typed_call.hpp>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan::testing {

namespace detail {
class mesh_engine;
class sim_engine;
} // namespace detail

struct mesh_options {
  std::size_t nodes = 3;
  /// By node; the last one serves the rest. Empty: one region for all.
  std::vector<std::string> regions{};
  /// Makes a mesh of its own, with mesh, owner and client key; otherwise it is
  /// the mesh `local`.
  bool with_mesh_file = false;
  /// Directories with modules (`*.so`), as `--apps`.
  std::vector<std::string> apps{};
};

struct app_options {
  std::string module{}; ///< empty: as the app
  std::uint32_t shards = 8;
  std::uint32_t replicas = 3;
  std::chrono::milliseconds replace_after{300'000};
  bool spread_regions = false; ///< `spread = "regions"`
  /// `kind = "stateless"`, with so many `instances`; shards and replicas don't
  /// count then.
  bool stateless = false;
  std::uint32_t instances = 3;
};

/// A member of the mesh as one node sees it.
struct member {
  std::string node; ///< full node id
  std::string address;
  std::string region;
  std::string state; ///< `alive`, `suspect`, `dead` or `left`
  bool heard = false;
};

/// What both kinds of mesh have. Peers are named by their number, from 0. What
/// goes wrong in the mesh's own working (a peer doesn't start, a deploy is
/// refused, a wait ends in vain) throws std::runtime_error with the cause; what
/// a call meets is its result.
class mesh {
public:
  using milliseconds = std::chrono::milliseconds;

  mesh(const mesh&) = delete;
  mesh& operator=(const mesh&) = delete;

  /// Lets every peer run an app that is linked into this test.
  template <class App>
  void add_app() {
    add_table(&module_table<App>());
  }
  /// Returns once the app serves calls on every running peer.
  void deploy(std::string_view app, app_options options = {});

  /// Calls a handler through any peer that runs (and isn't frozen).
  template <auto H>
  banyan::detail::typed_result<H>
  call(std::string_view key,
       const banyan::detail::argument_of<H>& argument = {},
       call_options options = {}) {
    return call_at<H>(any, key, argument, std::move(options));
  }
  /// The same through this peer.
  template <auto H>
  banyan::detail::typed_result<H>
  call_at(std::size_t node, std::string_view key,
          const banyan::detail::argument_of<H>& argument = {},
          call_options options = {}) {
    namespace d = banyan::detail;
    auto order = d::order_for<H>(key, argument, std::move(options));
    if (!order.ok())
      return order.error();
    return d::read_answer<H>(wait(node, std::move(*order)));
  }
  /// By name, with JSON in and out: `call(0, "ledger/alice", "deposit",
  /// R"({"cents": 5})")`.
  call_result<std::string> call(std::size_t node, std::string_view actor,
                                std::string_view command,
                                std::string_view json = {},
                                call_options options = {});
  call_result<std::string> query(std::size_t node, std::string_view actor,
                                 std::string_view name,
                                 std::string_view json = {},
                                 call_options options = {});

  /// Ends a peer as `kill -9` would: nothing is handed over or said.
  void kill(std::size_t node);
  /// Asks a peer to stop: it hands over what it leads and says goodbye.
  void stop(std::size_t node);
  /// Starts a peer that was killed or stopped, on the same disk and port;
  /// kills it first if it runs.
  void restart(std::size_t node);
  /// Kills a peer and removes its data, key and all: whoever starts there is a
  /// new member.
  void wipe(std::size_t node);
  /// Holds a peer, as SIGSTOP would: its sockets stay open, silent.
  void freeze(std::size_t node);
  void thaw(std::size_t node);
  /// Cuts every connection between peers of different groups, both ways: bytes
  /// wait, new connections get no answer. Peers that are in no group keep all
  /// of theirs. Replaces an earlier partition.
  void partition(const std::vector<std::vector<std::size_t>>& groups);
  /// Ends the partition: what was written while it lasted arrives.
  void heal();

  /// The peer that leads the key's group, of those that run; waits for one.
  [[nodiscard]] std::size_t
  leader_of(std::string_view app, std::string_view key,
            milliseconds patience = milliseconds{10'000});
  /// The peers that have a vote in the key's group and run.
  [[nodiscard]] std::vector<std::size_t> voters_of(std::string_view app,
                                                   std::string_view key);
  /// Waits until all running peers hear each other and each group of each app
  /// has a leader and all its voters.
  void wait_healthy(milliseconds patience = milliseconds{10'000});
  /// Lets this much of the mesh's time pass: virtual, or real.
  void run_for(milliseconds d);

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool running(std::size_t node) const;
  /// Where it listens, for clients and further peers.
  [[nodiscard]] std::string address(std::size_t node) const;
  [[nodiscard]] std::vector<std::string> addresses() const;
  [[nodiscard]] std::string id(std::size_t node) const;
  [[nodiscard]] std::vector<member> members(std::size_t node) const;
  /// Why a peer ended by itself; empty if it didn't.
  [[nodiscard]] std::string fault(std::size_t node) const;

  /// For `call_at` and `call`: any peer that runs.
  static constexpr std::size_t any = static_cast<std::size_t>(-1);

protected:
  explicit mesh(std::unique_ptr<detail::mesh_engine> engine);
  ~mesh();
  [[nodiscard]] detail::mesh_engine& engine() const { return *engine_; }

private:
  void add_table(const banyan_app_v1* table);
  banyan::detail::call_outcome wait(std::size_t node,
                                    banyan::detail::call_order order);
  std::unique_ptr<detail::mesh_engine> engine_;
};

/// Real peers. Calls: any thread. All else: one thread at a time. Set
/// BANYAN_MESH_LOG to see the peers' logs on standard error.
class local_mesh : public mesh {
public:
  /// Starts the peers and waits until each hears every other.
  explicit local_mesh(mesh_options options = {});
  explicit local_mesh(std::size_t nodes) : local_mesh(mesh_options{nodes}) {}
  /// Ends every peer at once, frozen ones too, and removes the directory.
  ~local_mesh() = default;

  [[nodiscard]] std::string data_directory(std::size_t node) const;
  /// `NAME.client` of a mesh with a file; empty in the mesh `local`.
  [[nodiscard]] std::string client_key_file() const;
};

struct sim_options {
  std::size_t nodes = 3;
  /// All chance comes from it. BANYAN_SEED in the environment replaces it: so a
  /// test that failed is replayed.
  std::uint64_t seed = 1;
  /// By node; the last one serves the rest. Empty: one region for all.
  std::vector<std::string> regions{};
  /// One way, drawn from [low, high): within a region, and between two.
  std::chrono::microseconds near_low{50}, near_high{150};
  std::chrono::microseconds far_low{10'000}, far_high{15'000};
};

/// Simulated peers: the real ones, actors included, on virtual seams.
///
/// One thread; time passes only inside the calls of this class that wait:
/// `call`, `run_for`, `deploy`, `leader_of`, ... All the while checkers watch
/// the disks, the leaders and the members; what they find is in `problems`.
///
///   banyan::testing::sim_mesh mesh{banyan::testing::sim_options{5, seed}};
///   ...
///   mesh.trouble(20s);        // faults of all kinds, drawn from the seed
///   mesh.end_faults();
///   mesh.wait_healthy();
///   EXPECT_TRUE(mesh.problems().empty());
///
/// Set BANYAN_SIM_LOG to see all that happens on standard output.
class sim_mesh : public mesh {
public:
  explicit sim_mesh(sim_options options = {});
  explicit sim_mesh(std::size_t nodes) : sim_mesh(sim_options{nodes}) {}
  ~sim_mesh() = default;

  [[nodiscard]] std::uint64_t seed() const;
  /// Virtual time since the mesh was made.
  [[nodiscard]] std::chrono::nanoseconds elapsed() const;

  /// Begins a call and returns; `done` is told the result while the mesh runs
  /// on (in `run_for`, say) and may begin further calls, but not wait for one.
  /// A peer that dies with a call gives `unknown` after its deadline.
  template <auto H>
  void begin(std::string_view key,
             const banyan::detail::argument_of<H>& argument,
             banyan::detail::typed_done<H> done, call_options options = {},
             std::size_t node = any) {
    namespace d = banyan::detail;
    auto order = d::order_for<H>(key, argument, std::move(options));
    if (!order.ok())
      return done(order.error());
    begin_order(node, std::move(*order),
                [done = std::move(done)](const d::call_outcome& o) {
                  done(d::read_answer<H>(o));
                });
  }
  /// Runs `f` this much later.
  void after(std::chrono::nanoseconds d, std::function<void()> f);

  /// @name Faults
  /// By name: `kill`, `power cut`, `one-way cut`, `slow disk`, ...; all of them
  /// are in `fault_names`, which says what each does.
  /// @{
  struct fault_name {
    std::string name;
    std::string meaning;
  };
  static std::vector<fault_name> fault_names();
  /// False: not possible as things are (the peer is down, say). Throws on an
  /// unknown name. `other` counts for faults between two.
  bool harm(std::string_view fault, std::size_t node, std::size_t other = any,
            milliseconds lasts = milliseconds{1000});
  /// Lets faults come for so long, 0.1 to 2.5 s apart, drawn from the seed:
  /// of these kinds, or (with none named) of all. What still goes on then goes
  /// on.
  void trouble(milliseconds length, const std::vector<std::string>& kinds = {});
  /// Nothing is wrong from now on: every peer runs and hears the others.
  void end_faults();
  /// How often each fault came about.
  [[nodiscard]] std::map<std::string, std::uint64_t> faults() const;
  /// The wall clock of a peer: `ctx.now()` there.
  void jump_clock(std::size_t node, std::chrono::milliseconds by);
  /// @}

  /// What the checkers found wrong with the mesh itself; empty unless Banyan
  /// has a bug. See docs/reliability.md for what they check.
  [[nodiscard]] const std::vector<std::string>& problems() const;
  /// Of all that happened: two runs of one test body with one seed agree.
  [[nodiscard]] std::uint64_t trace_hash() const;

private:
  void begin_order(std::size_t node, banyan::detail::call_order order,
                   banyan::detail::call_done done);
  [[nodiscard]] detail::sim_engine& sim() const;
};

} // namespace banyan::testing
