// `banyan get` and `banyan ls`: what is stored, without the app's code.
#include "actors/bin/cli/commands.hpp"
#include "actors/bin/cli/follow.hpp"
#include "actors/docs/app_documents.hpp"
#include "actors/host/json.hpp"

#include <algorithm>

namespace banyan::cli {
namespace {

problem usage(std::string why) {
  return {exit_code::usage, std::move(why)};
}

/// The field of a JSON object's text, as JSON; empty: it isn't there.
std::string field_of(std::string_view json, std::string_view name) {
  const auto encoded = json_to_msgpack(json, {sse_reader::line_bytes_max});
  if (!encoded.ok())
    return {};
  reader in{*encoded};
  for (auto n = in.map(16); n > 0 && in.ok(); --n) {
    const auto key = in.text(64);
    const auto content = in.raw();
    if (key != name || !in.ok())
      continue;
    const auto shown = msgpack_to_json(content);
    return shown.ok() ? *shown : std::string{};
  }
  return {};
}

} // namespace

outcome get(const session& s, const get_options& o) {
  actor_address a;
  std::string why;
  if (!split_address(o.address, a, why))
    return failure{usage(std::move(why))};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto path =
      "/v1/apps/" + a.app + "/actors/" + percent_encoded(a.key) + "/";
  if (o.follow)
    return follow(
        *peer, [&] { return path + "_watch"; },
        [&](std::string_view, std::string_view json) {
          print(s.json ? std::string{json} : field_of(json, "state"));
          return can_print();
        });
  const auto json = peer->get_json(path + "_state");
  if (!json.ok())
    return failure{json.error()};
  if (s.json) {
    print(*json);
    return {};
  }
  if (field_of(*json, "exists") != "true")
    return failure{problem{exit_code::failed, "no actor " + printable(o.address)
                                                  + "; `banyan ls " + a.app
                                                  + "` lists what there is"}};
  print(field_of(*json, "state"));
  return {};
}

outcome ls(const session& s, const ls_options& o) {
  constexpr std::size_t page = 1000;
  if (!is_app_name(o.app))
    return failure{usage("'" + printable(o.app)
                         + "' is no app name; `banyan apps` lists what there "
                           "is")};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  std::size_t left = o.most.value_or(SIZE_MAX);
  std::string after;
  while (left > 0) {
    const auto v = peer->get("/v1/apps/" + o.app + "/actors?limit="
                             + std::to_string(std::min(left, page))
                             + "&prefix=" + percent_encoded(o.prefix)
                             + "&after=" + percent_encoded(after));
    if (!v.ok())
      return failure{v.error()};
    const auto& keys = (*v)["actors"].items();
    for (const auto& k : keys) {
      std::string line = printable(k.text());
      if (s.json) {
        line.clear();
        append_json_string(line, k.text());
      }
      print(line);
    }
    left -= std::min(left, keys.size());
    if ((*v)["next"].is_nil() || keys.empty() || !can_print())
      break;
    after = (*v)["next"].text();
  }
  return {};
}

} // namespace banyan::cli
