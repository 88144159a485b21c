#include "net/io/tcp_streams.hpp"

#include "base/assert.hpp"
#include "net/io/detail/asio_context.hpp"
#include "net/io/detail/socket.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

namespace banyan::io {

namespace asio = boost::asio;
using boost::system::error_code;
using net::stream_end;
using net::stream_id;

namespace {

constexpr auto linger_time = 2s;          // close(): for what was written
constexpr auto retry_accept_after = 50ms; // no descriptors, no memory
constexpr int reads_per_event = 4;        // then the others' turn
constexpr int accepts_per_event = 32;
constexpr std::size_t names_max = 256; // remembered

std::vector<detail::endpoint> by_the_system(const net::address& name) {
  auto r = detail::resolve(name.host, name.port);
  return r ? std::move(r.value()) : std::vector<detail::endpoint>{};
}

std::vector<detail::endpoint> by(const name_resolver& resolve,
                                 const net::address& name) {
  std::vector<detail::endpoint> out;
  for (const auto& a : resolve(name))
    if (const auto e = detail::literal(a.host, a.port))
      out.push_back(*e);
  return out;
}

stream_end end_of(int e) noexcept {
  switch (e) {
  case ECONNREFUSED:
    return stream_end::refused;
  case ECONNRESET:
  case EPIPE:
  case ECONNABORTED:
    return stream_end::reset;
  case ETIMEDOUT:
    return stream_end::timed_out;
  case EHOSTUNREACH:
  case ENETUNREACH:
  case ENETDOWN:
  case EHOSTDOWN:
  case EADDRNOTAVAIL:
  case EAFNOSUPPORT:
  case EINVAL:
    return stream_end::unreachable;
  case EACCES:
  case EPERM:
    return stream_end::not_allowed;
  case EADDRINUSE:
    return stream_end::in_use;
  default:
    return stream_end::local;
  }
}

bool would_block(int e) noexcept {
  return e == EAGAIN || e == EWOULDBLOCK;
}

} // namespace

/// Outlives the tcp_streams object while handlers that Asio still holds come
/// back empty-handed: they keep it alive and find `events` null.
struct tcp_streams::core : std::enable_shared_from_this<core> {
  enum class phase : std::uint8_t { dialling, open, closing, gone };

  struct stream {
    stream(asio_loop& l, stream_id i)
        : id{i}, fd{detail::context(l)}, deadline{l} {}
    stream_id id;
    asio::posix::stream_descriptor fd;
    phase at = phase::dialling;
    bool inbound = false;
    bool awaits_write = false;
    bool above_low = false;            // on_drained is owed
    std::optional<stream_end> failing; // a write met this error
    bytes out; // from `sent` on: not yet taken by the kernel
    std::size_t sent = 0;
    timer deadline;
    std::vector<detail::endpoint> to; // addresses left to try, last first
    time_point dial_until;
    std::uint32_t attempt = 0;

    [[nodiscard]] std::size_t unsent() const { return out.size() - sent; }
  };
  using stream_ptr = std::shared_ptr<stream>;

  struct listener {
    listener(asio_loop& l, int d) : fd{detail::context(l), d}, pause{l} {}
    asio::posix::stream_descriptor fd;
    timer pause;
  };

  core(asio_loop& l, workers& w, tcp_limits lim, name_resolver r)
      : loop{l}, work{w}, limits{lim}, resolver{std::move(r)},
        tokens{static_cast<double>(lim.accepts_burst)}, refilled{l.now()} {}

  stream_ptr find(stream_id id) const {
    const auto i = streams.find(id.value());
    return i == streams.end() ? nullptr : i->second;
  }
  stream_ptr make() {
    const stream_id id{++last_id};
    auto s = std::make_shared<stream>(loop, id);
    streams.emplace(id.value(), s);
    return s;
  }
  /// The id is dead from here on.
  void forget(const stream_ptr& s) {
    if (s->at == phase::gone)
      return;
    s->at = phase::gone;
    s->deadline.cancel();
    error_code ignored;
    s->fd.close(ignored);
    if (s->inbound)
      --counters.inbound;
    streams.erase(s->id.value());
  }
  void end(const stream_ptr& s, stream_end why) {
    const auto tell = s->at == phase::open;
    forget(s);
    if (tell && events)
      events->on_closed(s->id, why, loop.now());
  }

  // -- dialling -------------------------------------------------------------

  /// How often that name was dialled before.
  std::size_t turn_of(const net::address& name) {
    if (turns.size() >= names_max)
      turns.clear();
    return turns[to_string(name)]++;
  }

  void dial_failed(const stream_ptr& s, stream_end why) {
    if (s->at != phase::dialling)
      return;
    forget(s);
    if (events)
      events->on_dial_failed(s->id, why, loop.now());
  }
  /// What went wrong inside a call of ours is told in a later turn.
  void dial_failed_later(const stream_ptr& s, stream_end why) {
    loop.post(
        [self = shared_from_this(), s, why] { self->dial_failed(s, why); },
        "tcp dial");
  }
  void try_next(const stream_ptr& s, stream_end last) {
    if (s->at != phase::dialling)
      return;
    s->deadline.cancel();
    ++s->attempt;
    error_code ignored;
    s->fd.close(ignored);
    if (s->to.empty()) {
      dial_failed(s, last);
      return;
    }
    const auto left = s->dial_until - loop.now();
    const auto share = left / static_cast<int>(s->to.size());
    const auto to = s->to.back();
    s->to.pop_back();
    auto d = detail::start_connect(to);
    if (!d) {
      try_next(s, end_of(d.error()));
      return;
    }
    s->fd.assign(d->release());
    s->deadline.arm(
        loop.now() + share,
        [self = shared_from_this(), s] {
          self->try_next(s, stream_end::timed_out);
        },
        "tcp dial timeout");
    const auto attempt = ++s->attempt;
    s->fd.async_wait(
        asio::posix::stream_descriptor::wait_write,
        [self = shared_from_this(), s, attempt](error_code e) {
          // An earlier attempt may have ended in this turn.
          if (e || s->at != phase::dialling || s->attempt != attempt)
            return;
          self->loop.measured("tcp dial", [&] { self->connected(s); });
        });
  }
  void connected(const stream_ptr& s) {
    if (const auto e = detail::connect_outcome(s->fd.native_handle()); e != 0) {
      try_next(s, end_of(e));
      return;
    }
    const auto remote = detail::remote_end(s->fd.native_handle());
    if (!remote) {
      try_next(s, stream_end::reset);
      return;
    }
    s->deadline.cancel();
    s->to.clear();
    ++counters.dialled;
    opened(s, detail::to_address(*remote));
  }
  void opened(const stream_ptr& s, const net::address& remote) {
    s->at = phase::open;
    await_read(s);
    if (events)
      events->on_opened(s->id, remote, s->inbound, loop.now());
  }

  // -- listening ------------------------------------------------------------

  void await_accept(const std::shared_ptr<listener>& l) {
    l->fd.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this(), l](error_code e) {
                       if (!e && l->fd.is_open())
                         self->loop.measured("tcp accept",
                                             [&] { self->accept(l); });
                     });
  }
  void pause_accept(const std::shared_ptr<listener>& l, duration d) {
    l->pause.arm(
        loop.now() + d,
        [self = shared_from_this(), l] {
          if (l->fd.is_open())
            self->await_accept(l);
        },
        "tcp accept");
  }
  void accept(const std::shared_ptr<listener>& l) {
    const auto now = loop.now();
    const auto passed = std::chrono::duration<double>(now - refilled).count();
    tokens = std::min(static_cast<double>(limits.accepts_burst),
                      tokens + passed * limits.accepts_per_second);
    refilled = now;
    for (int n = 0; n < accepts_per_event; ++n) {
      if (tokens < 1) {
        pause_accept(l, std::chrono::duration_cast<duration>(
                            std::chrono::duration<double>(
                                (1 - tokens) / limits.accepts_per_second)));
        return;
      }
      detail::endpoint from;
      auto d = detail::accept_one(l->fd.native_handle(), &from);
      if (!d.valid()) {
        const auto e = errno;
        if (e == ECONNABORTED || e == EINTR)
          continue;
        if (would_block(e))
          break;
        pause_accept(l, retry_accept_after); // out of descriptors or memory
        return;
      }
      tokens -= 1;
      if (counters.inbound >= limits.inbound_max) {
        ++counters.refused_full;
        continue;
      }
      detail::tune_tcp(d.get());
      auto s = make();
      s->fd.assign(d.release());
      s->inbound = true;
      ++counters.inbound;
      ++counters.accepted;
      opened(s, detail::to_address(from));
      if (!l->fd.is_open())
        return;
    }
    await_accept(l);
  }

  // -- reading --------------------------------------------------------------

  void await_read(const stream_ptr& s) {
    s->fd.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this(), s](error_code e) {
                       if (e || s->at == phase::gone)
                         return;
                       self->loop.measured("tcp read", [&] {
                         if (self->read(s))
                           self->await_read(s);
                       });
                     });
  }
  /// False: the stream is gone.
  bool read(const stream_ptr& s) {
    for (int n = 0; n < reads_per_event; ++n) {
      const auto got =
          ::recv(s->fd.native_handle(), buffer.data(), buffer.size(), 0);
      if (got < 0) {
        const auto e = errno;
        if (e == EINTR)
          continue;
        if (would_block(e))
          return true;
        end(s, s->failing.value_or(end_of(e)));
        return false;
      }
      if (got == 0) {
        end(s, s->failing.value_or(stream_end::end_of_stream));
        return false;
      }
      const auto size = static_cast<std::size_t>(got);
      counters.bytes_in += size;
      if (s->at == phase::open && events)
        events->on_data(s->id, {buffer.data(), size}, loop.now());
      if (s->at == phase::gone)
        return false;
      if (size < buffer.size())
        return true;
    }
    return true;
  }

  // -- writing --------------------------------------------------------------

  void write(const stream_ptr& s, const_bytes data) {
    if (s->failing)
      return;
    if (s->unsent() == 0) {
      const auto taken = send(s, data);
      data = data.from(taken);
      if (data.empty() || s->failing)
        return;
    }
    append(s->out, data);
    if (s->unsent() > net::streams::unsent_low)
      s->above_low = true;
    await_write(s);
  }
  /// Bytes that the kernel took; sets `failing` on an error.
  std::size_t send(const stream_ptr& s, const_bytes data) {
    std::size_t taken = 0;
    while (taken < data.size()) {
      const auto n = ::send(s->fd.native_handle(), data.data() + taken,
                            data.size() - taken, MSG_NOSIGNAL);
      if (n < 0) {
        const auto e = errno;
        if (e == EINTR)
          continue;
        if (!would_block(e))
          broken(s, end_of(e));
        break;
      }
      taken += static_cast<std::size_t>(n);
    }
    counters.bytes_out += taken;
    return taken;
  }
  /// What came in before the connection broke is still delivered, then the
  /// end; in a later turn, as `write` may be below us.
  void broken(const stream_ptr& s, stream_end why) {
    s->failing = why;
    loop.post(
        [self = shared_from_this(), s] {
          if (s->at != phase::gone && self->read(s))
            self->end(s, *s->failing);
        },
        "tcp write");
  }
  void await_write(const stream_ptr& s) {
    if (std::exchange(s->awaits_write, true))
      return;
    s->fd.async_wait(asio::posix::stream_descriptor::wait_write,
                     [self = shared_from_this(), s](error_code e) {
                       s->awaits_write = false;
                       if (!e && s->at != phase::gone)
                         self->loop.measured("tcp write",
                                             [&] { self->write_more(s); });
                     });
  }
  void write_more(const stream_ptr& s) {
    if (s->failing)
      return;
    s->sent += send(s, const_bytes{s->out}.from(s->sent));
    if (s->failing)
      return;
    if (s->unsent() == 0) {
      s->out.clear();
      s->sent = 0;
      if (s->out.capacity() > 4 * net::streams::unsent_low)
        s->out.shrink_to_fit();
    } else {
      if (s->sent > net::streams::unsent_low) {
        s->out.erase(s->out.begin(),
                     s->out.begin() + static_cast<std::ptrdiff_t>(s->sent));
        s->sent = 0;
      }
      await_write(s);
    }
    if (s->at == phase::closing) {
      if (s->unsent() == 0)
        ::shutdown(s->fd.native_handle(), SHUT_WR);
      return;
    }
    if (s->unsent() <= net::streams::unsent_low
        && std::exchange(s->above_low, false) && events)
      events->on_drained(s->id, loop.now());
  }

  asio_loop& loop;
  workers& work;
  tcp_limits limits;
  name_resolver resolver; ///< empty: the system
  std::unordered_map<std::string, std::size_t> turns;
  net::stream_events* events = nullptr;
  std::unordered_map<std::uint64_t, stream_ptr> streams;
  std::vector<std::shared_ptr<listener>> listeners;
  std::uint64_t last_id = 0;
  double tokens;
  time_point refilled;
  tcp_counters counters;
  std::array<std::uint8_t, 64 * 1024> buffer{}; // one for all: a read is
                                                // handed on before the next
};

tcp_streams::tcp_streams(asio_loop& l, workers& w, tcp_limits limits,
                         name_resolver resolve)
    : core_{std::make_shared<core>(l, w, limits, std::move(resolve))} {
}

tcp_streams::~tcp_streams() {
  BANYAN_ASSERT(core_->loop.on_thread());
  core_->events = nullptr;
  stop_listening();
  const auto all = core_->streams;
  for (const auto& [id, s] : all)
    core_->forget(s);
}

void tcp_streams::set_events(net::stream_events& events) {
  core_->events = &events;
}

stream_id tcp_streams::dial(const net::address& to) {
  BANYAN_ASSERT(core_->loop.on_thread());
  auto s = core_->make();
  s->dial_until = core_->loop.now() + core_->limits.dial_timeout;
  if (const auto e = detail::literal(to.host, to.port)) {
    s->to.push_back(*e);
    core_->loop.post(
        [c = core_, s] { c->try_next(s, stream_end::unreachable); },
        "tcp dial");
    return s->id;
  }
  auto found = std::make_shared<std::vector<detail::endpoint>>();
  const auto sent = core_->work.submit(
      [found, to, turn = core_->turn_of(to), resolver = core_->resolver] {
        auto all = resolver ? by(resolver, to) : by_the_system(to);
        if (!all.empty())
          std::rotate(all.begin(),
                      all.begin() + std::ptrdiff_t(turn % all.size()),
                      all.end());
        found->assign(all.rbegin(), all.rend());
      },
      [c = core_, s, found] {
        s->to = std::move(*found);
        c->try_next(s, stream_end::unreachable);
      },
      "tcp resolve");
  if (!sent)
    core_->dial_failed_later(s, stream_end::local);
  return s->id;
}

result<net::address, net_error> tcp_streams::listen_at(const net::address& at,
                                                       const char* flag) {
  BANYAN_ASSERT(core_->loop.on_thread());
  auto d = detail::listen_tcp(at, flag);
  if (!d)
    return failure{d.error()};
  const auto bound = detail::local_end(d->get());
  if (!bound)
    return failure{net_error{net_errc::system, "cannot listen"}};
  auto l = std::make_shared<core::listener>(core_->loop, d->release());
  core_->listeners.push_back(l);
  core_->await_accept(l);
  return detail::to_address(*bound);
}

result<net::address, stream_end> tcp_streams::listen(const net::address& at) {
  auto r = listen_at(at);
  if (r)
    return r.value();
  switch (r.error().code) {
  case net_errc::in_use:
    return failure{stream_end::in_use};
  case net_errc::not_allowed:
    return failure{stream_end::not_allowed};
  case net_errc::no_address:
    return failure{stream_end::unreachable};
  default:
    return failure{stream_end::local};
  }
}

void tcp_streams::stop_listening() {
  for (const auto& l : core_->listeners) {
    l->pause.cancel();
    error_code ignored;
    l->fd.close(ignored);
  }
  core_->listeners.clear();
}

void tcp_streams::write(stream_id id, const_bytes data) {
  if (const auto s = core_->find(id);
      s && s->at == core::phase::open && !data.empty())
    core_->write(s, data);
}

std::size_t tcp_streams::unsent(stream_id id) const {
  const auto s = core_->find(id);
  return s && s->at == core::phase::open ? s->unsent() : 0;
}

void tcp_streams::close(stream_id id) {
  const auto s = core_->find(id);
  if (!s || s->at == core::phase::closing)
    return;
  if (s->at == core::phase::dialling || s->failing) {
    core_->forget(s);
    return;
  }
  s->at = core::phase::closing;
  if (s->unsent() == 0)
    ::shutdown(s->fd.native_handle(), SHUT_WR);
  s->deadline.arm(
      core_->loop.now() + linger_time, [c = core_, s] { c->forget(s); },
      "tcp close");
}

void tcp_streams::reset(stream_id id) {
  const auto s = core_->find(id);
  if (!s)
    return;
  if (s->fd.is_open() && s->at != core::phase::dialling)
    detail::tear_down_on_close(s->fd.native_handle());
  core_->forget(s);
}

tcp_counters tcp_streams::counters() const {
  auto c = core_->counters;
  c.open = core_->streams.size();
  return c;
}

} // namespace banyan::io
