#include "actors/node/awaited_host.hpp"

#include "actors/node/modules.hpp"

namespace banyan::actors {
namespace {

/// Whoever watches this host's deadline hears so of the other's.
constexpr duration look_every = 1s;

} // namespace

awaited_host::awaited_host(node_context& ctx, host_options options,
                           host_handlers handlers)
    : ctx_{ctx}, options_{std::move(options)}, handlers_{std::move(handlers)} {
  BANYAN_ASSERT(options_.code && ctx_.modules != nullptr);
}

void awaited_host::start() {
  BANYAN_ASSERT(!life_);
  life_ = std::make_shared<char>();
  const auto& hash = *options_.code;
  if (!ctx_.modules->here(hash))
    ctx_.log(log_level::info, "app " + options_.module
                                  + " waits for its module "
                                  + to_hex(hash.view()).substr(0, 16));
  ctx_.modules->when_here(hash, life_, [this] { open(); });
}

void awaited_host::open() {
  auto options = options_;
  options.file = ctx_.modules->file(*options_.code);
  std::string error;
  inner_ = ctx_.hosts.make(std::move(options), handlers_, error);
  if (inner_ == nullptr) {
    ctx_.loop.post(
        [this, error, still = std::weak_ptr{life_}] {
          if (!still.expired())
            handlers_.on_failed({host_errc::not_found, error});
        },
        "host");
    return;
  }
  inner_->start();
  if (!waiting_.empty())
    inner_->submit(std::move(waiting_));
  waiting_.clear();
}

void awaited_host::submit(std::vector<turn_order> orders) {
  if (inner_ != nullptr)
    return inner_->submit(std::move(orders));
  if (life_)
    for (auto& o : orders)
      waiting_.push_back(std::move(o));
}

void awaited_host::restart() {
  waiting_.clear();
  if (inner_ != nullptr)
    inner_->restart();
  else if (life_ && ctx_.modules->here(*options_.code))
    open(); // there was none to be had
}

void awaited_host::stop() {
  life_.reset();
  waiting_.clear();
  if (inner_ != nullptr)
    inner_->stop();
}

time_point awaited_host::deadline() const {
  if (inner_ != nullptr)
    return inner_->deadline();
  return life_ ? ctx_.loop.now() + look_every : never;
}

void awaited_host::on_time(time_point now) {
  if (inner_ != nullptr)
    inner_->on_time(now);
}

std::size_t awaited_host::outstanding() const {
  return inner_ != nullptr ? inner_->outstanding() : waiting_.size();
}

} // namespace banyan::actors
