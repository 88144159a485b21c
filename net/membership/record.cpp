#include "net/membership/record.hpp"

#include "base/codec.hpp"

#include <algorithm>

namespace banyan::net {

namespace {

/// Keys of a member record's map; on the wire, never reused.
enum record_key : std::int64_t {
  key_node = 0,
  key_incarnation = 1,
  key_number = 2,
  key_word = 3,
  key_boot = 4,
  key_host = 5,
  key_port = 6,
  key_region = 7,
  key_zone = 8,
  key_target = 9,
  key_tier = 10,
  key_capacity = 11,
  key_features = 12,
  key_relays = 13, // left out when empty
  key_doubts = 17,
};
constexpr std::size_t record_keys = 13;
constexpr std::size_t record_keys_max = 32;

bool is_alphanumeric(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
         || (c >= '0' && c <= '9');
}

bool valid_host(std::string_view host) noexcept {
  return std::all_of(host.begin(), host.end(), [](char c) {
    return is_alphanumeric(c) || c == '.' || c == ':' || c == '-' || c == '_';
  });
}

std::string label(reader& r) {
  auto text = r.text(member_record::label_bytes_max);
  r.require(valid_label(text));
  return std::string{text};
}

void read_doubts(reader& r, std::vector<member_doubt>& out) {
  auto n = r.array(member_record::doubts_max);
  r.require(n > 0); // canonical: none, no key
  for (; n > 0 && r.ok(); --n) {
    member_doubt d;
    r.require(r.array(2) == 2);
    const auto start = r.blob(d.node.size());
    r.require(start.size() == d.node.size());
    if (!r.ok())
      return;
    std::copy(start.begin(), start.end(), d.node.begin());
    d.tier = static_cast<std::uint8_t>(r.uint(UINT8_MAX));
    r.require(out.empty() || out.back().node < d.node); // each once
    out.push_back(d);
  }
}

} // namespace

member_doubt::start member_doubt::start_of(const node_id& node) noexcept {
  start out{};
  std::copy_n(node.view().begin(), out.size(), out.begin());
  return out;
}

bool valid_label(std::string_view text) noexcept {
  return text.size() <= member_record::label_bytes_max
         && std::all_of(text.begin(), text.end(), [](char c) {
              return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
            });
}

void member_record::encode(writer& w) const {
  w.map(record_keys + (relays.empty() ? 0 : 1) + (doubts.empty() ? 0 : 1));
  w.uint(key_node).id(node);
  w.uint(key_incarnation).id(incarnation);
  w.uint(key_number).uint(number);
  w.uint(key_word).uint(static_cast<std::uint64_t>(word));
  w.uint(key_boot).id(boot);
  w.uint(key_host).text(address.host);
  w.uint(key_port).uint(address.port);
  w.uint(key_region).text(region);
  w.uint(key_zone).text(zone);
  w.uint(key_target).text(target);
  w.uint(key_tier).uint(tier);
  w.uint(key_capacity).array(4);
  w.uint(capacity.cores).uint(capacity.weight);
  w.uint(capacity.memory_mib).uint(capacity.disk_mib);
  w.uint(key_features).uint(features);
  if (!relays.empty()) {
    w.uint(key_relays).array(relays.size());
    for (const auto& r : relays)
      w.id(r);
  }
  if (doubts.empty())
    return;
  w.uint(key_doubts).array(doubts.size());
  for (const auto& d : doubts)
    w.array(2).blob(d.node).uint(d.tier);
}

bool member_record::decode(const_bytes in, member_record& out) {
  if (in.size() > encoded_bytes_max)
    return false;
  reader r{in};
  out.relays.clear();
  std::uint64_t seen = 0;
  std::int64_t key = -1;
  const auto pairs = r.map(record_keys_max);
  for (std::size_t i = 0; i < pairs && r.ok(); ++i) {
    key = r.key(key);
    if (key >= 0 && key < static_cast<std::int64_t>(record_keys))
      seen |= std::uint64_t{1} << key;
    switch (key) {
    case key_node:
      r.id(out.node);
      break;
    case key_incarnation:
      r.id(out.incarnation);
      break;
    case key_number:
      out.number = r.uint();
      break;
    case key_word:
      out.word = static_cast<member_word>(r.uint(2));
      r.require(out.word == member_word::normal
                || out.word == member_word::left);
      break;
    case key_boot:
      r.id(out.boot);
      break;
    case key_host:
      out.address.host = std::string{r.text(address::host_bytes_max)};
      r.require(valid_host(out.address.host));
      break;
    case key_port:
      out.address.port = static_cast<std::uint16_t>(r.uint(UINT16_MAX));
      break;
    case key_region:
      out.region = label(r);
      break;
    case key_zone:
      out.zone = label(r);
      break;
    case key_target:
      out.target = label(r);
      break;
    case key_tier:
      out.tier = static_cast<std::uint8_t>(r.uint(UINT8_MAX));
      break;
    case key_capacity:
      r.require(r.array(4) == 4);
      out.capacity.cores = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
      out.capacity.weight = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
      out.capacity.memory_mib = r.uint();
      out.capacity.disk_mib = r.uint();
      break;
    case key_features:
      out.features = r.uint();
      break;
    case key_relays:
      out.relays.resize(r.array(relays_max));
      r.require(!out.relays.empty()); // canonical: none, no key
      for (auto& relay : out.relays) {
        r.id(relay);
        r.require(relay != out.node && !relay.is_none());
      }
      break;
    case key_doubts:
      read_doubts(r, out.doubts);
      break;
    default:
      r.skip();
    }
  }
  // What has no key 6 or 12 is no record; a newer version only adds.
  return r.done() && seen == (std::uint64_t{1} << record_keys) - 1
         && out.incarnation.value() != 0;
}

admission admission::make(const identity& sponsor, const mesh_id& mesh,
                          const node_id& node) {
  return {sponsor.id(),
          sponsor.sign(sign_kind::countersignature, mesh, node.view())};
}

bool admission::verify(const mesh_id& mesh, const node_id& node) const {
  return banyan::verify(sponsor, sign_kind::countersignature, mesh, node.view(),
                        by);
}

void admission::encode(writer& w) const {
  w.array(2).id(sponsor).id(by);
}

bool admission::decode(reader& r, admission& out) {
  r.require(r.array(2) == 2);
  r.id(out.sponsor);
  r.id(out.by);
  return r.ok();
}

member_document member_document::make(const identity& member,
                                      const mesh_id& mesh,
                                      const member_record& record) {
  member_document d;
  d.record = record;
  writer w{d.body};
  record.encode(w);
  d.by = member.sign(sign_kind::member, mesh, d.body);
  return d;
}

bool member_document::verify(const mesh_id& mesh) const {
  return banyan::verify(record.node, sign_kind::member, mesh, body, by);
}

void member_document::encode(writer& w) const {
  w.array(3).blob(body).id(by);
  if (admitted)
    admitted->encode(w);
  else
    w.nil();
}

bool member_document::decode(reader& r, member_document& out) {
  r.require(r.array(3) == 3);
  auto body = r.blob(member_record::encoded_bytes_max);
  r.id(out.by);
  if (r.peek() == reader::kind::nil) {
    r.nil();
    out.admitted.reset();
  } else {
    r.require(admission::decode(r, out.admitted.emplace()));
  }
  out.body = body.copy();
  return r.require(r.ok() && member_record::decode(out.body, out.record));
}

namespace {

bytes body_of(const report& x) {
  bytes body;
  writer w{body};
  w.array(6).id(x.observer).id(x.subject);
  w.id(x.observer_incarnation).id(x.subject_incarnation);
  w.uint(x.number).boolean(x.down);
  return body;
}

} // namespace

void report::sign(const identity& observer_key, const mesh_id& mesh) {
  by = observer_key.sign(sign_kind::report, mesh, body_of(*this));
}

bool report::verify(const mesh_id& mesh) const {
  return banyan::verify(observer, sign_kind::report, mesh, body_of(*this), by);
}

void report::encode(writer& w) const {
  w.array(7).id(observer).id(subject);
  w.id(observer_incarnation).id(subject_incarnation);
  w.uint(number).boolean(down).id(by);
}

bool report::decode(reader& r, report& out) {
  r.require(r.array(7) == 7);
  r.id(out.observer);
  r.id(out.subject);
  r.id(out.observer_incarnation);
  r.id(out.subject_incarnation);
  out.number = r.uint();
  out.down = r.boolean();
  r.id(out.by);
  return r.ok();
}

} // namespace banyan::net
