#pragma once
#include "actors/bin/cli/text.hpp"
#include "actors/docs/app_documents.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/pure/backup/file.hpp"
#include "actors/pure/backup/image.hpp"
#include "base/result.hpp"

#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

namespace banyan::cli {

/// A backup on disk, read through and checked as far as that goes without a
/// key: form, checksums, hash, signatures, that every shard is there.
class backup_file {
public:
  /// @returns `usage` when it can't be read, `failed` with the place (byte
  /// offset) of the first fault.
  static result<backup_file, problem> open(const std::filesystem::path& file);

  [[nodiscard]] const backup::header& header() const { return header_; }
  [[nodiscard]] const app_record& app() const { return app_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  /// Where the shard's copy was made.
  [[nodiscard]] const backup::stream_begin& begin(std::uint32_t shard) const {
    return shards_[shard].begin;
  }

  /// Puts one shard together in memory, with the owner's key: all of it, with
  /// its digest checked, or up to an entry. @returns `failed` with the shard,
  /// the part and its byte offset; `usage` for another owner's key.
  result<std::unique_ptr<backup::shard_image>, problem>
  load(const owner_file& owner, std::uint32_t shard,
       std::optional<log_index> up_to = std::nullopt);

private:
  struct place {
    std::uint64_t offset = 0; ///< of the frame
    std::size_t size = 0;     ///< of its payload
  };
  struct shard_parts {
    backup::stream_begin begin;
    bool begun = false;
    std::vector<place> parts;
  };
  explicit backup_file(std::filesystem::path file);
  std::string note(backup::frame f, place at);
  std::string check_papers();
  [[nodiscard]] problem fault(std::uint64_t offset,
                              const std::string& why) const;

  std::filesystem::path path_;
  std::ifstream in_;
  backup::header header_;
  app_record app_;
  std::vector<shard_parts> shards_;
  std::uint64_t size_ = 0;
  std::uint64_t frames_ = 0;
};

/// The owner's file that opens a backup: as given, or everybody's for the mesh
/// `local`. @returns `usage` when one is needed, unreadable or another owner's.
result<owner_file, problem> owner_of(const backup_file& file,
                                     const std::string& owner);

/// What a backup holds, by shard, and the cut through all of them.
struct backup_contents {
  struct shard {
    banyan::term term;
    log_index index;
    std::uint64_t actors = 0;
    std::uint64_t rows = 0;
    std::uint64_t size = 0; ///< keys and values
    store::state_digest digest;
  };
  std::vector<shard> shards;
  backup::cut cut;
  std::vector<backup::shard_marks> marks;
};
/// Every shard put together once, one after the other. `progress` hears of it.
result<backup_contents, problem>
inspect(backup_file& file, const owner_file& owner,
        const std::function<void(std::uint32_t shard)>& progress);

} // namespace banyan::cli
