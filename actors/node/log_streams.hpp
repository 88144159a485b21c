#pragma once
#include "actors/node/context.hpp"
#include "actors/pure/log_merge.hpp"
#include "net/io/http_server.hpp"

#include <list>

namespace banyan::actors {

/// What this node has of an app's lines, within the bounds of one answer.
[[nodiscard]] logs_held lines_here(const node_context& ctx,
                                   const logs_wanted& w);

/// `GET /v1/apps/NAME/_logs`: the lines that all nodes have of an app, merged,
/// as server-sent events. Without `?follow=1` it ends behind the newest; with
/// it the nodes are asked again as long as the client stays. Loop's thread.
class log_streams {
public:
  explicit log_streams(node_context& ctx);
  ~log_streams();
  log_streams(const log_streams&) = delete;
  log_streams& operator=(const log_streams&) = delete;

  /// `app` is known here.
  void serve(const io::http_request& q, io::http_responder to,
             const std::string& app);

private:
  struct session {
    io::http_responder to;
    std::uint64_t token = 0;
    std::string app;
    std::int64_t since_ms = 0;
    bool follow = false;
    log_merge merge;
    time_point next_round = never;
    time_point written; ///< last
  };
  void on_answer(const node_id& from, logs_held answer);
  /// False: it has come to its end.
  [[nodiscard]] bool step(session& s);
  void ask(session& s);
  /// True when lines went out: there may be more.
  bool hand_on(session& s);
  void add_nodes(session& s);
  void tick();

  node_context& ctx_;
  std::list<session> sessions_;
  std::uint64_t tokens_ = 0;
  io::timer timer_;
};

} // namespace banyan::actors
