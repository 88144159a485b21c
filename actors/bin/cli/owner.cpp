#include "actors/bin/cli/owner.hpp"

#include "actors/bin/cli/answers.hpp"
#include "actors/bin/cli/deploy_file.hpp"
#include "actors/bin/cli/secrets.hpp"
#include "actors/docs/app_token.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/docs/sign_app.hpp"
#include "actors/docs/spec_map.hpp"

namespace banyan::cli {
namespace {

constexpr auto msgpack = "application/msgpack";

result<owner_file, problem> load_owner(const std::string& file) {
  auto owner = owner_file::load(file);
  if (!owner.ok())
    return failure{problem{exit_code::usage, owner.error().message}};
  return std::move(*owner);
}

} // namespace

result<owner_file, problem> owner_or_local(const std::string& file) {
  if (file.empty())
    return owner_file::local();
  return load_owner(file);
}

// Signatures name the mesh of the owner's file: for another they are worthless.
outcome check_mesh(peer_client& peer, const owner_file& owner,
                   const std::string& file) {
  const auto status = peer.get("/v1/status");
  if (!status.ok())
    return failure{status.error()};
  const auto& mesh = (*status)["mesh"].text();
  if (mesh != owner.mesh_name)
    return failure{problem{exit_code::failed,
                           "this peer is of mesh '" + printable(mesh) + "', "
                               + (file.empty() ? "without --owner NAME.owner "
                                                 "this"
                                               : file)
                               + " is for mesh '" + owner.mesh_name
                               + "'; choose the right one of them"}};
  return {};
}

// What the mesh has under this name; none if it never had.
result<std::optional<app_record>, problem>
current_papers(peer_client& peer, const owner_file& owner,
               const std::string& name, const std::string& id) {
  io::http_call c;
  c.target = "/v1/apps/" + percent_encoded(name) + "/_papers";
  if (!id.empty())
    c.target += "?id=" + percent_encoded(id);
  c.headers.emplace_back("Accept", msgpack);
  const auto r = peer.send(std::move(c), effect::none);
  if (!r.ok()) {
    if (says(r.error(), "not_found"))
      return std::optional<app_record>{};
    return failure{r.error()};
  }
  app_papers p;
  if (!app_papers::decode(as_bytes(r->body), p))
    return failure{problem{exit_code::failed,
                           "the peer's documents of '" + name
                               + "' make no sense; are peer and `banyan` of "
                                 "the same version?"}};
  auto record = open_papers(p, owner.mesh, {owner.key.owner()});
  if (record.ok() && record->genesis.name == name)
    return std::optional<app_record>{std::move(*record)};
  if (!record.ok() && record.error() == papers_errc::untrusted)
    return failure{problem{exit_code::failed,
                           "app '" + name
                               + "' belongs to another owner; use that owner's "
                                 "file, or choose another name"}};
  return failure{
      problem{exit_code::failed,
              "the peer's documents of '" + name
                  + "' are not signed as they should be; ask another "
                    "peer"}};
}

namespace {

/// Apart from the secrets' values, of which nobody can say here whether they
/// are the same, and from what no spec file says: the token among it.
bool same_spec(app_spec a, const app_spec& b) {
  a.secret_box = b.secret_box;
  a.secret_keys = b.secret_keys;
  a.token_hash = b.token_hash;
  a.undeletes = b.undeletes;
  a.restoring = b.restoring;
  return app_version{{}, a, {}}.encode() == app_version{{}, b, {}}.encode();
}

class owner_deploy {
public:
  owner_deploy(const session& s, peer_client& peer, const spec_source& spec,
               const deploy_options& o, const owner_file& owner,
               const secret_values& secrets, std::string& token)
      : session_{s}, peer_{peer}, spec_{spec}, options_{o}, owner_{owner},
        secrets_{secrets}, token_{token}, file_{deploy_file::path_of(
                                              o.spec, spec.spec.name)} {}

  deploy_result run() {
    auto found = current_papers(peer_, owner_, spec_.spec.name);
    if (!found.ok())
      return failure{found.error()};
    auto kept = load_kept();
    if (!kept.ok())
      return failure{kept.error()};
    const bool alive = *found && !(*found)->deleted;
    if (alive)
      return update(**found,
                    *kept && (*kept)->id == (*found)->id ? *kept : none_);
    const bool stale = *kept && *found && (*kept)->id == (*found)->id;
    if (!*kept || stale)
      return birth();
    note("sending the signed deploy in " + file_.string()
         + " again, which was not finished; to begin anew, delete that file");
    auto sent = send((*kept)->papers);
    if (!sent.ok()
        || (same_spec((*kept)->version.spec, spec_.spec) && secrets_.empty()
            && !needs_token((*kept)->version.spec)))
      return sent;
    return update(**kept, none_);
  }

private:
  result<std::optional<app_record>, problem> load_kept() {
    const auto papers = deploy_file::load(file_);
    if (!papers.ok())
      return failure{papers.error()};
    if (!*papers)
      return std::optional<app_record>{};
    auto record = open_papers(**papers, owner_.mesh, {owner_.key.owner()});
    if (!record.ok() || record->genesis.name != spec_.spec.name)
      return failure{problem{exit_code::failed,
                             file_.string()
                                 + " holds an unfinished deploy of another "
                                   "owner, mesh or app; finish it with that "
                                   "owner's file, or delete it"}};
    return std::optional<app_record>{std::move(*record)};
  }

  deploy_result birth() {
    auto spec = spec_.spec;
    const auto seal = [&](const prepared_app& where) {
      std::set<node_id> nodes;
      for (const auto& shard : where.voters)
        for (const auto& r : shard)
          nodes.insert(r.node);
      return put_secrets(spec, where.nonce, secrets_, nullptr, nodes,
                         session_.random);
    };
    // What is missing is said before any node makes anything.
    if (auto complete = seal({}); !complete.ok())
      return failure{complete.error()};
    if (options_.strict) { // before any node makes anything
      const auto planned = ask_plan(peer_, spec_, false);
      if (!planned.ok())
        return planned;
      if (auto strict = check_strict(*planned); !strict.ok())
        return failure{strict.error()};
    }
    const auto planned = ask_plan(peer_, spec_, true);
    if (!planned.ok())
      return planned;
    if (auto strict = check_strict(*planned); options_.strict && !strict.ok())
      return failure{strict.error()};
    value v;
    prepared_app where;
    if (!value::decode(*planned, v)
        || !read_prepared(v, where, spec.kind == app_kind::stateless)
        || where.voters.size() != spec_.spec.shards)
      return failure{problem{exit_code::failed,
                             "the peer's plan makes no sense; are peer and "
                             "`banyan` of the same version?"}};
    if (auto sealed = seal(where); !sealed.ok())
      return failure{sealed.error()};
    std::string token;
    if (needs_token({}))
      token = put_token(spec);
    const auto papers =
        sign_birth(owner_.key, owner_.mesh, spec, where, session_.random);
    if (!papers.ok())
      return failure{
          problem{exit_code::failed, "the peer names a node that is none: "
                                         + to_string(papers.error())
                                         + "; ask another peer"}};
    auto sent = keep_and_send(*papers, token);
    if (!sent.ok())
      return sent;
    value answer;
    static_cast<void>(value::decode(*sent, answer)); // checked by `send`
    return with_app(*planned, answer["app"].text());
  }

  deploy_result update(const app_record& base,
                       const std::optional<app_record>& kept) {
    if ((spec_.spec.kind == app_kind::stateless) != base.genesis.stateless())
      return failure{problem{exit_code::failed,
                             "kind is fixed at birth: remove the app, then "
                             "deploy it anew"}};
    if (spec_.spec.shards != base.genesis.shards())
      return failure{problem{
          exit_code::failed,
          "shards is fixed at birth: " + std::to_string(base.genesis.shards())
              + "; write that, or deploy under another name"}};
    const bool further = kept && kept->number > base.number;
    const auto& newest = further ? *kept : base;
    const bool draws = needs_token(newest.version.spec);
    if (same_spec(newest.version.spec, spec_.spec) && secrets_.empty()
        && !draws)
      return send(newest.papers); // again: the peers change nothing twice
    auto spec = spec_.spec;
    const auto hosts = hosts_of(newest);
    if (auto sealed = put_secrets(spec, newest.genesis.nonce, secrets_,
                                  &newest.version.spec, hosts, session_.random);
        !sealed.ok())
      return failure{sealed.error()};
    const auto token = draws ? put_token(spec) : std::string{};
    return keep_and_send(
        sign_update(owner_.key, owner_.mesh, newest, spec, newest.number + 1),
        token);
  }

  /// The nodes that have its voters now, as far as the peer knows; a further
  /// one gets the key from these. Of a stateless app: all that may run it, for
  /// nobody there hands keys on.
  std::set<node_id> hosts_of(const app_record& a) {
    std::set<node_id> out;
    if (a.genesis.stateless()) {
      value plan;
      prepared_app where;
      if (const auto p = ask_plan(peer_, spec_, false);
          p.ok() && value::decode(*p, plan) && read_prepared(plan, where, true))
        for (const auto& r : where.voters.front())
          out.insert(r.node);
      return out;
    }
    if (const auto v = peer_.get("/v1/apps/" + percent_encoded(a.genesis.name));
        v.ok())
      for (const auto& g : (*v)["groups"].items())
        for (const auto& r : g["voters"].items())
          if (node_id n; parse_id(r["node"].text(), n))
            out.insert(n);
    if (out.empty())
      for (const auto& shard : a.genesis.voters)
        for (const auto& r : shard)
          out.insert(r.node);
    return out;
  }

  /// In mesh `local`, where everything is on loopback, only when asked for.
  [[nodiscard]] bool needs_token(const app_spec& old) const {
    return options_.new_token
           || (!options_.owner.empty() && spec_.spec.access == app_access::token
               && old.token_hash.empty());
  }
  std::string put_token(app_spec& spec) {
    auto t = new_app_token(session_.random);
    spec.token_hash = std::move(t.hash);
    return std::move(t.text);
  }

  deploy_result keep_and_send(const app_papers& p, const std::string& token) {
    if (auto kept = deploy_file::store(file_, p); !kept.ok())
      return failure{kept.error()};
    token_ = token;
    return send(p);
  }

  deploy_result send(const app_papers& p) {
    io::http_call c;
    c.method = "PUT";
    c.target = "/v1/apps/" + percent_encoded(spec_.spec.name);
    c.body = to_text(p.encode());
    c.headers.emplace_back("Content-Type", msgpack);
    c.headers.emplace_back("Accept", msgpack);
    auto r = peer_.send(std::move(c), effect::changes);
    if (!r.ok()) {
      auto why = r.error();
      if (why.code == exit_code::unknown)
        why.message += "; repeat the same command: it sends the same signed "
                       "bytes from "
                       + file_.string();
      return failure{std::move(why)};
    }
    value v;
    if (!value::decode(as_bytes(r->body), v))
      return failure{problem{exit_code::unknown,
                             "the peer's answer makes no sense; `banyan apps "
                                 + spec_.spec.name
                                 + "` shows what became of "
                                   "the deploy"}};
    return to_bytes(r->body);
  }

  const session& session_;
  peer_client& peer_;
  const spec_source& spec_;
  const deploy_options& options_;
  const owner_file& owner_;
  const secret_values& secrets_;
  std::string& token_;
  const std::filesystem::path file_;
  const std::optional<app_record> none_;
};

} // namespace

deploy_result ask_plan(peer_client& peer, const spec_source& spec,
                       bool prepare) {
  io::http_call c;
  c.method = "POST";
  c.target = prepare ? "/v1/plan?prepare=1" : "/v1/plan";
  if (spec.modules.empty()) {
    c.body = spec.toml;
    c.headers.emplace_back("Content-Type", "application/toml");
  } else { // with the hashes of its modules
    c.body = to_text(spec_map(spec.spec));
    c.headers.emplace_back("Content-Type", msgpack);
  }
  c.headers.emplace_back("Accept", msgpack);
  auto r = peer.send(std::move(c), effect::none);
  if (!r.ok())
    return failure{r.error()};
  value v;
  if (!value::decode(as_bytes(r->body), v))
    return failure{problem{exit_code::failed,
                           "the peer's plan makes no sense; are peer and "
                           "`banyan` of the same version?"}};
  return to_bytes(r->body);
}

outcome check_strict(const_bytes plan) {
  value v;
  if (!value::decode(plan, v) || v["warnings"].items().empty())
    return {};
  return failure{
      problem{exit_code::failed,
              "--strict: " + printable(v["warnings"].items().front().text())
                  + "; start more peers, or deploy without "
                    "--strict"}};
}

deploy_result deploy_as_owner(const session& s, peer_client& peer,
                              const spec_source& spec, const deploy_options& o,
                              std::string& token) {
  const auto secrets = read_secrets(o, spec.spec);
  if (!secrets.ok())
    return failure{secrets.error()};
  auto owner = o.owner.empty()
                   ? result<owner_file, problem>{owner_file::local()}
                   : load_owner(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  if (auto right = check_mesh(peer, *owner, o.owner); !right.ok()) {
    auto why = right.error();
    if (o.owner.empty() && why.code == exit_code::failed)
      why.message = "this mesh has owners: deploy with --owner NAME.owner";
    return failure{std::move(why)};
  }
  if (auto there = upload_modules(peer, spec.modules); !there.ok())
    return failure{there.error()};
  return owner_deploy{s, peer, spec, o, *owner, *secrets, token}.run();
}

void deploy_is_done(const spec_source& spec, const deploy_options& o) {
  if (!o.owner.empty() || !spec.spec.secrets.empty() || o.new_token)
    deploy_file::remove(deploy_file::path_of(o.spec, spec.spec.name));
}

deploy_result remove_as_owner(peer_client& peer, const remove_options& o) {
  const auto owner = load_owner(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  if (auto right = check_mesh(peer, *owner, o.owner); !right.ok())
    return failure{right.error()};
  const auto found = current_papers(peer, *owner, o.app, o.id);
  if (!found.ok())
    return failure{found.error()};
  if (!*found)
    return failure{problem{exit_code::failed,
                           "not_found: no app named '" + o.app
                               + "'; `banyan apps` lists what there is"}};
  io::http_call c;
  c.method = "DELETE";
  c.target = "/v1/apps/" + percent_encoded(o.app);
  // Signed twice, the bytes are the same: a lost answer needs no file.
  const auto papers = (*found)->deleted
                          ? (*found)->papers
                          : sign_removal(owner->key, owner->mesh, **found);
  c.body = to_text(papers.encode());
  c.headers.emplace_back("Content-Type", msgpack);
  c.headers.emplace_back("Accept", msgpack);
  auto r = peer.send(std::move(c), effect::changes);
  if (!r.ok())
    return failure{r.error()};
  return to_bytes(r->body);
}

} // namespace banyan::cli
