#include "crypto/key_file.hpp"

#include "base/descriptor.hpp"
#include "crypto/secret.hpp"
#include "crypto/system_random.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace banyan::key_file {
namespace {

namespace fs = std::filesystem;

failure<key_file_error> io_error(const fs::path& file, const char* what) {
  const int code = errno;
  return {{key_file_errc::io, file.string() + ": cannot " + what + ": "
                                  + std::generic_category().message(code)}};
}

bool write_all(int fd, const_bytes b) {
  while (!b.empty()) {
    const auto n = ::write(fd, b.data(), b.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    b = b.from(static_cast<std::size_t>(n));
  }
  return true;
}

bool sync_directory(const fs::path& dir) {
  const descriptor d{::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  return d.valid() && ::fsync(d.get()) == 0;
}

} // namespace

result<bytes, key_file_error> read(const fs::path& file) {
  // O_NONBLOCK: a FIFO by that name must not hang the start
  const descriptor d{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!d.valid()) {
    if (errno == ENOENT)
      return failure{key_file_error{key_file_errc::missing,
                                    file.string() + ": no such file"}};
    return io_error(file, "open it");
  }
  struct stat info {};
  if (::fstat(d.get(), &info) != 0)
    return io_error(file, "look at it");
  if (!S_ISREG(info.st_mode))
    return failure{key_file_error{key_file_errc::malformed,
                                  file.string() + ": is no regular file"}};
  if ((info.st_mode & 077) != 0)
    return failure{key_file_error{
        key_file_errc::exposed,
        file.string()
            + ": holds a secret, but others have rights to it; run: chmod 600 "
            + file.string()}};
  if (static_cast<std::uintmax_t>(info.st_size) > size_max)
    return failure{
        key_file_error{key_file_errc::malformed, file.string()
                                                     + ": too large for a key "
                                                       "file; is it another?"}};
  bytes content(static_cast<std::size_t>(info.st_size));
  std::size_t have = 0;
  while (have < content.size()) {
    const auto n =
        ::read(d.get(), content.data() + have, content.size() - have);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      wipe(content);
      return io_error(file, "read it");
    }
    if (n == 0)
      break; // cut short meanwhile: whoever parses it will say so
    have += static_cast<std::size_t>(n);
  }
  content.resize(have);
  return content;
}

result<void, key_file_error> create(const fs::path& file, const_bytes content) {
  const fs::path dir =
      file.has_parent_path() ? file.parent_path() : fs::path{"."};
  system_random random;
  const fs::path draft = dir
                         / ("." + file.filename().string() + "."
                            + to_hex(random.array<8>()) + ".tmp");
  const descriptor d{
      ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!d.valid())
    return io_error(file, "create it");
  if (!write_all(d.get(), content) || ::fchmod(d.get(), 0600) != 0
      || ::fsync(d.get()) != 0) {
    auto error = io_error(file, "write it");
    ::unlink(draft.c_str());
    return error;
  }
  // A link, unlike a rename, never replaces what is there.
  if (::link(draft.c_str(), file.c_str()) != 0) {
    auto error = errno == EEXIST ? failure{key_file_error{
                     key_file_errc::exists,
                     file.string()
                         + ": is there already and won't be overwritten; "
                           "move it away first"}}
                                 : io_error(file, "create it");
    ::unlink(draft.c_str());
    return error;
  }
  ::unlink(draft.c_str());
  if (!sync_directory(dir))
    return io_error(file, "sync its directory");
  return {};
}

} // namespace banyan::key_file
