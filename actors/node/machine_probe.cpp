// The machine under a node, measured by its workers.
#include "actors/hardware/measure.hpp"
#include "actors/node/hardware.hpp"

namespace banyan::actors {

bool machine_probe::busy() const {
  return machine_is_busy();
}

void machine_probe::measure(
    std::optional<hardware_figures> kept,
    std::function<void(const result<hardware_figures, std::string>&)> done) {
  using outcome = result<hardware_figures, std::string>;
  const auto made =
      std::make_shared<outcome>(failure{std::string{"no worker had time"}});
  const auto work = [made, kept = std::move(kept), data = data_] {
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    if (kept && still_good(*kept, look_at_machine(), now)) {
      *made = *kept;
      return;
    }
    const auto f = measure_hardware(data, measure_pace::short_,
                                    [](const char*, std::uint32_t) {});
    *made = f.ok() ? outcome{*f} : outcome{failure{f.error().message}};
  };
  if (!workers_.submit(
          work, [made, done] { done(*made); }, "measuring"))
    done(*made);
}

void machine_probe::solve(
    const hardware_challenge& what,
    std::function<void(std::optional<hardware_answer>)> done) {
  const auto made = std::make_shared<std::optional<hardware_answer>>();
  if (!workers_.submit([made, what] { *made = solve_hardware_challenge(what); },
                       [made, done] { done(std::move(*made)); }, "challenge"))
    done(std::nullopt);
}

} // namespace banyan::actors
