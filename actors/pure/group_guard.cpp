#include "actors/pure/group_guard.hpp"

namespace banyan {

void group_guard::put_secret(const app_id& app,
                             const secret_bytes<32>& secret) {
  secrets_.insert_or_assign(app, secret.clone());
  for (auto i = waiting_.begin(); i != waiting_.end();) {
    if (i->first.second.app != app) {
      ++i;
      continue;
    }
    const auto w = std::move(i->second);
    const auto group = i->first.second;
    i = waiting_.erase(i);
    static_cast<void>(on_proof(w.link, group, w.proof)); // a wrong one: dropped
  }
}

void group_guard::forget(const app_id& app) {
  secrets_.erase(app);
  const auto of_app = [&](std::set<on_link>& s) {
    for (auto i = s.begin(); i != s.end();)
      i = i->second.app == app ? s.erase(i) : std::next(i);
  };
  of_app(given_);
  of_app(taken_);
  for (auto i = waiting_.begin(); i != waiting_.end();)
    i = i->first.second.app == app ? waiting_.erase(i) : std::next(i);
}

bool group_guard::knows(const app_id& app) const {
  return secrets_.count(app) != 0;
}

const secret_bytes<32>* group_guard::secret(const app_id& app) const {
  const auto at = secrets_.find(app);
  return at == secrets_.end() ? nullptr : &at->second;
}

std::optional<digest> group_guard::prove(const net::link_info& link,
                                         const group_id& group) {
  const auto* s = secret(group.app);
  if (s == nullptr || !given_.insert({link.id, group}).second)
    return std::nullopt;
  return group_proof(*s, link.handshake_hash, self_, group);
}

bool group_guard::on_proof(const net::link_info& link, const group_id& group,
                           const digest& proof) {
  const auto* s = secret(group.app);
  if (s == nullptr) {
    if (waiting_.size() < waiting_max)
      waiting_.insert_or_assign({link.id, group}, waiting{link, proof});
    return true;
  }
  const auto right = group_proof(*s, link.handshake_hash, link.node, group);
  if (!same_secret(right.view(), proof.view()))
    return false;
  taken_.insert({link.id, group});
  return true;
}

bool group_guard::may_speak(net::link_id link, const group_id& group) const {
  return taken_.count({link, group}) != 0;
}

void group_guard::on_link_gone(net::link_id link) {
  for (auto* s : {&given_, &taken_}) {
    auto i = s->lower_bound({link, group_id{}});
    while (i != s->end() && i->first == link)
      i = s->erase(i);
  }
  auto w = waiting_.lower_bound({link, group_id{}});
  while (w != waiting_.end() && w->first.first == link)
    w = waiting_.erase(w);
}

} // namespace banyan
