#include "actors/bin/cli/commands.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace banyan::cli {
namespace {

constexpr auto look_every = std::chrono::milliseconds{200};

std::string mebibytes(const value& bytes_read) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f MiB",
                static_cast<double>(bytes_read.uint()) / (1 << 20));
  return text;
}

std::string progress_line(const value& v) {
  return v["state"].text() + ": group " + v["groups_read"].shown() + " of "
         + v["groups"].shown() + ", " + v["rows"].shown() + " rows, "
         + mebibytes(v["state_bytes"]) + " of state, "
         + mebibytes(v["log_bytes"]) + " of log, " + v["found"].shown()
         + " damaged, " + v["open"].shown() + " to mend";
}

/// One line that moves on a terminal, several elsewhere.
class progress {
public:
  void show(const value& v) {
    const auto line = progress_line(v);
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

std::string report_of(const value& v) {
  std::string out;
  table t{{"READ", v["rows"].shown() + " rows of "
                       + counted(v["groups"].uint(), "group") + ", "
                       + mebibytes(v["state_bytes"]) + " of state, "
                       + mebibytes(v["log_bytes"]) + " of log"}};
  t.row({"compared", "the states of "
                         + counted(v["digests_compared"].uint(), "group")
                         + " with other voters'"});
  const auto line = [&](const char* what, const char* found,
                        const char* mended) {
    t.row({what,
           v[found].shown() + " damaged, " + v[mended].shown() + " mended"});
  };
  line("rows", "rows_damaged", "rows_mended");
  line("states", "states_wrong", "states_rebuilt");
  line("logs", "logs_damaged", "logs_replaced");
  out += t.text();
  for (const auto& f : v["findings"].items())
    out += "\n" + printable(f.text());
  return out;
}

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
      print(report_of(*v));
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
