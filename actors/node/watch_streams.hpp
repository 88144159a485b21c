#pragma once
#include "actors/node/context.hpp"
#include "net/io/http_server.hpp"

#include <list>

namespace banyan::actors {

/// What a look at an actor answered, `[index, blob or nil]`, as a msgpack map
/// {state, version, index, exists}: the fields that <banyan/app.hpp> stores
/// behind their version, or another module's bytes as they are.
/// Nothing if it isn't such an answer.
[[nodiscard]] std::optional<bytes> look_view(const_bytes result,
                                             log_index& index);

/// `GET …/actors/KEY/_watch`: an actor's state after each commit as server-sent
/// events with the log index as id; what is committed while the client, or the
/// way to it, is busy comes as one. Asks the group's leader for a newer state
/// than the last one, again and again: so it needs nothing there that lasts,
/// and a failover is only a pause. Loop's thread.
class watch_streams {
public:
  static constexpr std::size_t watches_max = 256;

  explicit watch_streams(node_context& ctx) : ctx_{ctx}, timer_{ctx.loop} {}
  watch_streams(const watch_streams&) = delete;
  watch_streams& operator=(const watch_streams&) = delete;

  void serve(const io::http_request& q, io::http_responder to);

private:
  struct session {
    io::http_responder to;
    std::string app;
    std::string key;
    std::optional<log_index> seen;  ///< shown last, or by an earlier stream
    std::optional<log_index> after; ///< asks for newer ones only
    bool asking = false;
    bool over = false;
    time_point next; ///< not asked before
    time_point written;
  };
  using session_ptr = std::shared_ptr<session>;
  void ask(const session_ptr& s);
  void on_answer(session& s, const reply& r);
  void write(session& s, std::string_view text);
  void tick();

  node_context& ctx_;
  std::list<session_ptr> sessions_;
  io::timer timer_;
};

} // namespace banyan::actors
