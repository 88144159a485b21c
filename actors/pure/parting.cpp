#include "actors/pure/parting.hpp"

#include <algorithm>
#include <utility>

namespace banyan {

void parting::set_voters(std::vector<replica_ref> voters,
                         std::vector<replica_ref> outgoing) {
  voters_ = std::move(voters);
  outgoing_ = std::move(outgoing);
  for (auto i = promised_.begin(); i != promised_.end();)
    i = is_voter(i->first) ? std::next(i) : promised_.erase(i);
}

void parting::want(time_point now) {
  if (!std::exchange(wanted_, true))
    due_ = now;
}

std::optional<std::uint64_t>
parting::on_tick(time_point now,
                 const std::function<std::uint64_t(const node_id&)>& process) {
  if (!wanted_ || now < due_)
    return std::nullopt;
  for (auto i = promised_.begin(); i != promised_.end();)
    i = i->second != process(i->first.node) ? promised_.erase(i) : std::next(i);
  if (!promised_.empty())
    return std::nullopt;
  due_ = now + pause_;
  pause_ = std::min(pause_ * 2, longest_pause);
  staying_.clear();
  return ++round_;
}

std::set<replica_ref> parting::others() const {
  std::set<replica_ref> out{voters_.begin(), voters_.end()};
  out.insert(outgoing_.begin(), outgoing_.end());
  out.erase(self_);
  return out;
}

bool parting::on_question(const replica_ref& from, std::uint64_t process) {
  if (from == self_ || !is_voter(from) || !is_voter(self_))
    return false;
  // Also while it waits for another one itself: so nobody ever waits for one
  // that waits for it.
  if (wanted_ && self_ < from)
    return false;
  promised_[from] = process;
  staying_.clear(); // of a round that is under way: it stays now
  return true;
}

bool parting::on_promise(const replica_ref& from, std::uint64_t round) {
  if (!wanted_ || !promised_.empty() || round != round_)
    return false;
  staying_.insert(from);
  return majority_of(voters_) && (outgoing_.empty() || majority_of(outgoing_));
}

void parting::put_off(time_point now) {
  pause_ = first_pause;
  due_ = now + pause_;
}

bool parting::majority_of(const std::vector<replica_ref>& voters) const {
  const auto staying =
      std::count_if(voters.begin(), voters.end(), [this](const auto& v) {
        return v != self_ && staying_.count(v) != 0;
      });
  return static_cast<std::size_t>(staying) * 2 > voters.size();
}

bool parting::is_voter(const replica_ref& r) const {
  return std::find(voters_.begin(), voters_.end(), r) != voters_.end()
         || std::find(outgoing_.begin(), outgoing_.end(), r) != outgoing_.end();
}

} // namespace banyan
