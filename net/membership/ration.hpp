#pragma once
#include "base/ids.hpp"
#include "base/time.hpp"

#include <cstdint>
#include <vector>

namespace banyan::net {

/// How many genuine reports of one observer are taken: it could sign without
/// end. Who keeps to the protocol stays far below: it says about 16 things a
/// second when all links of a full mesh come and go, and a few hundred at once
/// when nearly everybody is gone.
///
/// Of a fixed size, for 10,000 observers as well: those that fall into one
/// place are counted together, which others they are differs from node to node.
class report_ration {
public:
  static constexpr std::uint16_t reports_max = 512; ///< in one window
  static constexpr duration window = 16s;

  explicit report_ration(const node_id& self) : self_{self} {}

  /// One more of that observer may be taken now. Call `taken` when it was.
  [[nodiscard]] bool allows(const node_id& observer, time_point now);
  void taken(const node_id& observer);

private:
  static constexpr std::size_t places = 1024;
  [[nodiscard]] std::size_t place_of(const node_id& observer) const noexcept;

  node_id self_;
  time_point since_{};
  std::vector<std::uint16_t> counts_; ///< empty: nothing in this window
};

} // namespace banyan::net
