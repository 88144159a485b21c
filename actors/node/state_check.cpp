#include "actors/node/state_check.hpp"

#include <chrono>
#include <system_error>

namespace banyan::actors {

void state_check_status::begin(std::uint64_t size, time_point now) {
  const std::lock_guard<std::mutex> hold{mutex_};
  view_ = {};
  view_.now = phase::running;
  view_.bytes_all = size;
  began_ = now;
}

void state_check_status::progress(std::uint64_t done, std::uint64_t all) {
  const std::lock_guard<std::mutex> hold{mutex_};
  view_.bytes_done = done;
  view_.bytes_all = all;
}

void state_check_status::waits(std::string why) {
  const std::lock_guard<std::mutex> hold{mutex_};
  view_.damage = "asked again later: " + std::move(why);
  view_.damaged_rows.clear();
}

void state_check_status::damaged_row(group_id group, bytes key) {
  const std::lock_guard<std::mutex> hold{mutex_};
  if (view_.damaged_rows.size() < rows_max)
    view_.damaged_rows.emplace_back(group, std::move(key));
}

void state_check_status::end(const store::state_verdict& v, time_point now) {
  const std::lock_guard<std::mutex> hold{mutex_};
  view_.now = v.ok ? phase::whole : phase::bad;
  view_.damage = v.damage;
  view_.took = now - began_;
  if (v.ok)
    view_.bytes_done = view_.bytes_all;
  else
    view_.damaged_rows.clear();
}

state_check_status::view state_check_status::look() const {
  const std::lock_guard<std::mutex> hold{mutex_};
  return view_;
}

const char* to_string(state_check_status::phase p) noexcept {
  switch (p) {
  case state_check_status::phase::none:
    return "none";
  case state_check_status::phase::running:
    return "checking";
  case state_check_status::phase::whole:
    return "whole";
  case state_check_status::phase::bad:
    return "set_aside";
  }
  return "none";
}

state_checker::state_checker(io::loop& l,
                             std::shared_ptr<state_check_status> status, job j)
    : loop_{l}, status_{std::move(status)}, job_{std::move(j)} {
}

state_checker::~state_checker() {
  stop_ = true;
  if (thread_.joinable())
    thread_.join();
}

store::state_check_function state_checker::function() {
  return [this](const std::filesystem::path& state,
                std::function<void(store::state_verdict)> on_done) {
    check(state, std::move(on_done));
  };
}

void state_checker::check(const std::filesystem::path& state,
                          std::function<void(store::state_verdict)> on_done) {
  std::error_code code;
  const auto size = std::filesystem::file_size(state / "data.mdb", code);
  if (code == std::errc::no_such_file_or_directory) {
    loop_.post([on_done = std::move(on_done)] { on_done({}); }, "state check");
    return;
  }
  status_->begin(code ? 0 : size, std::chrono::steady_clock::now());
  thread_ = std::thread{[this, state, on_done = std::move(on_done)]() mutable {
    auto v = job_(state, *status_, stop_);
    if (stop_)
      return;
    status_->end(v, std::chrono::steady_clock::now());
    loop_.post([v = std::move(v), on_done = std::move(on_done)] { on_done(v); },
               "state check");
  }};
}

store::state_verdict
verdict_of(const result<store::state_report, store::store_error>& report,
           state_check_status& status) {
  if (!report.ok()) // rights are the business of whoever opens it
    return {report.error().code == store::store_errc::unreadable,
            report.error().message};
  for (const auto& [group, key] : report->damaged_rows)
    status.damaged_row(group, key);
  if (report->ok())
    return {};
  std::string why = report->bad.front();
  if (report->bad.size() > 1)
    why += " (and " + std::to_string(report->bad.size() - 1) + " more)";
  return {false, std::move(why)};
}

store::state_verdict check_here(const std::filesystem::path& state,
                                state_check_status& status,
                                const std::atomic<bool>& stop) {
  for (;;) {
    const auto report =
        store::verify_state(state, [&](std::uint64_t done, std::uint64_t all) {
          status.progress(done, all);
        });
    if (stop || !report.ok() || report->later.empty())
      return verdict_of(report, status);
    status.waits(report->later);
    std::this_thread::sleep_for(std::chrono::milliseconds{100});
  }
}

} // namespace banyan::actors
