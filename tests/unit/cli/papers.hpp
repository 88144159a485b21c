#pragma once
#include "actors/docs/sign_app.hpp"

namespace banyan::cli::test {

/// Three nodes, an owner, and where an app of two shards would go.
struct orchard {
  orchard() {
    spec.name = "ledger";
    spec.module = "ledger";
    spec.shards = 2;
    where.nonce = random.array<16>();
    for (int shard = 0; shard < 2; ++shard) {
      auto& voters = where.voters.emplace_back();
      for (const auto& n : nodes)
        voters.push_back({n.id(), replica_id{random.array<16>()}});
    }
  }
  [[nodiscard]] result<app_record, papers_errc>
  open(const app_papers& p) const {
    return open_papers(p, mesh, {owner.owner()});
  }

  seeded_random random{5};
  mesh_id mesh{random.array<32>()};
  identity owner = identity::generate(random);
  std::vector<identity> nodes = [this] {
    std::vector<identity> out;
    for (int i = 0; i < 3; ++i)
      out.push_back(identity::generate(random));
    return out;
  }();
  app_spec spec;
  prepared_app where;
};

} // namespace banyan::cli::test
