#include "actors/pure/uptime/wire.hpp"

#include "base/codec.hpp"

namespace banyan {
namespace {

/// Of an encoded document around its body.
constexpr std::size_t frame_of_document = 256;
constexpr std::size_t policy_bytes_max =
    4096 + 32 * (allowed_nodes::allowed_max + allowed_nodes::leaving_max);

void write_about(writer& w, const std::optional<node_id>& about) {
  if (about)
    w.id(*about);
  else
    w.nil();
}
void read_about(reader& r, std::optional<node_id>& about) {
  if (r.peek() == reader::kind::nil)
    return r.nil();
  r.id(about.emplace());
}

} // namespace

void write_body(writer& w, const days_wanted& f) {
  write_about(w, f.about);
  w.map(f.have.size());
  for (const auto& [day, print] : f.have)
    w.uint(day).uint(print);
  if (!f.after)
    w.nil();
  else
    w.array(2).uint(f.after->day).id(f.after->observer);
}

void write_body(writer& w, const days_given& f) {
  write_about(w, f.about);
  w.boolean(f.more).array(f.documents.size());
  for (const auto& d : f.documents)
    w.blob(d.encode());
}

void write_body(writer& w, const policy_told& f) {
  w.blob(f.document.encode());
}

void read_body(reader& r, days_wanted& f) {
  read_about(r, f.about);
  std::int64_t key = -1;
  for (auto n = r.map(2 * days_kept); n > 0 && r.ok(); --n) {
    key = r.key(key);
    r.require(key <= UINT32_MAX);
    f.have[static_cast<std::uint32_t>(key)] = r.uint();
  }
  if (r.peek() == reader::kind::nil)
    return r.nil();
  auto& after = f.after.emplace();
  r.require(r.array(2) == 2);
  after.day = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  r.id(after.observer);
}

void read_body(reader& r, days_given& f) {
  read_about(r, f.about);
  f.more = r.boolean();
  for (auto n = r.array(days_given::documents_max); n > 0 && r.ok(); --n)
    r.require(signed_document::decode(
        r.blob(observation_bytes_max + frame_of_document),
        f.documents.emplace_back()));
}

void read_body(reader& r, policy_told& f) {
  r.require(signed_document::decode(
      r.blob(policy_bytes_max + frame_of_document), f.document));
}

} // namespace banyan
