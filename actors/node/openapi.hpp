#pragma once
#include <string_view>

namespace banyan::actors {

/// The description of the HTTP API (OpenAPI 3.1), as `docs/openapi.json` has
/// it; `GET /v1/openapi.json` answers it as it is.
std::string_view openapi_document() noexcept;

} // namespace banyan::actors
