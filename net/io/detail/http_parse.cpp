#include "net/io/detail/http_parse.hpp"

// Beast's own assertions don't hold for every way in which bytes arrive (a
// last chunk without room for a trailer yet trips one); the code does.
#define BOOST_DISABLE_ASSERTS
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>

namespace banyan::io::detail {

namespace http = boost::beast::http;

namespace {

constexpr std::size_t response_header_max = 64 * 1024;

template <class Parser>
parse_step put_into(Parser& p, std::string_view data, std::size_t& used) {
  boost::system::error_code e;
  used = p.put(boost::asio::buffer(data.data(), data.size()), e);
  if (e == http::error::need_more)
    return parse_step::more;
  if (e == http::error::header_limit)
    return parse_step::header_too_large;
  if (e == http::error::body_limit)
    return parse_step::body_too_large;
  if (e)
    return parse_step::bad;
  return p.is_done() ? parse_step::done : parse_step::more;
}

template <class Fields>
std::vector<http_request::field> copy_headers(const Fields& f) {
  std::vector<http_request::field> out;
  for (const auto& h : f) {
    std::string name{h.name_string().data(), h.name_string().size()};
    std::transform(name.begin(), name.end(), name.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    out.emplace_back(std::move(name),
                     std::string{h.value().data(), h.value().size()});
  }
  return out;
}

} // namespace

struct request_parser::parts {
  http::request_parser<http::string_body> parser;
};

request_parser::request_parser(std::size_t header_bytes_max,
                               std::size_t body_bytes_max)
    : parts_{std::make_unique<parts>()} {
  parts_->parser.header_limit(static_cast<std::uint32_t>(header_bytes_max));
  parts_->parser.body_limit(body_bytes_max);
  parts_->parser.eager(true);
}
request_parser::~request_parser() = default;

parse_step request_parser::put(std::string_view data, std::size_t& used) {
  return put_into(parts_->parser, data, used);
}
bool request_parser::header_done() const {
  return parts_->parser.is_header_done();
}
bool request_parser::expects_continue() const {
  const auto v = parts_->parser.get()[http::field::expect];
  return boost::beast::iequals(v, "100-continue");
}
std::size_t request_parser::body_bytes() const {
  return parts_->parser.get().body().size();
}
bool request_parser::keep_alive() const {
  return parts_->parser.keep_alive();
}
bool request_parser::http_1_0() const {
  return parts_->parser.get().version() < 11;
}

http_request request_parser::take() {
  auto m = parts_->parser.release();
  http_request r;
  r.method.assign(m.method_string().data(), m.method_string().size());
  r.target.assign(m.target().data(), m.target().size());
  r.headers = copy_headers(m);
  r.body = std::move(m.body());
  return r;
}

struct response_parser::parts {
  http::response_parser<http::string_body> parser;
};

response_parser::response_parser(std::uint64_t body_bytes_max, bool to_head)
    : parts_{std::make_unique<parts>()} {
  parts_->parser.header_limit(response_header_max);
  parts_->parser.body_limit(body_bytes_max);
  parts_->parser.eager(true);
  parts_->parser.skip(to_head);
}
response_parser::~response_parser() = default;

parse_step response_parser::put(std::string_view data, std::size_t& used) {
  return put_into(parts_->parser, data, used);
}
parse_step response_parser::end() {
  if (!parts_->parser.is_header_done()) // Beast asserts that something came
    return parse_step::bad;
  boost::system::error_code e;
  parts_->parser.put_eof(e);
  return e ? parse_step::bad : parse_step::done;
}
bool response_parser::header_done() const {
  return parts_->parser.is_header_done();
}
int response_parser::status() const {
  return static_cast<int>(parts_->parser.get().result_int());
}
std::vector<http_request::field> response_parser::headers() const {
  return copy_headers(parts_->parser.get());
}
std::string response_parser::take_body() {
  return std::exchange(parts_->parser.get().body(), {});
}

} // namespace banyan::io::detail
