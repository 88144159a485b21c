#pragma once
#include "actors/bin/cli/peer_client.hpp"
#include "base/random.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace banyan::cli {

/// What every command gets. Results go to standard output, progress and
/// warnings to standard error.
struct session {
  peer_place place;
  bool json = false; ///< the API's answer as is, instead of tables
  random_source& random;
};
/// Done, or why not: the caller prints it and exits with its code.
using outcome = result<void, problem>;

/// @name Set-up: files in the current folder, no peer (setup.cpp)
/// @{
outcome init(const session& s, const std::string& name);
/// `file` is by default `node.key`.
outcome keygen_node(const session& s, const std::string& file);
/// `mesh_file` empty: the only NAME.mesh of the current folder.
outcome keygen_client(const session& s, const std::string& mesh_file);
/// Measures this machine and the file system of the data directory (bench.cpp);
/// unless that was given by name, it need not be there yet.
outcome bench(const session& s, bool data_given);
/// @}

/// @name Looks (look.cpp)
/// @{
outcome status(const session& s);
outcome nodes(const session& s);
outcome apps(const session& s, const std::string& name); ///< empty: all
outcome failovers(const session& s);
/// @}

/// @name What an app would live through, and where it is (outlook.cpp)
/// @{
outcome risk(const session& s, const std::string& app);
struct why_options {
  std::string app; ///< `APP` or `APP/SHARD`
  std::optional<std::size_t> runners_up;
};
outcome why(const session& s, const why_options& o);
/// @}

/// @name Uptime, and what the mesh demands (uptime.cpp, policy.cpp)
/// @{
struct uptime_options {
  std::string node;   ///< its id, or the beginning of it; empty: all
  bool proof = false; ///< the signed documents, and the result counted again
};
/// @returns `failed` when the documents don't say what the peer says.
outcome uptime(const session& s, const uptime_options& o);
outcome policy_show(const session& s);
struct policy_set_options {
  std::vector<std::string> settings; ///< `NAME=VALUE`, or a file of such lines
  std::string owner;
  /// @name The list of allowed nodes (allow.hpp): whole ids
  /// @{
  std::vector<std::string> allow;    ///< these as well
  std::string allow_file;            ///< these instead of those there are
  bool allow_all = false;            ///< no list any more
  std::vector<std::string> leaving;  ///< not these; as members they may stay
  std::vector<std::string> disallow; ///< nor these, who are none
  /// @}
};
/// Changes the policy that is there and signs the next version of it. What is
/// signed is kept in `MESH.policy` beside the owner's file before it is sent,
/// and sent again as it is when that was not finished.
outcome policy_set(const session& s, const policy_set_options& o);
/// @}

/// @name What happened (events.cpp)
/// @{
struct events_options {
  bool follow = false;
  std::string since;      ///< as `10m`; empty: from the beginning
  std::size_t most = 100; ///< of those that are there already: the last ones
};
outcome events(const session& s, const events_options& o);
/// @}

/// @name What apps say (logs.cpp)
/// @{
struct logs_options {
  std::string app;
  bool follow = false;
  std::string since;               ///< as `10m`; empty: all that is kept
  std::optional<std::size_t> most; ///< of those that are there: the last ones
};
outcome logs(const session& s, const logs_options& o);
/// @}

/// @name Stored states (states.cpp)
/// @{
struct get_options {
  std::string address; ///< `APP/KEY`
  bool follow = false;
};
/// An actor's state as JSON. @returns `failed` when there is no such actor.
outcome get(const session& s, const get_options& o);
struct ls_options {
  std::string app;
  std::string prefix;
  std::optional<std::size_t> most;
};
/// The keys of an app's actors, one a line.
outcome ls(const session& s, const ls_options& o);
/// @}

/// @name Safety (verify.cpp)
/// @{
/// Has the peer read everything on its disk again, and waits until what that
/// found is mended. @returns `failed` when something is not.
outcome verify(const session& s);
/// @}

/// @name Backups (backup.cpp)
/// @{
/// Writes the app's backup to standard output.
outcome backup(const session& s, const std::string& app);
struct verify_options {
  std::string file;
  std::string owner; ///< empty: of a backup of mesh `local`
};
/// Restores it into a sandbox in memory, one shard after the other, and says
/// what is in it. No peer is needed.
outcome verify_backup(const session& s, const verify_options& o);
struct restore_options {
  std::string file;
  std::string as;         ///< another name; empty: as in the file
  std::string owner;      ///< of this mesh; empty: mesh `local`
  std::string from_owner; ///< that the file is sealed for; empty: the same
};
/// Checks the whole file, then makes a new app and loads it. The app is closed
/// until all is loaded; what was interrupted goes on when it is repeated.
outcome restore(const session& s, const restore_options& o);
/// @}

/// @name After losses (recover.cpp)
/// @{
struct recover_options {
  std::string app;
  std::string owner;
  std::optional<std::uint32_t> shard; ///< only this one
  bool accept_loss = false;
  bool yes = false;
};
/// Shards that lost a majority of their voters for good go on from what one
/// survivor has, in a new lineage; says what is kept and what isn't known.
outcome recover(const session& s, const recover_options& o);
struct undelete_options {
  std::string app;
  std::string owner;
};
outcome undelete(const session& s, const undelete_options& o);
/// @}

/// @name Apps (apps.cpp)
/// @{
struct deploy_options {
  std::string spec;
  std::string owner; ///< an owner's file; empty: the peer signs, mesh `local`
  bool strict = false;
  bool new_token = false;           ///< the old one opens nothing any more
  std::vector<std::string> secrets; ///< `NAME=FILE` each
  std::string secrets_file;         ///< TOML; empty: none
};
outcome plan(const session& s, const std::string& spec);
outcome deploy(const session& s, const deploy_options& o);

struct remove_options {
  std::string app;
  std::string id; ///< of one of two that bear the name, or its beginning
  std::string owner;
  bool yes = false;
};
outcome remove(const session& s, const remove_options& o);
/// @}

/// @name Machines (moves.cpp)
/// @{
/// Durable; also `start`. @returns `unknown` when some group didn't answer.
outcome stop_app(const session& s, const std::string& app, bool stop);
struct move_options {
  std::string group; ///< `APP/SHARD`
  std::string from;  ///< a node's id, or the beginning of it
  std::string to;
};
/// Shows how far it is until it is done.
outcome move_replica(const session& s, const move_options& o);
struct drain_options {
  std::string node;
  bool force = false;
  bool cancel = false;
};
/// Shows what is left until nothing is.
outcome drain_node(const session& s, const drain_options& o);
/// @}

/// @name Calls (calls.cpp)
/// @{
struct call_options {
  std::string address; ///< `APP/KEY`
  std::string command;
  std::string argument; ///< JSON; empty: none
  std::string key;      ///< idempotency key; empty: a new one
};
outcome call(const session& s, const call_options& o);

struct query_options {
  std::string address;
  std::string query;
  std::string argument;
  std::optional<std::uint64_t> stale_ms; ///< none: linearizable
};
outcome query(const session& s, const query_options& o);
/// @}

/// @name A mesh that is made up; no peer is asked (sim.cpp)
/// @{
struct sim_options {
  std::string scenario; ///< a TOML file; empty: what the other options say
  std::optional<std::size_t> nodes, regions, groups;
  std::optional<std::uint64_t> seed;
  std::optional<double> loss; ///< in percent
  std::string latency, length;
  std::vector<std::string> events; ///< `--at`: added to the scenario's
  bool calm = false;   ///< without the events that there are by default
  bool strict = false; ///< a goal that is missed is an error
  std::string csv;     ///< a file to write, one line per virtual second
  std::string story;   ///< one with a plot of its own, instead
  std::optional<std::uint32_t> days; ///< of a story
  bool terminal = false;             ///< standard error is one
};
/// Prints the table at the end, or as far as it came when it was interrupted
/// (`failed`). @returns `usage` for a bad scenario.
outcome simulate(const session& s, const sim_options& o);
/// @}

/// Writes to standard output, with a newline at the end.
void print(const std::string& text);
/// One line of progress or warning on standard error.
void note(const std::string& text);

} // namespace banyan::cli
