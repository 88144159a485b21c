// A peer's answers as the command line reads and shows them.
#include "actors/bin/cli/text.hpp"
#include "actors/bin/cli/value.hpp"
#include "actors/host/json.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <cmath>

namespace banyan::fuzz {
namespace {

bool obeyed_by_a_terminal(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto b = static_cast<std::uint8_t>(c);
    return (b < 0x20 && c != '\n') || b == 0x7f;
  });
}

void show(const cli::value& v, cli::table& out) {
  out.row({v.shown(), v["name"].shown(), v["term"].text()});
  const auto number = v.number();
  const auto text = cli::number_text(number);
  if (std::isfinite(number))
    BANYAN_ASSERT(std::abs(std::strtod(text.c_str(), nullptr) - number)
                  <= std::abs(number) * 1e-9 + 0.0006);
  for (const auto& i : v.items())
    show(i, out);
}

void run(const_bytes in) {
  input i{in};
  bytes answer;
  if (i.u8() % 2 == 0) {
    auto read = json_to_msgpack(as_text(i.rest()), {SIZE_MAX});
    if (!read.ok())
      return;
    answer = std::move(*read);
  } else {
    answer = i.rest().copy();
  }
  cli::value v;
  if (!cli::value::decode(answer, v))
    return;
  cli::table t{{"A", "B", "C"}};
  show(v, t);
  BANYAN_ASSERT(!obeyed_by_a_terminal(t.text()));
  BANYAN_ASSERT(!obeyed_by_a_terminal(cli::printable(as_text(i.rest()))));
  cli::actor_address a;
  std::string why;
  if (cli::split_address(as_text(i.rest()), a, why))
    BANYAN_ASSERT(a.app.find('/') == std::string::npos);
  else
    BANYAN_ASSERT(!why.empty());
  const auto encoded = cli::percent_encoded(as_text(i.rest()));
  BANYAN_ASSERT(encoded.find('/') == std::string::npos);
}

std::vector<bytes> seeds() {
  return {
      tagged(0, to_bytes(R"({"node":"abc","peers":[{"name":"a","term":7},)"
                         R"({"name":"b\u001b[2J","term":"x"}],"ms":1.25})")),
      tagged(0, to_bytes(R"({"error":"unknown","message":"no answer"})")),
      tagged(0, to_bytes("[1e300,-0.0005,123456789.125,null,true]")),
      tagged(1, bytes{0x81, 0xa1, 'a', 0xc4, 1, 9})};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(cli_answer)
