#include "actors/docs/sign_app.hpp"

#include <set>

namespace banyan {

result<app_papers, node_id>
sign_birth(const identity& owner, const mesh_id& mesh, const app_spec& spec,
           const prepared_app& where, random_source& random) {
  const secret_bytes<32> secret{random};
  app_genesis g;
  g.owner = owner.owner();
  g.name = spec.name;
  g.nonce = where.nonce;
  g.lineage = lineage_id{random.array<16>()};
  g.secret_hash = group_secret_hash(secret);
  if (spec.kind == app_kind::stateless)
    g.voters.resize(1);
  else
    g.voters = where.voters;
  app_version v{id_of(g), spec, {}};
  std::set<node_id> nodes;
  for (const auto& shard : g.voters)
    for (const auto& r : shard)
      nodes.insert(r.node);
  for (const auto& n : nodes) {
    sealed_for box{n, {}};
    if (!seal_secret(n, group_secret_context(g.nonce), secret, random,
                     box.secret))
      return failure{n};
    v.secrets.push_back(box);
  }
  app_papers p;
  p.genesis =
      signed_document::make(owner, sign_kind::genesis, mesh, 1, g.encode());
  p.version =
      signed_document::make(owner, sign_kind::spec, mesh, 1, v.encode());
  return p;
}

app_papers sign_update(const identity& owner, const mesh_id& mesh,
                       const app_record& old, const app_spec& spec,
                       std::uint64_t number) {
  app_version v{old.id, spec, old.version.secrets};
  v.spec.undeletes = old.version.spec.undeletes; // once and for all later ones
  v.spec.restoring = old.version.spec.restoring; // only a restore ends itself
  if (v.spec.token_hash.empty())                 // until another token is made
    v.spec.token_hash = old.version.spec.token_hash;
  app_papers p = old.papers;
  p.version =
      signed_document::make(owner, sign_kind::spec, mesh, number, v.encode());
  return p;
}

app_papers sign_restored(const identity& owner, const mesh_id& mesh,
                         const app_record& old) {
  app_version v = old.version;
  v.spec.restoring.clear();
  app_papers p = old.papers;
  p.version = signed_document::make(owner, sign_kind::spec, mesh,
                                    old.number + 1, v.encode());
  return p;
}

app_papers sign_undeletion(const identity& owner, const mesh_id& mesh,
                           const app_record& old) {
  app_papers p = old.papers;
  if (!p.deletion)
    return p;
  app_version v = old.version;
  v.spec.undeletes = p.deletion->version;
  p.version = signed_document::make(
      owner, sign_kind::spec, mesh,
      std::max(old.number, p.deletion->version) + 1, v.encode());
  return p;
}

app_papers sign_removal(const identity& owner, const mesh_id& mesh,
                        const app_record& old) {
  app_papers p = old.papers;
  p.deletion =
      signed_document::make(owner, sign_kind::deletion, mesh, old.number + 1,
                            app_deletion{old.id}.encode());
  return p;
}

} // namespace banyan
