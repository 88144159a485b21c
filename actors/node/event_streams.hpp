#pragma once
#include "actors/node/context.hpp"
#include "net/io/http_server.hpp"

#include <list>

namespace banyan::actors {

/// @name Server-sent events, as text
/// @{
/// The head of an answer that doesn't end.
[[nodiscard]] io::http_response sse_head();
/// One message; `json` is one line.
void append_sse(std::string& out, std::uint64_t id, std::string_view json);
inline constexpr std::string_view sse_keep_alive = ": still here\n\n";
inline constexpr duration sse_keep_alive_interval = 15s;
/// What is written before the client has to take some of it.
inline constexpr std::size_t sse_unsent_enough = 512 * 1024;
/// Followers of one list at once; further ones get `overloaded`.
inline constexpr std::size_t sse_followers_max = 64;
/// A number of `?name=`, or else what is given; false: it is no number.
bool number_parameter(const io::http_request& q, std::string_view name,
                      std::uint64_t& out);
/// @}

/// `GET /v1/events`: what happened, as server-sent events, from the event that
/// follows `Last-Event-ID` (or `?after=`) on; `?follow=0` ends behind the
/// newest. A client that reads slowly is written to at its own pace, and cut
/// by the server when it takes nothing at all. Loop's thread.
class event_streams {
public:
  explicit event_streams(node_context& ctx);
  ~event_streams();
  event_streams(const event_streams&) = delete;
  event_streams& operator=(const event_streams&) = delete;

  void serve(const io::http_request& q, io::http_responder to);

private:
  struct follower {
    io::http_responder to;
    std::uint64_t after = 0;
    bool ends = false; ///< behind the newest
  };
  void pump_later();
  void pump();
  [[nodiscard]] bool write_next(follower& f);
  void keep_alive();

  node_context& ctx_;
  std::list<follower> followers_;
  io::timer beat_;
  io::timer again_;
  bool asked_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace banyan::actors
