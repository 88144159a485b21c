#pragma once
#include "actors/node/context.hpp"
#include "actors/node/event_streams.hpp"
#include "actors/node/gateway_answers.hpp"
#include "actors/node/log_streams.hpp"
#include "actors/node/watch_streams.hpp"
#include "net/io/http_server.hpp"

#include <caf/stateful_actor.hpp>

#include <functional>
#include <optional>
#include <string>

namespace banyan {
class all_jobs;
}

namespace banyan::actors {

struct gateway_start {
  std::string admin_token; ///< of `DIR/admin.token`
  bool local_mesh = false;
};

/// The HTTP API (DESIGN section 12) on the control socket and on `--http`:
/// requests in, calls to router and supervisor, JSON (or msgpack, when asked)
/// out. Everything it answers is first built as msgpack.
class http_gateway final : public io::http_handler {
public:
  http_gateway(node_context& ctx, gateway_start start);
  void handle(io::http_request request, io::http_responder responder) override;
  /// What `/metrics` says about the doors for HTTP; asked on the loop.
  void count_http(std::function<io::http_counters()> f) {
    http_ = std::move(f);
  }

private:
  using responder = io::http_responder;
  /// Of a large mesh it is asked first who leads what this looks at; then the
  /// request comes again. False: nothing is to be asked.
  bool ask_first(io::http_request& q, const responder& r);
  // gateway_calls.cpp
  /// What every call begins with, once app, key and command are in `c`: whether
  /// these are names at all, who asks may, the door has room, and by when it is
  /// wanted. False: it was refused. `what` the command should be, for people.
  bool admit_call(const io::http_request& q, responder& r, call_request& c,
                  const char* what);
  [[nodiscard]] std::optional<reply> turned_away(const io::http_request& q,
                                                 const call_request& c) const;
  void app_call(io::http_request& q, responder r, bool only_query);
  void call(answer_form form, const std::string& client, responder r,
            call_request c, bool may_be_query);
  /// Through the socket, from loopback, or with a token that opens the app.
  [[nodiscard]] bool may_call(const io::http_request& q,
                              const std::string& app) const;
  /// The body as the call's argument; `why` says what is wrong with it.
  static bool read_argument(const io::http_request& q, std::string_view text,
                            call_request& c, std::string& why);
  // gateway_stateless.cpp
  void stateless_call(io::http_request& q, responder r, bool only_arg);
  /// True: it asks a stateless app for what only durable ones have.
  bool wants_durable(const io::http_request& q, const responder& r) const;
  void deploy(io::http_request& q, responder r);
  void remove(io::http_request& q, responder r);
  void plan(io::http_request& q, responder r);
  void papers(io::http_request& q, responder r);
  // gateway_backup.cpp
  void backup(io::http_request& q, responder r);
  void load(io::http_request& q, responder r);
  void recover(io::http_request& q, responder r);
  void verify(io::http_request& q, responder r, bool begin);
  void modules(io::http_request& q, responder r); // gateway_modules.cpp
  // gateway_uptime.cpp
  void uptime(const io::http_request& q, responder r);
  void policy(const io::http_request& q, responder r);
  /// `…/risk` and `…/why` (gateway_outlook.cpp)
  void outlook(const io::http_request& q, responder r);
  // What operators ask for (gateway_operator.cpp)
  void logs(io::http_request& q, responder r);
  void look(io::http_request& q, responder r);
  void list(io::http_request& q, responder r);
  void all(io::http_request& q, responder r); // gateway_all.cpp
  /// False: it was refused.
  bool may_look(const io::http_request& q, responder& r) const;
  /// What operators order (gateway_moves.cpp). False: no such path.
  bool operate(io::http_request& q, const responder& r);
  void stop_or_start(io::http_request& q, responder r, bool stop);
  void move(io::http_request& q, responder r);
  void drain(io::http_request& q, responder r, bool keep);
  [[nodiscard]] bool is_admin(const io::http_request& q) const;

  /// What comes of one load: an entry may be larger than one request.
  struct upload {
    std::string body;
    time_point at;
  };
  static constexpr std::size_t uploads_max = 16;
  std::map<std::string, upload> uploads_; ///< by app and shard

  node_context& ctx_;
  gateway_start start_;
  time_point started_;
  std::function<io::http_counters()> http_;
  std::shared_ptr<all_jobs> all_jobs_; ///< and theirs that are under way
  event_streams events_;
  log_streams logs_;
  watch_streams watches_;
  bool asked_ = false; ///< `ask_first`: it was, for the request that is served
};

/// @name What `GET` shows, as msgpack (gateway_views.cpp, gateway_metrics.cpp)
/// @{
bytes view_status(const node_context& ctx, duration uptime);
bytes view_nodes(const node_context& ctx);
/// Has nodes that are drained, and not linked with this one, say how far they
/// are: a later `view_nodes` has it.
void look_for_drains(node_context& ctx);
bytes view_apps(const node_context& ctx);
/// Empty when there is no such app.
bytes view_app(const node_context& ctx, const std::string& name);
bytes view_removed(const node_context& ctx);
bytes view_failovers(const node_context& ctx);
bytes view_modules(const node_context& ctx);
bytes view_moves(const node_context& ctx);
/// `http`: of the doors for HTTP, if anybody counts them.
std::string view_metrics(const node_context& ctx, duration uptime,
                         const std::optional<io::http_counters>& http);
bytes view_verify(const scrub_report& r, time_point now);
bytes view_deploy(const node_context& ctx, const deploy_answer& a);
/// @}

/// @name The outlook of one app (gateway_outlook.cpp)
/// @{
/// What it would live through now. Empty when there is no such app.
bytes view_risk(const node_context& ctx, const std::string& name);
struct why_wish {
  std::optional<std::uint32_t> shard; ///< none: the first ones
  std::size_t runners_up = 3;
};
inline constexpr std::size_t runners_up_max = 32;
/// Why its replicas are where they are. Empty when there is no such app or
/// shard, or its documents aren't here.
bytes view_why(const node_context& ctx, const std::string& name,
               const why_wish& wish);
/// @}

/// What to do about a call that is an admin's.
inline const std::string admin_rights =
    "use the control socket, or `Authorization: Bearer` with the token in "
    "DIR/admin.token (`banyan --token FILE`)";

/// `code` and HTTP status of DESIGN section 12.
struct http_code {
  const char* code;
  int status;
};
[[nodiscard]] http_code http_code_of(reply_status s) noexcept;

/// The gateway as an actor: the HTTP server's requests reach `http_gateway`
/// directly, on the loop; the actor is what supervision sees of it.
struct gateway_actor_state {
  static inline const char* name = "gateway";
  std::shared_ptr<http_gateway> shell;
};
caf::behavior gateway_actor(caf::stateful_actor<gateway_actor_state>* self,
                            std::shared_ptr<http_gateway> shell);

} // namespace banyan::actors
