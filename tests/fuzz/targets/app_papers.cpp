// Signed documents: an app's birth, versions and end, as they travel.
#include "actors/docs/app_documents.hpp"
#include "crypto/identity.hpp"
#include "crypto/mesh_key.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

template <class T>
bool canonical(const_bytes in) {
  T value;
  if (!T::decode(in, value))
    return false;
  BANYAN_ASSERT(const_bytes{value.encode()} == in);
  return true;
}

// A version has room at its end that older peers skip.
void version_of(const_bytes in) {
  accepts_stable<app_version>(
      in, [](const app_version& v) { return v.encode(); }, app_version::decode);
}

const identity& owner() {
  static const identity key = local_mesh_owner();
  return key;
}

app_genesis genesis() {
  app_genesis g;
  g.owner = owner().owner();
  g.name = "ledger";
  g.nonce = {1, 2, 3};
  g.lineage = lineage_id{std::array<std::uint8_t, 16>{4}};
  for (int shard = 0; shard < 2; ++shard) {
    auto& voters = g.voters.emplace_back();
    for (std::uint8_t n = 1; n <= 3; ++n)
      voters.push_back({node_id{std::array<std::uint8_t, 32>{n}},
                        replica_id{std::array<std::uint8_t, 16>{n}}});
  }
  return g;
}

app_version version() {
  app_version v;
  v.app = id_of(genesis());
  v.spec.name = "ledger";
  v.spec.module = "ledger";
  v.spec.shards = 2;
  v.spec.regions = {"eu", "us"};
  v.spec.config = bytes{0x81, 0xa1, 'a', 1};
  v.spec.secrets = {"smtp"};
  v.secrets.emplace_back().node = node_id{std::array<std::uint8_t, 32>{1}};
  return v;
}

signed_document sign(sign_kind kind, std::uint64_t number, const_bytes body) {
  return signed_document::make(owner(), kind, local_mesh_id(), number,
                               body.copy());
}

// The owner signs whatever the input says: the last line is form and sense.
void by_the_owner(std::uint8_t which, const_bytes body) {
  if (body.size() > signed_document::body_bytes_max)
    return;
  static const auto birth = sign(sign_kind::genesis, 0, genesis().encode());
  static const auto first = sign(sign_kind::spec, 1, version().encode());
  app_papers p{birth, first, {}};
  if (which % 3 == 0)
    p.genesis = sign(sign_kind::genesis, 0, body);
  else if (which % 3 == 1)
    p.version = sign(sign_kind::spec, 1, body);
  else
    p.deletion = sign(sign_kind::deletion, 0, body);
  const auto opened = open_papers(p, local_mesh_id(), {owner().owner()});
  if (!opened.ok())
    return;
  BANYAN_ASSERT(opened->id == id_of(opened->genesis));
  BANYAN_ASSERT(opened->version.app == opened->id);
  BANYAN_ASSERT(opened->version.spec.name == opened->genesis.name);
  BANYAN_ASSERT(opened->version.spec.shards == opened->genesis.shards());
  BANYAN_ASSERT(why_invalid(opened->version.spec).empty());
  BANYAN_ASSERT(opened->deleted == (which % 3 == 2));
}

void run(const_bytes in) {
  input i{in};
  const auto which = i.u8();
  switch (which % 6) {
  case 0:
    canonical<app_genesis>(i.rest());
    by_the_owner(0, i.rest());
    break;
  case 1:
    version_of(i.rest());
    by_the_owner(1, i.rest());
    break;
  case 2:
    canonical<app_deletion>(i.rest());
    by_the_owner(2, i.rest());
    break;
  case 3:
    canonical<signed_document>(i.rest());
    break;
  default: {
    canonical<app_papers>(i.rest());
    app_papers p;
    if (app_papers::decode(i.rest(), p))
      (void)open_papers(p, local_mesh_id(), {owner().owner()});
  }
  }
}

std::vector<bytes> seeds() {
  const auto birth = sign(sign_kind::genesis, 0, genesis().encode());
  const auto first = sign(sign_kind::spec, 1, version().encode());
  const auto end = app_deletion{id_of(genesis())}.encode();
  app_papers p{birth, first, {}};
  std::vector<bytes> out{tagged(0, genesis().encode()),
                         tagged(1, version().encode()), tagged(2, end),
                         tagged(3, birth.encode()), tagged(4, p.encode())};
  p.deletion = sign(sign_kind::deletion, 0, end);
  out.push_back(tagged(4, p.encode()));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(app_papers)
