#include "store/detail/module_files.hpp"

#include "crypto/hash.hpp"

namespace banyan::store::detail {
namespace {

constexpr std::size_t hashed_at_once = std::size_t{1} << 20;
constexpr std::string_view whole_end = ".so";
constexpr std::string_view partial_end = ".part";

/// `name` without its end is a hash: what `to_hex` wrote, to the letter.
bool read_name(const std::string& name, std::string_view end, digest& out) {
  if (name.size() != 2 * digest::size + end.size()
      || name.compare(2 * digest::size, end.size(), end) != 0)
    return false;
  bytes b;
  const auto text = name.substr(0, 2 * digest::size);
  return from_hex(text, b) && digest::from(b, out) && to_hex(b) == text;
}

failure<store_error> stale(const digest& hash, const char* why) {
  return failure{
      store_error{store_errc::stale, "module " + to_hex(hash.view()) + why}};
}

} // namespace

module_files::module_files(file_system& files, std::string folder)
    : files_{files}, folder_{std::move(folder)} {
}

std::string module_files::whole(const digest& hash) const {
  return folder_ + "/" + to_hex(hash.view()) + std::string{whole_end};
}

std::string module_files::partial(const digest& hash) const {
  return folder_ + "/" + to_hex(hash.view()) + std::string{partial_end};
}

std::string module_files::path(const digest& hash) const {
  return files_.describe(whole(hash));
}

result<std::unique_ptr<file>, store_error>
module_files::open(const std::string& path, bool create) {
  return files_.open(path, create);
}

result<std::map<digest, modules::held>, store_error> module_files::look() {
  std::map<digest, modules::held> out;
  if (auto made = files_.make_folder(folder_); !made)
    return failure{made.error()};
  const auto names = files_.list(folder_);
  if (!names)
    return failure{names.error()};
  for (const auto& name : *names) {
    digest hash;
    const bool is_whole = read_name(name, whole_end, hash);
    if (!is_whole && !read_name(name, partial_end, hash))
      continue;
    auto f = open(folder_ + "/" + name);
    if (!f || *f == nullptr)
      continue; // a link, or not ours to read
    const auto size = (*f)->size();
    if (!size)
      return failure{size.error()};
    auto& h = out[hash];
    if (is_whole)
      h = {*size, true};
    else if (!h.whole)
      h = {*size, false};
  }
  return out;
}

outcome module_files::append(const digest& hash, std::uint64_t offset,
                             const_bytes piece) {
  auto had = open(whole(hash));
  if (!had)
    return failure{had.error()};
  if (*had != nullptr)
    return stale(hash, " is whole already");
  auto f = open(partial(hash), offset == 0);
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return stale(hash, " was not begun here");
  const auto size = (*f)->size();
  if (!size)
    return failure{size.error()};
  if (*size != offset)
    return stale(hash, " goes on elsewhere");
  auto written = (*f)->write(offset, piece);
  if (!written) // what was written of it must not count as the whole piece
    if (auto cut = (*f)->truncate(offset); !cut)
      return cut;
  return written;
}

result<digest, store_error> module_files::hash_of_all(file& f) {
  bytes buffer(hashed_at_once);
  hasher h;
  for (std::uint64_t at = 0;;) {
    const auto got = f.read(at, buffer.data(), buffer.size());
    if (!got)
      return failure{got.error()};
    h.update(const_bytes{buffer}.first(*got));
    at += *got;
    if (*got < buffer.size())
      return h.finish();
  }
}

outcome module_files::finish(const digest& hash) {
  auto f = open(partial(hash));
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return stale(hash, " was not begun here");
  const auto found = hash_of_all(**f);
  if (!found)
    return failure{found.error()};
  if (*found != hash) {
    if (auto gone = files_.remove(partial(hash)); !gone)
      return gone;
    return failure{store_error{store_errc::mismatch,
                               "the bytes that came as module "
                                   + to_hex(hash.view()) + " have the hash "
                                   + to_hex(found->view())}};
  }
  if (auto synced = (*f)->sync(); !synced)
    return synced;
  if (auto named = files_.rename(partial(hash), whole(hash)); !named)
    return named;
  return files_.sync_folder(folder_);
}

outcome module_files::check(const digest& hash) {
  auto f = open(whole(hash));
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return stale(hash, " is not here");
  const auto found = hash_of_all(**f);
  if (!found)
    return failure{found.error()};
  if (*found == hash)
    return {};
  if (auto gone = drop(hash); !gone)
    return gone;
  return failure{store_error{store_errc::damaged,
                             path(hash) + " is not what it was: removed"}};
}

result<bytes, store_error>
module_files::read(const digest& hash, std::uint64_t offset, std::size_t size) {
  auto f = open(whole(hash));
  if (f && *f == nullptr)
    f = open(partial(hash));
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return stale(hash, " is not here");
  bytes out(size);
  const auto got = (*f)->read(offset, out.data(), size);
  if (!got)
    return failure{got.error()};
  out.resize(*got);
  return out;
}

outcome module_files::drop(const digest& hash) {
  if (auto gone = files_.remove(partial(hash)); !gone)
    return gone;
  if (auto gone = files_.remove(whole(hash)); !gone)
    return gone;
  return files_.sync_folder(folder_);
}

} // namespace banyan::store::detail
