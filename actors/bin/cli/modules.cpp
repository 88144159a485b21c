#include "actors/bin/cli/modules.hpp"

#include "base/target.hpp"
#include "crypto/hash.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <thread>

namespace banyan::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr std::size_t piece_bytes = std::size_t{512} << 10;
constexpr std::size_t read_bytes = std::size_t{1} << 20;
/// The peer hashes a module and syncs it before it answers the last piece.
constexpr auto last_piece_patience = 120s;
constexpr auto busy_patience = 60s; ///< it fetches or hashes that very module
constexpr auto busy_pause = 200ms;
constexpr auto say_every = 1s;

failure<problem> wrong(const fs::path& file, const std::string& why) {
  return failure{problem{exit_code::usage, file.string() + ": " + why}};
}

std::string mebibytes(std::uint64_t n) {
  return std::to_string((n + (1U << 20) - 1) >> 20) + " MiB";
}

result<module_ref, problem> read_module(const fs::path& file,
                                        const std::string& target) {
  std::error_code error;
  if (!fs::is_regular_file(file, error))
    return wrong(file, "no such file; [module] names files relative to the "
                       "spec's folder");
  const auto size = fs::file_size(file, error);
  if (error)
    return wrong(file, error.message());
  if (size == 0 || size > module_bytes_max)
    return wrong(file, "has " + mebibytes(size)
                           + "; a module has at least one byte and at most "
                             "512 MiB: strip it, or split the app");
  std::ifstream in{file, std::ios::binary};
  std::string buffer(read_bytes, '\0');
  module_ref ref;
  ref.target = target;
  hasher h;
  while (in && ref.size <= size) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    const auto got = static_cast<std::size_t>(in.gcount());
    const auto b = as_bytes(buffer).first(got);
    if (ref.size == 0) {
      const auto found = target_of_library(b);
      if (found.empty())
        return wrong(file, "is no shared library that a peer could load; build "
                           "it with banyan_add_app, or -shared");
      if (found != target)
        return wrong(file, "is a library for " + found + ", the spec says "
                               + target
                               + ": name it for the one that it is for");
    }
    h.update(b);
    ref.size += got;
  }
  if (in.bad() || ref.size != size)
    return wrong(file, "can't be read, or changes while it is read");
  ref.hash = h.finish();
  return ref;
}

/// What a peer has of a module.
struct standing {
  std::uint64_t have = 0;
  bool complete = false;
};

result<standing, problem> look(peer_client& peer, const std::string& hash) {
  const auto found = peer.get("/v1/modules/" + hash);
  if (!found.ok()) {
    // A peer that fetches it, or has it in no part, has nothing to show.
    if (says(found.error(), "not_found"))
      return standing{};
    return failure{found.error()};
  }
  return standing{(*found)["have"].uint(), (*found)["complete"].boolean()};
}

class upload {
public:
  upload(peer_client& peer, const local_module& m)
      : peer_{peer}, module_{m}, hash_{to_hex(m.ref.hash.view())},
        in_{m.file, std::ios::binary}, said_{clock::now()} {}

  outcome run() {
    auto at = look(peer_, hash_);
    auto busy_until = clock::now() + busy_patience;
    for (;;) {
      if (!at.ok())
        return failure{at.error()};
      if (at->complete)
        return {};
      const auto from = at->have;
      at = put(from);
      if (at.ok()) {
        say(at->have);
        busy_until = clock::now() + busy_patience;
        continue;
      }
      const bool busy = says(at.error(), "overloaded");
      if ((!busy && !says(at.error(), "conflict"))
          || clock::now() >= busy_until)
        return failure{at.error()};
      if (busy)
        std::this_thread::sleep_for(busy_pause);
      at = look(peer_, hash_); // where it goes on
    }
  }

private:
  result<standing, problem> put(std::uint64_t offset) {
    const auto size = module_.ref.size;
    io::http_call c;
    c.method = "PUT";
    c.target = "/v1/modules/" + hash_ + "?offset=" + std::to_string(offset)
               + "&size=" + std::to_string(size);
    const auto n =
        std::min<std::uint64_t>(piece_bytes, size - std::min(size, offset));
    c.body.resize(static_cast<std::size_t>(n));
    in_.clear();
    in_.seekg(static_cast<std::streamoff>(offset));
    in_.read(c.body.data(), static_cast<std::streamsize>(n));
    if (static_cast<std::uint64_t>(in_.gcount()) != n)
      return wrong(module_.file, "changes while it is read; deploy again");
    c.headers.emplace_back("Content-Type", "application/octet-stream");
    c.headers.emplace_back("Accept", "application/msgpack");
    c.timeout = last_piece_patience;
    const auto r = peer_.send(std::move(c), effect::none);
    if (!r.ok())
      return failure{r.error()};
    value v;
    if (!value::decode(as_bytes(r->body), v))
      return failure{problem{exit_code::failed,
                             "the peer's answer makes no sense; are peer and "
                             "`banyan` of the same version?"}};
    return standing{v["have"].uint(), v["complete"].boolean()};
  }

  void say(std::uint64_t have) {
    const auto now = clock::now();
    const auto size = module_.ref.size;
    if (have < size && now - said_ < say_every)
      return;
    said_ = now;
    note("uploading " + module_.file.string() + " (" + module_.ref.target
         + "): " + std::to_string(have * 100 / size) + " % of "
         + mebibytes(size));
  }

  peer_client& peer_;
  const local_module& module_;
  const std::string hash_;
  std::ifstream in_;
  clock::time_point said_;
};

} // namespace

result<std::vector<local_module>, problem>
read_modules(const fs::path& spec, const std::vector<module_file>& files) {
  std::vector<local_module> out;
  for (const auto& f : files) {
    const auto file =
        f.file.is_absolute() ? f.file : spec.parent_path() / f.file;
    auto ref = read_module(file, f.target);
    if (!ref.ok())
      return failure{ref.error()};
    out.push_back({file, std::move(*ref)});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.ref.target < b.ref.target;
  });
  return out;
}

outcome upload_modules(peer_client& peer,
                       const std::vector<local_module>& modules) {
  for (const auto& m : modules)
    if (auto done = upload{peer, m}.run(); !done.ok())
      return done;
  return {};
}

} // namespace banyan::cli
