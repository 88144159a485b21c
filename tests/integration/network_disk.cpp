// Preloaded into a peer: every file system says that it is NFS.
#include <sys/statfs.h>

#include <cstring>

namespace {

template <class T>
int nfs(T* out) {
  std::memset(out, 0, sizeof *out);
  out->f_type = 0x6969;
  return 0;
}

} // namespace

extern "C" {
int statfs(const char*, struct statfs* out) noexcept {
  return nfs(out);
}
int fstatfs(int, struct statfs* out) noexcept {
  return nfs(out);
}
int statfs64(const char*, struct statfs64* out) noexcept {
  return nfs(out);
}
int fstatfs64(int, struct statfs64* out) noexcept {
  return nfs(out);
}
}
