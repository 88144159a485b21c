// JSON to msgpack and back: bodies of HTTP calls, and the answers to them.
#include "actors/host/json.hpp"

#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

bytes round_trip(const bytes& value) {
  const auto text = msgpack_to_json(value);
  BANYAN_ASSERT(text.ok());
  auto back = json_to_msgpack(*text, {SIZE_MAX});
  BANYAN_ASSERT(back.ok());
  return std::move(*back);
}

void from_json(std::string_view text) {
  const auto value = json_to_msgpack(text);
  if (!value.ok()) {
    BANYAN_ASSERT(value.error().position <= text.size() + 1);
    return;
  }
  if (value->empty())
    return; // spaces alone
  reader r{*value};
  r.skip();
  BANYAN_ASSERT(r.done());
  // A float of whole value comes back as an integer, which JSON can't tell
  // from it; nothing else changes, and that only once.
  const auto back = round_trip(*value);
  if (text.find_first_of(".eE") == std::string_view::npos)
    BANYAN_ASSERT(back == *value || text.find("-0") != std::string_view::npos);
  BANYAN_ASSERT(round_trip(back) == back);
}

void to_json(const_bytes value) {
  const auto text = msgpack_to_json(value);
  if (!text.ok())
    return;
  BANYAN_ASSERT(text->find('\n') == std::string::npos);
  const auto back = json_to_msgpack(*text, {SIZE_MAX});
  BANYAN_ASSERT(back.ok());
  BANYAN_ASSERT(round_trip(*back) == *back);
}

void run(const_bytes in) {
  input i{in};
  if (i.u8() % 2 == 0)
    from_json(as_text(i.rest()));
  else
    to_json(i.rest());
  std::string quoted;
  append_json_string(quoted, as_text(i.rest()));
  BANYAN_ASSERT(json_to_msgpack(quoted, {SIZE_MAX}).ok());
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  for (const auto* t :
       {R"({"cents":5,"to":"bob","deep":[1,-2,3.5e3,true,null,"\u00e9\n"]})",
        R"([18446744073709551615,-9223372036854775808,1e308,0.1,-0.0])",
        R"("\ud83c\udf33")", "  ", "{\"a\":1,\"a\":2}",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"})
    out.push_back(tagged(0, to_bytes(t)));
  bytes b;
  writer w{b};
  w.map(4).uint(1).text("a").sint(-3).blob(bytes{1, 2, 3});
  w.text("x").number(0.25).text("y").array(2).nil().boolean(true);
  out.push_back(tagged(1, b));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(json)
