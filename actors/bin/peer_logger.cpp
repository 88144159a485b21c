#include "actors/bin/peer_logger.hpp"

#include "actors/bin/log_queue.hpp"
#include "actors/host/json.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace banyan::bin {
namespace {

constexpr std::size_t lines_max = 8192;

spdlog::level::level_enum level_of(log_threshold t) {
  switch (t) {
  case log_threshold::debug:
    return spdlog::level::debug;
  case log_threshold::info:
    return spdlog::level::info;
  case log_threshold::warning:
    return spdlog::level::warn;
  case log_threshold::error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::level::level_enum level_of(actors::log_level l) {
  switch (l) {
  case actors::log_level::debug:
    return spdlog::level::debug;
  case actors::log_level::info:
    return spdlog::level::info;
  case actors::log_level::warning:
    return spdlog::level::warn;
  case actors::log_level::error:
    return spdlog::level::err;
  }
  return spdlog::level::info;
}

} // namespace

struct peer_logger::state {
  state(log_threshold threshold, bool as_json)
      : out{"banyan", std::make_shared<spdlog::sinks::stderr_sink_mt>()},
        json{as_json},
        lines{lines_max,
              {[this](const log_queue::line& l) { write(l); },
               [this](std::size_t n) {
                 write({spdlog::level::warn, spdlog::log_clock::now(),
                        text_of(std::to_string(n)
                                + " lines of this log are lost: they came "
                                  "faster than they could be written")});
               }}} {
    out.set_level(level_of(threshold));
    out.set_pattern(
        json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%v})"
             : "%Y-%m-%d %H:%M:%S.%e %l %v");
  }
  [[nodiscard]] std::string text_of(const std::string& line) const {
    if (!json)
      return line;
    std::string text;
    append_json_string(text, line);
    return text;
  }
  void write(const log_queue::line& l) {
    out.log(l.at, spdlog::source_loc{},
            static_cast<spdlog::level::level_enum>(l.level), l.text);
  }

  spdlog::logger out; ///< the queue's thread's, once that runs
  const bool json;
  log_queue lines; ///< last: its thread uses the others
};

peer_logger::peer_logger(log_threshold level, bool json)
    : state_{std::make_shared<state>(level, json)} {
}

peer_logger::~peer_logger() = default;

actors::log_function peer_logger::function() {
  return [s = state_](actors::log_level l, const std::string& line) {
    const auto level = level_of(l);
    if (s->out.should_log(level))
      s->lines.put({level, spdlog::log_clock::now(), s->text_of(line)});
  };
}

} // namespace banyan::bin
