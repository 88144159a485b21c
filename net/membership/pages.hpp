#pragma once
#include "net/membership/book.hpp"
#include "net/membership/join.hpp"

#include <deque>
#include <map>
#include <vector>

namespace banyan::net {

/// What a member gives to those who join at it: pages and rolls.
///
/// Pure; owned by one membership core. The order of the pages is made when
/// somebody asks, sponsors before those whom they let in, stays as it is while
/// pages are asked for, and is forgotten after that. All answers together keep
/// within a number of bytes per second; what is over it waits, in a bounded
/// queue whose end is dropped.
class page_giver {
public:
  struct limits {
    double bytes_per_second = 4.0 * 1024 * 1024;
    double bytes_at_once = 2.0 * 1024 * 1024;
    std::size_t waiting_max = 1024;
    std::size_t waiting_of_one = 80;
    std::size_t answers_at_once = 8; ///< in one turn
    duration remembered = 60s;
  };
  struct answer {
    node_id to;
    membership_message what;
  };

  explicit page_giver(limits l) : limits_{l} {}

  /// A member is in the book from now on; its sponsor was there before.
  void added(const node_id& node);
  void asked(const node_id& by, const page_wanted_message& m, time_point now);
  void asked(const node_id& by, const roll_message& m, time_point now);
  /// Answers what may be answered now.
  void step(const member_book& book, time_point now, std::vector<answer>& out);
  [[nodiscard]] time_point deadline() const noexcept;

private:
  struct question {
    node_id by;
    membership_message what; ///< a page or a roll that is wanted
  };

  void wait(const node_id& by, membership_message what);
  void make_order(const member_book& book);
  [[nodiscard]] page_message page(const member_book& book,
                                  const page_wanted_message& m) const;
  [[nodiscard]] roll_message roll(const member_book& book,
                                  const roll_message& m) const;

  limits limits_;
  std::deque<question> waiting_;
  std::map<node_id, std::size_t> waiting_of_;
  std::vector<node_id> order_; ///< empty: nobody asked of late
  time_point asked_at_{};
  double budget_ = -1; ///< bytes; below zero at first: full
  time_point budget_at_{};
};

} // namespace banyan::net
