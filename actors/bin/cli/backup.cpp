#include "actors/bin/cli/backup_file.hpp"
#include "actors/bin/cli/commands.hpp"
#include "actors/host/json.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>

namespace banyan::cli {
namespace {

std::string utc(std::int64_t unix_ms) {
  const auto seconds = static_cast<std::time_t>(unix_ms / 1000);
  std::tm t{};
  if (::gmtime_r(&seconds, &t) == nullptr)
    return "?";
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &t);
  return text.data();
}

std::string size_text(std::uint64_t n) {
  if (n < 10'000)
    return std::to_string(n) + " B";
  if (n < 10'000'000)
    return std::to_string(n / 1024) + " KiB";
  return std::to_string(n >> 20) + " MiB";
}

problem unwritten(int error) {
  return {exit_code::failed,
          "standard output: " + std::generic_category().message(error)
              + "; what was written is no backup"};
}

/// Writes the file as it comes and reads it along.
class along {
public:
  bool take(std::string_view data) {
    reader_.add(as_bytes(data));
    while (auto f = reader_.next()) {
      if (const auto* h = std::get_if<backup::header>(&*f))
        shards_ = h->shards;
      if (std::get_if<backup::stream_begin>(&*f) != nullptr)
        note("copying shard "
             + std::to_string(std::get<backup::stream_begin>(*f).shard) + " of "
             + std::to_string(shards_) + ", from "
             + short_string(std::get<backup::stream_begin>(*f).node)
             + (std::get<backup::stream_begin>(*f).led
                    ? " (its leader: no follower could be read)"
                    : ""));
    }
    size_ += data.size();
    while (!data.empty()) {
      const auto n = ::write(STDOUT_FILENO, data.data(), data.size());
      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0) {
        error_ = errno;
        return false;
      }
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    return !reader_.bad();
  }
  outcome end() {
    if (error_ != 0)
      return failure{unwritten(error_)};
    if (!reader_.finish())
      return failure{
          problem{exit_code::failed, "the backup is not whole: "
                                         + printable(reader_.bad()->message)}};
    if (::fsync(STDOUT_FILENO) != 0 && errno != EINVAL && errno != EROFS)
      return failure{unwritten(errno)};
    return {};
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint32_t shards() const { return shards_; }

private:
  backup::file_reader reader_;
  std::uint64_t size_ = 0;
  std::uint32_t shards_ = 0;
  int error_ = 0;
};

outcome print_json(const backup_file& file, const backup_contents& c) {
  bytes b;
  writer w{b};
  const auto& h = file.header();
  w.map(9).text("app").text(h.app).text("id").text(to_string(h.id));
  w.text("mesh").text(h.mesh_name).text("version").uint(file.app().number);
  w.text("lineage").text(to_string(h.lineage));
  w.text("at_unix_ms").sint(h.at_unix_ms).text("bytes").uint(file.size());
  w.text("consistent").boolean(c.cut.impossible.empty());
  w.text("shards").array(c.shards.size());
  for (std::uint32_t s = 0; s < c.shards.size(); ++s) {
    const auto& x = c.shards[s];
    w.map(9).text("shard").uint(s).text("term").id(x.term);
    w.text("index").id(x.index).text("cut").id(c.cut.at[s]);
    w.text("actors").uint(x.actors).text("rows").uint(x.rows);
    w.text("bytes").uint(x.size);
    w.text("digest").text(to_hex(x.digest.view()));
    w.text("from").text(to_string(file.begin(s).node));
  }
  const auto json = msgpack_to_json(b);
  if (!json.ok())
    return failure{problem{exit_code::failed, json.error().message}};
  print(*json);
  return {};
}

} // namespace

outcome backup(const session& s, const std::string& app) {
  if (!is_app_name(app))
    return failure{problem{exit_code::usage,
                           "'" + printable(app)
                               + "' is no app name; `banyan apps` lists what "
                                 "there is"}};
  if (::isatty(STDOUT_FILENO) == 1)
    return failure{problem{exit_code::usage,
                           "a backup is no text: write it to a file, as in "
                           "`banyan backup "
                               + app + " > " + app + ".backup`"}};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  io::http_call c;
  c.target = "/v1/apps/" + percent_encoded(app) + "/_backup";
  c.timeout = duration::zero();
  along file;
  const auto got = peer->stream(
      std::move(c), [&](std::string_view data) { return file.take(data); });
  if (!got.ok() && file.size() == 0)
    return failure{got.error()};
  if (auto whole = file.end(); !whole.ok())
    return whole;
  note(app + ": " + counted(file.shards(), "shard") + ", "
       + size_text(file.size())
       + ", sealed for its owner; `banyan verify FILE --owner NAME.owner` "
         "restores it into a sandbox");
  return {};
}

outcome verify_backup(const session& s, const verify_options& o) {
  auto file = backup_file::open(o.file);
  if (!file.ok())
    return failure{file.error()};
  const auto owner = owner_of(*file, o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  const auto contents = inspect(*file, *owner, [](std::uint32_t) {});
  if (!contents.ok())
    return failure{contents.error()};
  const auto& c = *contents;
  if (s.json)
    return print_json(*file, c);
  const auto& h = file->header();
  table t{{"SHARD", "TERM", "INDEX", "CUT", "ACTORS", "ROWS", "BYTES", "FROM"}};
  std::uint64_t actors = 0;
  for (std::uint32_t i = 0; i < c.shards.size(); ++i) {
    const auto& x = c.shards[i];
    actors += x.actors;
    t.row({std::to_string(i), std::to_string(x.term.value()),
           std::to_string(x.index.value()), std::to_string(c.cut.at[i].value()),
           std::to_string(x.actors), std::to_string(x.rows),
           std::to_string(x.size),
           short_string(file->begin(i).node)
               + (file->begin(i).led ? " (leader)" : "")});
  }
  print("app " + h.app + " of mesh " + h.mesh_name + ", version "
        + std::to_string(file->app().number) + ", taken " + utc(h.at_unix_ms)
        + "\nid " + to_string(h.id) + "\nlineage " + to_string(h.lineage) + "\n"
        + t.text() + "whole: " + counted(file->frames(), "frame") + ", "
        + size_text(file->size()) + ", " + counted(actors, "actor")
        + "; every checksum, seal and digest is right");
  if (!c.cut.impossible.empty())
    return failure{problem{exit_code::failed, c.cut.impossible}};
  print("restored, each shard stands at its CUT: no message between shards is "
        "lost or doubled");
  return {};
}

} // namespace banyan::cli
