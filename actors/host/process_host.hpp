#pragma once
#include "actors/host/host_frame.hpp"
#include "actors/host/turn_watch.hpp"
#include "net/io/child_process.hpp"

#include <deque>
#include <memory>

namespace banyan {

/// Runs an app in a process of its own (`isolation = "process"`, the default):
/// whatever its code does to that process, this one goes on, and tells its
/// owner. It has no key in its memory, no descriptor but its stream, a limit on
/// its memory, and ends with this process. This contains accidents, not malice:
/// it runs as the same user.
///
/// What comes back is foreign: a frame that isn't one, a result of a turn that
/// nobody asked for, or out of order, ends the process, too.
class process_host final : public host {
public:
  /// `start` names the program that becomes the host: one that calls
  /// `run_host_child`. The loop is borrowed.
  process_host(host_options options, host_handlers handlers, io::asio_loop& l,
               io::child_process::program start);
  ~process_host() override;

  void start() override;
  void submit(std::vector<turn_order> orders) override;
  void restart() override;
  void stop() override;
  [[nodiscard]] time_point deadline() const override;
  void on_time(time_point now) override;
  [[nodiscard]] std::size_t outstanding() const override {
    return claims_.size() + waiting_.size();
  }
  /// Of the process; none: 0.
  [[nodiscard]] int pid() const { return child_ ? child_->pid() : 0; }

private:
  class running_mark;
  void begin();
  void end_life();
  void feed();
  void progressed();
  void look_how_heavy(time_point now);
  void on_bytes(const_bytes data);
  bool take(const host_frames::frame& f, std::vector<turn_result>& results);
  void fail(host_errc why, std::string message);
  void report(host_failed why);
  [[nodiscard]] std::optional<turn_key> newest_begun() const;
  [[nodiscard]] std::optional<turn_key> running() const;

  host_options options_;
  host_handlers handlers_;
  io::asio_loop& loop_;
  io::child_process::program program_;
  std::unique_ptr<io::child_process> child_;
  std::unique_ptr<running_mark> mark_;
  host_frames frames_{host_limits::result_bytes_max};
  std::deque<turn_order> waiting_; ///< not sent yet
  std::deque<turn_claim> claims_;  ///< sent and unanswered, in order
  std::uint64_t first_ = 1;        ///< the number of claims_.front()
  bool ready_ = false;
  turn_watch watch_;
  std::uint64_t seen_mark_ = 0;    ///< the newest begun, as last looked at
  time_point last_chance_ = never; ///< to read what it may have written
  time_point look_at_ = never;     ///< how heavy its turn is
  std::optional<duration> looked_; ///< its processor time at the first look
  bool gave_way_ = false;
  std::shared_ptr<char> life_; ///< dies with restart() and stop()
};

} // namespace banyan
