// What an operator does with machines and apps: stop, start, move, drain.
#include "actors/bin/cli/commands.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto look_every = std::chrono::milliseconds{300};
constexpr std::size_t short_id = 8;

/// One line that moves on a terminal, several elsewhere.
class progress {
public:
  ~progress() {
    if (terminal_ && !last_.empty())
      std::fputs("\r\x1b[K", stderr);
  }
  void show(const std::string& line) {
    if (line == last_)
      return;
    last_ = line;
    if (terminal_)
      std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
    else
      note(line);
  }

private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::string last_;
};

result<value, problem> order(peer_client& peer, const std::string& method,
                             const std::string& target,
                             const std::string& body) {
  io::http_call c;
  c.method = method;
  c.target = target;
  c.body = body;
  c.timeout = std::chrono::seconds{15};
  c.headers.emplace_back("Accept", "application/msgpack");
  auto r = peer.send(std::move(c), effect::changes);
  if (!r.ok())
    return failure{r.error()};
  value v;
  if (!value::decode(as_bytes(r->body), v))
    return failure{problem{exit_code::failed,
                           "the peer's answer makes no sense; are peer and "
                           "`banyan` of the same version?"}};
  return v;
}

const value* row_of(const value& rows, const char* field,
                    const std::string& is) {
  for (const auto& row : rows.items())
    if (row[field].shown() == is)
      return &row;
  return nullptr;
}

std::string drain_line(const value& d) {
  auto line = counted(d["leaderships"].uint(), "leadership") + " and "
              + counted(d["replicas"].uint(), "replica") + " left";
  if (!d["eta_s"].is_nil())
    line += ", about " + d["eta_s"].shown() + " s";
  if (const auto& why = d["blocked_by"].items(); !why.empty())
    line += "; waits: " + printable(why.front().text());
  return line;
}

} // namespace

outcome stop_app(const session& s, const std::string& app, bool stop) {
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto v = order(
      *peer, "POST",
      "/v1/apps/" + percent_encoded(app) + (stop ? "/stop" : "/start"), "");
  if (!v.ok())
    return failure{v.error()};
  if (s.json)
    print(std::string{"{\"app\":\""} + app
          + "\",\"stopped\":" + (stop ? "true" : "false") + "}");
  else
    print(printable(app)
          + (stop ? ": stopped; its data is kept, its timers "
                    "and messages wait. `banyan start "
                        + printable(app) + "` goes on"
                  : ": started"));
  return {};
}

outcome move_replica(const session& s, const move_options& o) {
  actor_address at;
  std::string why;
  if (!split_address(o.group, at, why) || at.key.empty()
      || at.key.find_first_not_of("0123456789") != std::string::npos
      || at.key.size() > 4)
    return failure{
        problem{exit_code::usage,
                "'" + o.group + "' is no APP/SHARD; as in `ledger/3`"}};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto begun =
      order(*peer, "POST", "/v1/apps/" + percent_encoded(at.app) + "/move",
            "{\"shard\":" + std::to_string(std::stoul(at.key)) + ",\"from\":\""
                + percent_encoded(o.from) + "\",\"to\":\""
                + percent_encoded(o.to) + "\"}");
  if (!begun.ok())
    return failure{begun.error()};
  if (const auto& said = (*begun)["message"].text(); !said.empty())
    note(printable(said));
  const auto number = (*begun)["number"].shown();
  progress line;
  for (;;) {
    const auto rows = peer->get("/v1/moves");
    if (!rows.ok())
      return failure{rows.error()};
    const auto* row = row_of(*rows, "number", number);
    if (row == nullptr)
      return failure{problem{exit_code::unknown,
                             "the peer knows nothing of the move any more; "
                             "`banyan apps "
                                 + printable(at.app)
                                 + "` shows where the voters are"}};
    const auto& state = (*row)["state"].text();
    if (state == "refused")
      return failure{
          problem{exit_code::failed, printable((*row)["message"].text())}};
    if (state == "done")
      break;
    line.show(o.group + ": moving, "
              + number_text((*row)["progress"].number() * 100) + " %");
    std::this_thread::sleep_for(look_every);
  }
  if (s.json)
    print("{\"group\":\"" + o.group + "\",\"state\":\"done\"}");
  else
    print(printable(o.group) + ": its replica on " + printable(o.from)
          + " is on " + printable(o.to) + " now");
  return {};
}

outcome drain_node(const session& s, const drain_options& o) {
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  auto target = "/v1/nodes/" + percent_encoded(o.node) + "/drain";
  if (o.force)
    target += "?force=1";
  const auto begun = order(*peer, o.cancel ? "DELETE" : "POST", target, "");
  if (!begun.ok())
    return failure{begun.error()};
  const auto node = (*begun)["node"].text();
  const auto brief = printable(node.substr(0, short_id));
  if (o.cancel) {
    print(s.json ? "{\"node\":\"" + node + "\",\"draining\":false}"
                 : brief + ": drained no more, it takes replicas again");
    return {};
  }
  note(brief + ": " + printable((*begun)["message"].text())
       + ". It goes on if you leave with Ctrl-C");
  progress line;
  for (;;) {
    const auto rows = peer->get("/v1/nodes");
    if (!rows.ok())
      return failure{rows.error()};
    const auto* row = row_of(*rows, "node", node);
    if (row == nullptr)
      return failure{problem{exit_code::unknown, "node " + brief
                                                     + " is no member any "
                                                       "more"}};
    const auto& d = (*row)["draining"];
    if (!d.is_nil()) {
      if (d["done"].shown() == "true")
        break;
      line.show(brief + ": " + drain_line(d));
    } else if ((*row)["state"].text() != "alive") {
      return failure{problem{exit_code::unknown,
                             "node " + brief
                                 + " is gone; it goes on when it is back, and "
                                   "its leaders replace its voters meanwhile"}};
    }
    std::this_thread::sleep_for(look_every);
  }
  print(s.json ? "{\"node\":\"" + node + "\",\"draining\":true,\"done\":true}"
               : brief + ": drained. Nothing is left there; `banyan drain "
                     + brief + " --cancel` has it take replicas again");
  return {};
}

} // namespace banyan::cli
