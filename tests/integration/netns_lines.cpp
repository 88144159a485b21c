#include "tests/integration/netns_scenarios.hpp"
#include "tests/support/slow_links.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::test {
namespace {

using line = slow_links::line;

struct line_fault {
  const char* name;
  bool (*fits)(std::size_t from, std::size_t to, std::size_t chosen);
  line how;
};

bool of_chosen(std::size_t from, std::size_t to, std::size_t chosen) {
  return from == chosen || to == chosen;
}
bool from_chosen(std::size_t from, std::size_t, std::size_t chosen) {
  return from == chosen;
}
bool to_chosen(std::size_t, std::size_t to, std::size_t chosen) {
  return to == chosen;
}
bool one_pair(std::size_t from, std::size_t to, std::size_t chosen) {
  const auto other = (chosen + 1) % 5;
  return of_chosen(from, to, chosen) && of_chosen(from, to, other);
}
bool all(std::size_t, std::size_t, std::size_t) {
  return true;
}

const line_fault faults[] = {
    {"all lines 40 ms and up to 40 more", all, {40ms, 40ms, 0, false}},
    {"a leader's lines 150 ms", of_chosen, {150ms, 0ms, 0, false}},
    {"a leader's lines up to 600 ms", of_chosen, {0ms, 600ms, 0, false}},
    {"late only from a leader", from_chosen, {250ms, 100ms, 0, false}},
    {"late only to a leader", to_chosen, {250ms, 100ms, 0, false}},
    {"a leader's lines 30 KB/s", of_chosen, {1ms, 0ms, 30'000, false}},
    {"all lines 200 KB/s", all, {1ms, 1ms, 200'000, false}},
    {"a leader's lines stuck", of_chosen, {0ms, 0ms, 0, true}},
    {"stuck only from a leader", from_chosen, {0ms, 0ms, 0, true}},
    {"stuck only to a leader", to_chosen, {0ms, 0ms, 0, true}},
    {"one pair stuck", one_pair, {0ms, 0ms, 0, true}},
};

void reset_everything(slow_links& lines, std::size_t hosts) {
  for (std::size_t a = 0; a < hosts; ++a)
    for (std::size_t b = a + 1; b < hosts; ++b)
      lines.reset(a, b);
}

} // namespace

int netns_slow_links(netns_world::settings s) {
  std::unique_ptr<slow_links> lines;
  s.before = [&](netns_world& w) {
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < w.hosts.size(); ++i)
      ports.push_back(w.mesh().link_port(i));
    lines = std::make_unique<slow_links>(w.hosts, ports);
  };
  netns_world w{std::move(s)};
  w.begin();
  const auto n = w.hosts.size();
  std::vector<const line_fault*> bag;
  while (w.time_left()) {
    if (bag.empty()) {
      for (const auto& f : faults)
        bag.push_back(&f);
      std::shuffle(bag.begin(), bag.end(), w.random);
    }
    const auto& f = *bag.back();
    bag.pop_back();
    const auto chosen = w.leader(w.random() % 2 == 0 ? "counter" : "kv");
    for (std::size_t from = 0; from < n; ++from)
      for (std::size_t to = 0; to < n; ++to)
        if (from != to && f.fits(from, to, chosen))
          lines->set(from, to, f.how);
    w.struck(f.name);
    w.dwell(400ms, 1500ms);
    if (w.random() % 3 == 0) {
      reset_everything(*lines, n);
      w.struck("all connections reset");
      w.dwell(100ms, 500ms);
    }
    lines->heal();
    w.dwell(0ms, 600ms);
  }
  const int code = w.end();
  std::printf("%.1f MB went through the proxy\n",
              static_cast<double>(lines->carried()) / 1e6);
  return code != 0 || lines->carried() == 0 ? 1 : 0;
}

} // namespace banyan::test
