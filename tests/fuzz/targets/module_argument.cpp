// A caller's argument as an app's own code gets it: the typed decoder of the
// public API, through the module's table.
#include "actors/host/json.hpp"
#include "actors/host/module.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <banyan/app.hpp>

#include <optional>

namespace {

enum class colour : std::uint8_t { red, green };
struct leaf {
  std::int16_t small = 0;
  std::optional<std::string> word;
  BANYAN_FIELDS(small, word);
};
/// A field of every type that an argument may have.
struct everything {
  bool flag = false;
  std::uint64_t count = 0;
  std::int8_t tiny = 0;
  double ratio = 0;
  std::string name;
  std::vector<std::uint8_t> blob;
  std::vector<leaf> leaves;
  std::map<std::string, std::int64_t> by_name;
  std::map<std::uint32_t, leaf> by_number;
  std::set<std::string> names;
  std::array<std::uint16_t, 3> three{};
  std::optional<colour> tint;
  BANYAN_FIELDS(flag, count, tiny, ratio, name, blob, leaves, by_name,
                by_number, names, three, tint);
};
struct fuzzed : banyan::app<fuzzed, everything> {
  static everything put(everything& state, const everything& e) {
    state = e;
    return e;
  }
  static std::int64_t sum(everything&, const std::vector<std::int32_t>& v) {
    std::int64_t out = 0;
    for (const auto n : v)
      out += n;
    return out;
  }
  static void nothing(everything&) {}
  static everything get(const everything& e) { return e; }
};
BANYAN_APP(fuzzed, put, sum, nothing, get)

} // namespace

namespace banyan::fuzz {
namespace {

module_runner open() {
  host_catalog catalog;
  catalog.add(module_table<fuzzed>());
  const auto found = catalog.find("fuzzed");
  BANYAN_ASSERT(found.ok());
  auto opened = module_runner::open(*found, {});
  BANYAN_ASSERT(opened.ok());
  return std::move(*opened);
}

turn_result turn(const char* command, const_bytes argument,
                 const shared_bytes& state) {
  static auto runner = open();
  turn_order o;
  o.actor = "alice";
  o.command = command;
  o.argument = argument.copy();
  o.state = state;
  return runner.run(o);
}

void run(const_bytes in) {
  input i{in};
  const auto which = i.u8() % 4;
  if (which == 3) { // a stored state of any age, or none of ours
    const auto r = turn("get", {}, shared_bytes{i.rest().copy()});
    BANYAN_ASSERT(r.outcome == turn_outcome::ok
                  || r.outcome == turn_outcome::failed
                  || r.outcome == turn_outcome::newer_state);
    return;
  }
  const char* const commands[] = {"put", "sum", "nothing"};
  const auto r = turn(commands[which], i.rest(), {});
  // The caller's fault, never the app's.
  BANYAN_ASSERT(r.outcome == turn_outcome::ok
                || r.outcome == turn_outcome::invalid);
  BANYAN_ASSERT((r.outcome == turn_outcome::ok) == r.message.empty());
  if (r.outcome != turn_outcome::ok || which != 0)
    return;
  // What was taken is stored, read back and taken again.
  BANYAN_ASSERT(r.state);
  const auto read = turn("get", {}, shared_bytes{*r.state});
  BANYAN_ASSERT(read.outcome == turn_outcome::ok && read.answer == r.answer);
  const auto again = turn("put", read.answer, {});
  BANYAN_ASSERT(again.outcome == turn_outcome::ok);
  BANYAN_ASSERT(again.answer == r.answer);
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  for (const auto* t :
       {R"({"flag":true,"count":7,"tiny":-3,"ratio":0.5,"name":"x",)"
        R"("blob":"AQID","leaves":[{"small":5,"word":"w"},{"small":-5}],)"
        R"("by_name":{"a":-1},"by_number":{"7":{"small":1}},)"
        R"("names":["a","b"],"three":[1,2,3],"tint":1})",
        "[]", "{\"flag\":1}"})
    out.push_back(tagged(0, json_to_msgpack(t).value()));
  out.push_back(tagged(1, json_to_msgpack("[1,-2,3]").value()));
  out.push_back(tagged(2, json_to_msgpack("{}").value()));
  const auto r = turn("put", const_bytes{out[0]}.from(1), {});
  BANYAN_ASSERT(r.state);
  out.push_back(tagged(3, *r.state));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(module_argument)
