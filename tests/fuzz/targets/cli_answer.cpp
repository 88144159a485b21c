// A peer's answers as the command line reads and shows them.
#include "actors/bin/cli/answers.hpp"
#include "actors/bin/cli/sse.hpp"
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

/// The messages of a stream, however it is cut into pieces.
std::vector<std::string> messages(std::string_view stream, std::size_t piece) {
  std::vector<std::string> out;
  cli::sse_reader r;
  for (std::size_t at = 0; at < stream.size(); at += piece)
    r.put(stream.substr(at, piece),
          [&](std::string_view id, std::string_view data) {
            BANYAN_ASSERT(data.find('\n') == std::string_view::npos);
            out.push_back(std::string{id} + '=' + std::string{data});
            return true;
          });
  return out;
}

void run(const_bytes in) {
  BANYAN_ASSERT(messages(as_text(in), 1)
                == messages(as_text(in), std::max<std::size_t>(in.size(), 1)));
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
  BANYAN_ASSERT(!obeyed_by_a_terminal(cli::verify_report(v)));
  const auto progress = cli::verify_progress(v);
  BANYAN_ASSERT(!obeyed_by_a_terminal(progress)
                && progress.find('\n') == std::string::npos);
  prepared_app prepared;
  if (cli::read_prepared(v, prepared))
    BANYAN_ASSERT(!prepared.voters.empty()
                  && prepared.voters.size() <= shards_max);
  const auto named = cli::with_app(answer, "abc");
  BANYAN_ASSERT(cli::value::decode(named, v));
  if (!v["app"].is_nil())
    BANYAN_ASSERT(v["app"].text() == "abc");
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
      tagged(0, to_bytes(R"({"app":"x","nonce":"00112233445566778899aabbccdd)"
                         R"(eeff","voters":[[{"node":")"
                         + to_string(node_id{std::array<std::uint8_t, 32>{1}})
                         + R"(","replica":")" + std::string(32, '2')
                         + R"("}]]})")),
      tagged(0, to_bytes(R"({"state":"reading","groups":4,"groups_read":1,)"
                         R"("rows":70,"state_bytes":9000000,"log_bytes":5,)"
                         R"("found":2,"open":1,"rows_damaged":2,)"
                         R"("findings":["ledger/0: row 01 is damaged"]})")),
      tagged(1, bytes{0x81, 0xa1, 'a', 0xc4, 1, 9}),
      to_bytes("id: 1\ndata: {\"a\":1}\n\n: still here\n\nid: 2\r\ndata: "
               "x\r\n\r\n")};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(cli_answer)
