// `banyan logs`: what an app printed and logged, from all nodes.
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/follow.hpp"
#include "actors/docs/app_documents.hpp"

#include <deque>
#include <map>

namespace banyan::cli {
namespace {

std::string shown(const value& l) {
  std::string out = time_text(static_cast<std::int64_t>(l["at_unix_ms"].uint()))
                    + "  " + l["node"].text().substr(0, 8) + "  "
                    + l["source"].text() + "  ";
  if (!l["actor"].is_nil())
    out += l["actor"].text() + ": ";
  return printable(out + l["text"].text());
}

/// Prints lines, or keeps the last ones until there is an end.
class printer {
public:
  printer(const session& s, std::optional<std::size_t> most)
      : json_{s.json}, most_{most} {}

  /// Since a reader that comes back asks from a time on, what it has seen
  /// comes again.
  bool take(std::string_view id, std::string_view json) {
    value l;
    if (!read_json(json, l))
      return true;
    const auto& node = l["node"].text();
    if (l["silent"].uint() != 0 || !l["number"].uint()) {
      note("node " + printable(node.substr(0, 8)) + ": "
           + printable(l["text"].text()));
      return can_print();
    }
    auto& seen = seen_[node];
    if (l["number"].uint() <= seen)
      return can_print();
    seen = l["number"].uint();
    since_ = id;
    kept_.push_back(json_ ? std::string{json} : shown(l));
    if (!most_)
      flush();
    else if (kept_.size() > *most_)
      kept_.pop_front();
    return can_print();
  }
  void flush() {
    for (const auto& line : kept_)
      print(line);
    kept_.clear();
  }
  /// From now on each line at once.
  void go_on() {
    flush();
    most_.reset();
  }
  [[nodiscard]] const std::string& since() const { return since_; }
  void begin_at(std::int64_t ms) { since_ = std::to_string(ms); }

private:
  bool json_;
  std::optional<std::size_t> most_;
  std::string since_ = "0";
  std::deque<std::string> kept_;
  std::map<std::string, std::uint64_t> seen_; ///< by node
};

} // namespace

outcome logs(const session& s, const logs_options& o) {
  const auto since = since_ms(o.since);
  if (!since.ok())
    return failure{since.error()};
  if (!is_app_name(o.app))
    return failure{problem{exit_code::usage,
                           "'" + printable(o.app)
                               + "' is no app name; `banyan apps` lists what "
                                 "there is"}};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  printer out{s, o.most};
  out.begin_at(*since);
  const auto path = "/v1/apps/" + o.app + "/_logs?since_ms=";
  sse_reader reader;
  const auto there =
      peer->stream(path + out.since(), [&](std::string_view piece) {
        return reader.put(piece, [&](std::string_view id, std::string_view l) {
          return out.take(id, l);
        });
      });
  if (!there.ok())
    return failure{there.error()};
  out.go_on();
  if (!o.follow)
    return {};
  return follow(
      *peer, [&] { return path + out.since() + "&follow=1"; },
      [&](std::string_view id, std::string_view l) { return out.take(id, l); });
}

} // namespace banyan::cli
