#include "actors/node/app.hpp"

#include "actors/loop/coordinator.hpp"
#include "actors/node/awaited_host.hpp"
#include "actors/node/modules.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr std::size_t lines_per_second = 100; ///< of what an app prints
constexpr duration late_after = 1s;           ///< usual is some 5 ms

/// Nothing that a terminal or a reader of logs would obey.
std::string plain(std::string_view line) {
  std::string out{line};
  for (auto& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f
        || static_cast<unsigned char>(c) > 0x7e)
      c = '?';
  return out;
}

} // namespace

host_options options_of(const app_spec& s, const std::string& target) {
  host_options o;
  o.module = s.module;
  o.config = s.config;
  o.own_process = s.isolation == app_isolation::process;
  o.memory_max = s.memory_max;
  o.turn_time_max = s.turn_time_max;
  if (!s.modules.empty()) {
    const auto* m = module_for(s, target);
    o.code = m == nullptr ? digest{} : m->hash;
  }
  return o;
}

std::unique_ptr<host> make_host(node_context& ctx, host_options options,
                                host_handlers handlers, std::string& error) {
  if (!options.code)
    return ctx.hosts.make(std::move(options), std::move(handlers), error);
  if (ctx.modules == nullptr || options.code->is_none()) {
    error = "the spec names no module for " + ctx.settings.target
            + ", which this peer is: deploy it with one";
    return nullptr;
  }
  return std::make_unique<awaited_host>(ctx, std::move(options),
                                        std::move(handlers));
}

app_actor_state::~app_actor_state() {
  if (host != nullptr)
    host->stop();
}

void app_actor_state::begin(host_options options) {
  timer = std::make_unique<io::timer>(ctx->loop);
  restart_timer = std::make_unique<io::timer>(ctx->loop);
  late_timer = std::make_unique<io::timer>(ctx->loop);
  standing_timer = std::make_unique<io::timer>(ctx->loop);
  host_handlers handlers;
  handlers.on_ready = [this](const module_info& info) {
    up = true;
    late = false;
    late_timer->cancel();
    trouble.clear();
    state_version = info.state_version;
    ctx->handlers[app][id.second] = info;
    for (const auto& g : groups)
      ctx->tell_replica(g, host_up_in{id.second});
    ladder.started(ctx->loop.now());
    tell();
  };
  handlers.on_results = [this](std::vector<turn_result> r) {
    on_results(std::move(r));
  };
  handlers.on_failed = [this](const host_failed& f) { on_failed(f); };
  handlers.on_line = [this](std::string_view line) { on_line(line); };
  handlers.on_slow = [this, max = options.turn_time_max](
                         const std::optional<turn_key>&, duration d) {
    ++ctx->counters.turns_slow;
    ctx->log(log_level::warning,
             "app " + app + ": a turn runs for more than "
                 + std::to_string(d / std::chrono::milliseconds{1})
                 + " ms; its host is ended at "
                 + std::to_string(max / std::chrono::milliseconds{1}) + " ms");
    ctx->event(event_kind::host_slow, app,
               "a turn runs for more than "
                   + std::to_string(d / std::chrono::milliseconds{1}) + " ms",
               std::nullopt, ctx->self());
  };
  options.turn_time_slow =
      std::min(options.turn_time_slow, options.turn_time_max / 2);
  std::string error;
  host = make_host(*ctx, std::move(options), std::move(handlers), error);
  if (host == nullptr) {
    late = true; // until another version comes
    trouble = std::move(error);
    tell();
    return;
  }
  host->start();
  expect_up();
  arm();
}

void app_actor_state::on_results(std::vector<turn_result> results) {
  std::map<group_id, std::vector<turn_result>> by_group;
  for (auto& r : results)
    by_group[r.key.group].push_back(std::move(r));
  for (auto& [group, list] : by_group)
    ctx->tell_replica(group, turn_results_in{std::move(list)});
  arm();
}

void app_actor_state::on_line(std::string_view line) {
  ctx->app_lines[app].add(log_source::out, {}, line, ctx->unix_ms());
  const auto now = ctx->loop.now();
  if (now - lines_since >= 1s) {
    if (lines > lines_per_second)
      ctx->log(log_level::warning,
               "app " + app + " printed "
                   + std::to_string(lines - lines_per_second)
                   + " lines more than are kept in a second");
    lines_since = now;
    lines = 0;
  }
  if (++lines <= lines_per_second)
    ctx->log(log_level::info, "app " + app + " says: " + plain(line));
}

void app_actor_state::on_failed(const host_failed& f) {
  up = false;
  ctx->log(log_level::error, "app " + app + ": host failed (" + to_string(f.why)
                                 + "): " + f.message);
  ctx->event(event_kind::host_failed, app,
             std::string{to_string(f.why)} + ": " + f.message, std::nullopt,
             ctx->self());
  for (const auto& g : groups)
    ctx->tell_replica(g, host_down_in{f.died_of, id.second});
  ++ctx->counters.hosts_failed;
  trouble = f.message;
  late_timer->cancel();
  const auto again = ladder.failed(ctx->loop.now());
  tell();
  restart_timer->arm(
      again,
      [this] {
        host->restart();
        expect_up();
        arm();
      },
      "host restart");
}

/// From a start on.
void app_actor_state::expect_up() {
  late_timer->arm(
      ctx->loop.now() + late_after,
      [this] {
        late = true;
        tell();
      },
      "host start");
}

/// Says how it is, and again when that changes by time alone.
void app_actor_state::tell() {
  const auto now = ctx->loop.now();
  if (ladder.recovered(now))
    ladder.reset();
  host_news news;
  news.app = id.first;
  news.version = id.second;
  news.up = up;
  news.exhausted = ladder.exhausted(now);
  news.worn = late || ladder.worn(now);
  news.message = trouble;
  news.state_version = state_version;
  caf::anon_send(ctx->supervisor, std::move(news));
  const auto next = ladder.next_change(now);
  if (next == never)
    return standing_timer->cancel();
  standing_timer->arm(
      next, [this] { tell(); }, "host standing");
}

void app_actor_state::on_restart_order() {
  if (up && ladder.failures(ctx->loop.now()) == 0)
    return; // it is well
  ladder.reset();
  ladder.operator_stops();
  up = false;
  if (host == nullptr)
    return;
  for (const auto& g : groups) // what it had never gets a result
    ctx->tell_replica(g, host_down_in{{true, std::nullopt}, id.second});
  restart_timer->cancel();
  host->restart();
  expect_up();
  arm();
}

void app_actor_state::on_park_order() {
  if (ladder.parked())
    return;
  ladder.park();
  tell();
}

void app_actor_state::arm() {
  const auto due = host->deadline();
  if (due == never)
    return timer->cancel();
  timer->arm(
      due,
      [this] {
        host->on_time(ctx->loop.now());
        arm();
      },
      "host");
}

caf::behavior app_actor(caf::stateful_actor<app_actor_state>* self,
                        node_context* ctx, app_host_id id, std::string app,
                        host_options options) {
  quiet(self);
  auto& s = self->state;
  s.ctx = ctx;
  s.id = id;
  s.app = std::move(app);
  s.begin(std::move(options));
  return {
      [&s](turns_in& m) {
        if (s.host == nullptr)
          return;
        s.host->submit(std::move(m.orders));
        s.arm();
      },
      [&s](const replica_joined& m) {
        if (!m.here) {
          s.groups.erase(m.group);
          return;
        }
        s.groups.insert(m.group);
        if (s.up)
          s.ctx->tell_replica(m.group, host_up_in{s.id.second});
      },
      [&s](restart_host) { s.on_restart_order(); },
      [&s](park_host) { s.on_park_order(); },
  };
}

} // namespace banyan::actors
