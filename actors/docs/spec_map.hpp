#pragma once
#include "actors/docs/spec_file.hpp"

namespace banyan {

/// A spec as a msgpack map (from JSON, say) with the field names of the TOML
/// form; modules by target stand in `modules: {TARGET: {hash, size}}`, the hash
/// in hexadecimal. Unknown, missing, repeated and mistyped fields are refused
/// by name.
result<app_spec, config_error> parse_spec_map(const_bytes in);

/// `s` as such a map, but for the values of its secrets.
bytes spec_map(const app_spec& s);

} // namespace banyan
