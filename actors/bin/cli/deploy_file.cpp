#include "actors/bin/cli/deploy_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace banyan::cli::deploy_file {
namespace {

namespace fs = std::filesystem;

problem io_problem(const fs::path& file, int error) {
  return {exit_code::failed,
          file.string() + ": " + std::generic_category().message(error)
              + "; nothing was sent: what is signed is kept before it is sent"};
}

bool write_all(int fd, const_bytes content) {
  while (!content.empty()) {
    const auto n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return false;
    content = content.from(static_cast<std::size_t>(n));
  }
  return ::fsync(fd) == 0;
}

} // namespace

fs::path path_of(const fs::path& spec, const std::string& app) {
  return spec.parent_path() / (app + ".deploy");
}

result<std::optional<app_papers>, problem> load(const fs::path& file) {
  std::error_code ec;
  if (!fs::exists(file, ec))
    return std::optional<app_papers>{};
  std::ifstream in{file, std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{in}, {}};
  app_papers p;
  if (!in || !app_papers::decode(as_bytes(content), p))
    return failure{problem{exit_code::usage,
                           file.string()
                               + " should hold a signed deploy that was not "
                                 "finished, but can't be read; delete it to "
                                 "deploy anew"}};
  return std::optional<app_papers>{std::move(p)};
}

result<void, problem> store(const fs::path& file, const app_papers& p) {
  return store(file, p.encode());
}

result<void, problem> store(const fs::path& file, const bytes& content) {
  fs::path temporary = file;
  temporary += ".new";
  const int fd =
      ::open(temporary.c_str(),
             O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return failure{io_problem(temporary, errno)};
  const bool written = write_all(fd, content);
  const int error = errno;
  ::close(fd);
  if (!written)
    return failure{io_problem(temporary, error)};
  if (::rename(temporary.c_str(), file.c_str()) != 0)
    return failure{io_problem(file, errno)};
  const auto parent = file.parent_path();
  const int dir = ::open(parent.empty() ? "." : parent.c_str(),
                         O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0)
    return failure{io_problem(file, errno)};
  const bool synced = ::fsync(dir) == 0;
  const int dir_error = errno;
  ::close(dir);
  if (!synced)
    return failure{io_problem(file, dir_error)};
  return {};
}

void remove(const fs::path& file) {
  std::error_code ignored; // left over, it is re-sent and changes nothing
  fs::remove(file, ignored);
}

} // namespace banyan::cli::deploy_file
