#pragma once

namespace banyan::test {

/// An app's spec that names every field once.
inline constexpr const char* whole_spec = R"(
name = "notes-2"
module = "notes"
kind = "durable"
shards = 16
replicas = 5
regions = ["eu", "us-east"]
spread = "regions"
min_tier = 2
isolation = "none"
access = "public"
replace_after = "2s"
secrets = ["smtp_password"]
[config]
limit = 300
ratio = 0.5
name = "x"
deep.list = [1, -2, true]
)";

} // namespace banyan::test
