#pragma once
#include "actors/bin/cli/value.hpp"
#include "actors/docs/sign_app.hpp"

#include <string>

/// What the command line makes of a peer's answers. Whatever a peer says, no
/// text from here holds anything that a terminal would obey.
namespace banyan::cli {

/// Of `POST /v1/plan?prepare=1`. False when the plan makes no sense.
[[nodiscard]] bool read_prepared(const value& plan, prepared_app& out,
                                 bool stateless = false);

/// `answer` with another app id in it; as it is if it isn't a map.
[[nodiscard]] bytes with_app(const_bytes answer, std::string_view id);

/// @name Of `GET /v1/verify`
/// @{
[[nodiscard]] std::string verify_progress(const value& v); ///< one line
[[nodiscard]] std::string verify_report(const value& v);
/// @}

} // namespace banyan::cli
