#include "actors/host/turn.hpp"

#include "base/codec.hpp"

#include <banyan/detail/codec.hpp>

#include <cmath>

namespace banyan {

const char* to_string(turn_outcome o) noexcept {
  switch (o) {
  case turn_outcome::ok:
    return "ok";
  case turn_outcome::rejected:
    return "rejected";
  case turn_outcome::invalid:
    return "invalid";
  case turn_outcome::failed:
    return "failed";
  case turn_outcome::unknown_command:
    return "unknown_command";
  case turn_outcome::newer_state:
    return "newer_state";
  case turn_outcome::needs_rows:
    return "needs_rows";
  }
  return "?";
}

bytes reply_argument(const turn_send& sent, const_bytes answer,
                     std::string_view code, std::string_view message) {
  bytes out;
  writer w{out};
  w.map(code.empty() ? 3 : 4);
  w.text("to").text(sent.key).text("sent");
  if (sent.argument.empty())
    w.nil();
  else
    w.raw(sent.argument);
  if (!code.empty()) {
    w.text("code").text(code).text("message").text(message);
    return out;
  }
  w.text("value");
  if (answer.empty())
    w.nil();
  else
    w.raw(answer);
  return out;
}

namespace {

void put_row(writer& w, const turn_row& row) {
  w.array(2).blob(row.key);
  if (row.value)
    w.blob(row.value->view());
  else
    w.nil();
}

bool is_text(std::string_view s) {
  return detail::is_utf8(s);
}

/// Answers may become JSON: finite numbers, UTF-8, keys that have a spelling.
bool is_plain(reader& r, unsigned depth) {
  constexpr std::size_t any = SIZE_MAX;
  if (depth > reader::depth_max)
    return false;
  switch (r.peek()) {
  case reader::kind::number:
    return std::isfinite(r.number()) && r.ok();
  case reader::kind::text:
    return is_text(r.text(any)) && r.ok();
  case reader::kind::array: {
    for (std::size_t n = r.array(any); n > 0; --n)
      if (!is_plain(r, depth + 1))
        return false;
    return r.ok();
  }
  case reader::kind::map: {
    for (std::size_t n = r.map(any); n > 0; --n) {
      const auto key = r.peek();
      if (key != reader::kind::text && key != reader::kind::uint
          && key != reader::kind::sint)
        return false;
      if (!is_plain(r, depth + 1) || !is_plain(r, depth + 1))
        return false;
    }
    return r.ok();
  }
  default:
    r.skip();
    return r.ok();
  }
}

bool is_plain(const_bytes value) {
  reader r{value};
  return is_plain(r, 0) && r.done();
}

/// Reads one result; the first rule that is broken is kept as the reason.
class result_reader {
public:
  result_reader(const_bytes in, turn_result& out) : in_{in}, out_{out} {}

  bool read() {
    const std::size_t fields = in_.map(64);
    std::int64_t key = -1;
    for (std::size_t i = 0; i < fields && in_.ok(); ++i) {
      key = in_.key(key);
      if (in_.ok())
        field(key);
    }
    if (why_.empty() && !in_.done())
      why_ = "malformed bytes";
    if (why_.empty())
      agree();
    return why_.empty();
  }
  [[nodiscard]] const std::string& why() const { return why_; }

private:
  using limits = turn_limits;

  void refuse(const char* why) {
    if (why_.empty())
      why_ = why;
    in_.fail();
  }
  void require(bool condition, const char* why) {
    if (in_.ok() && !condition)
      refuse(why);
  }
  std::string text(std::size_t size_max, const char* why) {
    const std::string_view s = in_.text(size_max);
    require(is_text(s), why);
    return std::string{s};
  }
  bytes blob() { return in_.blob(limits::result_bytes_max).copy(); }
  bytes row_key() {
    const_bytes k = in_.blob(SIZE_MAX);
    require(k.size() <= limits::row_key_bytes_max, "a row's key is too long");
    return k.copy();
  }
  bytes argument() {
    const_bytes a = in_.blob(limits::result_bytes_max);
    require(a.size() <= limits::argument_bytes_max,
            "a sent argument is over 1 MiB");
    require(a.empty() || is_plain(a), "a sent argument is malformed");
    return a.copy();
  }

  void field(std::int64_t key) {
    switch (key) {
    case 1:
      out_.outcome = static_cast<turn_outcome>(
          in_.uint(static_cast<std::uint64_t>(turn_outcome::needs_rows)));
      return;
    case 2:
      out_.answer = blob();
      return require(is_plain(out_.answer),
                     "the answer isn't plain: a number that isn't finite, text "
                     "that isn't UTF-8 or malformed bytes");
    case 3:
      out_.code = text(64, "the code isn't UTF-8");
      return;
    case 4:
      out_.message = text(8192, "the message isn't UTF-8");
      return;
    case 5:
      out_.state = blob();
      return require(!out_.state->empty(), "the state has no bytes");
    case 6:
      return writes();
    case 7:
      return sends();
    case 8:
      return timers();
    case 9:
      for (std::size_t n = count(limits::timers_max, "too many timers"); n > 0;
           --n)
        out_.cancelled.push_back(text(255, "a timer's name isn't UTF-8"));
      return;
    case 10:
      out_.removed = in_.boolean();
      return;
    case 11:
      for (std::size_t n = count(limits::log_lines_max, "too many log lines");
           n > 0; --n)
        out_.log.push_back(text(65536, "a log line isn't UTF-8"));
      return;
    case 12:
      for (std::size_t n = count(limits::rows_max, "more than 10000 rows");
           n > 0; --n)
        out_.rows_needed.push_back(row_key());
      return;
    case 13:
      return ranges();
    default:
      in_.skip();
    }
  }
  std::size_t count(std::size_t max, const char* why) {
    const std::size_t n = in_.array(SIZE_MAX);
    require(n <= max, why);
    return in_.ok() ? n : 0;
  }
  void writes() {
    for (std::size_t n = count(limits::rows_max, "more than 10000 rows"); n > 0;
         --n) {
      in_.require(in_.array(2) == 2);
      turn_row row{row_key(), std::nullopt};
      if (in_.peek() == reader::kind::nil)
        in_.nil();
      else
        row.value = shared_bytes{blob()};
      out_.rows.push_back(std::move(row));
    }
  }
  void sends() {
    for (std::size_t n = count(limits::sends_max, "more than 1000 sends");
         n > 0; --n) {
      in_.require(in_.array(5) == 5);
      turn_send s;
      s.app = text(255, "an app's name isn't UTF-8");
      s.key = text(255, "an actor's key isn't UTF-8");
      s.command = text(255, "a command isn't UTF-8");
      s.argument = argument();
      s.on_reply = text(255, "a command isn't UTF-8");
      require(!s.key.empty() && !s.command.empty(), "a send to nobody");
      out_.sends.push_back(std::move(s));
    }
  }
  void timers() {
    constexpr std::uint64_t century_ms = 100ULL * 366 * 86'400'000;
    for (std::size_t n = count(limits::timers_max, "more than 1000 timers");
         n > 0; --n) {
      in_.require(in_.array(4) == 4);
      turn_timer t;
      t.name = text(255, "a timer's name isn't UTF-8");
      const std::uint64_t after = in_.uint();
      require(after <= century_ms, "a timer of more than a hundred years");
      t.after = std::chrono::milliseconds{static_cast<std::int64_t>(after)};
      t.command = text(255, "a command isn't UTF-8");
      t.argument = argument();
      out_.timers.push_back(std::move(t));
    }
  }
  void ranges() {
    for (std::size_t n = count(limits::rows_max, "more than 10000 ranges");
         n > 0; --n) {
      in_.require(in_.array(3) == 3);
      turn_range r;
      r.from = row_key();
      r.until = row_key();
      r.limit = static_cast<std::uint32_t>(in_.uint(limits::rows_max));
      require(r.limit > 0, "a range without rows");
      out_.ranges_needed.push_back(std::move(r));
    }
  }

  /// What one outcome may come with.
  void agree() {
    const turn_result& r = out_;
    const bool effects = r.state || r.removed || !r.rows.empty()
                         || !r.sends.empty() || !r.timers.empty()
                         || !r.cancelled.empty();
    const bool needs = !r.rows_needed.empty() || !r.ranges_needed.empty();
    if (effects && r.outcome != turn_outcome::ok)
      why_ = "effects with an outcome that has none";
    else if (needs != (r.outcome == turn_outcome::needs_rows))
      why_ = "an outcome that doesn't fit the rows it needs";
    else if (r.outcome == turn_outcome::ok && r.answer.empty())
      why_ = "no answer";
    else if (r.outcome == turn_outcome::rejected && r.code.empty())
      why_ = "a rejection without a code";
    else if (r.removed
             && (r.state || !r.rows.empty() || !r.timers.empty()
                 || !r.cancelled.empty()))
      why_ = "a removed actor that keeps something";
  }

  reader in_;
  turn_result& out_;
  std::string why_;
};

} // namespace

bytes encode_turn(const turn_order& order) {
  bytes out;
  out.reserve(96 + order.actor.size() + order.argument.size()
              + order.state.size());
  writer w{out};
  const bool has_state = order.state.size() > 0;
  w.map(8 + std::size_t{has_state} + !order.rows.empty()
        + !order.ranges.empty());
  w.uint(1).text(order.command).uint(2).blob(order.argument);
  if (has_state)
    w.uint(3).blob(order.state.view());
  w.uint(4).text(order.actor);
  w.uint(5).sint(order.now.count());
  w.uint(6).uint(order.seed);
  w.uint(7).uint(static_cast<std::uint64_t>(order.origin));
  w.uint(8).text(order.caller);
  if (!order.rows.empty()) {
    w.uint(9).array(order.rows.size());
    for (const auto& row : order.rows)
      put_row(w, row);
  }
  if (!order.ranges.empty()) {
    w.uint(10).array(order.ranges.size());
    for (const auto& r : order.ranges) {
      w.array(5).blob(r.range.from).blob(r.range.until).uint(r.range.limit);
      w.boolean(r.complete).array(r.rows.size());
      for (const auto& row : r.rows)
        put_row(w, row);
    }
  }
  w.uint(11).boolean(order.query);
  return out;
}

bool decode_result(const_bytes in, turn_result& out, std::string& why) {
  if (in.size() > turn_limits::result_bytes_max) {
    why = "a turn's effects are over 4 MiB";
    return false;
  }
  turn_result read;
  result_reader r{in, read};
  if (!r.read()) {
    why = r.why();
    return false;
  }
  read.key = out.key;
  read.version = out.version;
  out = std::move(read);
  return true;
}

namespace {

bool changes_something(const turn_result& r) {
  return r.state || r.removed || !r.rows.empty() || !r.sends.empty()
         || !r.timers.empty() || !r.cancelled.empty();
}

std::size_t read_bytes(const turn_order& order) {
  std::size_t n = order.state.size();
  const auto add = [&n](const turn_row& r) {
    n += r.key.size() + (r.value ? r.value->size() : 0);
  };
  for (const auto& r : order.rows)
    add(r);
  for (const auto& range : order.ranges)
    for (const auto& r : range.rows)
      add(r);
  return n;
}

std::size_t row_count(const turn_order& order) {
  std::size_t n = order.rows.size();
  for (const auto& r : order.ranges)
    n += r.rows.size();
  return n;
}

turn_result failed(const turn_claim& c, turn_outcome o,
                   const std::string& message) {
  turn_result r;
  r.key = c.key;
  r.version = c.version;
  r.outcome = o;
  r.message = c.command + ": " + message;
  return r;
}

} // namespace

turn_claim claim_of(const turn_order& order) {
  return {order.key, order.version, order.command, order.query, order.round};
}

std::optional<turn_result> refuse_turn(const turn_order& order) {
  if (order.argument.size() > turn_limits::argument_bytes_max)
    return failed(claim_of(order), turn_outcome::invalid,
                  "argument: over 1 MiB");
  if (row_count(order) > turn_limits::rows_max)
    return failed(claim_of(order), turn_outcome::failed,
                  "reads more than 10000 rows in one turn");
  if (read_bytes(order) > turn_limits::read_bytes_max)
    return failed(claim_of(order), turn_outcome::failed,
                  "reads more than 96 MiB in one turn");
  return std::nullopt;
}

turn_result judge_turn(const turn_claim& claim, const raw_turn& raw) {
  const auto end = [&](const std::string& message) {
    return failed(claim, turn_outcome::failed, message);
  };
  if (raw.too_large)
    return end("the turn's effects are over 4 MiB");
  if (raw.code != 0 || raw.calls != 1)
    return end("the module gave no result (code " + std::to_string(raw.code)
               + ")");
  turn_result out;
  out.key = claim.key;
  out.version = claim.version;
  std::string why;
  if (!decode_result(raw.data, out, why))
    return end("the module's result is refused: " + why);
  if (claim.query && changes_something(out))
    return end("a query changed something");
  if (out.outcome == turn_outcome::needs_rows
      && claim.round >= turn_limits::rounds_max)
    return end("asked for rows more than 64 times; name them first with "
               "table::fetch");
  return out;
}

} // namespace banyan
