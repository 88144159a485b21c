#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/modules.hpp"
#include "actors/docs/app_documents.hpp"
#include "actors/docs/key_files.hpp"

namespace banyan::cli {

/// A spec, checked, with the text that it was read from.
struct spec_source {
  std::string toml;
  app_spec spec;
  std::vector<local_module> modules{}; ///< the files that `[module]` names
};
/// Reads and hashes the modules' files, too.
/// @returns `usage` with file, line and cause.
result<spec_source, problem> read_spec(const std::string& file);

/// The owner's file to sign with; none given: everybody's, of mesh `local`.
result<owner_file, problem> owner_or_local(const std::string& file);
/// Signatures name the mesh of the owner's file: for another they are
/// worthless.
outcome check_mesh(peer_client& peer, const owner_file& owner,
                   const std::string& file);
/// What the mesh has under this name; none if it never had.
result<std::optional<app_record>, problem>
current_papers(peer_client& peer, const owner_file& owner,
               const std::string& name, const std::string& id = {});
/// Waits until every group has a leader. @returns the app as `GET` shows it.
result<value, problem> wait_for_leaders(peer_client& peer,
                                        const std::string& name);

/// The msgpack answers that a deploy and a removal end in: `{app, nonce,
/// survives, warnings, voters}`, voters only for a new app.
using deploy_result = result<bytes, problem>;

/// `POST /v1/plan`; `prepare` has the nodes make empty replicas.
deploy_result ask_plan(peer_client& peer, const spec_source& spec,
                       bool prepare);
/// `refused` for `--strict` when the plan has warnings.
outcome check_strict(const_bytes plan);

/// Deploys with an owner's file: a new app is planned, signed here, kept beside
/// the spec and sent, after the peer has its modules; an app that is there gets
/// its next version; a deploy that was not finished is sent again as it was.
/// `token` becomes the app's token once one was made: with an owner's file for
/// an app that has none, and for `new_token`. It is known nowhere else, even
/// when the deploy fails.
deploy_result deploy_as_owner(const session& s, peer_client& peer,
                              const spec_source& spec, const deploy_options& o,
                              std::string& token);
/// Forgets what was kept for repeating: the deploy is known to be in place.
void deploy_is_done(const spec_source& spec, const deploy_options& o);

deploy_result remove_as_owner(peer_client& peer, const remove_options& o);

} // namespace banyan::cli
