#pragma once
#include "base/random.hpp"
#include "store/detail/files.hpp"
#include "store/detail/watermark.hpp"
#include "store/documents.hpp"

#include <map>
#include <string>
#include <utility>

namespace banyan::store::detail {

using document_map = std::map<std::pair<std::uint8_t, bytes>, shared_bytes>;

/// Kind of our own: the mark that something was lost.
constexpr std::uint8_t damage_kind = 0;

/// The documents' file, synchronous. One thread at a time.
///
///   file   := header sector, record...
///   header := "BANYDOC1" number:8 length at birth:8 salt:16 zeros checksum:16
///   record := "DOCR" sectors:4 offset:8 zero:16 checksum:16, msgpack array of
///             [kind, name, content or nil], zeros up to a whole sector
///
/// Each record is synced before the next is written, so a bad one is a torn
/// tail only when it is the last, and not inside the watermark.
class document_file {
public:
  /// Recovers; damaged bytes are set aside and the rest is rewritten with the
  /// mark of damage. `files` and `random` must outlive it.
  static result<document_file, store_error> open(file_system& files,
                                                 random_source& random,
                                                 std::string path,
                                                 std::string aside);

  /// Written and synced when it returns.
  outcome append(const std::vector<documents::change>& changes);
  [[nodiscard]] const document_map& content() const { return content_; }
  [[nodiscard]] bool failed() const { return failed_; }

private:
  document_file(file_system& files, random_source& random, std::string path,
                std::string aside, watermark synced);
  outcome load(bool& damaged);
  outcome rewrite();
  outcome keep_aside();
  void apply(const documents::change& c);
  [[nodiscard]] bytes seal(bytes record, std::uint64_t offset) const;
  std::uint64_t record_at(const_bytes all, std::uint64_t offset,
                          std::vector<documents::change>& out) const;

  file_system* files_;
  random_source* random_;
  std::string path_;
  std::string aside_;
  watermark synced_;
  std::unique_ptr<file> file_;
  std::array<std::uint8_t, 16> salt_{};
  std::uint64_t number_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t live_bytes_ = 0;
  document_map content_;
  bool failed_ = false;
};

/// Bounds on a call of `documents::put`.
outcome check_changes(const std::vector<documents::change>& changes);

} // namespace banyan::store::detail
