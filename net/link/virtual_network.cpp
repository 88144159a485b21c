#include "net/link/virtual_network.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace banyan::net {
namespace {

/// Longer writes arrive in pieces.
constexpr std::size_t piece_bytes_max = 16 * 1024;

using host_pair = std::pair<std::string, std::string>; // from, to

/// What travels in one direction of a connection, in order.
struct item {
  enum class kind : std::uint8_t { dial, opened, data, end };
  kind what = kind::data;
  time_point due{};
  bytes data;
  stream_end why = stream_end::end_of_stream;
};

struct direction {
  std::deque<item> items;
  time_point last_due{};
  time_point pump_at = never;  ///< when `pump` is scheduled, at the earliest
  std::size_t outstanding = 0; ///< bytes written and not yet read
  bool was_high = false;       ///< the writer waits for on_drained
};

} // namespace

/// One process's end of the network.
class virtual_streams final : public streams {
public:
  virtual_streams(std::shared_ptr<virtual_network::impl> net, std::string host)
      : net_{std::move(net)}, host_{std::move(host)} {}
  ~virtual_streams() override;

  void set_events(stream_events& events) override { events_ = &events; }
  stream_id dial(const address& to) override;
  result<address, stream_end> listen(const address& at) override;
  void stop_listening() override { ports_.clear(); }
  void write(stream_id id, const_bytes data) override;
  [[nodiscard]] std::size_t unsent(stream_id id) const override;
  void close(stream_id id) override;
  void reset(stream_id id) override;

private:
  friend class virtual_network::impl;
  std::shared_ptr<virtual_network::impl> net_;
  std::string host_;
  stream_events* events_ = nullptr;
  bool alive_ = true;
  bool frozen_ = false;
  std::uint16_t next_port_ = 20000;
  std::set<std::uint16_t> ports_;
};

/// A connection: its dialler is end 0; direction d leads from end d.
struct connection_state {
  std::uint64_t number = 0;
  struct endpoint {
    std::string host;
    virtual_streams* owner = nullptr; ///< null: this end is gone
    stream_id id;
    address own;
  };
  std::array<endpoint, 2> ends;
  std::array<direction, 2> ways;
  address to;
  bool answered = false;
};

class virtual_network::impl
    : public std::enable_shared_from_this<virtual_network::impl> {
public:
  impl(options how, random_source& random, schedule_function schedule,
       std::function<time_point()> now)
      : how_{how}, random_{random}, schedule_{std::move(schedule)},
        now_{std::move(now)} {}

  using connection_ptr = std::shared_ptr<connection_state>;

  [[nodiscard]] time_point now() const { return now_(); }

  stream_id dial(virtual_streams& from, const address& to) {
    auto c = std::make_shared<connection_state>();
    c->number = ++last_number_;
    c->to = to;
    c->ends[0] = {from.host_,
                  &from,
                  stream_id{++last_stream_},
                  {from.host_, from.next_port_++}};
    c->ends[1].host = to.host;
    const auto id = c->ends[0].id;
    connections_[c->number] = c;
    by_stream_[id] = c;
    push(*c, 0, {item::kind::dial, {}, {}, {}});
    schedule_(how_.dial_timeout,
              [self = shared_from_this(), weak = std::weak_ptr{c}] {
                const auto late = weak.lock();
                if (late && !late->answered && late->ends[0].owner != nullptr)
                  self->fail_dial(*late, stream_end::timed_out);
              });
    return id;
  }

  /// For a dial by a process that is dead: nothing ever follows.
  stream_id no_stream() { return stream_id{++last_stream_}; }

  void write(stream_id id, const_bytes data) {
    const auto c = find(id);
    if (!c || data.empty())
      return;
    const auto way = side(*c, id);
    auto& w = c->ways[way];
    w.outstanding += data.size();
    if (unsent_of(w) > streams::unsent_low)
      w.was_high = true;
    while (!data.empty()) {
      auto n = std::min(data.size(), piece_bytes_max);
      if (n > 1 && random_.chance(how_.split_chance))
        n = 1 + random_.below(n - 1);
      push(*c, way, {item::kind::data, {}, data.first(n).copy(), {}});
      data = data.from(n);
    }
  }

  [[nodiscard]] std::size_t unsent(stream_id id) const {
    const auto c = find(id);
    return c ? unsent_of(c->ways[side(*c, id)]) : 0;
  }

  /// This end is done; the far end will learn `why` after what was written
  /// (or at once, what was unsent being lost, for a reset).
  void leave(stream_id id, stream_end why) {
    const auto c = find(id);
    if (!c)
      return;
    const auto way = side(*c, id);
    by_stream_.erase(id);
    c->ends[way].owner = nullptr;
    auto& w = c->ways[way];
    if (why == stream_end::reset) {
      // A dial that is on its way stays; what it carries does not.
      const bool dialling = way == 0 && !c->answered;
      drop_items(w, [](const item& i) { return i.what == item::kind::data; });
      if (dialling) {
        connections_.erase(c->number);
        return;
      }
    }
    push(*c, way, {item::kind::end, {}, {}, why});
    forget_if_over(*c);
  }

  std::unique_ptr<streams> attach(const std::string& host) {
    BANYAN_ASSERT(!running(host));
    auto process = std::make_unique<virtual_streams>(shared_from_this(), host);
    processes_[host] = process.get();
    off_.erase(host);
    wake(host);
    return process;
  }

  void kill(const std::string& host) {
    const auto it = processes_.find(host);
    if (it != processes_.end())
      end_process(*it->second);
  }

  void end_process(virtual_streams& p) {
    if (!p.alive_)
      return;
    p.alive_ = false;
    p.frozen_ = false;
    p.ports_.clear();
    processes_.erase(p.host_);
    for (const auto& [number, c] : snapshot()) {
      for (std::size_t e : {0U, 1U}) {
        if (c->ends[e].owner != &p)
          continue;
        const auto& incoming = c->ways[1 - e];
        leave(c->ends[e].id, incoming.outstanding == 0
                                 ? stream_end::end_of_stream
                                 : stream_end::reset);
      }
    }
    wake(p.host_);
  }

  void hide(const std::string& host, bool yes) {
    if (yes)
      hidden_.insert(host);
    else
      hidden_.erase(host);
  }

  void power_off(const std::string& host) {
    off_.insert(host);
    const auto it = processes_.find(host);
    if (it == processes_.end())
      return;
    auto& p = *it->second;
    p.alive_ = false;
    p.ports_.clear();
    processes_.erase(it);
    for (const auto& [number, c] : snapshot()) {
      for (std::size_t e : {0U, 1U}) {
        if (c->ends[e].owner != &p)
          continue;
        by_stream_.erase(c->ends[e].id);
        c->ends[e].owner = nullptr;
        // What is on its way is lost with the machine's memory.
        drop_items(c->ways[e], [this](const item& i) { return i.due > now(); });
        forget_if_over(*c);
      }
    }
  }

  void set_frozen(const std::string& host, bool frozen) {
    const auto it = processes_.find(host);
    if (it == processes_.end())
      return;
    it->second->frozen_ = frozen;
    if (!frozen)
      wake(host);
  }

  [[nodiscard]] bool running(const std::string& host) const {
    return processes_.count(host) != 0;
  }

  void cut(const std::string& from, const std::string& to) {
    cuts_.insert({from, to});
  }
  void heal(const std::string& from, const std::string& to) {
    if (cuts_.erase({from, to}) != 0)
      retransmit(from, to);
  }
  void heal_all() {
    const auto cuts = std::exchange(cuts_, {});
    for (auto& [way, until] : stalled_)
      until = std::min(until, now());
    for (const auto& [from, to] : cuts)
      retransmit(from, to);
  }
  void stall(const std::string& from, const std::string& to, duration d) {
    stalled_[{from, to}] = now() + d;
  }
  void set_path(const std::string& from, const std::string& to, path p) {
    const host_pair hop{from, to};
    const auto before = path_of(hop).bytes_per_second;
    paths_[hop] = p;
    if (before != 0 && (p.bytes_per_second == 0 || p.bytes_per_second > before))
      hasten(hop, p.bytes_per_second == 0
                      ? 0.0
                      : static_cast<double>(before)
                            / static_cast<double>(p.bytes_per_second));
  }

  /// What waits for a line that has got wider takes this share of its time.
  void hasten(const host_pair& hop, double share) {
    const auto sooner = [&](time_point due) {
      return due <= now()
                 ? due
                 : now()
                       + duration{static_cast<duration::rep>(
                           static_cast<double>((due - now()).count()) * share)};
    };
    if (const auto at = busy_.find(hop); at != busy_.end())
      at->second = sooner(at->second);
    for (const auto& [number, c] : snapshot())
      for (const std::size_t way : {0U, 1U}) {
        if (hosts(*c, way) != hop)
          continue;
        auto& w = c->ways[way];
        w.last_due = sooner(w.last_due);
        for (auto& i : w.items)
          i.due = sooner(i.due);
        pump_later(*c, way);
      }
  }

  void reset_streams(const std::string& a, const std::string& b) {
    for (const auto& [number, c] : snapshot()) {
      const auto& from = c->ends[0].host;
      const auto& to = c->ends[1].host;
      if (!c->answered || !((from == a && to == b) || (from == b && to == a)))
        continue;
      for (std::size_t way : {0U, 1U}) {
        drop_items(c->ways[way],
                   [](const item& i) { return i.what == item::kind::data; });
        push(*c, way, {item::kind::end, {}, {}, stream_end::reset});
      }
    }
  }

  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }
  [[nodiscard]] std::size_t open() const { return connections_.size(); }

private:
  friend class virtual_streams;

  [[nodiscard]] connection_ptr find(stream_id id) const {
    const auto it = by_stream_.find(id);
    return it == by_stream_.end() ? nullptr : it->second;
  }
  static std::size_t side(const connection_state& c, stream_id id) {
    return c.ends[0].id == id ? 0 : 1;
  }
  [[nodiscard]] std::size_t unsent_of(const direction& w) const {
    return w.outstanding - std::min(w.outstanding, how_.kernel_buffer);
  }
  /// A copy: what is called may forget connections.
  std::vector<std::pair<std::uint64_t, connection_ptr>> snapshot() const {
    return {connections_.begin(), connections_.end()};
  }
  [[nodiscard]] const path& path_of(const host_pair& way) const {
    const auto it = paths_.find(way);
    return it == paths_.end() ? how_.everywhere : it->second;
  }
  template <class Which>
  static void drop_items(direction& w, Which&& which) {
    w.items.erase(std::remove_if(w.items.begin(), w.items.end(), which),
                  w.items.end());
  }
  static host_pair hosts(const connection_state& c, std::size_t way) {
    return {c.ends[way].host, c.ends[1 - way].host};
  }

  void push(connection_state& c, std::size_t way, item i) {
    const auto hop = hosts(c, way);
    const auto& p = path_of(hop);
    auto due = now();
    if (p.bytes_per_second != 0 && !i.data.empty()) {
      auto& free_at = busy_[hop];
      free_at = std::max(free_at, due)
                + duration{static_cast<duration::rep>(
                    i.data.size() * std::uint64_t{1'000'000'000}
                    / p.bytes_per_second)};
      due = free_at;
    }
    due += p.delay_low < p.delay_high
               ? random_.between(p.delay_low, p.delay_high)
               : p.delay_low;
    auto& w = c.ways[way];
    w.last_due = std::max(w.last_due, due);
    i.due = w.last_due;
    w.items.push_back(std::move(i));
    pump_later(c, way);
  }

  void pump_later(connection_state& c, std::size_t way) {
    auto& w = c.ways[way];
    if (w.items.empty())
      return;
    auto at = std::max(w.items.front().due, now());
    const auto stall = stalled_.find(hosts(c, way));
    if (stall != stalled_.end())
      at = std::max(at, stall->second);
    if (w.pump_at <= at)
      return;
    w.pump_at = at;
    const auto it = connections_.find(c.number);
    schedule_(at - now(), [self = shared_from_this(), way, at,
                           weak = std::weak_ptr{it->second}] {
      const auto live = weak.lock();
      if (!live || live->ways[way].pump_at != at)
        return;
      live->ways[way].pump_at = never;
      if (self->connections_.count(live->number) != 0)
        self->pump(*live, way);
    });
  }

  /// Until something heals.
  [[nodiscard]] bool severed(const connection_state& c, std::size_t way) const {
    const auto hop = hosts(c, way);
    return cuts_.count(hop) != 0 || off_.count(hop.first) != 0
           || off_.count(hop.second) != 0;
  }

  [[nodiscard]] bool blocked(const connection_state& c, std::size_t way) const {
    const auto stall = stalled_.find(hosts(c, way));
    return severed(c, way)
           || (stall != stalled_.end() && stall->second > now());
  }

  /// `c` is held by the caller. Delivers what is due; what is blocked waits for
  /// heal, thaw or attach.
  void pump(connection_state& c, std::size_t way) {
    auto& w = c.ways[way];
    while (!w.items.empty() && w.items.front().due <= now()
           && !blocked(c, way)) {
      auto* const reader = c.ends[1 - way].owner;
      if (w.items.front().what == item::kind::dial) {
        if (!answer(c))
          return;
        continue;
      }
      if (reader != nullptr && reader->frozen_)
        return;
      const auto i = std::move(w.items.front());
      w.items.pop_front();
      if (reader != nullptr)
        deliver(c, way, *reader, i);
      else if (i.what == item::kind::data)
        // Nobody reads there any more: the kernel answers with a reset.
        refuse_data(c, way);
    }
    if (connections_.count(c.number) == 0)
      return;
    forget_if_over(c);
    if (connections_.count(c.number) != 0 && !severed(c, way))
      pump_later(c, way);
  }

  /// The dialled host's kernel; false when the connection is over.
  bool answer(connection_state& c) {
    auto& w = c.ways[0];
    if (hidden_.count(c.to.host) != 0) {
      w.items.clear(); // the dial times out
      return false;
    }
    const auto it = processes_.find(c.to.host);
    if (it == processes_.end() || it->second->ports_.count(c.to.port) == 0) {
      w.items.clear();
      c.answered = true;
      push(c, 1, {item::kind::end, {}, {}, stream_end::refused});
      return false;
    }
    c.answered = true;
    c.ends[1].owner = it->second;
    c.ends[1].id = stream_id{++last_stream_};
    c.ends[1].own = c.to;
    by_stream_[c.ends[1].id] = connections_.find(c.number)->second;
    w.items.front().what = item::kind::opened;
    push(c, 1, {item::kind::opened, {}, {}, {}});
    return true;
  }

  void deliver(connection_state& c, std::size_t way, virtual_streams& reader,
               const item& i) {
    const auto id = c.ends[1 - way].id;
    auto& w = c.ways[way];
    switch (i.what) {
    case item::kind::dial:
      return;
    case item::kind::opened:
      reader.events_->on_opened(id, c.ends[way].own, way == 0, now());
      return;
    case item::kind::data:
      delivered_ += i.data.size();
      w.outstanding -= i.data.size();
      reader.events_->on_data(id, i.data, now());
      drained(c, way);
      return;
    case item::kind::end: {
      by_stream_.erase(id);
      c.ends[1 - way].owner = nullptr;
      drop_items(c.ways[1 - way],
                 [](const item& back) { return back.what != item::kind::end; });
      if (i.why == stream_end::refused)
        reader.events_->on_dial_failed(id, i.why, now());
      else
        reader.events_->on_closed(id, i.why, now());
      return;
    }
    }
  }

  void drained(connection_state& c, std::size_t way) {
    auto& w = c.ways[way];
    auto* const writer = c.ends[way].owner;
    if (!w.was_high || unsent_of(w) > streams::unsent_low)
      return;
    if (writer == nullptr || writer->frozen_)
      return; // a thaw looks again
    w.was_high = false;
    writer->events_->on_drained(c.ends[way].id, now());
  }

  void refuse_data(connection_state& c, std::size_t way) {
    c.ways[way].items.clear();
    auto& back = c.ways[1 - way];
    const bool told =
        !back.items.empty() && back.items.back().what == item::kind::end;
    if (!told && c.ends[way].owner != nullptr)
      push(c, 1 - way, {item::kind::end, {}, {}, stream_end::reset});
  }

  void fail_dial(connection_state& c, stream_end why) {
    const auto hold = connections_.find(c.number)->second;
    auto* const dialler = c.ends[0].owner;
    const auto id = c.ends[0].id;
    if (dialler->frozen_)
      return; // it resets the dial itself once it runs again
    by_stream_.erase(id);
    connections_.erase(c.number);
    dialler->events_->on_dial_failed(id, why, now());
  }

  void forget_if_over(const connection_state& c) {
    if (c.ends[0].owner == nullptr && c.ends[1].owner == nullptr
        && (c.answered || c.ways[0].items.empty()))
      connections_.erase(c.number);
  }

  /// Something about this host changed: whatever waits may pass.
  void wake(const std::string& host) {
    for (const auto& [number, c] : snapshot()) {
      for (std::size_t way : {0U, 1U}) {
        if (c->ends[0].host != host && c->ends[1].host != host)
          continue;
        if (connections_.count(number) != 0)
          pump_later(*c, way);
        auto& w = c->ways[way];
        auto* const writer = c->ends[way].owner;
        if (writer != nullptr && w.was_high && !writer->frozen_
            && unsent_of(w) <= streams::unsent_low)
          drain_later(c, way);
      }
    }
  }

  void drain_later(const connection_ptr& c, std::size_t way) {
    schedule_(duration::zero(),
              [self = shared_from_this(), way, weak = std::weak_ptr{c}] {
                if (const auto live = weak.lock())
                  self->drained(*live, way);
              });
  }

  void retransmit(const std::string& from, const std::string& to) {
    if (how_.retransmit_max > duration::zero()) {
      auto& until = stalled_[{from, to}];
      until = std::max(
          until,
          now() + random_.between(duration::zero(), how_.retransmit_max));
    }
    wake(from);
  }

  options how_;
  random_source& random_;
  schedule_function schedule_;
  std::function<time_point()> now_;
  std::uint64_t last_number_ = 0;
  std::uint64_t last_stream_ = 0;
  std::uint64_t delivered_ = 0;
  std::map<std::uint64_t, connection_ptr> connections_;
  std::map<stream_id, connection_ptr> by_stream_;
  std::map<std::string, virtual_streams*> processes_;
  std::set<std::string> off_;
  std::set<std::string> hidden_;
  std::set<host_pair> cuts_;
  std::map<host_pair, time_point> stalled_;
  std::map<host_pair, time_point> busy_;
  std::map<host_pair, path> paths_;
};

virtual_streams::~virtual_streams() {
  net_->end_process(*this);
}

stream_id virtual_streams::dial(const address& to) {
  BANYAN_ASSERT(events_ != nullptr);
  return alive_ ? net_->dial(*this, to) : net_->no_stream();
}

result<address, stream_end> virtual_streams::listen(const address& at) {
  BANYAN_ASSERT(alive_);
  if (at.host != host_ && !at.is_wildcard())
    return failure{stream_end::not_allowed};
  auto port = at.port;
  while (port == 0 || (at.port == 0 && ports_.count(port) != 0))
    port = next_port_++;
  if (!ports_.insert(port).second)
    return failure{stream_end::in_use};
  return address{at.host, port};
}

void virtual_streams::write(stream_id id, const_bytes data) {
  if (alive_)
    net_->write(id, data);
}

std::size_t virtual_streams::unsent(stream_id id) const {
  return net_->unsent(id);
}

void virtual_streams::close(stream_id id) {
  if (alive_)
    net_->leave(id, stream_end::end_of_stream);
}

void virtual_streams::reset(stream_id id) {
  if (alive_)
    net_->leave(id, stream_end::reset);
}

virtual_network::virtual_network(options how, random_source& random,
                                 schedule_function schedule,
                                 std::function<time_point()> now)
    : impl_{std::make_shared<impl>(how, random, std::move(schedule),
                                   std::move(now))} {
}

virtual_network::~virtual_network() = default;

std::unique_ptr<streams> virtual_network::attach(const std::string& host) {
  return impl_->attach(host);
}

void virtual_network::kill(const std::string& host) {
  impl_->kill(host);
}

void virtual_network::power_off(const std::string& host) {
  impl_->power_off(host);
}

void virtual_network::freeze(const std::string& host) {
  impl_->set_frozen(host, true);
}

void virtual_network::thaw(const std::string& host) {
  impl_->set_frozen(host, false);
}

void virtual_network::hide(const std::string& host, bool yes) {
  impl_->hide(host, yes);
}

bool virtual_network::running(const std::string& host) const {
  return impl_->running(host);
}

void virtual_network::cut_one_way(const std::string& from,
                                  const std::string& to) {
  impl_->cut(from, to);
}

void virtual_network::cut(const std::string& a, const std::string& b) {
  impl_->cut(a, b);
  impl_->cut(b, a);
}

void virtual_network::heal(const std::string& a, const std::string& b) {
  impl_->heal(a, b);
  impl_->heal(b, a);
}

void virtual_network::heal_one_way(const std::string& from,
                                   const std::string& to) {
  impl_->heal(from, to);
}

void virtual_network::heal_all() {
  impl_->heal_all();
}

void virtual_network::stall(const std::string& from, const std::string& to,
                            duration d) {
  impl_->stall(from, to, d);
}

void virtual_network::reset_streams(const std::string& a,
                                    const std::string& b) {
  impl_->reset_streams(a, b);
}

void virtual_network::set_path(const std::string& from, const std::string& to,
                               path p) {
  impl_->set_path(from, to, p);
}

std::uint64_t virtual_network::bytes_delivered() const {
  return impl_->delivered();
}

std::size_t virtual_network::open_streams() const {
  return impl_->open();
}

} // namespace banyan::net
