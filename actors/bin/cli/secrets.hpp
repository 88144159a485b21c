#pragma once
#include "actors/bin/cli/commands.hpp"
#include "actors/docs/app_secrets.hpp"

namespace banyan::cli {

/// The values that the command line gives: `NAME=FILE` each, the file's whole
/// content less one line end; and the strings of one TOML file. Files must be
/// 0600. @returns `usage` for a name that the spec doesn't have, a file that
/// can't be read or that others may read, or a value over its bound.
result<secret_values, problem> read_secrets(const deploy_options& o,
                                            const app_spec& spec);

/// Puts the secrets of the new version into `spec`: those given, sealed to
/// `nodes`; or with none given those of `old` as they are. @returns `failed`
/// when the spec names one that has no value, and what to give.
outcome put_secrets(app_spec& spec, const std::array<std::uint8_t, 16>& nonce,
                    const secret_values& given, const app_spec* old,
                    const std::set<node_id>& nodes, random_source& random);

} // namespace banyan::cli
