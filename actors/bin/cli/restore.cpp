#include "actors/bin/cli/answers.hpp"
#include "actors/bin/cli/backup_file.hpp"
#include "actors/bin/cli/owner.hpp"
#include "actors/docs/sign_app.hpp"
#include "actors/pure/backup/entries.hpp"

#include <chrono>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto msgpack = "application/msgpack";
constexpr std::size_t piece_bytes = 900 * 1024; ///< of one request
constexpr std::size_t batch_bytes = 700 * 1024; ///< of entries
constexpr auto retry_within = std::chrono::seconds{60};
constexpr auto retry_pause = std::chrono::milliseconds{200};

class restoring {
public:
  restoring(const session& s, peer_client& peer, backup_file& file,
            const owner_file& from, const owner_file& owner, std::string name)
      : session_{s}, peer_{peer}, file_{file}, from_{from}, owner_{owner},
        name_{std::move(name)} {}

  outcome run() {
    note("checking " + counted(file_.header().shards, "shard"));
    auto contents = inspect(file_, from_, [](std::uint32_t) {});
    if (!contents.ok())
      return failure{contents.error()};
    contents_ = std::move(*contents);
    if (!contents_.cut.impossible.empty())
      return failure{
          problem{exit_code::failed,
                  contents_.cut.impossible + "; nothing was restored"}};
    if (auto made = make_app(); !made.ok())
      return made;
    const auto led = wait_for_leaders(peer_, name_);
    if (!led.ok())
      return failure{led.error()};
    for (std::uint32_t s = 0; s < file_.header().shards; ++s)
      if (auto loaded = load(s); !loaded.ok())
        return failure{problem{
            loaded.error().code,
            loaded.error().message + "; '" + name_
                + "' stays closed: repeat the command to go on, or `banyan "
                  "remove "
                + name_ + "`"}};
    return open_app();
  }

private:
  outcome make_app() {
    spec_ = file_.app().version.spec;
    spec_.name = name_;
    spec_.restoring =
        bytes{file_.header().number.begin(), file_.header().number.end()};
    spec_.undeletes = 0;
    if (!spec_.secrets.empty())
      note("warning: the secrets of the app are sealed to the nodes that it "
           "had: deploy its spec with them once it is restored");
    spec_.secrets.clear();
    spec_.secret_box.clear();
    spec_.secret_keys.clear();
    auto found = current_papers(peer_, owner_, name_);
    if (!found.ok())
      return failure{found.error()};
    if (*found && !(*found)->deleted) {
      if ((*found)->version.spec.restoring != spec_.restoring)
        return failure{problem{
            exit_code::failed,
            "conflict: there is an app named '" + name_
                + "': give the restored one another name with --as NAME, or "
                  "`banyan remove "
                + name_ + "` first"}};
      note("going on with the restore that was begun");
      app_ = std::move(**found);
      return {};
    }
    io::http_call c;
    c.method = "POST";
    c.target = "/v1/plan?prepare=1";
    c.body = to_text(app_version{{}, spec_, {}}.encode());
    c.headers.emplace_back("Content-Type", "application/x-banyan-version");
    c.headers.emplace_back("Accept", msgpack);
    const auto planned = peer_.send(std::move(c), effect::none);
    if (!planned.ok())
      return failure{planned.error()};
    value v;
    prepared_app where;
    if (!value::decode(as_bytes(planned->body), v) || !read_prepared(v, where)
        || where.voters.size() != spec_.shards)
      return failure{problem{exit_code::failed,
                             "the peer's plan makes no sense; are peer and "
                             "`banyan` of the same version?"}};
    for (const auto& line : v["warnings"].items())
      note("warning: " + printable(line.text()));
    const auto papers =
        sign_birth(owner_.key, owner_.mesh, spec_, where, session_.random);
    if (!papers.ok())
      return failure{
          problem{exit_code::failed, "the peer names a node that is none: "
                                         + to_string(papers.error())}};
    auto opened = open_papers(*papers, owner_.mesh, {owner_.key.owner()});
    if (!opened.ok())
      return failure{problem{exit_code::failed,
                             "the peer's plan makes no app; ask another peer"}};
    app_ = std::move(*opened);
    return send(app_.papers);
  }

  outcome send(const app_papers& p) {
    io::http_call c;
    c.method = "PUT";
    c.target = "/v1/apps/" + percent_encoded(name_);
    c.body = to_text(p.encode());
    c.headers.emplace_back("Content-Type", msgpack);
    c.headers.emplace_back("Accept", msgpack);
    auto r = peer_.send(std::move(c), effect::changes);
    if (r.ok())
      return {};
    auto why = r.error();
    if (why.code == exit_code::unknown)
      why.message += "; repeat the same command: it goes on where this ended";
    return failure{std::move(why)};
  }

  outcome load(std::uint32_t shard) {
    note("loading shard " + std::to_string(shard) + " of "
         + std::to_string(file_.header().shards));
    const auto image = file_.load(from_, shard, contents_.cut.at[shard]);
    if (!image.ok())
      return failure{image.error()};
    std::vector<bytes> batch;
    std::size_t size = 0;
    outcome sent;
    const auto flush = [&] {
      if (!batch.empty())
        sent = post(shard, batch);
      batch.clear();
      size = 0;
      return sent.ok();
    };
    const auto why = backup::make_entries(
        **image, shard, contents_.marks, contents_.cut, file_.header().id,
        app_.id, file_.header().app, name_, counts_, [&](const bytes& entry) {
          if (size + entry.size() > batch_bytes && !flush())
            return false;
          size += entry.size();
          batch.push_back(entry);
          return true;
        });
    if (!sent.ok() || (why.empty() && !flush()))
      return sent;
    if (!why.empty())
      return failure{problem{exit_code::failed,
                             "shard " + std::to_string(shard) + ": " + why}};
    return {};
  }

  /// Loading the same twice changes nothing: tried until it is answered.
  outcome post(std::uint32_t shard, const std::vector<bytes>& entries) {
    bytes body;
    writer w{body};
    w.array(entries.size());
    for (const auto& e : entries)
      w.blob(e);
    using clock = std::chrono::steady_clock;
    const auto until = clock::now() + retry_within;
    for (;;) {
      const auto done = post_once(shard, body);
      if (done.ok() || says(done.error(), "conflict")
          || says(done.error(), "invalid_argument")
          || says(done.error(), "too_large")
          || says(done.error(), "unauthorized")
          || says(done.error(), "disk_full") || clock::now() >= until)
        return done;
      std::this_thread::sleep_for(retry_pause);
    }
  }

  outcome post_once(std::uint32_t shard, const bytes& body) {
    const auto text = as_text(body);
    for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
      io::http_call c;
      c.method = "POST";
      c.target = "/v1/apps/" + percent_encoded(name_)
                 + "/_restore?shard=" + std::to_string(shard);
      if (at == 0)
        c.target += "&first=1";
      if (at + piece_bytes < text.size())
        c.target += "&more=1";
      c.timeout = std::chrono::seconds{60};
      c.body = text.substr(at, piece_bytes);
      c.headers.emplace_back("Accept", msgpack);
      auto r = peer_.send(std::move(c), effect::none);
      if (!r.ok())
        return failure{r.error()};
    }
    return {};
  }

  outcome open_app() {
    // All that was loaded is committed: from here on it is an app.
    if (auto sent = send(sign_restored(owner_.key, owner_.mesh, app_));
        !sent.ok())
      return sent;
    std::string text =
        name_ + " is restored from the backup of '"
        + printable(file_.header().app) + "' of mesh '"
        + printable(file_.header().mesh_name)
        + "': " + counted(counts_.actors, "actor") + ", "
        + counted(counts_.rows, "table row") + ", "
        + counted(counts_.timers, "timer") + " in "
        + counted(spec_.shards, "shard")
        + ", a new lineage\nkept: " + counted(counts_.answers, "answer")
        + " of idempotency keys, " + counted(counts_.messages, "message")
        + " between its shards\nnot kept: "
        + counted(counts_.sessions, "session")
        + " (their clients get `expired`)";
    if (counts_.messages_left > 0)
      text +=
          ", " + counted(counts_.messages_left, "message") + " to other apps";
    if (counts_.was_stopped)
      text += "\nit was stopped as the backup was taken; now it runs";
    print(text);
    return {};
  }

  const session& session_;
  peer_client& peer_;
  backup_file& file_;
  const owner_file& from_;
  const owner_file& owner_;
  const std::string name_;
  backup_contents contents_;
  app_spec spec_;
  app_record app_;
  backup::restored_counts counts_;
};

} // namespace

outcome restore(const session& s, const restore_options& o) {
  if (!o.as.empty() && !is_app_name(o.as))
    return failure{problem{exit_code::usage,
                           "--as: '" + printable(o.as)
                               + "' is no app name: 1 to 63 of a-z, 0-9, _ and "
                                 "-, a letter first"}};
  auto file = backup_file::open(o.file);
  if (!file.ok())
    return failure{file.error()};
  const auto from =
      owner_of(*file, o.from_owner.empty() ? o.owner : o.from_owner);
  if (!from.ok())
    return failure{from.error()};
  const auto owner = owner_or_local(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  if (auto right = check_mesh(*peer, *owner, o.owner); !right.ok())
    return right;
  return restoring{s,     *peer,  *file,
                   *from, *owner, o.as.empty() ? file->header().app : o.as}
      .run();
}

} // namespace banyan::cli
