// `banyan policy set --allow …`: which nodes may be in the mesh.
#include "actors/bin/cli/allow.hpp"

#include "actors/bin/cli/text.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace banyan::cli {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{2} << 20;
constexpr std::size_t shown_max = 20;

failure<problem> wrong(std::string why) {
  return failure<problem>{problem{exit_code::usage, std::move(why)}};
}

outcome read(const std::vector<std::string>& given, std::vector<node_id>& out) {
  for (const auto& text : given) {
    node_id n;
    if (!parse_id(text, n))
      return wrong(printable(text)
                   + " is no whole node id; `banyan nodes --json` shows them");
    out.push_back(n);
  }
  return {};
}

outcome read_file(const std::string& file, std::vector<node_id>& out) {
  std::ifstream in{file, std::ios::binary};
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (!in || text.size() > file_bytes_max)
    return wrong(printable(file) + ": can't be read; give a file of node ids");
  std::string why;
  if (!read_ids(text, out, why))
    return wrong(printable(file) + ": " + why);
  return {};
}

void take_out(std::vector<node_id>& from, const std::vector<node_id>& these) {
  from.erase(std::remove_if(from.begin(), from.end(),
                            [&](const node_id& n) {
                              return std::find(these.begin(), these.end(), n)
                                     != these.end();
                            }),
             from.end());
}

/// Members that live and that nobody said anything about.
outcome all_are_named(const allowed_nodes& list, peer_client& peer) {
  const auto nodes = peer.get("/v1/nodes");
  if (!nodes.ok())
    return failure{nodes.error()};
  std::string lacks;
  for (const auto& n : nodes->items()) {
    node_id id;
    const auto& state = n["state"].text();
    if ((state == "alive" || state == "suspect")
        && parse_id(n["node"].text(), id) && !list.lets_in(id))
      lacks += " " + to_string(id);
  }
  if (lacks.empty())
    return {};
  return wrong("these are members, and not on the list:" + lacks
               + "\nadd `--allow ID` for those that stay, and `--leaving ID` "
                 "for those that shall keep what they have and take nothing "
                 "new");
}

} // namespace

outcome apply_list(allowed_nodes& list, const policy_set_options& o,
                   peer_client& peer) {
  if (o.allow_all) {
    if (!o.allow.empty() || !o.allow_file.empty() || !o.leaving.empty()
        || !o.disallow.empty())
      return wrong("--allow-all ends the list; nothing can be said of it "
                   "beside that");
    list = {};
    return {};
  }
  if (o.allow.empty() && o.allow_file.empty() && o.leaving.empty()
      && o.disallow.empty())
    return {};
  auto allowed = list.allowed();
  auto leaving = list.leaving();
  std::vector<node_id> more;
  std::vector<node_id> gone;
  std::vector<node_id> off;
  if (!o.allow_file.empty()) {
    allowed.clear();
    if (auto done = read_file(o.allow_file, allowed); !done.ok())
      return done;
    take_out(leaving, allowed);
  }
  for (const auto& [text, ids] :
       {std::pair{&o.allow, &more}, std::pair{&o.leaving, &gone},
        std::pair{&o.disallow, &off}})
    if (auto done = read(*text, *ids); !done.ok())
      return done;
  for (auto* all : {&gone, &off})
    take_out(allowed, *all);
  for (auto* all : {&more, &off})
    take_out(leaving, *all);
  allowed.insert(allowed.end(), more.begin(), more.end());
  leaving.insert(leaving.end(), gone.begin(), gone.end());
  list = allowed_nodes{std::move(allowed), std::move(leaving)};
  if (auto why = list.why_invalid(); !why.empty())
    return wrong(std::move(why));
  if (!list.is_list())
    return wrong("this would leave nobody on the list; `--allow-all` ends it");
  return all_are_named(list, peer);
}

std::string list_text(const value& policy) {
  std::string out;
  const auto add = [&](const char* name, const char* means) {
    const auto& all = policy[name].items();
    if (all.empty())
      return;
    out += std::to_string(all.size()) + (all.size() == 1 ? " node " : " nodes ")
           + means + ":\n";
    for (std::size_t i = 0; i < std::min(all.size(), shown_max); ++i)
      out += "  " + printable(all[i].text()) + "\n";
    if (all.size() > shown_max)
      out += "  and " + std::to_string(all.size() - shown_max)
             + " more (--json)\n";
  };
  add("allowed", "may be in the mesh, and no others");
  add("leaving", "may stay with what they have, and take nothing new");
  return out;
}

} // namespace banyan::cli
