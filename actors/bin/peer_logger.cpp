#include "actors/bin/peer_logger.hpp"

#include "actors/host/json.hpp"

#include <spdlog/async.h>
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

} // namespace

struct peer_logger::state {
  std::shared_ptr<spdlog::details::thread_pool> pool =
      std::make_shared<spdlog::details::thread_pool>(lines_max, 1);
  std::shared_ptr<spdlog::async_logger> out;
  bool json = false;
};

peer_logger::peer_logger(log_threshold level, bool json)
    : state_{std::make_shared<state>()} {
  state_->json = json;
  state_->out = std::make_shared<spdlog::async_logger>(
      "banyan", std::make_shared<spdlog::sinks::stderr_sink_mt>(), state_->pool,
      spdlog::async_overflow_policy::overrun_oldest);
  state_->out->set_level(level_of(level));
  state_->out->set_pattern(
      json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%v})"
           : "%Y-%m-%d %H:%M:%S.%e %l %v");
}

peer_logger::~peer_logger() = default;

actors::log_function peer_logger::function() {
  return [s = state_](actors::log_level l, const std::string& line) {
    std::string text;
    if (s->json)
      append_json_string(text, line);
    const auto& v = s->json ? text : line;
    switch (l) {
    case actors::log_level::debug:
      return s->out->debug(v);
    case actors::log_level::info:
      return s->out->info(v);
    case actors::log_level::warning:
      return s->out->warn(v);
    case actors::log_level::error:
      return s->out->error(v);
    }
  };
}

} // namespace banyan::bin
