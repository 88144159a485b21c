#pragma once
#include "base/bytes.hpp"
#include "net/io/loop.hpp"
#include "net/link/streams.hpp"

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace banyan::testing::detail {

/// Which peers of a mesh can't reach each other now. Any thread.
class cut_map {
public:
  void put_node(std::size_t node, const net::address& at);
  [[nodiscard]] std::optional<std::size_t>
  node_at(const net::address& at) const;
  void cut(const std::vector<std::vector<std::size_t>>& groups);
  [[nodiscard]] bool is_cut(std::size_t a, std::size_t b) const;

private:
  mutable std::mutex mutex_;
  std::map<net::address, std::size_t> nodes_;
  std::map<std::size_t, std::size_t> side_; ///< of a partition; else nowhere
};

/// Real byte streams with cuts in them. The dialling side knows whom it dials,
/// so it alone acts: while two peers are cut, what either says waits here, in
/// order, ends of streams too, and new dials get no answer. Loop's thread.
class cut_streams final : public net::streams, private net::stream_events {
public:
  /// All are borrowed but `inner`.
  cut_streams(io::loop& l, std::unique_ptr<net::streams> inner,
              const cut_map& cuts, std::size_t self);
  ~cut_streams() override;

  /// The map has changed: holds what is cut now, lets go of what isn't.
  void apply();
  /// The process is as good as dead: nothing is written any more. Any thread.
  void sever() { severed_ = true; }

  void set_events(net::stream_events& events) override { events_ = &events; }
  net::stream_id dial(const net::address& to) override;
  result<net::address, net::stream_end>
  listen(const net::address& at) override {
    return inner_->listen(at);
  }
  void stop_listening() override { inner_->stop_listening(); }
  void write(net::stream_id id, const_bytes data) override;
  [[nodiscard]] std::size_t unsent(net::stream_id id) const override;
  void close(net::stream_id id) override;
  void reset(net::stream_id id) override;

private:
  struct dialled {
    std::size_t target = 0;
    bool cut = false;
    bool unanswered = false; ///< dialled while cut: there is no such stream
    bytes out;
    bytes in;
    std::optional<net::stream_end> ended; ///< the far side did, meanwhile
    enum class wish : std::uint8_t { keep, close, reset } ours = wish::keep;
  };

  void on_opened(net::stream_id id, const net::address& remote, bool inbound,
                 time_point now) override;
  void on_dial_failed(net::stream_id id, net::stream_end why,
                      time_point now) override;
  void on_data(net::stream_id id, const_bytes data, time_point now) override;
  void on_drained(net::stream_id id, time_point now) override;
  void on_closed(net::stream_id id, net::stream_end why,
                 time_point now) override;

  dialled* find(net::stream_id id);
  [[nodiscard]] bool held(net::stream_id id);
  void let_go(net::stream_id id);

  io::loop& loop_;
  std::unique_ptr<net::streams> inner_;
  const cut_map& cuts_;
  std::size_t self_;
  net::stream_events* events_ = nullptr;
  std::map<net::stream_id, dialled> dialled_;
  std::uint64_t next_unanswered_ = std::uint64_t{1} << 62;
  std::atomic<bool> severed_{false};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace banyan::testing::detail
