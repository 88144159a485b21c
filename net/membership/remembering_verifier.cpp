#include "net/membership/remembering_verifier.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

bool same(const report& a, const report& b) {
  return a.observer == b.observer && a.subject == b.subject
         && a.observer_incarnation == b.observer_incarnation
         && a.subject_incarnation == b.subject_incarnation
         && a.number == b.number && a.down == b.down && a.by == b.by;
}

bool same(const std::optional<admission>& a,
          const std::optional<admission>& b) {
  return a.has_value() == b.has_value()
         && (!a || (a->sponsor == b->sponsor && a->by == b->by));
}

} // namespace

bool remembering_verifier::genuine(const member_document& d,
                                   const mesh_id& mesh) {
  if (mesh != mesh_)
    return d.verify(mesh);
  auto& all = documents_[d.by];
  for (const auto& k : all)
    if (k.checked && k.thing->record.node == d.record.node
        && k.thing->body == d.body)
      return k.genuine;
  ++verified_;
  all.push_back(
      {std::make_shared<const member_document>(d), true, d.verify(mesh)});
  return all.back().genuine;
}

shared_document remembering_verifier::keep(member_document&& d) {
  auto& all = documents_[d.by];
  for (const auto& k : all)
    if (k.thing->record.node == d.record.node && k.thing->body == d.body
        && same(k.thing->admitted, d.admitted))
      return k.thing;
  all.push_back({std::make_shared<const member_document>(std::move(d))});
  return all.back().thing;
}

bool remembering_verifier::genuine(const admission& a, const mesh_id& mesh,
                                   const node_id& node) {
  if (mesh != mesh_)
    return a.verify(mesh, node);
  auto& all = admissions_[a.by];
  for (const auto& k : all)
    if (k.sponsor == a.sponsor && k.node == node)
      return k.genuine;
  ++verified_;
  all.push_back({a.sponsor, node, a.verify(mesh, node)});
  return all.back().genuine;
}

remembering_verifier::known<shared_report>&
remembering_verifier::known_of(const report& r) {
  auto& all = reports_[r.by];
  const auto at = std::find_if(
      all.begin(), all.end(), [&](const auto& k) { return same(*k.thing, r); });
  if (at != all.end())
    return *at;
  all.push_back({std::make_shared<const report>(r)});
  return all.back();
}

bool remembering_verifier::genuine(const report& r, const mesh_id& mesh) {
  if (mesh != mesh_)
    return r.verify(mesh);
  auto& k = known_of(r);
  if (!k.checked) {
    ++verified_;
    k.checked = true;
    k.genuine = r.verify(mesh);
  }
  return k.genuine;
}

shared_report remembering_verifier::keep(const report& r) {
  return known_of(r).thing;
}

} // namespace banyan::net
