#pragma once
#include "net/io/asio_loop.hpp"
#include "net/io/detail/asio_context.hpp"
#include "net/io/detail/door_guard.hpp"
#include "net/io/detail/http_parse.hpp"
#include "net/io/detail/http_text.hpp"
#include "net/io/detail/socket.hpp"
#include "net/io/detail/transport.hpp"
#include "net/io/http_server.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <memory>
#include <optional>
#include <string>

namespace banyan::io {

namespace detail {
class http_connection;
}

/// The way from a responder to its connection; outlives either.
struct http_responder::exchange {
  std::weak_ptr<detail::http_connection> connection;
  bool answered = false;  ///< `send` or `begin` was called.
  bool streaming = false; ///< `begin` was, `finish` wasn't.
  bool client_waits = true;
  std::function<void()> on_gone;

  /// Tells of the loss, once.
  void lose();
};

namespace detail {

/// What connections ask of their server.
class http_owner {
public:
  virtual ~http_owner() = default;
  /// Rate, built-in and configured checks, counted; the answer to send
  /// instead, if refused.
  virtual std::optional<http_response> refuse(const http_connection& c,
                                              const http_request& r) = 0;
  virtual void handle(http_request r, http_responder to) = 0;
  virtual void closed(http_connection& c) = 0;
  virtual const http_limits& limits() = 0;
  virtual http_counters& counters() = 0;
  virtual std::string_view date() = 0;
  /// No request is taken behind the one that an answer is for.
  virtual bool winding_down() = 0;
  /// Bytes that wait to be sent came or went.
  virtual void unsent_changed(std::size_t before, std::size_t after) = 0;
  /// A body grew or, with 0, isn't ours any more. False: it may not grow, and
  /// `before` still counts.
  virtual bool body_changed(std::size_t before, std::size_t after) = 0;
};

/// One client's connection: reads one request at a time, answers in order.
///
/// While a request is with the handler, reading goes on, up to 16 KiB of the
/// next requests, so that a client's end is noticed. The same while its answers
/// wait for their reader: who asks and doesn't read is asked nothing more.
class http_connection : public std::enable_shared_from_this<http_connection> {
public:
  http_connection(asio_loop& l, http_owner& o, descriptor fd,
                  const std::shared_ptr<tls_context>& tls, http_origin from,
                  std::optional<door_guest> guest);
  void start();
  /// Whom limits count it to; none: nobody.
  [[nodiscard]] const std::optional<door_guest>& guest() const {
    return guest_;
  }
  [[nodiscard]] bool never_heard() const {
    return phase_ == phase::reading && !heard_;
  }
  /// The next request waits, since earlier answers are not taken yet.
  [[nodiscard]] bool held() const;
  /// Nothing is under way in either direction.
  [[nodiscard]] bool between_requests() const {
    return phase_ == phase::reading && !mid_request_ && in_.empty()
           && unsent() == 0;
  }
  /// A request is on its way in, since then; nothing: none is.
  [[nodiscard]] std::optional<time_point> half_heard_since() const {
    return phase_ == phase::reading && mid_request_ ? std::optional{asked_from_}
                                                    : std::nullopt;
  }
  /// When it came, or its last answer was complete.
  [[nodiscard]] time_point quiet_since() const { return quiet_since_; }
  /// Sends `r` without reading a request, then closes.
  void refuse(const http_response& r);
  /// The answer under way, if it isn't begun, will be the last.
  void last_answer();
  /// Closes it unless a request is read or being answered; a stream of unknown
  /// length is cut.
  void end_if_idle();
  /// Closes it, and whoever waits for its answer is told.
  void cut() { lost(); }
  /// Tears it down; `owner` is told nothing and never touched again.
  void abandon();

  bool send(http_response r);
  bool begin(http_response r);
  bool write_chunk(std::string_view data);
  void finish();
  [[nodiscard]] std::size_t unsent() const { return out_.size() - sent_; }

private:
  enum class phase : std::uint8_t {
    reading,  ///< A request, or waiting for one.
    handling, ///< It is with the handler, or its answer is streaming.
    draining, ///< The last answer is written; what still comes is discarded.
    closed
  };

  void await_read();
  void await_write();
  void on_readable();
  void on_end();
  void parse();
  void dispatch();
  void fail_request(const http_response& r, std::uint64_t& counter);
  void answer_complete();
  void next_request();
  void go_on_soon();
  void flush_soon();
  void flush();
  void drain();
  void lost();
  void close();
  void arm_read(duration d);
  void arm_write();
  void tell_unsent();
  void body_is(std::size_t bytes);

  asio_loop& loop_;
  http_owner* owner_;
  boost::asio::posix::stream_descriptor fd_;
  std::unique_ptr<transport> transport_;
  const http_origin from_;
  const std::optional<door_guest> guest_;
  phase phase_ = phase::reading;
  bool heard_ = false; ///< It sent something.
  time_point quiet_since_;

  std::string in_;
  std::unique_ptr<request_parser> parser_;
  bool mid_request_ = false; ///< Its first byte came; the deadline runs.
  time_point asked_from_;    ///< Then.
  bool continued_ = false;
  bool reading_ = false; ///< Asio waits for bytes.
  bool ended_ = false;   ///< The client will send no more.
  bool parsing_ = false; ///< `parse` is below us and will go on by itself.
  bool parse_queued_ = false;
  std::size_t body_told_ = 0;
  std::size_t drained_ = 0; ///< Discarded behind the last request.

  std::shared_ptr<http_responder::exchange> exchange_;
  framing framing_ = framing::length;
  bool keep_alive_ = false;
  bool http_1_0_ = false;
  bool head_only_ = false;

  std::string out_;
  std::size_t sent_ = 0;
  std::size_t unsent_told_ = 0;
  time_point answer_from_;      ///< Since then something waits to be sent,
  std::size_t answer_sent_ = 0; ///< and so much went.
  bool writing_ = false;        ///< Asio waits for room.
  bool flush_queued_ = false;
  timer read_timer_;
  timer write_timer_;
};

} // namespace detail
} // namespace banyan::io
