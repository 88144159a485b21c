#pragma once
#include "base/assert.hpp"
#include "base/time.hpp"
#include "net/link/streams.hpp"

#include <cstdint>
#include <memory>

namespace banyan::sim {

/// A machine's monotonic time, which may run faster or slower than the world's.
class local_clock {
public:
  [[nodiscard]] time_point local(time_point world) const {
    const auto past = (world - world_).count();
    return local_
           + duration{past + past / 1'000'000 * ppm_
                      + past % 1'000'000 * ppm_ / 1'000'000};
  }
  /// The first moment of the world at which it is `local` here, or soon after.
  [[nodiscard]] time_point world(time_point local_time) const {
    if (local_time == never)
      return never;
    if (ppm_ == 0)
      return world_ + (local_time - local_);
    const auto past = (local_time - local_).count();
    const auto rate = 1'000'000 + ppm_;
    auto guess = past / rate * 1'000'000 + past % rate * 1'000'000 / rate;
    while (local(world_ + duration{guess}) < local_time)
      ++guess;
    return world_ + duration{guess};
  }
  /// From `now` (of the world) on.
  void drift(time_point now, std::int64_t ppm) {
    BANYAN_ASSERT(ppm > -900'000 && ppm < 900'000);
    local_ = local(now);
    world_ = now;
    ppm_ = ppm;
  }
  [[nodiscard]] std::int64_t ppm() const { return ppm_; }

private:
  time_point world_{};
  time_point local_{};
  std::int64_t ppm_ = 0;
};

/// Streams whose events tell the machine's time instead of the network's.
class clocked_streams final : public net::streams, net::stream_events {
public:
  /// `clock` outlives this.
  clocked_streams(std::unique_ptr<net::streams> inner, const local_clock& clock)
      : inner_{std::move(inner)}, clock_{clock} {
    inner_->set_events(*this);
  }

  void set_events(net::stream_events& events) override { events_ = &events; }
  net::stream_id dial(const net::address& to) override {
    return inner_->dial(to);
  }
  result<net::address, net::stream_end>
  listen(const net::address& at) override {
    return inner_->listen(at);
  }
  void stop_listening() override { inner_->stop_listening(); }
  void write(net::stream_id id, const_bytes data) override {
    inner_->write(id, data);
  }
  [[nodiscard]] std::size_t unsent(net::stream_id id) const override {
    return inner_->unsent(id);
  }
  void close(net::stream_id id) override { inner_->close(id); }
  void reset(net::stream_id id) override { inner_->reset(id); }

private:
  void on_opened(net::stream_id id, const net::address& remote, bool inbound,
                 time_point now) override {
    events_->on_opened(id, remote, inbound, clock_.local(now));
  }
  void on_dial_failed(net::stream_id id, net::stream_end why,
                      time_point now) override {
    events_->on_dial_failed(id, why, clock_.local(now));
  }
  void on_data(net::stream_id id, const_bytes data, time_point now) override {
    events_->on_data(id, data, clock_.local(now));
  }
  void on_drained(net::stream_id id, time_point now) override {
    events_->on_drained(id, clock_.local(now));
  }
  void on_closed(net::stream_id id, net::stream_end why,
                 time_point now) override {
    events_->on_closed(id, why, clock_.local(now));
  }

  std::unique_ptr<net::streams> inner_;
  const local_clock& clock_;
  net::stream_events* events_ = nullptr;
};

} // namespace banyan::sim
