#include "actors/pure/versions.hpp"

namespace banyan {
namespace {

void put(writer& w, const app_edition& e) {
  w.array(3).uint(e.number).uint(e.state_version).blob(e.spec);
}
void take(reader& in, app_edition& e) {
  in.require(in.array(3) == 3);
  e.number = in.uint();
  e.state_version = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
  e.spec = in.blob(edition_spec_bytes_max).copy();
  in.require(e.number != 0);
}

} // namespace

void put(writer& w, const group_versions& v) {
  put(w.array(4), v.now);
  if (v.former)
    put(w, *v.former);
  else
    w.nil();
  w.uint(v.refused).text(
      std::string_view{v.why}.substr(0, version_why_bytes_max));
}

void take(reader& in, group_versions& v) {
  in.require(in.array(4) == 4);
  take(in, v.now);
  v.former.reset();
  if (in.peek() == reader::kind::nil)
    in.nil();
  else
    take(in, v.former.emplace());
  v.refused = in.uint();
  v.why = std::string{in.text(version_why_bytes_max)};
}

bytes encode(const group_versions& v) {
  bytes out;
  writer w{out};
  put(w, v);
  return out;
}

bool decode(const_bytes bytes_in, group_versions& out) {
  reader in{bytes_in};
  take(in, out);
  return in.done();
}

} // namespace banyan
