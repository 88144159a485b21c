#include "store/raft/configuration.hpp"

#include <algorithm>

namespace banyan::raft {

replica_set::replica_set(std::initializer_list<replica_ref> members)
    : replica_set{std::vector<replica_ref>{members}} {
}

replica_set::replica_set(std::vector<replica_ref> members)
    : v_{std::move(members)} {
  std::sort(v_.begin(), v_.end());
  v_.erase(std::unique(v_.begin(), v_.end()), v_.end());
}

bool replica_set::contains(const replica_ref& r) const {
  return std::binary_search(v_.begin(), v_.end(), r);
}

bool replica_set::insert(const replica_ref& r) {
  const auto at = std::lower_bound(v_.begin(), v_.end(), r);
  if (at != v_.end() && *at == r)
    return false;
  v_.insert(at, r);
  return true;
}

bool replica_set::erase(const replica_ref& r) {
  const auto at = std::lower_bound(v_.begin(), v_.end(), r);
  if (at == v_.end() || *at != r)
    return false;
  v_.erase(at);
  return true;
}

bool configuration::is_voter(const replica_ref& r) const {
  return voters.contains(r) || outgoing.contains(r);
}
bool configuration::is_learner(const replica_ref& r) const {
  return learners.contains(r);
}
bool configuration::contains(const replica_ref& r) const {
  return is_voter(r) || is_learner(r);
}

std::vector<replica_ref> configuration::members() const {
  replica_set all = voters;
  for (const auto& r : outgoing)
    all.insert(r);
  for (const auto& r : learners)
    all.insert(r);
  return {all.begin(), all.end()};
}

bool configuration::valid() const {
  if (voters.empty() || voters.size() > members_max
      || outgoing.size() > members_max || learners.size() > members_max)
    return false;
  if (!joint() && (!learners_next.empty() || auto_leave))
    return false;
  for (const auto& r : learners)
    if (is_voter(r) || learners_next.contains(r))
      return false;
  for (const auto& r : learners_next)
    if (!outgoing.contains(r) || voters.contains(r))
      return false;
  return true;
}

namespace {

void encode_set(writer& out, std::uint64_t key, const replica_set& set) {
  out.uint(key).array(2 * set.size());
  for (const auto& r : set)
    out.id(r.node).id(r.replica);
}

/// Sets come sorted and without duplicates: one form for one value.
replica_set decode_set(reader& in) {
  const auto n = in.array(2 * members_max);
  in.require(n % 2 == 0);
  std::vector<replica_ref> members;
  members.reserve(n / 2);
  for (std::size_t i = 0; i < n / 2 && in.ok(); ++i) {
    replica_ref r;
    in.id(r.node);
    in.id(r.replica);
    if (!members.empty())
      in.require(members.back() < r);
    members.push_back(r);
  }
  return replica_set{std::move(members)};
}

void add_voter(configuration& c, const replica_ref& r) {
  c.voters.insert(r);
  c.learners.erase(r);
  c.learners_next.erase(r);
}

void remove(configuration& c, const replica_ref& r) {
  c.voters.erase(r);
  c.learners.erase(r);
  c.learners_next.erase(r);
}

void add_learner(configuration& c, const replica_ref& r) {
  if (c.learners.contains(r))
    return;
  remove(c, r);
  // Still a voter of the outgoing half: it becomes a learner on leaving.
  (c.outgoing.contains(r) ? c.learners_next : c.learners).insert(r);
}

result<configuration, change_errc> apply(configuration c,
                                         const std::vector<change>& changes) {
  for (const auto& step : changes) {
    if (step.who.replica.is_none())
      continue; // nobody
    switch (step.what) {
    case change::kind::add_voter:
      add_voter(c, step.who);
      break;
    case change::kind::add_learner:
      add_learner(c, step.who);
      break;
    case change::kind::remove:
      remove(c, step.who);
      break;
    case change::kind::nothing:
      break;
    }
  }
  if (c.voters.empty())
    return failure{change_errc::no_voters};
  if (!c.valid())
    return failure{change_errc::invalid};
  return c;
}

/// How many replicas are in one of the sets only.
std::size_t difference(const replica_set& a, const replica_set& b) {
  std::vector<replica_ref> only;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(),
                                std::back_inserter(only));
  return only.size();
}

} // namespace

void encode(writer& out, const configuration& c) {
  out.map(5);
  encode_set(out, 0, c.voters);
  encode_set(out, 1, c.outgoing);
  encode_set(out, 2, c.learners);
  encode_set(out, 3, c.learners_next);
  out.uint(4).boolean(c.auto_leave);
}

configuration decode_configuration(reader& in) {
  configuration c;
  std::int64_t key = -1;
  for (auto n = in.map(64); n > 0 && in.ok(); --n) {
    key = in.key(key);
    switch (key) {
    case 0:
      c.voters = decode_set(in);
      break;
    case 1:
      c.outgoing = decode_set(in);
      break;
    case 2:
      c.learners = decode_set(in);
      break;
    case 3:
      c.learners_next = decode_set(in);
      break;
    case 4:
      c.auto_leave = in.boolean();
      break;
    default:
      in.skip();
    }
  }
  in.require(c.valid());
  return c;
}

bytes encode(const configuration& c) {
  bytes out;
  writer w{out};
  encode(w, c);
  return out;
}

bool decode(const_bytes in, configuration& out) {
  reader r{in};
  auto c = decode_configuration(r);
  if (!r.done())
    return false;
  out = std::move(c);
  return true;
}

result<configuration, change_errc> simple(const configuration& now,
                                          const std::vector<change>& changes) {
  if (now.joint())
    return failure{change_errc::joint};
  auto next = apply(now, changes);
  if (next && difference(now.voters, next->voters) > 1)
    return failure{change_errc::not_simple};
  return next;
}

result<configuration, change_errc>
enter_joint(const configuration& now, const std::vector<change>& changes,
            bool auto_leave) {
  if (now.joint())
    return failure{change_errc::joint};
  if (now.voters.empty())
    return failure{change_errc::no_voters};
  configuration c = now;
  c.outgoing = now.voters;
  c.auto_leave = auto_leave;
  return apply(std::move(c), changes);
}

result<configuration, change_errc> leave_joint(const configuration& now) {
  if (!now.joint())
    return failure{change_errc::joint};
  configuration c = now;
  for (const auto& r : now.learners_next)
    c.learners.insert(r);
  c.learners_next = {};
  c.outgoing = {};
  c.auto_leave = false;
  return c;
}

} // namespace banyan::raft
