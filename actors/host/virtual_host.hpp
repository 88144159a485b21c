#pragma once
#include "actors/host/module.hpp"
#include "base/random.hpp"

#include <functional>
#include <memory>

namespace banyan {

/// The host's twin in a simulation: the same module table, run inline when a
/// virtual timer fires. Can be slow, hang and die; the same seed gives the same
/// turns at the same times.
class virtual_host final : public host {
public:
  /// Runs a function on the simulation's loop after a virtual time.
  using schedule_function =
      std::function<void(duration, std::function<void()>)>;
  using clock_function = std::function<time_point()>;

  /// `catalog` and `random` are borrowed and outlive the host.
  virtual_host(host_options options, host_handlers handlers,
               schedule_function schedule, clock_function clock,
               const host_catalog& catalog, random_source& random);
  ~virtual_host() override;

  void start() override;
  void submit(std::vector<turn_order> orders) override;
  void restart() override;
  void stop() override;
  [[nodiscard]] time_point deadline() const override;
  void on_time(time_point now) override;
  [[nodiscard]] std::size_t outstanding() const override {
    return queue_.size();
  }

  /// Each batch takes a time in [low, high) from now on, and no less than 1 ns.
  /// At first: 20 to 200 us.
  void delays(duration low, duration high);
  /// The next turn never ends: no results until `restart()`, and `on_failed`
  /// once `on_time` sees it.
  void hang();
  /// Drops all that is outstanding and fails as a crashed process would.
  void die();
  /// It dies of every turn of this command; empty: of none.
  void dies_of(std::string command) { deadly_ = std::move(command); }

private:
  void begin();
  void arm();
  void step();
  void fail(host_failed why);
  [[nodiscard]] duration pause();
  /// Runs `f` after `after`, unless the host was restarted or stopped by then.
  void later(duration after, std::function<void()> f);

  host_options options_;
  host_handlers handlers_;
  schedule_function schedule_;
  clock_function clock_;
  const host_catalog& catalog_;
  random_source& random_;
  duration low_ = std::chrono::microseconds{20};
  duration high_ = std::chrono::microseconds{200};
  std::shared_ptr<char> life_; ///< what is scheduled holds it weakly
  std::optional<module_runner> runner_;
  std::vector<turn_order> queue_;
  time_point busy_since_{};
  bool armed_ = false;
  bool hung_ = false;
  std::string deadly_;
  bool failed_ = false;
};

} // namespace banyan
