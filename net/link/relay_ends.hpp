#pragma once
#include "net/link/relay.hpp"
#include "net/link/streams.hpp"

#include <deque>
#include <functional>
#include <map>
#include <tuple>

namespace banyan::net {

constexpr bool is_relayed(stream_id id) noexcept {
  return (id.value() & relayed_bit) != 0;
}

/// This node's own ends of relayed streams. What `streams` promises of a TCP
/// stream holds here as well: bytes in order, events later, never from inside a
/// call, `unsent` for what the far end has no room for yet.
///
/// Pure, on the loop thread. Memory: a window per stream for what came too
/// early, and what `write` was given.
class relay_ends {
public:
  /// As `streams::unsent_low`, but lower: the line is narrow, and what waits
  /// here can't be overtaken.
  static constexpr std::size_t unsent_low = std::size_t{8} * 1024;

  /// Queues a frame on this node's own link to `via`; false: it can't.
  using sender = std::function<bool(const node_id& via, const relay_frame& f)>;
  struct event {
    enum class kind : std::uint8_t { opened, data, drained, closed };
    kind what = kind::opened;
    stream_id id;
    bool inbound = false; ///< opened
    node_id via;          ///< opened
    bytes data;           ///< data
    relay_end why = relay_end::closed;
  };

  relay_ends(const relay_limits& limits, sender send, relay_counters& counters)
      : limits_{limits}, send_{std::move(send)}, counters_{counters} {}

  /// The first number to give a stream; drawn at random in each process, so
  /// that what an earlier one opened isn't mistaken for what this one opens.
  void begin_at(std::uint64_t number) { number_ = number; }
  [[nodiscard]] bool begun() const noexcept { return number_ != 0; }

  /// A stream to `far` through `via`: `opened` or `closed` follows.
  stream_id open(const node_id& via, const node_id& far);
  void write(stream_id id, const_bytes data);
  [[nodiscard]] std::size_t unsent(stream_id id) const;
  /// As in `streams`: after what was written, for `close_patience` at most.
  void close(stream_id id, time_point now);
  void reset(stream_id id);

  /// A forwarded frame from `via`.
  void on_frame(const node_id& via, const relay_frame& f);
  void link_gone(const node_id& via);

  [[nodiscard]] std::optional<event> take_event();
  [[nodiscard]] bool has_events() const noexcept { return !events_.empty(); }
  [[nodiscard]] time_point deadline() const;
  void on_time(time_point now);

private:
  struct key {
    node_id via;
    node_id far;
    std::uint64_t number = 0;
    bool ours = false; ///< opened here
    friend bool operator<(const key& a, const key& b) {
      return std::tie(a.via, a.far, a.number, a.ours)
             < std::tie(b.via, b.far, b.number, b.ours);
    }
  };
  struct end {
    key k;
    std::uint64_t sent = 0;
    std::uint64_t credited = 0; ///< the far end has so many of them
    bytes pending;
    bool was_above = false; ///< `drained` is owed
    std::uint64_t came = 0; ///< in order
    std::uint64_t told = 0; ///< of them, to the far end
    std::map<std::uint64_t, bytes> early;
    std::size_t early_bytes = 0;
    time_point close_by = never;
  };
  using iterator = std::map<stream_id, end>::iterator;

  bool say(const end& e, relay_word word, std::uint64_t number,
           const_bytes data = {});
  void say_unknown(const node_id& via, const relay_frame& f);
  void data(iterator i, const relay_frame& f);
  void pump(iterator i);
  void overrun(iterator i);
  /// It is over here, by no call of the owner's.
  void ended(iterator i, relay_end why);
  void erase(iterator i);
  stream_id add(key k);

  relay_limits limits_;
  sender send_;
  relay_counters& counters_;
  std::map<stream_id, end> ends_;
  std::map<key, stream_id> by_key_;
  std::size_t answered_ = 0; ///< of `ends_`
  std::uint64_t number_ = 0;
  std::uint64_t last_id_ = 0;
  std::deque<event> events_;
};

} // namespace banyan::net
