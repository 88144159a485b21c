#include "actors/bin/cli/owner.hpp"
#include "actors/docs/spec_file.hpp"
#include "actors/host/json.hpp"

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto leaders_within = 15s;
constexpr auto look_again_after = 50ms;

void warn(const value& answer) {
  for (const auto& line : answer["warnings"].items())
    note("warning: " + printable(line.text()));
}

std::string survival(std::uint64_t n) {
  return n == 0 ? "survives no failure: one node lost and it stops"
                : "survives " + counted(n, "failed node") + " in every group";
}

// Only what a majority of living voters needs: what stands now.
std::uint64_t survives(const value& app) {
  std::uint64_t least = UINT64_MAX;
  for (const auto& g : app["groups"].items()) {
    const auto n = g["voters"].items().size();
    least = std::min<std::uint64_t>(least, n == 0 ? 0 : (n - 1) / 2);
  }
  return least == UINT64_MAX ? 0 : least;
}

outcome print_json(const_bytes answer) {
  const auto json = msgpack_to_json(answer);
  if (!json.ok())
    return failure{problem{exit_code::failed, json.error().message}};
  print(*json);
  return {};
}

// Some instance runs the newest version.
bool serves_newest(const value& app) {
  for (const auto& i : app["instances"].items())
    if (i["version"].uint() >= app["version"].uint())
      return true;
  return false;
}

// What voters still fetch of the app's code; empty: nothing.
std::string code_on_its_way(const value& app) {
  std::map<std::string, double> progress;
  for (const auto& m : app["modules"].items())
    for (const auto& n : m["nodes"].items()) {
      auto& best = progress[n["node"].text()];
      best = std::max(best, n["progress"].number());
    }
  std::map<std::string, int> lacking;
  for (const auto& g : app["groups"].items())
    for (const auto& v : g["voters"].items())
      if (const auto at = progress.find(v["node"].text());
          at != progress.end() && at->second < 1)
        lacking[at->first.substr(0, 8)] = static_cast<int>(at->second * 100);
  std::string out;
  for (const auto& [node, percent] : lacking)
    out += (out.empty() ? "" : ", ") + printable(node) + " has "
           + std::to_string(percent) + " %";
  return out.empty() ? out : "voters fetch the module: " + out;
}

} // namespace

// A deploy is over when people can use it.
result<value, problem> wait_for_leaders(peer_client& peer,
                                        const std::string& name) {
  using clock = std::chrono::steady_clock;
  auto until = clock::now() + leaders_within;
  std::string said;
  for (;;) {
    auto app = peer.get("/v1/apps/" + percent_encoded(name));
    if (!app.ok() && !says(app.error(), "not_found"))
      return app;
    std::size_t led = 0;
    std::size_t all = 0;
    const bool stateless = app.ok() && (*app)["kind"].text() == "stateless";
    if (stateless && serves_newest(*app))
      return app;
    if (app.ok()) {
      all = (*app)["groups"].items().size();
      for (const auto& g : (*app)["groups"].items())
        led += g["leader"].is_nil() ? 0 : 1;
      const auto fetching = code_on_its_way(*app);
      if (all > 0 && led == all && fetching.empty())
        return app;
      if (!fetching.empty() && fetching != said) {
        note(said = fetching);
        until = clock::now() + leaders_within;
      }
      if (all > 0 && led == all) {
        if (clock::now() >= until)
          return app; // it serves, and the others will come
        std::this_thread::sleep_for(look_again_after);
        continue;
      }
    }
    const auto progress = stateless
                              ? "waiting for an instance"
                              : "waiting for leaders: " + std::to_string(led)
                                    + " of " + counted(all, "group")
                                    + (all == 1 ? " has one" : " have one");
    if (clock::now() >= until && stateless)
      return failure{problem{exit_code::failed,
                             name
                                 + ": after 15 s no instance is up; `banyan "
                                   "apps "
                                 + name + "` shows what keeps its host"}};
    if (clock::now() >= until)
      return failure{problem{
          exit_code::failed,
          name + ": after 15 s only " + std::to_string(led) + " of "
              + counted(all, "group") + " have a leader; `banyan apps " + name
              + "` shows which lack one, and what keeps their nodes"}};
    if (progress != said)
      note(said = progress);
    std::this_thread::sleep_for(look_again_after);
  }
}

namespace {

deploy_result deploy_by_peer(peer_client& peer, const spec_source& spec,
                             bool strict) {
  if (!spec.modules.empty())
    return failure{problem{
        exit_code::failed,
        "[module] names files, and peers run code only for owners: add "
        "--owner NAME.owner; in the mesh `local` write module = \"NAME\" and "
        "put NAME.so into the --apps directory of every peer"}};
  io::http_call c;
  c.method = "PUT";
  c.target = "/v1/apps/" + percent_encoded(spec.spec.name);
  if (strict)
    c.target += "?strict=1";
  c.body = spec.toml;
  c.headers.emplace_back("Content-Type", "application/toml");
  c.headers.emplace_back("Accept", "application/msgpack");
  auto r = peer.send(std::move(c), effect::changes);
  if (!r.ok()) {
    auto why = r.error();
    if (why.code == exit_code::unknown)
      why.message += "; `banyan apps " + spec.spec.name
                     + "` shows what became of it; then repeat the command";
    return failure{std::move(why)};
  }
  return to_bytes(r->body);
}

std::string token_line(const std::string& token) {
  return "its token for calls off loopback, shown this once: " + token;
}

outcome confirm(const std::string& app) {
  std::fprintf(stderr,
               "this removes '%s' everywhere; its data is kept for 7 days of "
               "the peers' running time\ntype its name to go on: ",
               app.c_str());
  std::string line;
  if (!std::getline(std::cin, line) || line != app)
    return failure{problem{exit_code::failed,
                           "nothing was removed: that is not the app's name; "
                           "--yes does it without asking"}};
  return {};
}

} // namespace

result<spec_source, problem> read_spec(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  std::string text(config_file_bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(
      static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  if (!in.eof() || in.bad())
    return failure{problem{exit_code::usage,
                           file
                               + ": can't be read as an app's spec; give a "
                                 "TOML file of at most 1 MiB"}};
  auto parsed = parse_spec(text, file);
  if (!parsed.ok())
    return failure{problem{exit_code::usage, parsed.error().message}};
  auto modules = read_modules(file, parsed->modules);
  if (!modules.ok())
    return failure{modules.error()};
  spec_source out{std::move(text), std::move(parsed->spec),
                  std::move(*modules)};
  for (const auto& m : out.modules)
    out.spec.modules.push_back(m.ref);
  if (const auto why = why_invalid(out.spec); !why.empty())
    return failure{problem{exit_code::usage, file + ": " + why}};
  return out;
}

outcome plan(const session& s, const std::string& file) {
  const auto spec = read_spec(file);
  if (!spec.ok())
    return failure{spec.error()};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  const auto planned = ask_plan(*peer, *spec, false);
  if (!planned.ok())
    return failure{planned.error()};
  if (s.json)
    return print_json(*planned);
  value v;
  static_cast<void>(value::decode(*planned, v)); // `ask_plan` has read it
  if (spec->spec.kind == app_kind::stateless) {
    table t{{"INSTANCE", "REGION"}};
    std::size_t shown = 0;
    for (const auto& r : v["voters"].items().front().items())
      if (shown++ < spec->spec.replicas)
        t.row({r["node"].text().substr(0, 8), r["region"].text()});
    print(t.text());
    warn(v);
    return {};
  }
  table t{{"SHARD", "VOTERS"}};
  std::size_t shard = 0;
  for (const auto& voters : v["voters"].items()) {
    std::string cell;
    for (const auto& r : voters.items()) {
      cell += (cell.empty() ? "" : " ") + r["node"].text().substr(0, 8);
      if (!r["region"].text().empty())
        cell += "(" + r["region"].text() + ")";
    }
    t.row({std::to_string(shard++), std::move(cell)});
  }
  print(t.text() + survival(v["survives"].uint()));
  warn(v);
  return {};
}

outcome deploy(const session& s, const deploy_options& o) {
  const auto spec = read_spec(o.spec);
  if (!spec.ok())
    return failure{spec.error()};
  if (spec->spec.secrets.empty()
      && (!o.secrets.empty() || !o.secrets_file.empty()))
    return failure{problem{exit_code::usage,
                           o.spec
                               + ": the spec names no secrets; add secrets = "
                                 "[\"NAME\"] to it"}};
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  // Secrets are boxed here: no peer but the voters' reads them.
  const bool by_peer =
      o.owner.empty() && spec->spec.secrets.empty() && !o.new_token;
  std::string token;
  const auto done = by_peer ? deploy_by_peer(*peer, *spec, o.strict)
                            : deploy_as_owner(s, *peer, *spec, o, token);
  if (!token.empty()) { // it is signed, and known nowhere else
    if (done.ok() && !s.json)
      print(token_line(token));
    else
      note(token_line(token));
  }
  if (!done.ok())
    return failure{done.error()};
  value answer;
  if (!value::decode(*done, answer))
    return failure{problem{exit_code::failed,
                           "the peer's answer makes no sense; are peer and "
                           "`banyan` of the same version?"}};
  warn(answer);
  const auto app = wait_for_leaders(*peer, spec->spec.name);
  if (!app.ok())
    return failure{app.error()};
  deploy_is_done(*spec, o);
  if (s.json)
    return print_json(*done);
  if (spec->spec.kind == app_kind::stateless) {
    print(spec->spec.name + " is deployed: version "
          + printable((*app)["version"].shown()) + ", "
          + std::to_string((*app)["instances"].items().size()) + " of "
          + counted(spec->spec.replicas, "instance") + " up");
    return {};
  }
  const bool is_new = !answer["voters"].items().empty();
  print(spec->spec.name + " is deployed: version "
        + printable((*app)["version"].shown()) + ", "
        + counted((*app)["groups"].items().size(), "group")
        + ", each with a leader\n"
        + survival(is_new ? answer["survives"].uint() : survives(*app)));
  return {};
}

outcome remove(const session& s, const remove_options& o) {
  if (!is_app_name(o.app))
    return failure{problem{exit_code::usage,
                           "'" + printable(o.app)
                               + "' is no app name: 1 to 63 of a-z, 0-9, _ and "
                                 "-, a letter first; `banyan apps` lists what "
                                 "there is"}};
  if (!o.yes)
    if (auto sure = confirm(o.app); !sure.ok())
      return sure;
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  deploy_result done = failure{problem{}};
  if (o.owner.empty()) {
    io::http_call c;
    c.method = "DELETE";
    c.target = "/v1/apps/" + percent_encoded(o.app);
    if (!o.id.empty())
      c.target += "?id=" + percent_encoded(o.id);
    c.headers.emplace_back("Accept", "application/msgpack");
    auto r = peer->send(std::move(c), effect::changes);
    if (r.ok())
      done = to_bytes(r->body);
    else
      done = failure{r.error()};
  } else {
    done = remove_as_owner(*peer, o);
  }
  if (!done.ok()) {
    auto why = done.error();
    if (why.code == exit_code::unknown)
      why.message += "; repeat the same command";
    return failure{std::move(why)};
  }
  if (s.json)
    return print_json(*done);
  print(o.app
        + " is removed; its data is kept for 7 days of the peers' "
          "running time");
  return {};
}

} // namespace banyan::cli
