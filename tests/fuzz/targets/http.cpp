// HTTP as clients send it to a peer, and as a peer answers the command line.
#include "net/io/detail/http_parse.hpp"
#include "net/io/detail/http_text.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

using namespace io;
using namespace io::detail;

constexpr std::size_t header_max = 4096;
constexpr std::size_t body_max = 8192;

struct seen {
  parse_step end = parse_step::more;
  std::vector<http_request> requests;
};

// As a connection does it: what is unused is given again with more behind it.
seen requests(std::string_view wire, std::size_t step) {
  seen out;
  std::string waiting;
  auto parser = std::make_unique<request_parser>(header_max, body_max);
  while (out.requests.size() < 16) {
    std::size_t used = 0;
    const auto said = parser->put(waiting, used);
    BANYAN_ASSERT(used <= waiting.size());
    waiting.erase(0, used);
    if (said == parse_step::done) {
      BANYAN_ASSERT(parser->header_done());
      (void)parser->keep_alive();
      (void)parser->http_1_0();
      (void)parser->expects_continue();
      out.requests.push_back(parser->take());
      parser = std::make_unique<request_parser>(header_max, body_max);
      continue;
    }
    out.end = said;
    if (said != parse_step::more || wire.empty())
      break;
    waiting.append(wire.substr(0, step));
    wire.remove_prefix(std::min(step, wire.size()));
  }
  return out;
}

void server(std::string_view wire, std::size_t step) {
  auto whole = requests(wire, wire.size() + 1);
  const auto pieces = requests(wire, step);
  // How it was cut changes neither what is understood nor what is refused.
  const auto both = std::min(whole.requests.size(), pieces.requests.size());
  for (std::size_t n = 0; n < both; ++n) {
    BANYAN_ASSERT(whole.requests[n].method == pieces.requests[n].method);
    BANYAN_ASSERT(whole.requests[n].target == pieces.requests[n].target);
    BANYAN_ASSERT(whole.requests[n].headers == pieces.requests[n].headers);
    BANYAN_ASSERT(whole.requests[n].body == pieces.requests[n].body);
  }
  BANYAN_ASSERT(whole.requests.size() == pieces.requests.size());
  for (auto& r : whole.requests) {
    BANYAN_ASSERT(r.body.size() <= body_max);
    BANYAN_ASSERT(r.target.size() <= header_max);
    for (const auto& h : r.headers)
      BANYAN_ASSERT(h.second.find('\n') == std::string::npos);
    if (split_target(r))
      BANYAN_ASSERT(r.path.size() <= r.target.size());
    (void)host_name(r.header("host"));
    (void)host_name(r.header("origin"));
  }
}

void client(std::string_view wire, bool to_head, std::size_t step) {
  response_parser parser{body_max, to_head};
  std::string waiting;
  std::size_t body = 0;
  for (;;) {
    std::size_t used = 0;
    const auto said = parser.put(waiting, used);
    BANYAN_ASSERT(used <= waiting.size());
    waiting.erase(0, used);
    body += parser.take_body().size();
    if (said == parse_step::done || said == parse_step::bad
        || said == parse_step::header_too_large
        || said == parse_step::body_too_large)
      break;
    if (wire.empty()) {
      (void)parser.end();
      break;
    }
    waiting.append(wire.substr(0, step));
    wire.remove_prefix(std::min(step, wire.size()));
  }
  BANYAN_ASSERT(body <= body_max);
  if (parser.header_done()) {
    BANYAN_ASSERT(parser.status() >= 0 && parser.status() <= 999);
    (void)parser.headers();
  }
}

void run(const_bytes in) {
  input i{in};
  const auto which = i.u8() % 4;
  const std::size_t step = 1 + i.u8() % 64;
  if (which < 2)
    return server(as_text(i.rest()), step);
  if (which == 2)
    return client(as_text(i.rest()), (step & 1) != 0, step);
  std::string decoded;
  if (percent_decode(as_text(i.rest()), (step & 1) != 0, decoded))
    BANYAN_ASSERT(decoded.size() <= i.rest().size());
  http_request r;
  r.target = to_text(i.rest());
  (void)split_target(r);
}

bytes seed(std::uint8_t which, std::string_view text) {
  return tagged(which, tagged(9, as_bytes(text)));
}

std::vector<bytes> seeds() {
  const std::string_view call =
      "POST /v1/apps/ledger/actors/alice/deposit HTTP/1.1\r\n"
      "Host: localhost:7680\r\nContent-Length: 11\r\n"
      "Idempotency-Key: abc\r\n\r\n{\"cents\":5}";
  const std::string_view get = "GET /v1/apps/a%2Fb?x=1&y=%20+z HTTP/1.0\r\n"
                               "Connection: keep-alive\r\n\r\n";
  std::vector<bytes> out{
      seed(0, call),
      seed(0, std::string{get} + std::string{call}),
      seed(0, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
              "Expect: 100-continue\r\n\r\n"
              "5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n"),
      seed(0, "HEAD * HTTP/1.1\r\nHost: [::1]:80\r\n folded: no\r\n\r\n"),
      seed(2, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
      seed(2, "HTTP/1.1 504 Gateway Timeout\r\n"
              "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
      seed(2, "HTTP/1.0 404 Not Found\r\n\r\nuntil the end"),
      seed(3, "/v1/apps/a%2Fb/?q=%41&q=+&&="),
      seed(3, "/%zz")};
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(http)
