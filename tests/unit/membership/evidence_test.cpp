// Who stands where a dead member's observers stood, and says that it is dead.
#include "net/membership/membership.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace banyan::net {
namespace {

/// A mesh of which only one node runs: it hears from one peer that a member
/// was lost together with five of its eight observers.
class lost_with_its_observers : public ::testing::Test {
protected:
  static constexpr std::size_t members = 1000;
  static constexpr std::size_t lost = 5;

  lost_with_its_observers() {
    for (std::size_t i = 0; i < members; ++i) {
      keys.push_back(identity::generate(random));
      all.set(id(i), true);
    }
    cast();
  }
  const node_id& id(std::size_t i) const { return keys[i].id(); }
  const identity& key(const node_id& node) const {
    return *std::find_if(keys.begin(), keys.end(),
                         [&](const auto& k) { return k.id() == node; });
  }

  /// The subject is of those with the highest ids, which are looked at last.
  void cast() {
    std::vector<node_id> ids;
    for (const auto& k : keys)
      ids.push_back(k.id());
    std::sort(ids.rbegin(), ids.rend());
    for (const auto& s : ids) {
      auto o = all.observers(s);
      std::set<node_id> involved{s};
      involved.insert(o.begin(), o.end());
      std::size_t seen = o.size() + 1;
      for (std::size_t i = 0; i < lost; ++i) {
        const auto of = all.observers(o[i]);
        involved.insert(of.begin(), of.end());
        seen += of.size();
      }
      if (involved.size() != seen)
        continue; // simpler without
      subject = s;
      observers = o;
      // Behind an observer on its ring stands who observes that one there.
      self = all.observers(o[0])[0];
      return;
    }
    FAIL() << "no such member";
  }

  /// The core of `self`, linked with some other member.
  void run() {
    auto known = std::make_shared<settled_members>();
    known->order = std::make_shared<ring_order>(mesh);
    for (const auto& k : keys) {
      member_record r;
      r.node = k.id();
      r.incarnation = incarnation{1};
      r.number = 1;
      r.boot = boot;
      known->put(std::make_shared<const member_document>(
          member_document::make(k, mesh, r)));
    }
    membership_config cfg{key(self).clone()};
    cfg.mesh = mesh;
    cfg.boot = boot;
    cfg.disk_incarnation = incarnation{1};
    cfg.order = known->order;
    cfg.settled = known;
    core.emplace(std::move(cfg), random, now);
    core->start(now, out);
    peer = id(0) == self ? id(1) : id(0);
    link_info l;
    l.id = link_id{1};
    l.node = peer;
    l.boot = boot;
    l.incarnation = incarnation{1};
    core->on_link_up(l, now, out);
  }
  /// Without `self`, which says what it sees itself.
  std::vector<node_id> accusers_of(const node_id& of) const {
    const auto o = all.observers(of);
    std::vector<node_id> others{o.begin(), o.end()};
    others.erase(std::remove(others.begin(), others.end(), self), others.end());
    return others;
  }
  void hear(const node_id& observer, const node_id& of) {
    report r;
    r.observer = observer;
    r.subject = of;
    r.observer_incarnation = r.subject_incarnation = incarnation{1};
    r.number = ++number;
    r.down = true;
    r.sign(key(observer), mesh);
    news_message m;
    m.reports.push_back(r);
    core->on_message(peer, m, now, out);
  }
  /// Each of the lost is doubted, then the subject is dead, then they are.
  void hear_of_the_loss() {
    for (std::size_t i = 0; i < lost; ++i)
      for (std::size_t n = 0; n < 3; ++n)
        hear(accusers_of(observers[i])[n], observers[i]);
    for (std::size_t i = lost; i < observers.size(); ++i)
      hear(observers[i], subject);
    ASSERT_EQ(core->state_of(subject), member_state::dead);
    for (std::size_t i = 0; i < lost; ++i)
      for (const auto& o : accusers_of(observers[i]))
        hear(o, observers[i]); // those of before are known
    for (std::size_t i = 0; i < lost; ++i)
      ASSERT_EQ(core->state_of(observers[i]), member_state::dead);
  }
  /// What it told its peer of the subject so far.
  std::size_t told() const {
    std::size_t n = 0;
    for (const auto& e : out) {
      const auto* f = std::get_if<send_frame>(&e);
      membership_message m;
      if (f == nullptr || f->channel != channel::membership
          || !decode(f->payload, m))
        continue;
      if (const auto* news = std::get_if<news_message>(&m))
        for (const auto& r : news->reports)
          n += r.observer == self && r.subject == subject && r.down ? 1U : 0U;
    }
    return n;
  }
  void run_for(duration d) {
    for (const auto end = now + d; now < end; now += 50ms) {
      core->on_heard(peer, now, out);
      core->on_tick(now, out);
    }
  }

  seeded_random random{9};
  mesh_id mesh{std::array<std::uint8_t, 32>{6}};
  boot_id boot{std::array<std::uint8_t, 16>{1}};
  std::vector<identity> keys;
  rings all{mesh, nullptr};
  node_id subject, self, peer;
  rings::of_all observers{};
  std::optional<membership> core;
  membership_effects out;
  std::uint64_t number = 0;
  time_point now = time_point{} + 1h;
};

// By then doubt no longer counts: whoever missed one of the three reports would
// never know of the death.
TEST_F(lost_with_its_observers, is_said_dead_by_who_stands_there_now) {
  run();
  run_for(1s);
  hear_of_the_loss();
  EXPECT_EQ(told(), 0U); // the rings may still change
  run_for(5s);
  EXPECT_EQ(told(), 1U);
}

} // namespace
} // namespace banyan::net
