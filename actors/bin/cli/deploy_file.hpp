#pragma once
#include "actors/bin/cli/text.hpp"
#include "actors/docs/app_documents.hpp"

#include <filesystem>
#include <optional>

namespace banyan::cli {

/// `NAME.deploy` beside the spec: what an owner signed, kept from before it is
/// sent until it is known to be in place. A deploy whose answer was lost is
/// then repeated with the very same bytes, never signed a second time. Mode
/// 0600; every call blocks for the disk.
namespace deploy_file {

[[nodiscard]] std::filesystem::path path_of(const std::filesystem::path& spec,
                                            const std::string& app);
/// None when there is no such file. @returns `usage` for what is no such file.
result<std::optional<app_papers>, problem>
load(const std::filesystem::path& file);
/// Replaces the file; a crash leaves the old or the new one, whole, and on
/// return the new one is on disk.
result<void, problem> store(const std::filesystem::path& file,
                            const app_papers& p);
/// The same for anything else that is signed.
result<void, problem> store(const std::filesystem::path& file,
                            const bytes& content);
void remove(const std::filesystem::path& file);

} // namespace deploy_file
} // namespace banyan::cli
