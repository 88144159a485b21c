#include "actors/sim/verifying.hpp"

#include "base/codec.hpp"

namespace banyan::sim {

template <class Check>
bool shared_verifier::once(const digest& what, Check check) {
  ++asked_;
  const auto [at, fresh] = known_.try_emplace(what, false);
  if (fresh)
    at->second = check();
  return at->second;
}

bool shared_verifier::genuine(const net::member_document& d,
                              const mesh_id& mesh) {
  return once(hash_of({d.body, d.by.view(), mesh.view()}),
              [&] { return d.verify(mesh); });
}

bool shared_verifier::genuine(const net::admission& a, const mesh_id& mesh,
                              const node_id& node) {
  return once(
      hash_of({a.sponsor.view(), a.by.view(), mesh.view(), node.view()}),
      [&] { return a.verify(mesh, node); });
}

bool shared_verifier::genuine(const net::report& r, const mesh_id& mesh) {
  scratch_.clear();
  writer w{scratch_};
  r.encode(w);
  return once(hash_of({scratch_, mesh.view()}), [&] { return r.verify(mesh); });
}

} // namespace banyan::sim
