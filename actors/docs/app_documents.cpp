#include "actors/docs/app_documents.hpp"

#include "base/codec.hpp"
#include "base/result.hpp"
#include "crypto/hash.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t replicas_max = 7;
constexpr std::size_t sealed_max = 4096;
constexpr std::size_t token_hash_bytes = 32;

template <class Enum>
Enum small(reader& r, Enum last) {
  return static_cast<Enum>(r.uint(static_cast<std::uint64_t>(last)));
}

void encode_texts(writer& w, const std::vector<std::string>& list) {
  w.array(list.size());
  for (const auto& t : list)
    w.text(t);
}

void decode_texts(reader& r, std::vector<std::string>& out) {
  out.resize(r.array(spec_list_max));
  for (auto& t : out)
    t = r.text(app_name_bytes_max);
}

// What came after the first version stands in a map: an older peer skips it.
enum spec_key : std::int64_t {
  key_modules = 1,
  key_memory = 2,
  key_turn_time = 3,
  key_update_watch = 4,
  key_secret_box = 5,
  key_secret_keys = 6,
  key_token_hash = 7,
  key_spread_regions = 8,
  key_restoring = 16,
  key_undeletes = 17,
};

std::uint64_t to_milliseconds(duration d) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(d).count());
}
duration milliseconds(reader& r) {
  return std::chrono::milliseconds{
      static_cast<std::int64_t>(r.uint(std::uint64_t{1} << 40))};
}

void encode_sealed(writer& w, const std::vector<sealed_for>& list) {
  w.array(list.size());
  for (const auto& s : list)
    w.array(2).id(s.node).id(s.secret);
}
void decode_sealed(reader& r, std::vector<sealed_for>& out) {
  out.resize(r.array(sealed_max));
  for (auto& s : out) {
    r.require(r.array(2) == 2);
    r.id(s.node);
    r.id(s.secret);
  }
}

void encode_additions(writer& w, const app_spec& s) {
  const app_spec usual;
  const bool modules = !s.modules.empty();
  const bool memory = s.memory_max != usual.memory_max;
  const bool turn = s.turn_time_max != usual.turn_time_max;
  const bool watch = s.update_watch != usual.update_watch;
  const bool box = !s.secret_box.empty();
  const bool keys = !s.secret_keys.empty();
  const bool token = !s.token_hash.empty();
  const bool regions = s.spread_regions != usual.spread_regions;
  const bool restoring = !s.restoring.empty();
  const bool undeletes = s.undeletes != 0;
  const auto n = std::size_t{modules} + memory + turn + watch + box + keys
                 + token + regions + restoring + undeletes;
  if (n == 0) {
    w.nil();
    return;
  }
  w.map(n);
  if (modules) {
    w.uint(key_modules).array(s.modules.size());
    for (const auto& m : s.modules)
      w.array(3).text(m.target).id(m.hash).uint(m.size);
  }
  if (memory)
    w.uint(key_memory).uint(s.memory_max);
  if (turn)
    w.uint(key_turn_time).uint(to_milliseconds(s.turn_time_max));
  if (watch)
    w.uint(key_update_watch).uint(to_milliseconds(s.update_watch));
  if (box)
    w.uint(key_secret_box).blob(s.secret_box);
  if (keys)
    encode_sealed(w.uint(key_secret_keys), s.secret_keys);
  if (token)
    w.uint(key_token_hash).blob(s.token_hash);
  if (regions)
    w.uint(key_spread_regions).uint(s.spread_regions);
  if (restoring)
    w.uint(key_restoring).blob(s.restoring);
  if (undeletes)
    w.uint(key_undeletes).uint(s.undeletes);
}

void decode_additions(reader& r, app_spec& s) {
  if (r.peek() == reader::kind::nil)
    return r.nil();
  const auto n = r.map(64);
  std::int64_t key = -1;
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    key = r.key(key);
    switch (key) {
    case key_modules:
      s.modules.resize(r.array(spec_list_max));
      for (auto& m : s.modules) {
        r.require(r.array(3) == 3);
        m.target = r.text(app_name_bytes_max);
        r.id(m.hash);
        m.size = r.uint();
      }
      break;
    case key_memory:
      s.memory_max = r.uint();
      break;
    case key_turn_time:
      s.turn_time_max = milliseconds(r);
      break;
    case key_update_watch:
      s.update_watch = milliseconds(r);
      break;
    case key_secret_box:
      s.secret_box = r.blob(spec_secrets_bytes_max).copy();
      break;
    case key_secret_keys:
      decode_sealed(r, s.secret_keys);
      break;
    case key_token_hash:
      s.token_hash = r.blob(token_hash_bytes).copy();
      r.require(s.token_hash.size() == token_hash_bytes);
      break;
    case key_spread_regions:
      s.spread_regions = static_cast<std::uint8_t>(r.uint(255));
      break;
    case key_restoring:
      s.restoring = r.blob(16).copy();
      r.require(s.restoring.size() == 16);
      break;
    case key_undeletes:
      s.undeletes = r.uint();
      break;
    default:
      r.skip();
    }
  }
}

void encode_spec(writer& w, const app_spec& s) {
  w.array(14).text(s.name).text(s.module);
  w.uint(static_cast<std::uint64_t>(s.kind)).uint(s.shards).uint(s.replicas);
  encode_texts(w, s.regions);
  w.uint(static_cast<std::uint64_t>(s.spread)).uint(s.min_tier);
  w.uint(static_cast<std::uint64_t>(s.isolation));
  w.uint(static_cast<std::uint64_t>(s.access));
  w.uint(to_milliseconds(s.replace_after));
  w.blob(s.config);
  encode_texts(w, s.secrets);
  encode_additions(w, s);
}

void decode_spec(reader& r, app_spec& s) {
  r.require(r.array(14) == 14);
  s.name = r.text(app_name_bytes_max);
  s.module = r.text(app_name_bytes_max);
  s.kind = small(r, app_kind::stateless);
  s.shards = static_cast<std::uint32_t>(r.uint(shards_max));
  s.replicas = static_cast<std::uint32_t>(r.uint(instances_max));
  decode_texts(r, s.regions);
  s.spread = small(r, app_spread::regions);
  s.min_tier = static_cast<std::uint8_t>(r.uint(255));
  s.isolation = small(r, app_isolation::none);
  s.access = small(r, app_access::everyone);
  s.replace_after = milliseconds(r);
  s.config = r.blob(spec_config_bytes_max).copy();
  decode_texts(r, s.secrets);
  decode_additions(r, s);
}

/// As it is, or as what an older build made of it: the genesis tells.
bool readable(const app_spec& s) {
  if (s.kind == app_kind::durable || s.shards == 1)
    return why_invalid(s).empty();
  auto groups = s;
  read_as_groups(groups);
  return why_invalid(groups).empty();
}

/// Two voters on one node would let that node be a majority by itself.
bool names_a_node_twice(const std::vector<replica_ref>& voters) {
  for (std::size_t i = 0; i < voters.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (voters[i].node == voters[j].node)
        return true;
  return false;
}

} // namespace

bool is_target(std::string_view name) noexcept {
  return !name.empty() && name.size() <= app_name_bytes_max
         && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-")
                == std::string_view::npos;
}

bool is_app_name(std::string_view name) noexcept {
  const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  if (name.empty() || name.size() > app_name_bytes_max || !lower(name[0]))
    return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

bool set_spread(app_spec& s, std::int64_t regions) noexcept {
  if (regions < spread_regions_min || regions > spread_regions_max)
    return false;
  s.spread = app_spread::regions;
  s.spread_regions = static_cast<std::uint8_t>(regions);
  return true;
}

std::string why_invalid(const app_spec& s) {
  if (!is_app_name(s.name))
    return "name: '" + s.name
           + "' is no app name: 1 to 63 of a-z, 0-9, _ and -, a letter first";
  if (!is_app_name(s.module))
    return "module: '" + s.module
           + "' is no module name: 1 to 63 of a-z, 0-9, _ and -, a letter "
             "first, without .so";
  if (s.shards < 1 || s.shards > shards_max)
    return "shards: must be 1 to 1024";
  if (s.kind == app_kind::durable
      && (s.replicas % 2 == 0 || s.replicas > replicas_max))
    return "replicas: must be 1, 3, 5 or 7";
  if (s.kind == app_kind::stateless && s.shards != 1)
    return "shards: a stateless app has none: leave it out";
  if (s.kind == app_kind::stateless
      && (s.replicas < 1 || s.replicas > instances_max))
    return "instances: must be 1 to 64";
  if (s.spread_regions < spread_regions_min
      || s.spread_regions > spread_regions_max
      || (s.spread == app_spread::none
          && s.spread_regions != spread_regions_min))
    return "spread: " + std::string{spread_words};
  if (s.spread == app_spread::regions && s.spread_regions > spread_regions_min
      && s.spread_regions > s.replicas)
    return "spread: " + std::to_string(s.spread_regions)
           + " regions need as many replicas; there are "
           + std::to_string(s.replicas);
  if (!s.token_hash.empty() && s.token_hash.size() != token_hash_bytes)
    return "token: its hash has 32 bytes";
  if (s.replace_after < 100ms)
    return "replace_after: must be at least 100ms";
  if (s.memory_max < app_memory_min)
    return "memory: must be at least 32MiB";
  if (s.turn_time_max < turn_time_min || s.turn_time_max > turn_time_most)
    return "turn_time: must be 100ms to 10m";
  if (s.update_watch > update_watch_most)
    return "update_watch: must be at most 24h";
  for (std::size_t i = 0; i < s.modules.size(); ++i) {
    const auto& m = s.modules[i];
    if (!is_target(m.target))
      return "module: '" + m.target + "' is no target; like x86_64-linux";
    if (i > 0 && !(s.modules[i - 1].target < m.target))
      return "module: targets must ascend, each once";
    if (m.size == 0 || m.size > module_bytes_max)
      return "module: the file for " + m.target + " has "
             + std::to_string(m.size) + " bytes; it must be 1 to 512 MiB";
  }
  return {};
}

void read_as_groups(app_spec& s) {
  s.kind = app_kind::durable;
  s.replicas |= 1U;
}

bytes encode(const app_spec& s) {
  bytes out;
  writer w{out};
  encode_spec(w, s);
  return out;
}

bool decode(const_bytes in, app_spec& out) {
  reader r{in};
  decode_spec(r, out);
  return r.done() && readable(out);
}

bytes app_genesis::encode() const {
  bytes out;
  writer w{out};
  w.array(6).id(owner).text(name).blob(nonce).id(lineage).id(secret_hash);
  w.array(voters.size());
  for (const auto& shard : voters) {
    w.array(shard.size());
    for (const auto& v : shard)
      w.array(2).id(v.node).id(v.replica);
  }
  return out;
}

bool app_genesis::decode(const_bytes in, app_genesis& out) {
  reader r{in};
  r.require(r.array(6) == 6);
  r.id(out.owner);
  out.name = r.text(app_name_bytes_max);
  const auto nonce = r.blob(out.nonce.size());
  if (!r.require(nonce.size() == out.nonce.size()))
    return false;
  std::copy(nonce.begin(), nonce.end(), out.nonce.begin());
  r.id(out.lineage);
  r.id(out.secret_hash);
  out.voters.resize(r.array(shards_max));
  for (auto& shard : out.voters) {
    shard.resize(r.array(replicas_max));
    for (auto& v : shard) {
      r.require(r.array(2) == 2);
      r.id(v.node);
      r.id(v.replica);
    }
    r.require((!shard.empty() || out.voters.size() == 1)
              && !names_a_node_twice(shard));
  }
  return r.done() && is_app_name(out.name) && !out.voters.empty();
}

app_id id_of(const app_genesis& g) {
  return app_id{hash_of({as_bytes("banyan app"), g.encode()}).array()};
}

bytes app_version::encode() const {
  bytes out;
  writer w{out};
  w.array(3).id(app);
  encode_spec(w, spec);
  encode_sealed(w, secrets);
  return out;
}

bool app_version::decode(const_bytes in, app_version& out) {
  out = {}; // what isn't written is as usual
  reader r{in};
  r.require(r.array(3) == 3);
  r.id(out.app);
  decode_spec(r, out.spec);
  decode_sealed(r, out.secrets);
  return r.done() && readable(out.spec);
}

bytes app_deletion::encode() const {
  bytes out;
  writer{out}.array(1).id(app);
  return out;
}

bool app_deletion::decode(const_bytes in, app_deletion& out) {
  reader r{in};
  r.require(r.array(1) == 1);
  r.id(out.app);
  return r.done();
}

namespace {

void encode_replica(writer& w, const replica_ref& r) {
  w.array(2).id(r.node).id(r.replica);
}
void decode_replica(reader& r, replica_ref& out) {
  r.require(r.array(2) == 2);
  r.id(out.node);
  r.id(out.replica);
}

} // namespace

bytes app_recovery::encode() const {
  bytes out;
  writer w{out};
  w.array(10).id(app).uint(shard).id(parent).id(lineage);
  encode_replica(w, survivor);
  w.id(term).id(last).id(committed);
  for (const auto* list : {&asked, &silent}) {
    w.array(list->size());
    for (const auto& r : *list)
      encode_replica(w, r);
  }
  return out;
}

bool app_recovery::decode(const_bytes in, app_recovery& out) {
  reader r{in};
  r.require(r.array(10) == 10);
  r.id(out.app);
  out.shard = static_cast<std::uint32_t>(r.uint(shards_max - 1));
  r.id(out.parent);
  r.id(out.lineage);
  decode_replica(r, out.survivor);
  r.id(out.term);
  r.id(out.last);
  r.id(out.committed);
  for (auto* list : {&out.asked, &out.silent}) {
    list->resize(r.array(replicas_listed_max));
    for (auto& x : *list)
      decode_replica(r, x);
  }
  return r.done() && out.parent != out.lineage && !out.lineage.is_none();
}

bytes group_secret_context(const std::array<std::uint8_t, 16>& nonce) {
  constexpr std::string_view words = "group secret ";
  bytes out(words.size() + nonce.size());
  std::copy(words.begin(), words.end(), out.begin());
  std::copy(nonce.begin(), nonce.end(),
            out.begin() + static_cast<std::ptrdiff_t>(words.size()));
  return out;
}

digest group_secret_hash(const secret_bytes<32>& secret) {
  return hash_of({as_bytes("group secret hash"), secret.view()});
}

bytes app_papers::encode() const {
  bytes out;
  writer w{out};
  w.array(deletion ? 3 : 2).blob(genesis.encode()).blob(version.encode());
  if (deletion)
    w.blob(deletion->encode());
  return out;
}

bool app_papers::decode(const_bytes in, app_papers& out) {
  reader r{in};
  const auto n = r.array(3);
  if (!r.require(n >= 2))
    return false;
  const auto document = [&](signed_document& d) {
    r.require(signed_document::decode(
        r.blob(signed_document::body_bytes_max + 1024), d));
  };
  document(out.genesis);
  document(out.version);
  out.deletion.reset();
  if (n == 3)
    document(out.deletion.emplace());
  return r.done();
}

result<app_record, papers_errc>
open_papers(const app_papers& p, const mesh_id& mesh,
            const std::vector<owner_id>& trusted) {
  app_record a;
  a.papers = p;
  if (p.genesis.kind != sign_kind::genesis || p.version.kind != sign_kind::spec
      || !app_genesis::decode(p.genesis.body, a.genesis)
      || !app_version::decode(p.version.body, a.version))
    return failure{papers_errc::malformed};
  a.id = id_of(a.genesis);
  a.number = p.version.version;
  const auto& owner = a.genesis.owner;
  auto& spec = a.version.spec;
  a.read_as_groups = spec.kind == app_kind::stateless && !a.genesis.stateless();
  if (a.read_as_groups)
    read_as_groups(spec);
  if (a.version.app != a.id || p.genesis.signer != owner
      || p.version.signer != owner || a.version.spec.name != a.genesis.name
      || a.version.spec.shards != a.genesis.shards()
      || (spec.kind == app_kind::stateless) != a.genesis.stateless()
      || (a.read_as_groups && !why_invalid(spec).empty()))
    return failure{papers_errc::malformed};
  if (p.deletion) {
    app_deletion d;
    if (p.deletion->kind != sign_kind::deletion || p.deletion->signer != owner
        || !app_deletion::decode(p.deletion->body, d) || d.app != a.id)
      return failure{papers_errc::malformed};
    const auto taken_back = a.version.spec.undeletes;
    a.deleted = taken_back == 0 || taken_back < p.deletion->version;
  }
  if (std::find(trusted.begin(), trusted.end(), owner) == trusted.end())
    return failure{papers_errc::untrusted};
  if (!p.genesis.verify(mesh) || !p.version.verify(mesh)
      || (p.deletion && !p.deletion->verify(mesh)))
    return failure{papers_errc::bad_signature};
  return a;
}

} // namespace banyan
