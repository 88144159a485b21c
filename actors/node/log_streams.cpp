#include "actors/node/log_streams.hpp"

#include "actors/host/json.hpp"
#include "actors/node/event_streams.hpp"

namespace banyan::actors {
namespace {

constexpr duration tick_every = 50ms;
constexpr duration round_every = 250ms; ///< while a client follows
/// Of lines, before JSON: six times as much of it stays below what is cut.
constexpr std::size_t handed_on_bytes = std::size_t{256} << 10;

std::string line_json(const node_id& node, const log_line& l) {
  std::string out = "{\"number\":" + std::to_string(l.number)
                    + ",\"at_unix_ms\":" + std::to_string(l.at_unix_ms)
                    + ",\"node\":\"" + to_string(node) + "\",\"source\":\""
                    + to_string(l.source) + "\",\"actor\":";
  if (l.actor.empty())
    out += "null";
  else
    append_json_string(out, l.actor);
  out += ",\"text\":";
  append_json_string(out, l.text);
  return out + "}";
}

std::string silent_json(const node_id& node) {
  return "{\"node\":\"" + to_string(node)
         + "\",\"silent\":true,\"text\":\"it gives no answer: its lines are "
           "missing here\"}";
}

} // namespace

logs_held lines_here(const node_context& ctx, const logs_wanted& w) {
  logs_held out;
  out.token = w.token;
  const auto ring = ctx.app_lines.find(w.app);
  if (ring == ctx.app_lines.end())
    return out;
  std::size_t size = 0;
  ring->second.each_after(w.after, w.since_ms, [&](const log_line& l) {
    const auto more = log_ring::size_of(l);
    if (out.lines.size() >= log_lines_max
        || (!out.lines.empty() && size + more > log_answer_bytes_max)) {
      out.more = true;
      return false;
    }
    size += more;
    out.lines.push_back(l);
    return true;
  });
  return out;
}

log_streams::log_streams(node_context& ctx) : ctx_{ctx}, timer_{ctx.loop} {
  ctx_.on_logs = [this](const node_id& from, logs_held answer) {
    on_answer(from, std::move(answer));
  };
}

log_streams::~log_streams() {
  ctx_.on_logs = nullptr;
}

void log_streams::serve(const io::http_request& q, io::http_responder to,
                        const std::string& app) {
  std::uint64_t follow = 0;
  std::uint64_t since = 0;
  if (!number_parameter(q, "follow", follow)
      || !number_parameter(q, "since_ms", since)) {
    to.send(io::http_error(400, "invalid_argument",
                           "follow and since_ms must be numbers"));
    return;
  }
  if (sessions_.size() >= sse_followers_max) {
    to.send(io::http_error(429, "overloaded",
                           "too many clients read logs of this peer", 1s));
    return;
  }
  if (!to.begin(sse_head()))
    return;
  auto& s = sessions_.emplace_back();
  s.to = std::move(to);
  s.token = ++tokens_;
  s.app = app;
  s.since_ms = static_cast<std::int64_t>(since);
  s.follow = follow != 0;
  s.written = ctx_.loop.now();
  add_nodes(s);
  if (!step(s))
    sessions_.pop_back();
  else if (sessions_.size() == 1)
    tick();
}

/// Those that a link reaches, and those that host it.
void log_streams::add_nodes(session& s) {
  s.merge.add(ctx_.self());
  if (ctx_.links != nullptr)
    for (const auto& l : ctx_.links->links())
      if (l.role == link_role::peer)
        s.merge.add(l.node);
  if (const auto* app = ctx_.known.find_app(s.app))
    for (std::uint32_t shard = 0; shard < app->shards; ++shard)
      for (const auto& node : ctx_.known.candidates({app->id, shard}))
        if (!node.is_none() && (ctx_.full_mesh() || ctx_.reaches(node)))
          s.merge.add(node);
}

void log_streams::ask(session& s) {
  const auto now = ctx_.loop.now();
  std::vector<log_merge::ask> wanted;
  s.merge.wanted(now, wanted);
  for (const auto& w : wanted) {
    const logs_wanted question{s.token, s.app, w.after, s.since_ms};
    if (w.node == ctx_.self()) {
      auto answer = lines_here(ctx_, question);
      s.merge.on_answer(w.node, std::move(answer.lines), answer.more);
    } else if (!ctx_.send(w.node, net::channel::group,
                          encoded_control(question))) {
      s.merge.on_no_answer(w.node, now);
    }
  }
}

bool log_streams::hand_on(session& s) {
  std::vector<log_merge::line_of> lines;
  std::vector<node_id> silent;
  s.merge.take(lines, handed_on_bytes);
  s.merge.take_silent(silent);
  std::string text;
  for (const auto& n : silent)
    text += "data: " + silent_json(n) + "\n\n";
  for (const auto& l : lines)
    append_sse(text, static_cast<std::uint64_t>(l.line.at_unix_ms),
               line_json(l.node, l.line));
  const auto now = ctx_.loop.now();
  if (text.empty() && now - s.written >= sse_keep_alive_interval)
    text = sse_keep_alive;
  if (text.empty())
    return false;
  s.written = now;
  return s.to.write_chunk(text) && !lines.empty();
}

bool log_streams::step(session& s) {
  const auto now = ctx_.loop.now();
  if (!s.to.client_waits())
    return false;
  s.merge.on_tick(now);
  // Its own lines come at once: as long as somebody takes them.
  while (s.to.unsent() < sse_unsent_enough) {
    ask(s);
    if (!hand_on(s))
      break;
  }
  if (!s.merge.round_over())
    return true;
  if (!s.follow) {
    s.to.finish();
    return false;
  }
  if (s.next_round == never)
    s.next_round = now + round_every;
  if (now >= s.next_round) {
    s.next_round = never;
    add_nodes(s);
    s.merge.begin_round();
  }
  return true;
}

void log_streams::on_answer(const node_id& from, logs_held answer) {
  for (auto s = sessions_.begin(); s != sessions_.end(); ++s)
    if (s->token == answer.token) {
      s->merge.on_answer(from, std::move(answer.lines), answer.more);
      if (!step(*s))
        sessions_.erase(s);
      return;
    }
}

void log_streams::tick() {
  timer_.arm(
      ctx_.loop.now() + tick_every,
      [this] {
        for (auto s = sessions_.begin(); s != sessions_.end();)
          s = step(*s) ? std::next(s) : sessions_.erase(s);
        if (!sessions_.empty())
          tick();
      },
      "log streams");
}

} // namespace banyan::actors
