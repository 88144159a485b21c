#pragma once
#include <banyan/detail/decode.hpp>
#include <banyan/detail/encode.hpp>
#include <banyan/detail/registry.hpp>

#include <chrono>
#include <map>
#include <stdexcept>

namespace banyan {

/// Random numbers for handlers; fits the C++ library's distributions:
/// `std::uniform_int_distribution<int>{1, 6}(ctx.random())`. Not for keys.
class random {
public:
  using result_type = std::uint64_t;
  explicit random(std::uint64_t seed) noexcept : state_{seed} {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return UINT64_MAX; }
  result_type operator()() noexcept { // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  /// In [0, bound); 0 if `bound` is 0.
  std::uint64_t below(std::uint64_t bound) noexcept {
    return bound == 0 ? 0 : operator()() % bound;
  }

private:
  std::uint64_t state_;
};

/// The values of the spec's secrets, by name.
using secret_map = std::map<std::string, std::string, std::less<>>;

/// What a turn knows besides state and argument.
struct turn_facts {
  std::string key;    ///< of the actor
  std::string caller; ///< `app/key` of the sending actor; empty for a client
  std::chrono::system_clock::time_point now{};
  std::uint64_t seed = 1;
  std::vector<std::uint8_t> config;    ///< a msgpack map, or nothing
  const secret_map* secrets = nullptr; ///< borrowed; null: none
  bool query = false;
};

struct sent_message {
  std::string app;
  std::string key;
  std::string command;
  std::vector<std::uint8_t> argument;
  std::string on_reply; ///< empty: none
};
struct timer_set {
  std::string name; ///< empty: none
  std::chrono::milliseconds after{0};
  std::string command;
  std::vector<std::uint8_t> argument;
};

template <auto H>
struct on_reply_type {};
/// The third argument of a send: the handler that takes the answer.
template <auto H>
inline constexpr on_reply_type<H> on_reply{};

/// The runtime, as a handler sees it. What it does leaves only with the
/// committed turn: nothing does when the handler rejects or throws. Bad names,
/// keys and values throw (the turn is `app_failed` then), as does any of it in
/// a query. A unit test makes one, passes it, and looks at sent() and timers().
class context {
public:
  explicit context(std::string key = "test") { facts_.key = std::move(key); }
  explicit context(turn_facts facts)
      : facts_{std::move(facts)}, random_{facts_.seed} {}

  [[nodiscard]] const std::string& key() const noexcept { return facts_.key; }
  [[nodiscard]] const std::string& caller() const noexcept {
    return facts_.caller;
  }
  /// The leader's wall clock at the start of the turn. It may step.
  [[nodiscard]] std::chrono::system_clock::time_point now() const noexcept {
    return facts_.now;
  }
  [[nodiscard]] banyan::random& random() noexcept { return random_; }

  /// The spec's [config] as a struct with BANYAN_FIELDS: what isn't given keeps
  /// its default, another type throws.
  template <class T>
  [[nodiscard]] T config() const {
    T out{};
    if (facts_.config.empty())
      return out;
    detail::decoder d{detail::as_view(facts_.config),
                      detail::decode_mode::stored};
    if (!d.whole(out))
      throw std::invalid_argument{d.why("config")};
    return out;
  }

  /// The value of one of the spec's `secrets`; a name that isn't among them
  /// throws std::out_of_range. Whatever a handler puts into state, answers or
  /// log lines is a secret no more.
  [[nodiscard]] const std::string& secret(std::string_view name) const {
    if (facts_.secrets != nullptr)
      if (const auto at = facts_.secrets->find(name);
          at != facts_.secrets->end())
        return at->second;
    throw std::out_of_range{"no secret '" + std::string{name}
                            + "': list it in the spec's `secrets`"};
  }

  /// A line for `banyan logs`, also when the turn fails; 64 KiB per turn.
  void log(std::string line) {
    if (log_bytes_ + line.size() > 65536 || log_.size() >= 1000)
      return;
    log_bytes_ += line.size();
    log_.push_back(std::move(line));
  }

  /// Sends a command to another actor (of the app that has the handler), once
  /// this turn is committed; it takes effect exactly once, first in first out
  /// per sender and receiver. A stateless app runs it at least once: that is
  /// the place for effects on the world outside.
  template <auto H>
  void send(std::string_view key, const detail::argument_of<H>& argument = {}) {
    put_send(detail::find_handler(&detail::handler_tag<H>), key,
             detail::encode(argument, detail::encode_mode::sent, "send"), {});
  }
  /// The answer, rejection or failure comes back as a command to this actor,
  /// exactly once: `void done(state&, const banyan::answer<Sent, Value>&)`.
  template <auto H, auto Reply>
  void send(std::string_view key, const detail::argument_of<H>& argument,
            on_reply_type<Reply>) {
    static_assert(
        std::is_same_v<detail::argument_of<Reply>,
                       answer<detail::argument_of<H>, detail::result_of<H>>>,
        "banyan: an on_reply handler takes banyan::answer<Sent, Value>, with "
        "the "
        "argument and the answer of the handler that is sent to");
    put_send(detail::find_handler(&detail::handler_tag<H>), key,
             detail::encode(argument, detail::encode_mode::sent, "send"),
             detail::find_handler(&detail::handler_tag<Reply>));
  }
  template <auto H, auto Reply>
  void send(std::string_view key, on_reply_type<Reply> reply) {
    send<H>(key, detail::argument_of<H>{}, reply);
  }

  /// Sends a command to this actor after a time, which passes only while the
  /// group has a leader (log time): a clock that jumps fires nothing.
  template <auto H>
  void after(std::chrono::milliseconds delay,
             const detail::argument_of<H>& argument = {}) {
    put_timer({}, delay, detail::find_handler(&detail::handler_tag<H>),
              detail::encode(argument, detail::encode_mode::sent, "after"));
  }
  /// The same under a name: it replaces the actor's timer of that name, and can
  /// be cancelled.
  template <auto H>
  void after(std::string_view name, std::chrono::milliseconds delay,
             const detail::argument_of<H>& argument = {}) {
    check_key(name, "a timer's name");
    put_timer(name, delay, detail::find_handler(&detail::handler_tag<H>),
              detail::encode(argument, detail::encode_mode::sent, "after"));
  }
  /// Fine if there is no such timer.
  void cancel(std::string_view name) {
    writing("cancel");
    check_key(name, "a timer's name");
    drop_timer(name);
    cancelled_.emplace_back(name);
  }
  /// Ends the actor with this turn: state, tables and timers are gone, and the
  /// next message finds a new one.
  void remove() {
    writing("remove");
    removed_ = true;
  }

  [[nodiscard]] const std::vector<sent_message>& sent() const noexcept {
    return sent_;
  }
  [[nodiscard]] const std::vector<timer_set>& timers() const noexcept {
    return timers_;
  }
  [[nodiscard]] const std::vector<std::string>& cancelled() const noexcept {
    return cancelled_;
  }
  [[nodiscard]] bool removed() const noexcept { return removed_; }
  [[nodiscard]] const std::vector<std::string>& logged() const noexcept {
    return log_;
  }

private:
  void writing(const char* what) const {
    if (facts_.query)
      throw std::logic_error{std::string{"a query can't "} + what};
  }
  static void check_key(std::string_view key, const char* what) {
    if (key.empty() || key.size() > 255 || !detail::is_utf8(key))
      throw std::invalid_argument{std::string{what}
                                  + " is 1 to 255 bytes of UTF-8"};
  }
  static const detail::handler_record&
  listed(const detail::handler_place& place) {
    if (place.handler == nullptr)
      throw std::logic_error{"the handler isn't in a BANYAN_APP list"};
    return *place.handler;
  }
  void put_send(const detail::handler_place& to, std::string_view key,
                detail::buffer argument, const detail::handler_place& reply) {
    writing("send");
    check_key(key, "an actor's key");
    const auto& command = listed(to);
    sent_message m{
        to.app->name, std::string{key}, command.name, std::move(argument), {}};
    if (reply.handler != nullptr)
      m.on_reply = reply.handler->name;
    sent_.push_back(std::move(m));
  }
  void put_timer(std::string_view name, std::chrono::milliseconds delay,
                 const detail::handler_place& to, detail::buffer argument) {
    writing("set a timer");
    if (delay.count() < 0)
      throw std::invalid_argument{"a timer's delay is negative"};
    const auto& command = listed(to);
    if (!name.empty())
      drop_timer(name);
    timers_.push_back(
        {std::string{name}, delay, command.name, std::move(argument)});
  }
  void drop_timer(std::string_view name) {
    for (std::size_t i = timers_.size(); i-- > 0;)
      if (timers_[i].name == name)
        timers_.erase(timers_.begin() + static_cast<std::ptrdiff_t>(i));
    for (std::size_t i = cancelled_.size(); i-- > 0;)
      if (cancelled_[i] == name)
        cancelled_.erase(cancelled_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  turn_facts facts_;
  banyan::random random_{1};
  std::vector<sent_message> sent_;
  std::vector<timer_set> timers_;
  std::vector<std::string> cancelled_;
  std::vector<std::string> log_;
  std::size_t log_bytes_ = 0;
  bool removed_ = false;
};

} // namespace banyan
