#include "tests/integration/netns_scenarios.hpp"

#include <algorithm>
#include <numeric>

namespace banyan::test {
namespace {

using how = net_hosts::how;

/// Two sides that don't reach each other.
void split(netns_world& w, how h) {
  std::vector<std::size_t> order(w.hosts.size());
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), w.random);
  const auto minority = 1 + w.random() % (order.size() / 2);
  for (std::size_t i = 0; i < minority; ++i)
    for (std::size_t k = minority; k < order.size(); ++k)
      w.hosts.cut(order[i], order[k], h);
}

/// Two halves that meet in one host, which reaches both.
void bridge(netns_world& w) {
  const auto middle = w.any_host();
  for (std::size_t a = 1; a < w.hosts.size(); ++a)
    for (std::size_t b = a + 1; b < w.hosts.size(); ++b)
      if (a % 2 != b % 2)
        w.hosts.cut((middle + a) % w.hosts.size(),
                    (middle + b) % w.hosts.size());
}

/// Each host reaches its two neighbours only.
void ring(netns_world& w) {
  const auto n = w.hosts.size();
  for (std::size_t a = 0; a < n; ++a)
    for (std::size_t b = a + 2; b < n; ++b)
      if ((b + 1) % n != a)
        w.hosts.cut(a, b);
}

void flap(netns_world& w) {
  const auto [a, b] = w.any_pair();
  for (int i = 0; i < 6; ++i) {
    w.hosts.cut(a, b, i % 2 == 0 ? how::silent : how::resets);
    w.dwell(50ms, 250ms);
    w.heal();
    w.dwell(50ms, 150ms);
  }
}

struct fault {
  const char* name;
  void (*strike)(netns_world&);
};

const fault faults[] = {
    {"leader alone, silent",
     [](netns_world& w) { w.hosts.isolate(w.leader("counter")); }},
    {"leader alone, resets",
     [](netns_world& w) { w.hosts.isolate(w.leader("kv"), how::resets); }},
    {"two sides, silent", [](netns_world& w) { split(w, how::silent); }},
    {"two sides, resets", [](netns_world& w) { split(w, how::resets); }},
    {"one way between two",
     [](netns_world& w) {
       const auto [a, b] = w.any_pair();
       w.hosts.cut_one_way(a, b);
     }},
    {"leader hears nobody, is heard",
     [](netns_world& w) {
       const auto l = w.leader("counter");
       for (std::size_t i = 0; i < w.hosts.size(); ++i)
         if (i != l)
           w.hosts.cut_one_way(i, l);
     }},
    {"leader hears all, is not heard",
     [](netns_world& w) {
       const auto l = w.leader("ledger");
       for (std::size_t i = 0; i < w.hosts.size(); ++i)
         if (i != l)
           w.hosts.cut_one_way(l, i);
     }},
    {"partial: one pair only",
     [](netns_world& w) {
       const auto l = w.leader("kv");
       w.hosts.cut(l, (l + 1 + w.random() % 4) % 5);
     }},
    {"partial: two halves meet in one", bridge},
    {"partial: a ring", ring},
    {"flapping pair", flap},
    {"callers don't reach one peer",
     [](netns_world& w) { w.hosts.cut(net_hosts::hub, w.any_host()); }},
};

} // namespace

int netns_cuts(netns_world::settings s) {
  netns_world w{std::move(s)};
  w.begin();
  std::vector<const fault*> bag;
  while (w.time_left()) {
    if (bag.empty()) { // each of them once before any again
      for (const auto& f : faults)
        bag.push_back(&f);
      std::shuffle(bag.begin(), bag.end(), w.random);
    }
    const auto& f = *bag.back();
    bag.pop_back();
    f.strike(w);
    w.struck(f.name);
    w.dwell(300ms, 1500ms);
    if (w.random() % 4 == 0)
      continue; // the next on top of it
    w.heal();
    w.dwell(0ms, 800ms);
  }
  return w.end();
}

} // namespace banyan::test
