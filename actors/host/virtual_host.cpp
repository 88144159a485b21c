#include "actors/host/virtual_host.hpp"

#include "base/assert.hpp"
#include "crypto/secret.hpp"

#include <algorithm>

namespace banyan {

virtual_host::virtual_host(host_options options, host_handlers handlers,
                           schedule_function schedule, clock_function clock,
                           const host_catalog& catalog, random_source& random)
    : options_{std::move(options)}, handlers_{std::move(handlers)},
      schedule_{std::move(schedule)}, clock_{std::move(clock)},
      catalog_{catalog}, random_{random} {
}

virtual_host::~virtual_host() {
  stop();
}

void virtual_host::start() {
  BANYAN_ASSERT(!life_);
  begin();
}

void virtual_host::begin() {
  life_ = std::make_shared<char>();
  failed_ = false;
  hung_ = false;
  armed_ = true; // loading
  busy_since_ = clock_();
  later(pause(), [this] {
    armed_ = false;
    const auto module = catalog_.find(options_.module);
    if (!module)
      return fail(module.error());
    auto secrets = options_.secrets ? options_.secrets() : bytes{};
    auto runner = module_runner::open(*module, options_.config, secrets);
    wipe(secrets);
    if (!runner)
      return fail(runner.error());
    runner_.emplace(std::move(runner).value());
    arm();
    handlers_.on_ready(module->info);
  });
}

void virtual_host::submit(std::vector<turn_order> orders) {
  if (!life_ || failed_)
    return;
  for (auto& o : orders)
    queue_.push_back(std::move(o));
  arm();
}

void virtual_host::arm() {
  if (armed_ || queue_.empty())
    return;
  armed_ = true;
  busy_since_ = clock_();
  if (!hung_)
    later(pause(), [this] { step(); });
}

void virtual_host::step() {
  if (hung_)
    return;
  armed_ = false;
  const auto deadly =
      std::find_if(queue_.begin(), queue_.end(), [&](const auto& o) {
        return !deadly_.empty() && o.command == deadly_;
      });
  if (deadly != queue_.end()) {
    queue_.erase(queue_.begin(), deadly);
    return die();
  }
  std::vector<turn_order> batch;
  batch.swap(queue_);
  std::vector<turn_result> results;
  results.reserve(batch.size());
  for (const auto& order : batch)
    results.push_back(runner_->run(order));
  handlers_.on_results(std::move(results));
}

void virtual_host::restart() {
  stop();
  begin();
}

void virtual_host::stop() {
  life_.reset();
  runner_.reset();
  queue_.clear();
  armed_ = false;
}

time_point virtual_host::deadline() const {
  return life_ && !failed_ && armed_ ? busy_since_ + options_.turn_time_max
                                     : never;
}

void virtual_host::on_time(time_point now) {
  if (now < deadline())
    return;
  host_failed why{host_errc::hung,
                  options_.module + ": a turn hangs",
                  {true, std::nullopt}};
  if (!queue_.empty())
    why.died_of.turn = queue_.front().key;
  failed_ = true;
  queue_.clear();
  later(duration{0}, [this, why] { fail(why); });
}

void virtual_host::delays(duration low, duration high) {
  BANYAN_ASSERT(low <= high);
  low_ = low;
  high_ = high;
}

void virtual_host::hang() {
  hung_ = true;
}

void virtual_host::die() {
  if (!life_ || failed_)
    return;
  host_failed why{host_errc::died,
                  options_.module + ": its host died",
                  {true, std::nullopt}};
  if (!queue_.empty())
    why.died_of.turn = queue_.front().key;
  life_ = std::make_shared<char>(); // what is scheduled is void
  failed_ = true;
  queue_.clear();
  later(duration{0}, [this, why] { fail(why); });
}

void virtual_host::fail(host_failed why) {
  failed_ = true;
  queue_.clear();
  runner_.reset();
  handlers_.on_failed(why);
}

duration virtual_host::pause() {
  return std::max(duration{1},
                  low_ == high_ ? low_ : random_.between(low_, high_));
}

void virtual_host::later(duration after, std::function<void()> f) {
  schedule_(after, [still = std::weak_ptr{life_}, f = std::move(f)] {
    if (!still.expired())
      f();
  });
}

} // namespace banyan
