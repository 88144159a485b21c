#include "tests/support/paced_ledger.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::test {

paced_ledger::paced_ledger(process_mesh& mesh, paced_options options)
    : mesh_{mesh}, options_{std::move(options)}, sums_(options_.callers),
      unknown_(options_.callers) {
}

paced_ledger::~paced_ledger() {
  stop();
}

void paced_ledger::start() {
  for (std::size_t i = 0; i < options_.callers; ++i)
    threads_.emplace_back([this, i] { run(i); });
}

void paced_ledger::stop() {
  stopping_ = true;
  for (auto& t : threads_)
    t.join();
  threads_.clear();
}

std::vector<paced_ledger::sample> paced_ledger::taken() {
  const std::lock_guard lock{mutex_};
  return std::exchange(samples_, {});
}

void paced_ledger::run(std::size_t i) {
  std::vector<std::unique_ptr<io::http_client>> doors(mesh_.size());
  std::size_t door = i % mesh_.size();
  const duration step{static_cast<std::int64_t>(
      1e9 * static_cast<double>(options_.callers) / options_.rate)};
  auto due = now();
  for (std::uint64_t n = 1; !stopping_; ++n) {
    std::this_thread::sleep_until(due); // the pace of the load
    due = std::max(due + step, now() - 10 * step);
    const auto begun = now();
    if (!command(i, n, door, doors)) {
      ++failed_;
      ++unknown_[i];
      continue;
    }
    ++answered_;
    const std::lock_guard lock{mutex_};
    samples_.push_back({begun, now() - begun});
  }
}

bool paced_ledger::command(
    std::size_t i, std::uint64_t n, std::size_t& door,
    std::vector<std::unique_ptr<io::http_client>>& doors) {
  io::http_call q;
  q.method = "POST";
  q.target = "/v1/apps/" + options_.app + "/actors/paced-" + std::to_string(i)
             + "/deposit";
  q.body = R"({"cents":1})";
  q.headers = {{"accept", "application/msgpack"},
               {"idempotency-key",
                "paced-" + std::to_string(i) + "-" + std::to_string(n)}};
  q.connect_timeout = 1s;
  const auto end = now() + options_.deadline;
  for (std::size_t tries = 0;; ++tries) {
    const auto left = end - now();
    if (left <= 0s)
      return false;
    if (tries > 0) {
      ++repeated_;
      door = (door + 1) % mesh_.size();
      if (tries % mesh_.size() == 0)
        std::this_thread::sleep_for(5ms); // nobody answered: not in a spin
    }
    if (!mesh_.running(door))
      continue;
    auto& to = doors[door];
    if (to == nullptr)
      to = std::make_unique<io::http_client>(mesh_.http(door));
    q.timeout = left;
    const auto r = to->call(q);
    if (!r.ok() || r->status == 429 || r->status == 503 || r->status == 504) {
      if (!r.ok())
        to.reset();
      continue;
    }
    if (r->status != 200) {
      std::printf("a deposit was answered %d %s\n", r->status, r->body.c_str());
      return false;
    }
    const auto balance = parse_value(r->body)["result"].integer;
    if (balance <= sums_[i] || balance > sums_[i] + 1 + unknown_[i])
      ++wrong_;
    unknown_[i] -= std::min(unknown_[i], balance - sums_[i] - 1);
    sums_[i] = balance;
    return true;
  }
}

bool paced_ledger::sums_hold() const {
  bool good = true;
  for (std::size_t i = 0; i < options_.callers; ++i) {
    const auto v = mesh_.get(0,
                             "/v1/apps/" + options_.app + "/actors/paced-"
                                 + std::to_string(i) + "/balance",
                             6s);
    const auto holds = v["result"].integer;
    if (holds >= sums_[i] && holds <= sums_[i] + unknown_[i])
      continue;
    good = false;
    std::printf("account paced-%zu holds %lld, acknowledged %lld\n", i,
                static_cast<long long>(holds),
                static_cast<long long>(sums_[i]));
  }
  return good;
}

double quantile_ms(const std::vector<paced_ledger::sample>& list, double q) {
  if (list.empty())
    return 0;
  std::vector<duration> waits;
  for (const auto& s : list)
    waits.push_back(s.wait);
  const auto at = waits.begin()
                  + static_cast<std::ptrdiff_t>(
                      std::min(static_cast<double>(waits.size() - 1),
                               q * static_cast<double>(waits.size())));
  std::nth_element(waits.begin(), at, waits.end());
  return static_cast<double>(at->count()) / 1e6;
}

} // namespace banyan::test
