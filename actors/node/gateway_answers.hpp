#pragma once
#include "actors/node/context.hpp"
#include "net/io/http_server.hpp"

namespace banyan::actors {

/// How a request wants its answer: all that who waits for one has to keep of
/// the request.
struct answer_form {
  explicit answer_form(const io::http_request& q);
  bool msgpack = false; ///< else JSON
};

/// @name What every part of the gateway answers with
/// @{
/// One msgpack value, as JSON unless the client accepts msgpack.
io::http_response answer(answer_form form, const_bytes value, int status = 200);
io::http_response answer(const io::http_request& q, const_bytes value,
                         int status = 200);
io::http_response refusal(const reply& r);
io::http_response refusal(reply_status s, std::string message);
/// At most 9 digits.
bool parse_milliseconds(std::string_view text, duration& out);
/// `?consistency=` and `?max_staleness_ms=` of a query; `why` says what is
/// wrong.
bool read_consistency(const io::http_request& q, call_request& c,
                      std::string& why);
/// The token of `Authorization: Bearer TOKEN`; empty without one.
std::string_view bearer_of(const io::http_request& q);
/// Whether `in` is one msgpack value whose texts are UTF-8: what JSON bodies
/// are by nature.
bool is_argument(const_bytes in, std::string& why);
/// Whom the door counts a call to: an address or network, of those that aren't
/// here; empty: nobody.
std::string client_of(const io::http_origin& from);
/// App and key of a call, or what is wrong with them.
bool check_actor(const std::string& app, const std::string& key,
                 std::string& why);
/// @}

} // namespace banyan::actors
