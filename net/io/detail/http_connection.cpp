#include "net/io/detail/http_connection.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace banyan::io {

void http_responder::exchange::lose() {
  if (!std::exchange(client_waits, false))
    return;
  if (const auto f = std::exchange(on_gone, nullptr))
    f();
}

namespace detail {

namespace {

using fd_type = boost::asio::posix::stream_descriptor;

constexpr std::size_t ahead_max = 16 * 1024; // of pipelined requests
/// Of answers unsent, for the next request to be looked at.
constexpr std::size_t held_from = 256 * 1024;
constexpr auto drain_deadline = 2s;
constexpr std::size_t drained_max = 8 * 1024 * 1024;
/// What nobody wants any more is taken in such pieces, with a pause behind
/// each: who pours it in as fast as it can takes no time of the others.
constexpr std::size_t drain_step = 64 * 1024;
constexpr auto drain_pause = 5ms;
constexpr int reads_per_event = 8;
/// What every body may have, whatever the others do.
constexpr std::size_t body_free = 16 * 1024;
constexpr std::size_t buffer_kept_max = 16 * 1024; // while nothing is in it

} // namespace

http_connection::http_connection(asio_loop& l, http_owner& o, descriptor fd,
                                 const std::shared_ptr<tls_context>& tls,
                                 http_origin from,
                                 std::optional<door_guest> guest)
    : loop_{l}, owner_{&o}, fd_{context(l), fd.get()}, from_{std::move(from)},
      guest_{guest}, quiet_since_{l.now()}, read_timer_{l}, write_timer_{l} {
  const auto raw = fd.release();
  transport_ = tls ? tls_server(tls, raw) : plain_transport(raw);
}

void http_connection::start() {
  // A handshake counts as part of the first request.
  arm_read(from_.tls ? owner_->limits().read_deadline
                     : owner_->limits().idle_deadline);
  await_read();
}

void http_connection::refuse(const http_response& r) {
  phase_ = phase::draining;
  write_head(out_, r, framing::length, false, owner_->date());
  out_ += r.body;
  drain();
  await_read();
}

void http_connection::last_answer() {
  if (phase_ == phase::handling && !exchange_->answered)
    keep_alive_ = false;
}

void http_connection::end_if_idle() {
  const bool streams = phase_ == phase::handling && exchange_->streaming;
  if (between_requests() || streams)
    close();
}

void http_connection::abandon() {
  owner_ = nullptr;
  close();
}

void http_connection::close() {
  if (phase_ == phase::closed)
    return;
  const auto self = shared_from_this();
  phase_ = phase::closed;
  read_timer_.cancel();
  write_timer_.cancel();
  transport_.reset();
  boost::system::error_code ignored;
  fd_.close(ignored);
  out_.clear();
  sent_ = 0;
  tell_unsent();
  body_is(0);
  if (auto* o = std::exchange(owner_, nullptr))
    o->closed(*this);
  if (const auto e = std::exchange(exchange_, nullptr))
    e->lose();
}

/// The connection broke, or its client must be cut off.
void http_connection::lost() {
  if (phase_ == phase::handling && owner_)
    ++owner_->counters().clients_gone;
  close();
}

void http_connection::arm_read(duration d) {
  read_timer_.arm(
      loop_.now() + d,
      [this, d] {
        if (phase_ == phase::reading && mid_request_) {
          fail_request(
              http_error(408, "deadline", "the request did not arrive in time"),
              owner_->counters().timed_out);
          return;
        }
        if (unsent() > 0) { // it reads: writing has deadlines of its own
          arm_read(d);
          return;
        }
        close();
      },
      "http deadline");
}

bool http_connection::held() const {
  return phase_ == phase::reading && !mid_request_ && unsent() >= held_from;
}

// -- reading ----------------------------------------------------------------

void http_connection::await_read() {
  if (phase_ == phase::closed || ended_ || std::exchange(reading_, true))
    return;
  fd_.async_wait(fd_type::wait_read, [self = shared_from_this()](auto e) {
    self->reading_ = false;
    if (!e && self->phase_ != phase::closed)
      self->loop_.measured("http read", [&] { self->on_readable(); });
  });
}

void http_connection::on_readable() {
  static thread_local std::array<char, 32 * 1024> buffer;
  for (int n = 0; n < reads_per_event; ++n) {
    if ((phase_ == phase::handling || held()) && in_.size() >= ahead_max)
      return; // until the answer is out
    const auto got = transport_->read(buffer.data(), buffer.size());
    switch (got.state) {
    case io_state::ok:
      if (phase_ == phase::draining) {
        drained_ += got.n;
        if (drained_ > drained_max) {
          close(); // it won't stop, whatever it is told
          return;
        }
        if (drained_ / drain_step > (drained_ - got.n) / drain_step) {
          loop_.after(drain_pause, [weak = weak_from_this()] {
            if (const auto c = weak.lock();
                c && c->phase_ != phase::closed && !c->reading_)
              c->on_readable();
          });
          return;
        }
        continue;
      }
      heard_ = true;
      in_.append(buffer.data(), got.n);
      parsing_ = true;
      parse();
      parsing_ = false;
      if (phase_ == phase::closed)
        return;
      continue;
    case io_state::want_read:
      await_read();
      if (unsent() > 0)
        flush_soon(); // it may have waited for a handshake
      return;
    case io_state::want_write:
      await_write();
      return;
    case io_state::end:
      on_end();
      return;
    case io_state::broken:
      lost();
      return;
    }
  }
  // Fairness: the rest in a later turn (TLS may hold bytes that no wait sees).
  loop_.post(
      [self = shared_from_this()] {
        if (self->phase_ != phase::closed && !self->reading_)
          self->on_readable();
      },
      "http read");
}

/// The client will send no more; it may still read an answer under way.
void http_connection::on_end() {
  ended_ = true;
  if (phase_ == phase::handling) {
    keep_alive_ = false;
    ++owner_->counters().clients_gone;
    if (const auto e = exchange_)
      e->lose();
    return;
  }
  if (unsent() > 0) {
    phase_ = phase::draining; // answers or an error still on their way out
    drain();
    return;
  }
  close();
}

void http_connection::parse() {
  while (phase_ == phase::reading && !in_.empty() && !held()) {
    if (!parser_) {
      // Between requests, empty lines are nothing (RFC 9112, 2.2).
      in_.erase(0, in_.find_first_not_of("\r\n"));
      if (in_.empty())
        return;
      parser_ = std::make_unique<request_parser>(
          owner_->limits().header_bytes_max, owner_->limits().body_bytes_max);
      mid_request_ = true;
      asked_from_ = loop_.now();
      continued_ = false;
      arm_read(owner_->limits().read_deadline);
    }
    std::size_t used = 0;
    const auto step = parser_->put(in_, used);
    in_.erase(0, used);
    switch (step) {
    case parse_step::done:
      dispatch();
      break;
    case parse_step::more:
      body_is(parser_->body_bytes());
      if (!parser_) // it was refused
        return;
      if (in_.size() > 4 * owner_->limits().header_bytes_max) {
        fail_request(http_error(400, "invalid_argument", "malformed HTTP"),
                     owner_->counters().bad_requests);
        return;
      }
      if (parser_->header_done() && parser_->expects_continue()
          && !std::exchange(continued_, true)) {
        out_ += "HTTP/1.1 100 Continue\r\n\r\n";
        flush_soon();
      }
      return;
    case parse_step::bad:
      fail_request(http_error(400, "invalid_argument", "malformed HTTP"),
                   owner_->counters().bad_requests);
      return;
    case parse_step::header_too_large:
      fail_request(
          http_error(413, "too_large",
                     "the header is over "
                         + std::to_string(owner_->limits().header_bytes_max)
                         + " bytes"),
          owner_->counters().too_large);
      return;
    case parse_step::body_too_large:
      fail_request(
          http_error(413, "too_large",
                     "the body is over "
                         + std::to_string(owner_->limits().body_bytes_max)
                         + " bytes"),
          owner_->counters().too_large);
      return;
    }
  }
}

/// Answers what is no request, and closes: its end can't be found.
void http_connection::fail_request(const http_response& r,
                                   std::uint64_t& counter) {
  ++counter;
  parser_.reset();
  body_is(0);
  in_.clear();
  refuse(r);
}

/// So much of a body is here; one that is a part too many is refused.
void http_connection::body_is(std::size_t bytes) {
  const auto counted = bytes - std::min(bytes, body_free);
  if (!owner_ || counted == body_told_)
    return;
  if (owner_->body_changed(body_told_, counted)) {
    body_told_ = counted;
    return;
  }
  fail_request(http_error(429, "overloaded",
                          "too many large requests are coming in at once", 1s),
               owner_->counters().refused_bodies);
}

void http_connection::dispatch() {
  keep_alive_ = parser_->keep_alive() && !ended_ && !owner_->winding_down();
  http_1_0_ = parser_->http_1_0();
  auto r = parser_->take();
  parser_.reset();
  body_is(0);
  if (in_.empty() && in_.capacity() > buffer_kept_max)
    in_.shrink_to_fit();
  mid_request_ = false;
  read_timer_.cancel();
  head_only_ = r.method == "HEAD";
  r.from = from_;
  phase_ = phase::handling;
  exchange_ = std::make_shared<http_responder::exchange>();
  exchange_->connection = weak_from_this();
  ++owner_->counters().requests;
  if (!split_target(r)) {
    ++owner_->counters().bad_requests;
    send(http_error(400, "invalid_argument", "malformed request target"));
    return;
  }
  if (!http_1_0_ && r.header("host").empty()) {
    ++owner_->counters().bad_requests;
    send(http_error(400, "invalid_argument", "no Host header"));
    return;
  }
  if (const auto no = owner_->refuse(*this, r)) {
    send(*no);
    return;
  }
  const auto self = shared_from_this(); // the handler may end it
  owner_->handle(std::move(r), http_responder{exchange_});
}

// -- answering --------------------------------------------------------------

bool http_connection::send(http_response r) {
  if (phase_ != phase::handling)
    return false;
  exchange_->answered = true;
  write_head(out_, r, framing::length, keep_alive_, owner_->date());
  if (!head_only_ && r.status != 204 && r.status != 304)
    out_ += r.body;
  answer_complete();
  return true;
}

bool http_connection::begin(http_response r) {
  if (phase_ != phase::handling)
    return false;
  exchange_->answered = true;
  exchange_->streaming = true;
  framing_ = http_1_0_ ? framing::until_end : framing::chunked;
  if (http_1_0_)
    keep_alive_ = false;
  write_head(out_, r, framing_, keep_alive_, owner_->date());
  flush_soon();
  return r.body.empty() || write_chunk(r.body);
}

bool http_connection::write_chunk(std::string_view data) {
  if (phase_ != phase::handling)
    return false;
  if (head_only_ || data.empty())
    return true;
  if (unsent() + data.size() > owner_->limits().unsent_max) {
    lost();
    return false;
  }
  if (framing_ == framing::chunked)
    detail::write_chunk(out_, data);
  else
    out_ += data;
  flush_soon();
  return true;
}

void http_connection::finish() {
  if (phase_ != phase::handling)
    return;
  exchange_->streaming = false;
  if (framing_ == framing::chunked && !head_only_)
    out_ += "0\r\n\r\n";
  answer_from_ = loop_.now(); // no stream any more: what is left has its pace
  answer_sent_ = 0;
  answer_complete();
}

void http_connection::answer_complete() {
  exchange_->on_gone = nullptr;
  exchange_.reset();
  if (!keep_alive_) {
    phase_ = phase::draining;
    drain();
    return;
  }
  phase_ = phase::reading;
  quiet_since_ = loop_.now();
  arm_read(owner_->limits().idle_deadline);
  flush_soon();
  go_on_soon();
}

/// Not from here: the handler of an answer may be below us.
void http_connection::go_on_soon() {
  if (!parsing_ && (!reading_ || !in_.empty())
      && !std::exchange(parse_queued_, true))
    loop_.post([self = shared_from_this()] { self->next_request(); },
               "http request");
}

void http_connection::next_request() {
  parse_queued_ = false;
  if (phase_ != phase::reading)
    return;
  parsing_ = true;
  parse();
  parsing_ = false;
  if (phase_ != phase::closed && !reading_ && !ended_)
    on_readable();
}

/// The last answer is queued: when it is out, say so and wait for the
/// client's end. Closing with unread bytes would tear the answer down.
void http_connection::drain() {
  in_.clear();
  arm_read(drain_deadline + owner_->limits().write_deadline);
  flush_soon();
  await_read();
}

// -- writing ----------------------------------------------------------------

/// At the end of the turn: answers of one turn leave in one system call.
void http_connection::flush_soon() {
  tell_unsent();
  if (writing_ || std::exchange(flush_queued_, true))
    return;
  loop_.flush_later([self = shared_from_this()] {
    self->flush_queued_ = false;
    if (self->phase_ != phase::closed && !self->writing_)
      self->flush();
  });
}

void http_connection::tell_unsent() {
  const auto now = unsent();
  if (now == unsent_told_)
    return;
  if (unsent_told_ == 0) {
    answer_from_ = loop_.now();
    answer_sent_ = 0;
  }
  if (owner_)
    owner_->unsent_changed(unsent_told_, now);
  unsent_told_ = now;
}

/// Cuts off who takes nothing, and who takes an answer so slowly that its
/// memory would be lent for ever.
void http_connection::arm_write() {
  const auto& limits = owner_->limits();
  auto due = loop_.now() + limits.write_deadline;
  const bool streams = exchange_ && exchange_->streaming;
  if (!streams && limits.pace_min > 0) {
    const std::chrono::duration<double> taken{
        static_cast<double>(answer_sent_)
        / static_cast<double>(limits.pace_min)};
    due = std::min(due, answer_from_ + limits.write_deadline
                            + std::chrono::duration_cast<duration>(taken));
  }
  write_timer_.arm(
      due,
      [this] {
        ++owner_->counters().timed_out;
        lost();
      },
      "http write deadline");
}

void http_connection::flush() {
  while (unsent() > 0) {
    const auto put = transport_->write(std::string_view{out_}.substr(sent_));
    if (put.state == io_state::ok) {
      sent_ += put.n;
      answer_sent_ += put.n;
      continue;
    }
    if (put.state != io_state::want_write && put.state != io_state::want_read) {
      lost();
      return;
    }
    tell_unsent();
    arm_write();
    if (sent_ > 64 * 1024) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    if (put.state == io_state::want_write)
      await_write();
    else
      await_read(); // a handshake; on_readable writes on
    return;
  }
  out_.clear();
  sent_ = 0;
  tell_unsent();
  if (out_.capacity() > buffer_kept_max)
    out_.shrink_to_fit();
  write_timer_.cancel();
  if (phase_ == phase::reading && !in_.empty() && !mid_request_)
    go_on_soon(); // it was held
  if (phase_ == phase::draining) {
    transport_->finish();
    if (ended_)
      close();
    else
      arm_read(drain_deadline);
  }
}

void http_connection::await_write() {
  if (std::exchange(writing_, true))
    return;
  fd_.async_wait(fd_type::wait_write, [self = shared_from_this()](auto e) {
    self->writing_ = false;
    if (e || self->phase_ == phase::closed)
      return;
    self->loop_.measured("http write", [&] {
      self->flush();
      // A TLS read may have waited for this.
      if (self->phase_ != phase::closed && !self->reading_ && !self->ended_)
        self->on_readable();
    });
  });
}

} // namespace detail
} // namespace banyan::io
