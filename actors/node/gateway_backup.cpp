// Backups over HTTP: one file as a long answer.
#include "actors/node/gateway.hpp"

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

} // namespace banyan::actors
