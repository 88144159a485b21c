#pragma once
#include "actors/loop/virtual_loop.hpp"
#include "actors/node/hardware.hpp"
#include "crypto/hash.hpp"

#include <functional>
#include <optional>
#include <utility>

namespace banyan::sim {

/// What a machine is made of, and what it says of itself.
struct sim_hardware {
  hardware_figures says; ///< what its measuring gives; its time is set
  duration per_mib = std::chrono::milliseconds{2}; ///< filled by a challenge
  /// A challenge above this is work for its disk: a hundred times as long.
  std::uint32_t real_mib = 256;
  bool wrong = false; ///< what it computes is
  challenge_rhythm rhythm;
};

/// Hardware that takes its virtual time. Borrows the loop, and gives answers
/// only as long as the process lives: `clear_timers` ends what is under way.
class sim_probe final : public actors::hardware_probe {
public:
  sim_probe(actors::virtual_loop& l, sim_hardware what,
            std::function<std::int64_t()> unix_ms)
      : loop_{l}, what_{std::move(what)}, unix_ms_{std::move(unix_ms)} {}

  [[nodiscard]] bool busy() const override { return false; }
  void measure(std::optional<hardware_figures> kept,
               std::function<void(const result<hardware_figures, std::string>&)>
                   done) override {
    auto f = what_.says;
    f.at_unix_ms = unix_ms_();
    if (kept && still_good(*kept, f.machine, f.at_unix_ms))
      f = *kept;
    loop_.after(
        std::chrono::seconds{1},
        [f, done = std::move(done)] {
          done(result<hardware_figures, std::string>{f});
        },
        "measure");
  }
  void
  solve(const hardware_challenge& c,
        std::function<void(std::optional<hardware_answer>)> done) override {
    hardware_answer a;
    a.number = c.number;
    a.proof =
        hash_of({as_bytes(what_.wrong ? "wrong" : "right"), c.nonce.view()});
    duration takes = std::chrono::milliseconds{1};
    if (c.kind == challenge_kind::bandwidth)
      a.data.resize(std::size_t{c.size} * 1024, 7);
    else
      takes = what_.per_mib * c.size * (c.size > what_.real_mib ? 100 : 1);
    loop_.after(
        takes, [a = std::move(a), done = std::move(done)] { done(a); },
        "solve");
  }
  [[nodiscard]] challenge_rhythm rhythm() const override {
    return what_.rhythm;
  }

private:
  actors::virtual_loop& loop_;
  const sim_hardware what_;
  const std::function<std::int64_t()> unix_ms_;
};

} // namespace banyan::sim
