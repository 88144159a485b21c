#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace banyan {

struct module_keep_config {
  duration named_grace = 5min;   ///< kept after the last spec that named it
  duration upload_grace = 10min; ///< kept until a spec names it
  std::size_t uploads_max = 16;  ///< modules that no spec names yet
  std::uint64_t uploads_bytes_max = std::uint64_t{2} << 30;
};

/// Which modules a node keeps, hands out, and takes from operators. Times are
/// of this process's running: whoever was down for a week drops nothing at its
/// start. Pure.
class module_keep {
public:
  explicit module_keep(module_keep_config c = {}) : config_{c} {}

  /// What living specs of trusted owners name, for any target; replaces what
  /// was said before.
  void name(std::set<digest> modules, time_point now);
  [[nodiscard]] bool named(const digest& hash) const {
    return named_.count(hash) != 0;
  }

  enum class verdict : std::uint8_t { take, too_many };
  /// An operator begins to bring a module of `size` bytes, or goes on.
  [[nodiscard]] verdict upload(const digest& hash, std::uint64_t size,
                               time_point now);

  /// Whether another peer may have it from here.
  [[nodiscard]] bool may_serve(const digest& hash, time_point now) const;
  /// Which of those that are on disk have no use any more.
  [[nodiscard]] std::vector<digest> useless(const std::set<digest>& on_disk,
                                            time_point now);

private:
  struct upload_state {
    std::uint64_t size = 0;
    time_point last{};
  };
  [[nodiscard]] bool is_upload(const digest& hash, time_point now) const;

  module_keep_config config_;
  std::set<digest> named_;
  std::map<digest, upload_state> uploads_;     ///< not named yet
  std::map<digest, time_point> unnamed_since_; ///< of what is on disk
};

} // namespace banyan
