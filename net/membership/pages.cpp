#include "net/membership/pages.hpp"

#include <algorithm>
#include <unordered_set>

namespace banyan::net {

namespace {

/// What an answer costs at least, for looking it up.
constexpr double bytes_least = 4096;
constexpr double record_bytes = 330;
constexpr double report_bytes = 170;
/// For looking at each member, in bytes that take as long: to hash it, or to
/// see whether it is in a range.
constexpr double hashed_member_bytes = 8;
constexpr double seen_member_bytes = 2;

bool in(const range_set& set, const node_id& node) {
  const auto range = node.array()[0];
  return (set[range / 8] >> (range % 8) & 1U) != 0;
}

} // namespace

void page_giver::added(const node_id& node) {
  if (!order_.empty())
    order_.push_back(node);
}

void page_giver::wait(const node_id& by, membership_message what) {
  auto& n = waiting_of_[by];
  if (n >= limits_.waiting_of_one || waiting_.size() >= limits_.waiting_max) {
    if (n == 0)
      waiting_of_.erase(by);
    return;
  }
  ++n;
  waiting_.push_back({by, std::move(what)});
}

void page_giver::asked(const node_id& by, const page_wanted_message& m,
                       time_point now) {
  asked_at_ = now;
  wait(by, m);
}

void page_giver::asked(const node_id& by, const roll_message& m, time_point) {
  wait(by, roll_message{m.salt, {}});
}

/// Up the chain of sponsors from each member, to one that has its place; two
/// who let each other in begin their order.
void page_giver::make_order(const member_book& book) {
  std::unordered_set<node_id> placed;
  std::vector<node_id> chain;
  order_.reserve(book.size());
  book.each([&](const node_id& node, const auto&) {
    for (auto at = node; placed.insert(at).second;) {
      chain.push_back(at);
      const auto* held = book.find(at);
      const auto& admitted = held->document().admitted;
      if (!admitted || book.find(admitted->sponsor) == nullptr)
        break;
      at = admitted->sponsor;
    }
    order_.insert(order_.end(), chain.rbegin(), chain.rend());
    chain.clear();
  });
}

page_message page_giver::page(const member_book& book,
                              const page_wanted_message& m) const {
  page_message p;
  p.first = m.first;
  const auto put = [&](const node_id& node) {
    const auto* held = book.find(node);
    if (held == nullptr)
      return;
    p.records.push_back(held->document());
    for (const auto& r : book.reports_by(node))
      if (p.reports.size() < page_reports_max)
        p.reports.push_back(*r);
  };
  if (!m.ranges) {
    p.total = static_cast<std::uint32_t>(order_.size());
    for (std::size_t i = m.first;
         i < order_.size() && p.records.size() < page_records_max; ++i)
      put(order_[i]);
    return p;
  }
  for (const auto& node : order_) {
    if (!in(*m.ranges, node))
      continue;
    if (p.total++ >= m.first && p.records.size() < page_records_max)
      put(node);
  }
  return p;
}

roll_message page_giver::roll(const member_book& book,
                              const roll_message& m) const {
  roll_hash h{m.salt};
  book.each([&](const node_id& node, const auto&) { h.add(node); });
  return {m.salt, h.ranges()};
}

void page_giver::step(const member_book& book, time_point now,
                      std::vector<answer>& out) {
  if (!order_.empty() && asked_at_ + limits_.remembered <= now) {
    order_.clear();
    order_.shrink_to_fit();
  }
  if (waiting_.empty())
    return;
  if (budget_at_ == time_point{}) {
    budget_ = limits_.bytes_at_once;
  } else {
    const std::chrono::duration<double> passed = now - budget_at_;
    budget_ = std::min(budget_ + passed.count() * limits_.bytes_per_second,
                       limits_.bytes_at_once);
  }
  budget_at_ = now;
  for (std::size_t n = 0;
       n < limits_.answers_at_once && !waiting_.empty() && budget_ > 0; ++n) {
    auto [by, what] = std::move(waiting_.front());
    waiting_.pop_front();
    if (const auto i = waiting_of_.find(by); --i->second == 0)
      waiting_of_.erase(i);
    double cost = bytes_least;
    if (const auto* wanted = std::get_if<page_wanted_message>(&what)) {
      if (order_.empty())
        make_order(book);
      auto p = page(book, *wanted);
      cost = std::max(cost, double(p.records.size()) * record_bytes
                                + double(p.reports.size()) * report_bytes);
      if (wanted->ranges)
        cost = std::max(cost, double(order_.size()) * seen_member_bytes);
      out.push_back({by, std::move(p)});
    } else {
      cost = std::max(cost, double(book.size()) * hashed_member_bytes);
      out.push_back({by, roll(book, std::get<roll_message>(what))});
    }
    budget_ -= cost;
  }
}

time_point page_giver::deadline() const noexcept {
  if (waiting_.empty())
    return never;
  if (budget_ > 0 || budget_at_ == time_point{})
    return {};
  const std::chrono::duration<double> wait{(1 - budget_)
                                           / limits_.bytes_per_second};
  return budget_at_ + std::chrono::duration_cast<duration>(wait) + 1us;
}

} // namespace banyan::net
