// `banyan policy`: what the mesh demands of its nodes, signed by an owner.
#include "actors/docs/policy.hpp"

#include "actors/bin/cli/allow.hpp"
#include "actors/bin/cli/deploy_file.hpp"
#include "actors/bin/cli/look.hpp"
#include "actors/bin/cli/owner.hpp"
#include "actors/bin/cli/policy_values.hpp"
#include "actors/bin/cli/text.hpp"

#include <fstream>
#include <iterator>

namespace banyan::cli {
namespace {

constexpr auto msgpack = "application/msgpack";
constexpr std::size_t file_bytes_max = std::size_t{64} << 10;

std::string policy_text(const value& v) {
  std::string out;
  if (v["version"].uint() == 0)
    out = "no policy is signed: these are the defaults\n";
  else
    out = "version " + v["version"].shown() + ", signed by owner "
          + printable(v["signer"].text()) + "\n";
  if (v["conflict"].boolean())
    out += "CONFLICT: two owners' documents have this version; nothing is "
           "enforced until a higher one is signed\n";
  out += v["enforced"].boolean()
             ? "enforced\n"
             : "observe only: standings are shown, nothing acts on them\n";
  table t{{"SETTING", "VALUE", ""}};
  for (const auto& s : v["settings"].items())
    t.row({s["name"].text(), s["value"].text(),
           s["usual"].boolean() ? "default" : ""});
  return out + t.text() + list_text(v);
}

/// `NAME=VALUE` each, or one file of such lines.
outcome apply(mesh_policy& p, const std::vector<std::string>& given) {
  const auto bad = [](std::string why) {
    return failure{problem{exit_code::usage, std::move(why)}};
  };
  std::string why;
  for (const auto& g : given) {
    if (const auto equals = g.find('='); equals != std::string::npos) {
      if (!set(p, g.substr(0, equals), g.substr(equals + 1), why))
        return bad(printable(why));
      continue;
    }
    std::ifstream in{g, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    if (!in || text.size() > file_bytes_max)
      return bad(printable(g) + ": can't be read; give a file, or NAME=VALUE");
    if (!set_all(p, text, why))
      return bad(printable(g + ": " + why));
  }
  why = why_invalid(p);
  return why.empty() ? outcome{} : outcome{bad(std::move(why))};
}

constexpr std::uint64_t version_most = UINT32_MAX;

/// The mesh's policy as an owner of it signed it, not as the peer says. What
/// another than this owner signed gives its version alone: nobody signs
/// settings that a peer made up.
result<policy_book, problem> current(peer_client& peer,
                                     const owner_file& owner) {
  const auto v = peer.get("/v1/policy");
  if (!v.ok())
    return failure{v.error()};
  policy_book out;
  for (const auto& blob : (*v)["documents"].items()) {
    signed_document d;
    if (!signed_document::decode(as_bytes(blob.text()), d))
      return failure{problem{exit_code::failed,
                             "the peer's policy makes no sense; are peer and "
                             "`banyan` of the same version?"}};
    auto r = open_policy(d, owner.mesh, {d.signer});
    if (!r.ok() || r->version >= version_most)
      return failure{problem{exit_code::failed,
                             "the peer's policy isn't signed as it should be; "
                             "ask another peer"}};
    if (r->signer != owner.key.owner()) {
      note("the policy there, version " + std::to_string(r->version)
           + ", is signed by " + short_string(r->signer)
           + ", which this owner's file can't judge: what isn't given now "
             "becomes the default");
      r->policy = {};
    }
    out.put(std::move(*r));
  }
  return out;
}

result<std::optional<signed_document>, problem>
load_kept(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored))
    return std::optional<signed_document>{};
  std::ifstream in{file, std::ios::binary};
  const std::string content{std::istreambuf_iterator<char>{in}, {}};
  signed_document d;
  if (!in || !signed_document::decode(as_bytes(content), d))
    return failure{problem{exit_code::usage,
                           file.string()
                               + " should hold a signed policy that was not "
                                 "finished, but can't be read; delete it to "
                                 "sign anew"}};
  return std::optional<signed_document>{std::move(d)};
}

result<value, problem> send(peer_client& peer, const signed_document& d) {
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/policy";
  c.body = to_text(d.encode());
  c.headers.emplace_back("Content-Type", msgpack);
  c.headers.emplace_back("Accept", msgpack);
  const auto r = peer.send(std::move(c), effect::changes);
  if (!r.ok())
    return failure{r.error()};
  value v;
  if (!value::decode(as_bytes(r->body), v))
    return failure{problem{exit_code::unknown, "the answer makes no sense"}};
  return v;
}

} // namespace

outcome policy_show(const session& s) {
  return look(s, "/v1/policy", policy_text);
}

outcome policy_set(const session& s, const policy_set_options& o) {
  if (o.settings.empty() && o.allow.empty() && o.allow_file.empty()
      && !o.allow_all && o.leaving.empty() && o.disallow.empty())
    return failure{problem{exit_code::usage,
                           "say what to set: NAME=VALUE, a file of such lines, "
                           "or --allow ID"}};
  const auto owner = owner_or_local(o.owner);
  if (!owner.ok())
    return failure{owner.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  if (auto right = check_mesh(*peer, *owner, o.owner); !right.ok())
    return right;
  auto is = current(*peer, *owner);
  if (!is.ok())
    return failure{is.error()};
  const auto file = std::filesystem::path{o.owner}.parent_path()
                    / (owner->mesh_name + ".policy");
  const auto kept = load_kept(file);
  if (!kept.ok())
    return failure{kept.error()};
  if (*kept && (*kept)->version > is->version()) {
    note("sending the signed policy in " + file.string()
         + " again, which was not finished; to begin anew, delete that file");
    if (const auto again = send(*peer, **kept); !again.ok())
      return failure{again.error()};
    is = current(*peer, *owner);
    if (!is.ok())
      return failure{is.error()};
  }
  auto wanted = is->policy();
  if (auto read = apply(wanted, o.settings); !read.ok())
    return read;
  if (auto listed = apply_list(wanted.nodes, o, *peer); !listed.ok())
    return listed;
  const bool there = is->version() > 0 && !is->conflict()
                     && is->records().front().signer == owner->key.owner()
                     && wanted == is->policy();
  if (there) {
    deploy_file::remove(file);
    print("policy version " + std::to_string(is->version())
          + " says so already");
    return {};
  }
  const auto next =
      sign_policy(owner->key, owner->mesh, is->version() + 1, wanted);
  if (auto stored = deploy_file::store(file, next.document.encode());
      !stored.ok())
    return failure{stored.error()};
  const auto done = send(*peer, next.document);
  if (!done.ok()) {
    // What was refused for good is no unfinished policy.
    if (done.error().code == exit_code::failed)
      deploy_file::remove(file);
    return failure{done.error()};
  }
  deploy_file::remove(file);
  print(policy_text(*done));
  return {};
}

} // namespace banyan::cli
