#pragma once
#include "actors/host/module.hpp"
#include "actors/host/turn_watch.hpp"

#include <functional>
#include <memory>

namespace banyan {

/// Runs an app on a thread of this process (`isolation = "none"`): a crash of
/// its code takes the process along, a hang is met by leaving the thread
/// behind. Orders wake the thread once per batch; results come back in batches
/// too, at the latest 200 us after they are known.
class thread_host final : public host {
public:
  /// Runs a function on the loop thread soon; called from any thread.
  using post_function = std::function<void(std::function<void()>)>;
  using clock_function = std::function<time_point()>;

  /// `clock` is called on the loop thread. `catalog` (borrowed, may be null)
  /// serves options without a file.
  thread_host(host_options options, host_handlers handlers, post_function post,
              clock_function clock, const host_catalog* catalog = nullptr);
  ~thread_host() override;

  void start() override;
  void submit(std::vector<turn_order> orders) override;
  void restart() override;
  void stop() override;
  [[nodiscard]] time_point deadline() const override;
  void on_time(time_point now) override;
  [[nodiscard]] std::size_t outstanding() const override {
    return outstanding_;
  }

private:
  class life;
  void begin();
  void end_life();
  void report(host_failed why);

  host_options options_;
  host_handlers handlers_;
  post_function post_;
  clock_function clock_;
  const host_catalog* catalog_;
  std::shared_ptr<life> life_;    ///< null: not started, failed or stopped
  std::shared_ptr<char> attempt_; ///< dies with restart() and stop()
  std::size_t outstanding_ = 0;
  bool ready_ = false;
  std::uint64_t progress_ = 0; ///< as last seen
  turn_watch watch_;
};

} // namespace banyan
