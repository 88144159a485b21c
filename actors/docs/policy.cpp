#include "actors/docs/policy.hpp"

#include <algorithm>

namespace banyan {

policy_record sign_policy(const identity& owner, const mesh_id& mesh,
                          std::uint64_t version, const mesh_policy& p) {
  BANYAN_ASSERT(why_invalid(p).empty());
  auto d =
      signed_document::make(owner, sign_kind::policy, mesh, version, encode(p));
  return {version, d.signer, p, std::move(d)};
}

result<policy_record, papers_errc>
open_policy(const signed_document& d, const mesh_id& mesh,
            const std::vector<owner_id>& owners) {
  policy_record out;
  if (d.kind != sign_kind::policy || d.version == 0
      || !decode(d.body, out.policy))
    return failure{papers_errc::malformed};
  if (std::find(owners.begin(), owners.end(), d.signer) == owners.end())
    return failure{papers_errc::untrusted};
  if (!d.verify(mesh))
    return failure{papers_errc::bad_signature};
  out.version = d.version;
  out.signer = d.signer;
  out.document = d;
  return out;
}

std::uint64_t policy_book::version() const noexcept {
  return records_.empty() ? 0 : records_.front().version;
}

policy_book::outcome policy_book::put(policy_record r) {
  if (r.version < version())
    return outcome::older;
  const auto same = [&](const policy_record& o) {
    return o.document == r.document;
  };
  if (std::any_of(records_.begin(), records_.end(), same))
    return outcome::known;
  if (r.version > version()) {
    policy_ = r.policy;
    records_.clear();
    records_.push_back(std::move(r));
    return outcome::taken;
  }
  if (conflict())
    return outcome::known; // that there is one is known
  records_.push_back(std::move(r));
  std::sort(records_.begin(), records_.end(), [](const auto& a, const auto& b) {
    return a.document.encode() < b.document.encode();
  });
  policy_ = records_.front().policy;
  policy_.enforce = false;
  policy_.nodes = {};
  return outcome::conflict;
}

} // namespace banyan
