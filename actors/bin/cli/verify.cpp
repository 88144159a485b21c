#include "actors/bin/cli/answers.hpp"
#include "actors/bin/cli/commands.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto look_every = std::chrono::milliseconds{200};

/// One line that moves on a terminal, several elsewhere.
class progress {
public:
  void show(const value& v) {
    const auto line = verify_progress(v);
    if (line == last_)
      return;
    last_ = line;
    if (terminal_)
      std::fprintf(stderr, "\r\x1b[K%s", line.c_str());
    else
      note(line);
  }
  void end() {
    if (terminal_ && !last_.empty())
      std::fputs("\r\x1b[K", stderr);
  }

private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  std::string last_;
};

} // namespace

outcome verify(const session& s) {
  auto peer = peer_client::open(s.place);
  if (!peer.ok())
    return failure{peer.error()};
  io::http_call begin;
  begin.method = "POST";
  begin.target = "/v1/verify";
  const auto begun = peer->send(std::move(begin), effect::none);
  if (!begun.ok())
    return failure{begun.error()};
  progress line;
  for (;;) {
    const auto v = peer->get("/v1/verify");
    if (!v.ok()) {
      line.end();
      return failure{v.error()};
    }
    if ((*v)["state"].text() != "done") {
      line.show(*v);
      std::this_thread::sleep_for(look_every);
      continue;
    }
    line.end();
    if (s.json) {
      const auto json = peer->get_json("/v1/verify");
      if (!json.ok())
        return failure{json.error()};
      print(*json);
    } else {
      print(verify_report(*v));
    }
    if (const auto open = (*v)["open"].uint(); open != 0)
      return failure{problem{
          exit_code::failed,
          counted(open, "finding")
              + " could not be mended: see `banyan apps` for groups without a "
                "majority, then run `banyan verify` again"}};
    return {};
  }
}

} // namespace banyan::cli
