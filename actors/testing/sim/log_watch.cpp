#include "actors/testing/sim/log_watch.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <deque>

namespace banyan::sim {
namespace {

std::string place(const group_id& g, log_index index) {
  return short_string(g.app) + "/" + std::to_string(g.shard) + " at index "
         + std::to_string(index.value());
}

} // namespace

/// Tells the book what completes.
class watched_log final : public store::log {
public:
  watched_log(log_watch& watch, const node_id& node,
              std::unique_ptr<store::log> inner)
      : watch_{watch}, node_{node}, inner_{std::move(inner)} {}

  void on_done(done_handler handler) override {
    inner_->on_done([this, handler = std::move(handler)](
                        const std::vector<store::log_done>& done) {
      for (const auto& d : done)
        completed(d);
      handler(done); // last: it may destroy this
    });
  }
  void submit(store::log_write write) override {
    waiting_.push_back({write.order, write.reset, write.entries, false});
    inner_->submit(std::move(write));
  }
  void cut(const group_id& group, const replica_id& replica,
           log_index index) override {
    inner_->cut(group, replica, index);
  }
  void drop(store::order_id order) override {
    waiting_.push_back({order, std::nullopt, {}, true});
    inner_->drop(order);
  }
  void scrub(store::log_place from, std::size_t bytes_max,
             scrub_done on_done) override {
    inner_->scrub(from, bytes_max, std::move(on_done));
  }
  [[nodiscard]] time_point oldest_pending() const override {
    return inner_->oldest_pending();
  }

private:
  struct waiting {
    store::order_id order;
    std::optional<log_base> reset;
    std::vector<log_entry> entries;
    bool drop = false;
  };
  void completed(const store::log_done& d) {
    BANYAN_ASSERT(!waiting_.empty() && waiting_.front().order == d.order);
    const auto w = std::move(waiting_.front());
    waiting_.pop_front();
    if (!d.error && !w.drop)
      watch_.synced(node_, w.order, w.reset, w.entries, d.hashes);
  }

  log_watch& watch_;
  node_id node_;
  std::unique_ptr<store::log> inner_;
  std::deque<waiting> waiting_;
};

void log_watch::born(const group_id& g, std::vector<replica_ref> voters) {
  auto& b = books_[g];
  raft::configuration c;
  c.voters = raft::replica_set{std::move(voters)};
  if (b.configurations.empty())
    b.configurations.push_back(std::move(c));
  else
    b.configurations.front() = std::move(c); // it was at work before we knew
}

std::unique_ptr<store::log>
log_watch::watched(const node_id& node, std::unique_ptr<store::log> inner) {
  return std::make_unique<watched_log>(*this, node, std::move(inner));
}

log_watch::copy& log_watch::copy_of(book& b, const replica_ref& who) {
  const auto [at, fresh] = b.copies.try_emplace(who);
  if (fresh) {
    at->second.number = static_cast<std::uint16_t>(b.replicas.size());
    b.replicas.push_back(who);
  }
  if (b.configurations.empty())
    b.configurations.emplace_back();
  return at->second;
}

const log_watch::candidate* log_watch::find(const book& b, log_index index,
                                            const digest& hash) {
  const auto at = b.entries.find(index);
  if (at == b.entries.end())
    return nullptr;
  for (const auto& c : at->second)
    if (c.hash == hash)
      return &c;
  return nullptr;
}

void log_watch::synced(const node_id& node, const store::order_id& order,
                       const std::optional<log_base>& reset,
                       const std::vector<log_entry>& entries,
                       const std::vector<digest>& hashes) {
  if (abandoned_.count(order.group) != 0)
    return;
  auto& b = books_[order.group];
  auto& c = copy_of(b, {node, order.replica});
  if (reset) {
    c.base = reset->index;
    c.base_hash = reset->hash;
    c.hashes.clear();
    if (reset->index != log_index{})
      settle_on(order.group, b, reset->index, reset->hash, "a snapshot");
  }
  BANYAN_ASSERT(entries.size() == hashes.size());
  for (std::size_t i = 0; i < entries.size(); ++i)
    note(order.group, b, c, entries[i], hashes[i], false);
}

void log_watch::note(const group_id& g, book& b, copy& c, const log_entry& e,
                     const digest& hash, bool found) {
  ++entries_;
  const auto at = e.index.value() - c.base.value() - 1;
  BANYAN_ASSERT(e.index > c.base && at <= c.hashes.size());
  if (const auto known = b.committed.find(e.index);
      known != b.committed.end() && known->second.first != hash) {
    if (at < c.hashes.size() && c.hashes[at] == known->second.first)
      problem_(place(g, e.index)
               + ": a committed entry was overwritten on a disk");
    else if (!found && known->second.second < e.term)
      // Of what a restart found nobody knows when it was written: a leader that
      // died with it may have been there before a later one committed the
      // other.
      problem_(place(g, e.index)
               + ": a later term wrote another entry than the committed one");
  }
  const auto before = at > 0 ? c.hashes[at - 1] : c.base_hash;
  c.hashes.resize(at);
  c.hashes.push_back(hash);
  auto& here = b.entries[e.index];
  auto mine = std::find_if(here.begin(), here.end(),
                           [&](const auto& x) { return x.hash == hash; });
  if (mine == here.end()) {
    candidate fresh{hash, before, e.term, std::nullopt, std::nullopt, {}};
    if (e.kind == entry_kind::configuration) {
      raft::configuration conf;
      if (raft::decode(e.data.view(), conf)) {
        fresh.configuration =
            static_cast<std::uint32_t>(b.configurations.size());
        b.configurations.push_back(std::move(conf));
        b.changes.insert(e.index);
      } else {
        problem_(place(g, e.index) + ": a configuration that can't be read");
      }
    }
    here.push_back(std::move(fresh));
    mine = std::prev(here.end());
  }
  auto& holders = mine->holders;
  if (std::find(holders.begin(), holders.end(), c.number) == holders.end())
    holders.push_back(c.number);
}

bool log_watch::held(const book& b, log_index index, const candidate& c,
                     const replica_ref& r) {
  const auto at = b.copies.find(r);
  if (at == b.copies.end())
    return false;
  return index <= at->second.base
         || std::find(c.holders.begin(), c.holders.end(), at->second.number)
                != c.holders.end();
}

const raft::configuration* log_watch::configuration_at(const book& b,
                                                       log_index index,
                                                       const candidate& c) {
  for (const auto* at = &c; at != nullptr;) {
    const auto known = at->configuration ? at->configuration : at->inherited;
    index = index.prev();
    if (!known && index != log_index{}) {
      at = find(b, index, at->before);
      continue;
    }
    c.inherited = known.value_or(0);
    return &b.configurations[*c.inherited];
  }
  return nullptr; // it stands on a snapshot of entries that nobody synced since
}

bool log_watch::majority_of(const book& b, log_index index, const candidate& c,
                            const raft::replica_set& set) {
  std::size_t n = 0;
  for (const auto& r : set)
    n += held(b, index, c, r) ? 1 : 0;
  return set.empty() || n > set.size() / 2;
}

bool log_watch::has_majority(const book& b, log_index index, const candidate& c,
                             const raft::configuration& conf) {
  if (!majority_of(b, index, c, conf.voters))
    return false;
  if (majority_of(b, index, c, conf.outgoing))
    return true;
  // Once both halves have the joint configuration itself its leader leaves it,
  // and counts the new half alone from the moment that this is in its log.
  for (const auto* at = &c; at != nullptr;) {
    if (at->configuration)
      return at != &c && majority_of(b, index, *at, conf.voters)
             && majority_of(b, index, *at, conf.outgoing);
    index = index.prev();
    at = find(b, index, at->before);
  }
  return false;
}

bool log_watch::has_majority(const book& b, log_index index,
                             const candidate& c) {
  if (const auto* conf = configuration_at(b, index, c);
      conf != nullptr && has_majority(b, index, c, *conf))
    return true;
  for (auto at = b.changes.upper_bound(index); at != b.changes.end(); ++at)
    for (const auto& change : b.entries.at(*at)) {
      if (!change.configuration
          || !has_majority(b, index, c,
                           b.configurations[*change.configuration]))
        continue;
      auto below = at->prev();
      const auto* on = find(b, below, change.before);
      while (on != nullptr && below > index) {
        below = below.prev();
        on = find(b, below, on->before);
      }
      if (on == &c)
        return true;
    }
  return false;
}

void log_watch::settle_on(const group_id& g, book& b, log_index index,
                          const digest& hash, const char* who) {
  const auto [at, fresh] = b.committed.try_emplace(index, hash, banyan::term{});
  if (at->second.first != hash)
    problem_(place(g, index) + ": " + who
             + " holds another entry than the one that was committed before");
  if (const auto* c = find(b, index, hash))
    at->second.second = c->term;
}

std::string log_watch::describe(const book& b, log_index index) {
  std::string out;
  const auto at = b.entries.find(index);
  if (at == b.entries.end())
    return " (no disk has an entry there)";
  for (const auto& c : at->second) {
    out += " (entry of term " + std::to_string(c.term.value()) + ":";
    const auto* conf = configuration_at(b, index, c);
    if (conf == nullptr)
      continue;
    for (const auto& r : conf->members())
      out += " " + short_string(r.node) + "."
             + short_string(r.replica).substr(0, 4)
             + (conf->is_voter(r) ? "" : " learns")
             + (held(b, index, c, r) ? " has it" : "");
    out += ")";
  }
  return out;
}

void log_watch::acknowledged(const group_id& g, log_index index) {
  ++answers_;
  if (index == log_index{} || abandoned_.count(g) != 0)
    return;
  auto& b = books_[g];
  const auto at = b.entries.find(index);
  const candidate* found = nullptr;
  if (at != b.entries.end())
    for (const auto& c : at->second)
      if (has_majority(b, index, c))
        found = &c;
  if (found == nullptr)
    return problem_(place(g, index)
                    + ": acknowledged, and no majority has it synced"
                    + describe(b, index));
  settle_on(g, b, index, found->hash, "a majority");
  b.acknowledged = std::max(b.acknowledged, index);
}

void log_watch::committed(const group_id& g, log_index index,
                          const digest& hash) {
  if (index != log_index{} && abandoned_.count(g) == 0)
    settle_on(g, books_[g], index, hash, "a state");
}

void log_watch::opened(const node_id& node, const store::log_recovery& found) {
  const bool lossy = lossy_.count(node) != 0;
  for (const auto& r : found.logs) {
    if (abandoned_.count(r.group) != 0)
      continue;
    if (r.damaged && !lossy)
      problem_(place(r.group, r.base.index)
               + ": a disk that lost nothing is damaged: " + r.damage);
    if (r.damaged)
      continue;
    if (lossy)
      copy_of(books_[r.group], {node, r.replica}).hashes.clear();
    recovered(node, r);
  }
}

void log_watch::recovered(const node_id& node, const store::recovered_log& r) {
  auto& b = books_[r.group];
  auto& c = copy_of(b, {node, r.replica});
  const auto end = r.base.index.value() + r.entries.size();
  // The common case first: nothing was lost, nothing came on top.
  const auto known_end = c.base.value() + c.hashes.size();
  if (known_end == end && c.base <= r.base.index && !c.hashes.empty()
      && c.hashes.back() == r.end_hash)
    return;
  std::vector<digest> hashes;
  auto last = r.base.hash;
  for (const auto& e : r.entries)
    hashes.push_back(last = store::chain_hash(last, e));
  const auto at = [&](log_index i) {
    return hashes[i.value() - r.base.index.value() - 1];
  };
  for (std::size_t i = 0; i < c.hashes.size(); ++i) {
    const log_index index{c.base.value() + 1 + i};
    const auto known = b.committed.find(index);
    if (known == b.committed.end() || known->second.first != c.hashes[i]
        || index <= r.base.index)
      continue;
    if (index.value() > end || at(index) != c.hashes[i]) {
      problem_(place(r.group, index)
               + ": a restart lost a committed entry that was synced");
      break;
    }
  }
  c.base = r.base.index;
  c.base_hash = r.base.hash;
  c.hashes.clear();
  for (std::size_t i = 0; i < hashes.size(); ++i)
    note(r.group, b, c, r.entries[i], hashes[i], true);
}

void log_watch::settled() {
  for (const auto& [g, b] : books_) {
    if (b.acknowledged == log_index{})
      continue;
    const auto known = b.committed.find(b.acknowledged);
    const auto* conf = configuration(g);
    if (known == b.committed.end() || conf == nullptr)
      continue;
    std::size_t n = 0;
    for (const auto& r : conf->voters) {
      const auto c = b.copies.find(r);
      if (c == b.copies.end())
        continue;
      const auto i = b.acknowledged.value() - c->second.base.value() - 1;
      n += b.acknowledged <= c->second.base
                   || (i < c->second.hashes.size()
                       && c->second.hashes[i] == known->second.first)
               ? 1
               : 0;
    }
    if (n <= conf->voters.size() / 2)
      problem_(place(g, b.acknowledged) + ": acknowledged once, and now only "
               + std::to_string(n) + " voters have it");
  }
}

const raft::configuration* log_watch::configuration(const group_id& g) const {
  const auto at = books_.find(g);
  if (at == books_.end() || at->second.configurations.empty())
    return nullptr;
  const auto& b = at->second;
  if (!b.committed.empty())
    for (auto it = b.committed.rbegin(); it != b.committed.rend(); ++it)
      if (const auto* c = find(b, it->first, it->second.first))
        if (const auto* conf = configuration_at(b, it->first, *c))
          return conf;
  return &b.configurations.front();
}

std::vector<group_id> log_watch::groups() const {
  std::vector<group_id> out;
  for (const auto& [g, b] : books_)
    out.push_back(g);
  std::sort(out.begin(), out.end());
  return out;
}

} // namespace banyan::sim
