#include "tests/support/value.hpp"

#include "base/codec.hpp"

namespace banyan::test {
namespace {

constexpr std::size_t elements_max = 1'000'000;

value take(reader& r) {
  value v;
  switch (r.peek()) {
  case reader::kind::nil:
    r.nil();
    break;
  case reader::kind::boolean:
    v.what = value::kind::boolean;
    v.integer = r.boolean() ? 1 : 0;
    break;
  case reader::kind::uint:
  case reader::kind::sint:
    v.what = value::kind::integer;
    v.integer = r.sint();
    v.real = static_cast<double>(v.integer);
    break;
  case reader::kind::number:
    v.what = value::kind::number;
    v.real = r.number();
    break;
  case reader::kind::text:
    v.what = value::kind::text;
    v.text = r.text(SIZE_MAX);
    break;
  case reader::kind::blob:
    v.what = value::kind::text;
    v.text = to_text(r.blob(SIZE_MAX));
    break;
  case reader::kind::array:
    v.what = value::kind::list;
    for (auto n = r.array(elements_max); n > 0 && r.ok(); --n)
      v.list.push_back(take(r));
    break;
  case reader::kind::map:
    v.what = value::kind::map;
    for (auto n = r.map(elements_max); n > 0 && r.ok(); --n) {
      std::string name{r.text(SIZE_MAX)};
      v.fields.emplace_back(std::move(name), take(r));
    }
    break;
  case reader::kind::bad:
    r.fail();
    break;
  }
  return v;
}

} // namespace

const value& value::operator[](std::string_view name) const {
  static const value none;
  for (const auto& [key, v] : fields)
    if (key == name)
      return v;
  return none;
}

value parse_value(std::string_view encoded) {
  reader r{as_bytes(encoded)};
  auto v = take(r);
  return r.done() ? v : value{};
}

} // namespace banyan::test
