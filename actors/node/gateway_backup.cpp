// Backups, restores and recoveries over HTTP.
#include "actors/node/gateway.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

class http_download final : public download {
public:
  http_download(io::http_responder r, std::string file)
      : to_{std::move(r)}, file_{std::move(file)} {}

  void refuse(reply_status s, std::string why) override {
    to_.send(refusal(s, std::move(why)));
  }
  void write(const_bytes data) override {
    if (begun_)
      return void(to_.write_chunk(as_text(data)));
    begun_ = true;
    io::http_response r;
    r.content_type = "application/octet-stream";
    r.headers.emplace_back("Content-Disposition",
                           "attachment; filename=\"" + file_ + "\"");
    r.body = to_text(data);
    to_.begin(std::move(r));
  }
  void finish() override { to_.finish(); }
  [[nodiscard]] std::size_t unsent() const override { return to_.unsent(); }
  [[nodiscard]] bool wanted() const override { return to_.client_waits(); }

private:
  io::http_responder to_;
  const std::string file_;
  bool begun_ = false;
};

} // namespace

void http_gateway::backup(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(
        r.send(refusal(reply_status::unauthorized,
                       "a backup needs admin rights: " + admin_rights)));
  if (!is_app_name(q.path[2]))
    return void(r.send(refusal(reply_status::invalid_argument,
                               "that is no app name: 1 to 63 of a-z, 0-9, _ "
                               "and -, a letter first")));
  caf::anon_send(
      ctx_.supervisor,
      backup_in{q.path[2], std::make_shared<http_download>(
                               std::move(r), q.path[2] + ".backup")});
}

// Entries of a backup, for one shard of an app that is being restored. The
// same again changes nothing.
void http_gateway::load(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(
        r.send(refusal(reply_status::unauthorized,
                       "a restore needs admin rights: " + admin_rights)));
  const auto* shard = q.parameter("shard");
  const auto* more = q.parameter("more");
  const auto now = ctx_.loop.now();
  if (shard == nullptr || shard->empty() || shard->size() > 4
      || shard->find_first_not_of("0123456789") != std::string::npos)
    return void(
        r.send(refusal(reply_status::invalid_argument,
                       "?shard=N is missing: a restore goes by shard")));
  for (auto i = uploads_.begin(); i != uploads_.end();)
    i = now - i->second.at > 60s ? uploads_.erase(i) : std::next(i);
  const auto key = q.path[2] + "/" + *shard;
  if (uploads_.count(key) == 0 && uploads_.size() >= uploads_max)
    return void(r.send(refusal(reply_status::overloaded,
                               "too many restores are under way here")));
  auto& u = uploads_[key];
  const auto* first = q.parameter("first");
  if (first != nullptr && *first == "1")
    u.body.clear();
  u.at = now;
  u.body += q.body;
  if (u.body.size() > load_bytes_max) {
    uploads_.erase(key);
    return void(r.send(
        refusal(reply_status::too_large, "at most 7 MiB are loaded at once")));
  }
  if (more != nullptr && *more == "1")
    return void(r.send(answer(q, bytes{0x80})));
  call_in in;
  in.request.app = q.path[2];
  in.request.kind = request_kind::load;
  in.request.key = "load";
  in.request.shard = static_cast<std::uint32_t>(std::stoul(*shard));
  in.request.argument = to_bytes(u.body);
  in.request.deadline = 30s;
  uploads_.erase(key);
  in.answer = [q = std::make_shared<io::http_request>(std::move(q)),
               r = std::move(r)](const reply& a, std::uint32_t) mutable {
    if (a.status != reply_status::ok)
      return void(r.send(refusal(a)));
    bytes b;
    writer{b}.map(2).text("term").id(a.term).text("index").id(a.index);
    r.send(answer(*q, b));
  };
  caf::anon_send(ctx_.router, std::move(in));
}

namespace {

void write_replicas(writer& w, const char* name,
                    const std::vector<replica_ref>& list) {
  w.text(name).array(list.size());
  for (const auto& r : list)
    w.text(to_string(r.node));
}

bytes view_recovery(const recover_answer& a) {
  bytes out;
  writer w{out};
  w.map(2).text("shards").array(a.shards.size());
  for (const auto& r : a.shards) {
    w.map(10).text("document").blob(r.encode()).text("shard").uint(r.shard);
    w.text("parent").text(to_string(r.parent));
    w.text("lineage").text(to_string(r.lineage));
    w.text("survivor").text(to_string(r.survivor.node));
    w.text("term").id(r.term).text("last").id(r.last);
    w.text("committed").id(r.committed);
    write_replicas(w, "asked", r.asked);
    write_replicas(w, "silent", r.silent);
  }
  w.text("left_out").array(a.left_out.size());
  for (const auto& line : a.left_out)
    w.text(line);
  return out;
}

} // namespace

// POST asks what a recovery would keep; PUT brings what the owner signed.
void http_gateway::recover(io::http_request& q, responder r) {
  if (!is_admin(q))
    return void(
        r.send(refusal(reply_status::unauthorized,
                       "a recovery needs admin rights: " + admin_rights)));
  const auto shared = std::make_shared<io::http_request>(std::move(q));
  const auto done = [shared, r](const recover_answer& a) mutable {
    r.send(a.status == reply_status::ok ? answer(*shared, view_recovery(a))
                                        : refusal(a.status, a.message));
  };
  if (shared->method == "POST") {
    recover_plan_in in;
    in.app = shared->path[2];
    if (const auto* shard = shared->parameter("shard")) {
      if (shard->empty() || shard->size() > 4
          || shard->find_first_not_of("0123456789") != std::string::npos)
        return void(r.send(refusal(reply_status::invalid_argument,
                                   "?shard= takes a shard's number")));
      in.shard = static_cast<std::uint32_t>(std::stoul(*shard));
    }
    in.done = done;
    return void(caf::anon_send(ctx_.supervisor, std::move(in)));
  }
  recover_in in;
  reader list{as_bytes(shared->body)};
  const auto n = list.array(shards_max);
  for (std::size_t i = 0; i < n && list.ok(); ++i)
    list.require(signed_document::decode(
        list.blob(signed_document::body_bytes_max + 1024),
        in.documents.emplace_back()));
  if (!list.done())
    return void(r.send(refusal(reply_status::invalid_argument,
                               "the body is no list of signed recoveries")));
  in.done = done;
  caf::anon_send(ctx_.supervisor, std::move(in));
}

} // namespace banyan::actors
