// In a mesh above 17: the days of nodes whose documents aren't kept here are
// fetched, one node after the other.
#include "actors/node/uptime.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

/// Judged again at each look, so that a new policy or day comes to all.
constexpr std::size_t judged_at_once = 64;
constexpr std::size_t wanted_max = 64;

/// The first member at or behind `from`, round; nobody else but itself: none.
std::optional<node_id> member_from(const net::membership& members,
                                   const node_id& from, const node_id& self) {
  std::optional<node_id> first;
  std::optional<node_id> behind;
  members.each([&](const net::member_record& r, net::member_state) {
    if (r.node == self)
      return;
    if (!first || r.node < *first)
      first = r.node;
    if (!(r.node < from) && (!behind || r.node < *behind))
      behind = r.node;
  });
  return behind ? behind : first;
}

/// The id behind it.
node_id after(const node_id& n) {
  auto bytes = n.array();
  for (auto i = bytes.rbegin(); i != bytes.rend() && ++*i == 0; ++i) {
  }
  return node_id{bytes};
}

} // namespace

void uptime_shell::want(const node_id& about) {
  if (!subjects_.full() && about != ctx_.self()
      && far_wanted_.size() < wanted_max)
    far_wanted_.insert(about);
}

void uptime_shell::fetch_far() {
  ask_far(far_.on_tick(ctx_.loop.now(), who_counts()));
  end_far();
  for (std::size_t n = 0; n < judged_at_once; ++n) {
    const auto node = verdicts_.next_fetched(judged_next_);
    if (!node) {
      judged_next_ = {};
      break;
    }
    judged_next_ = after(*node);
    judge_far(*node);
  }
  if (far_.busy())
    return;
  std::optional<node_id> about;
  if (!far_wanted_.empty()) {
    about = *far_wanted_.begin();
    far_wanted_.erase(far_wanted_.begin());
  } else if (policy().enforce) {
    about = member_from(*ctx_.members, far_next_, ctx_.self());
    if (about)
      far_next_ = after(*about);
  }
  if (!about)
    return;
  far_about_ = about;
  ask_far(far_.begin(*about, subjects_.observers_of(*about), last_day(),
                     ctx_.loop.now()));
}

void uptime_shell::end_far() {
  if (!far_.busy() && far_about_)
    judge_far(*std::exchange(far_about_, std::nullopt));
}

// Who can't be reached is passed over at its time.
void uptime_shell::ask_far(std::optional<far_days::wish> w) {
  if (w)
    ctx_.send(w->whom, net::channel::group, encoded_control(w->what));
}

void uptime_shell::on_far(const node_id& from, const days_given& f) {
  far_days::arrived a;
  a.more = f.more;
  for (const auto& d : f.documents) {
    auto o = checked(from, d);
    if (!o)
      continue;
    a.end = day_archive::place{o->day, observer_of(d)};
    a.days.emplace_back(d, std::move(*o));
  }
  ask_far(far_.on_given(from, std::move(a), ctx_.loop.now(), who_counts()));
  end_far();
}

void uptime_shell::judge_far(const node_id& node) {
  const auto* days = far_.results(node);
  if (days == nullptr || subjects_.full())
    return;
  const auto v = judged(node, *days, last_day());
  tell(node, v);
  verdicts_.fetched(node, v);
}

} // namespace banyan::actors
