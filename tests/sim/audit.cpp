#include "sim/clients.hpp"

#include <algorithm>

namespace banyan::sim {

using kind = operation::kind;

struct clients::audit_state {
  std::size_t open = 0;
  bool failed = false;
  /// By machine: what it says of each key.
  std::vector<std::map<std::string, answer>> seen;
  std::function<void(bool)> done;
};

// Each forwarded element is in its receiver's list exactly once, and those of
// one sender in the order in which it has them itself.
bool clients::agrees(const audit_state& s) {
  for (const auto& values : s.seen) {
    std::int64_t sum = 0;
    for (const auto& [key, value] : values) {
      if (key[0] == 'a')
        sum += value.number;
      const auto added =
          key[0] != 'c'
              ? 0
              : static_cast<std::int64_t>(counters_[key].acknowledged());
      if (key[0] == 'c' && value.number != added) {
        world_.trace(key + " is " + std::to_string(value.number) + ", expected "
                     + std::to_string(added));
        return false;
      }
      if (key[0] != 'i')
        continue;
      const auto& sent = forwarded_[key];
      if (value.list.size() != sent.size()) {
        world_.trace(key + " has " + std::to_string(value.list.size())
                     + " elements, expected " + std::to_string(sent.size()));
        return false;
      }
      std::map<std::string, std::vector<std::int64_t>> by_sender;
      std::set<std::int64_t> once;
      for (const auto e : value.list) {
        const auto at = sent.find(e);
        if (at == sent.end() || !once.insert(e).second) {
          world_.problem(key + " got element " + std::to_string(e)
                         + " twice, or was never sent it");
          return false;
        }
        by_sender[at->second].push_back(e);
      }
      for (const auto& [sender, got] : by_sender) {
        std::vector<std::int64_t> order;
        for (const auto e : values.at(sender).list)
          if (sent.count(e) != 0)
            order.push_back(e);
        if (order != got)
          world_.problem(key + " got the elements of " + sender
                         + " in another order");
      }
    }
    if (sum != money_) {
      world_.trace("accounts hold " + std::to_string(sum) + ", expected "
                   + std::to_string(money_));
      return false;
    }
  }
  return true;
}

void clients::audit(const std::function<void(bool settled)>& done) {
  auto s = std::make_shared<audit_state>();
  s->seen.resize(world_.machines.size());
  s->done = done;
  std::vector<operation> all;
  const auto ask = [&all](kind what, const char* prefix, int n) {
    for (int i = 0; i < n; ++i) {
      operation o;
      o.what = what;
      o.key = prefix + std::to_string(i);
      all.push_back(std::move(o));
    }
  };
  ask(kind::get, "c", counters);
  ask(kind::balance, "a", accounts);
  ask(kind::read, "o", boxes);
  ask(kind::read, "i", boxes);
  if (world_.count_up() < world_.machines.size())
    return world_.after(0ms, [done] { done(false); });
  s->open = all.size() * world_.machines.size();
  for (std::size_t n = 0; n < world_.machines.size(); ++n)
    for (const auto& o : all)
      call(n, o, 2s, [this, s, n, o](const reply& r, std::uint32_t) {
        const auto value = r.status == reply_status::ok
                               ? read_answer(o, r.result)
                               : std::nullopt;
        if (value) {
          s->seen[n][o.key] = *value;
        } else {
          world_.trace("audit of " + o.key + " at " + std::to_string(n) + ": "
                       + to_string(r.status) + " " + r.message);
          s->failed = true;
        }
        if (--s->open == 0)
          s->done(!s->failed && agrees(*s));
      });
}

} // namespace banyan::sim
