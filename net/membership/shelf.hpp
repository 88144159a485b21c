#pragma once
#include "net/membership/rings.hpp"
#include "net/membership/verifier.hpp"

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace banyan::net {

/// A number for each of a few nodes: eight bytes a place, found in one step.
class number_table {
public:
  using index = ring_order::index;
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// `none` where there is nothing.
  [[nodiscard]] std::uint32_t get(index key) const;
  void set(index key, std::uint32_t value);
  void erase(index key);

private:
  struct cell {
    index key = none;
    std::uint32_t value = none;
  };
  [[nodiscard]] std::size_t home(index key) const {
    return std::size_t{key * 2654435769U} >> (32U - bits_);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const {
    return (at + 1) & (cells_.size() - 1);
  }
  [[nodiscard]] std::size_t find(index key) const;
  void grow();

  std::vector<cell> cells_; ///< none, or a power of two of them
  unsigned bits_ = 0;
  std::size_t used_ = 0;
};

/// The reports that a book holds, one at most by one observer about one
/// subject. Finds them by either, and costs 32 bytes each beside the report,
/// which the books of one process share (`verifier`).
///
/// Lists are walked: one observer has eight subjects, one subject eight
/// observers and those who were that before.
class report_shelf {
public:
  using index = ring_order::index;

  [[nodiscard]] const report* find(index observer, index subject) const;
  /// Puts one in, or in the place of the one that is there.
  void put(index observer, index subject, shared_report r);
  /// Takes it out, if it is there.
  void drop(index observer, index subject);
  [[nodiscard]] bool any_about(index subject) const {
    return about_.get(subject) != none;
  }
  [[nodiscard]] std::size_t count_by(index observer) const;

  /// @name Calls `f`, which changes nothing here
  /// @{
  /// `f(observer, report)` for each about that subject, in no order.
  template <class F>
  void about(index subject, F f) const {
    for (auto i = about_.get(subject); i != none; i = slots_[i].next_about)
      f(slots_[i].observer, slots_[i].held);
  }
  /// `f(subject, report)` for each by that observer, in the order in which it
  /// first spoke of them.
  template <class F>
  void by(index observer, F f) const {
    for (auto i = by_.get(observer); i != none; i = slots_[i].next_by)
      f(slots_[i].subject, slots_[i].held);
  }
  /// `f(observer, subject, report)` for all, in no order.
  template <class F>
  void each(F f) const {
    for (const auto& s : slots_)
      if (s.held)
        f(s.observer, s.subject, s.held);
  }
  /// @}

private:
  static constexpr std::uint32_t none = number_table::none;
  struct slot {
    shared_report held; ///< none: free
    index observer = none;
    index subject = none;
    std::uint32_t next_about = none; ///< of a free one: the next free one
    std::uint32_t next_by = none;
  };
  [[nodiscard]] std::uint32_t where(index observer, index subject) const;

  /// Grows by a few at a time: a vector takes up to thrice as much while it
  /// does, in each of thousands of books that grow at once.
  std::deque<slot> slots_;
  std::uint32_t free_ = none;
  number_table about_; ///< by subject: the first slot
  number_table by_;    ///< by observer
};

} // namespace banyan::net
