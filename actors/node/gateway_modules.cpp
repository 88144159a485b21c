// The modules of this peer, over HTTP: what is here, and pieces that an
// operator brings.
#include "actors/node/gateway.hpp"
#include "actors/node/modules.hpp"
#include "base/codec.hpp"

#include <charconv>

namespace banyan::actors {
namespace {

bool read_hash(const std::string& text, digest& out) {
  bytes b;
  return from_hex(text, b) && digest::from(b, out) && to_hex(b) == text;
}

bool read_number(const std::string* text, std::uint64_t& out) {
  if (text == nullptr || text->empty())
    return false;
  const auto* end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, out);
  return error == std::errc{} && rest == end;
}

const char* word_of(module_standing::state s) {
  switch (s) {
  case module_standing::state::here:
    return "here";
  case module_standing::state::checking:
    return "checking";
  case module_standing::state::fetching:
    return "fetching";
  case module_standing::state::waiting:
    break;
  }
  return "partial";
}

/// The apps whose newest spec names it.
std::vector<std::string> apps_with(const node_context& ctx,
                                   const digest& hash) {
  std::vector<std::string> out;
  for (const auto& [name, spec] : ctx.specs)
    if (std::any_of(spec.modules.begin(), spec.modules.end(),
                    [&](const module_ref& m) { return m.hash == hash; }))
      out.push_back(name);
  return out;
}

void put_module(const node_context& ctx, writer& w, const digest& hash,
                const store::modules::held& held) {
  const auto s = ctx.modules->standing(hash);
  const auto apps = apps_with(ctx, hash);
  w.map(7).text("hash").text(to_hex(hash.view()));
  w.text("have").uint(held.bytes).text("size");
  if (held.whole || s.size > 0)
    w.uint(held.whole ? held.bytes : s.size);
  else
    w.nil(); // nobody has said it since the start
  w.text("complete").boolean(held.whole);
  w.text("state").text(held.whole && s.now == module_standing::state::waiting
                           ? "unverified"
                           : word_of(s.now));
  w.text("progress").number(held.whole ? 1.0 : s.permille() / 1000.0);
  w.text("apps").array(apps.size());
  for (const auto& a : apps)
    w.text(a);
}

} // namespace

bytes view_modules(const node_context& ctx) {
  const auto& all = ctx.modules->on_disk();
  bytes out;
  writer w{out};
  w.array(all.size());
  for (const auto& [hash, held] : all)
    put_module(ctx, w, hash, held);
  return out;
}

void http_gateway::modules(io::http_request& q, responder r) {
  if (q.path.size() == 2)
    return void(r.send(answer(q, view_modules(ctx_))));
  digest hash;
  if (!read_hash(q.path[2], hash))
    return void(r.send(refusal(reply_status::invalid_argument,
                               "'" + q.path[2].substr(0, 80)
                                   + "' is no module: write its BLAKE2b-256 "
                                     "as 64 of 0-9 and a-f (`b2sum -l 256 "
                                     "FILE`)")));
  if (q.method != "PUT") {
    const auto& all = ctx_.modules->on_disk();
    const auto at = all.find(hash);
    if (at == all.end())
      return void(r.send(refusal(reply_status::not_found,
                                 "no module " + q.path[2]
                                     + " here; `banyan deploy` uploads it")));
    bytes out;
    writer w{out};
    put_module(ctx_, w, hash, at->second);
    return void(r.send(answer(q, out)));
  }
  if (!is_admin(q))
    return void(r.send(
        refusal(reply_status::unauthorized,
                "uploading a module needs admin rights: " + admin_rights)));
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  if (!read_number(q.parameter("offset"), offset)
      || !read_number(q.parameter("size"), size))
    return void(r.send(refusal(
        reply_status::invalid_argument,
        "write ?offset=N&size=M: where this piece begins, and the bytes of "
        "the whole module")));
  auto piece = to_bytes(q.body);
  q.body.clear();
  ctx_.modules->upload(hash, offset, size, std::move(piece),
                       [q = std::make_shared<io::http_request>(std::move(q)), r,
                        hash, size](const module_shell::answer& a) mutable {
                         if (a.status != reply_status::ok)
                           return void(r.send(refusal(a.status, a.message)));
                         bytes out;
                         writer w{out};
                         w.map(4).text("hash").text(to_hex(hash.view()));
                         w.text("size").uint(size).text("have").uint(a.have);
                         w.text("complete").boolean(a.complete);
                         r.send(answer(*q, out));
                       });
}

} // namespace banyan::actors
