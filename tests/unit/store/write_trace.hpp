#pragma once
#include "base/random.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace banyan::store::test {

/// One thing that this process did to the files below a folder.
struct traced_event {
  enum class kind {
    write,       ///< `data` at `offset`, not synced
    sync,        ///< all that was written to the file before is on the disk
    sync_write,  ///< the last write was to a file that syncs each
    grow,        ///< to `offset` bytes at least
    cut,         ///< to `offset` bytes
    create,      ///< `path`
    rename,      ///< `path` to `to`
    remove,      ///< `path`
    sync_folder, ///< names made, changed and gone before stay so
    mark         ///< the test's: `number` was answered
  };
  kind what = kind::mark;
  std::uint64_t file = 0; ///< inode
  std::uint64_t offset = 0;
  std::string data;
  std::string path; ///< relative to the folder
  std::string to;
  std::uint64_t number = 0;
};

/// Records, from construction to `end`, what this thread's system calls do to
/// the files below `folder`; also those of LMDB, since the test program's own
/// definitions of write, sync and the like take the place of the C library's.
/// What is there at first counts as synced. One at a time.
class write_trace {
public:
  explicit write_trace(std::filesystem::path folder);
  write_trace(const write_trace&) = delete;
  write_trace& operator=(const write_trace&) = delete;
  ~write_trace();

  void mark(std::uint64_t number);
  void end();

  [[nodiscard]] const std::vector<traced_event>& events() const {
    return events_;
  }

  struct file_image {
    std::string path;
    std::string content;
  };
  [[nodiscard]] const std::map<std::uint64_t, file_image>& first() const {
    return first_;
  }

  // For the system calls below.
  void add(traced_event e);
  [[nodiscard]] bool below(const std::string& path,
                           std::string& relative) const;
  /// The inode of an open file in the folder; zero of others.
  std::uint64_t file_of(int fd);

private:
  std::filesystem::path folder_;
  std::map<std::uint64_t, file_image> first_;
  std::map<std::uint64_t, bool> known_;
  std::vector<traced_event> events_;
};

/// What a power cut can leave of a traced run.
struct crash_state {
  std::map<std::string, std::string> files; ///< path and content
  std::uint64_t answered = 0;               ///< the last mark before the cut
  std::size_t at_event = 0;
};

/// Calls `look` with crash states of the trace: at each event, of the writes
/// that aren't synced none, all, and then subsets of their sectors of 512 bytes
/// (all subsets of up to `subsets_max` when there are few sectors, else
/// seeded ones); names are lost from the end backwards until their folder is
/// synced. Returns how many there were; ends when `look` says false.
std::size_t
enumerate_crashes(const write_trace& trace, std::size_t subsets_max,
                  random_source& random,
                  const std::function<bool(const crash_state&)>& look);

/// Makes `folder` hold exactly these files.
void put_files(const std::filesystem::path& folder,
               const std::map<std::string, std::string>& files);

} // namespace banyan::store::test
