#pragma once
#include "actors/docs/spec_file.hpp"

namespace banyan {

/// A spec as a msgpack map (from JSON, say) with the field names of the TOML
/// form, without modules by target. Unknown, missing, repeated and mistyped
/// fields are refused by name.
result<app_spec, config_error> parse_spec_map(const_bytes in);

} // namespace banyan
