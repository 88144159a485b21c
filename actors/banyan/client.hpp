#pragma once
/// The native client: calls apps over the encrypted links of a mesh.
///
///   auto c = banyan::client::connect({{"127.0.0.1:7600", "127.0.0.1:7601"}});
///   if (!c.ok())
///     return fail(c.error().message);
///   auto balance = c->call<&ledger::deposit>("alice", amount{5});
///
/// Link with `banyan_client`. Thread-safe: any number of threads may call.
#include <banyan/detail/typed_call.hpp>

#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace banyan {

namespace detail {
class client_engine;
}

struct client_options {
  /// HOST:PORT of peers, one or more. The client keeps a link to each and asks
  /// the next one when one is silent or gone.
  std::vector<std::string> peers;
  /// `NAME.client` of `banyan keygen client`. Empty: the mesh `local`.
  std::string client_key_file{};
  std::chrono::milliseconds connect_timeout{5000};
};

/// What a client went through; since its start.
struct client_counters {
  std::uint64_t calls = 0;
  std::uint64_t repeated = 0; ///< asked another peer, or the same again
  std::uint64_t sessions = 0; ///< opened
  std::uint64_t refused = 0;  ///< `overloaded` by this client itself
  std::uint64_t links_lost = 0;
  std::size_t linked = 0; ///< peers, now
};

/// Calls apps by name through any of several peers. Each command is numbered in
/// a session of this client's, so that it takes effect once even when it is
/// asked for again at another peer; the client does that by itself until the
/// call's deadline.
///
/// It asks the peer that led the actor's group the last time, or the first one
/// that is linked; stale queries and calls without a key go to whoever is
/// quick.
///
/// Too much of an app's calls is met in the client, where it costs least. Peers
/// get as many at a time as they answer in good time, up to 1,000 of all apps
/// (of one alone 704); the others wait here, apps in turn. A call that would
/// hardly be answered by its deadline behind those is `overloaded` at once, as
/// is one that waited in vain: shorter deadlines shed sooner. What a peer says
/// `overloaded` to is asked again after its `retry_after`, at most twice, and
/// for a tenth of all calls; others of that actor's group wait meanwhile.
///
/// A call that ends in `unknown` or `expired` may have taken effect; any other
/// error tells that it has not. After the client's end nothing is repeated.
class client {
public:
  /// Dials all peers and returns once one answers. @returns `unreachable` when
  /// none did in time, `invalid_argument` (an address, the key file).
  static call_result<client> connect(client_options options);

  client(client&&) noexcept;
  client& operator=(client&&) noexcept;
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  /// Calls that are under way end with `unknown` or `deadline`; their callbacks
  /// have run when it returns. Not from a callback.
  ~client();

  /// Calls the handler `H` of the actor `key` and waits for the answer. Not
  /// from a callback. Of a stateless app the key may be empty.
  template <auto H>
  detail::typed_result<H> call(std::string_view key,
                               const detail::argument_of<H>& argument = {},
                               call_options options = {}) {
    auto order = detail::order_for<H>(key, argument, std::move(options));
    if (!order.ok())
      return order.error();
    return detail::read_answer<H>(wait(std::move(*order)));
  }
  /// The same without waiting: `done` runs once, on the client's own thread (or
  /// in this call, when nothing could be sent). It must not block.
  template <auto H>
  void call_async(std::string_view key, const detail::argument_of<H>& argument,
                  detail::typed_done<H> done, call_options options = {}) {
    auto order = detail::order_for<H>(key, argument, std::move(options));
    if (!order.ok())
      return done(order.error());
    start(std::move(*order),
          [done = std::move(done)](const detail::call_outcome& o) {
            done(detail::read_answer<H>(o));
          });
  }

  /// The same, and its answer when it comes. The future may be thrown away.
  template <auto H>
  std::future<detail::typed_result<H>>
  call_future(std::string_view key, const detail::argument_of<H>& argument = {},
              call_options options = {}) {
    auto answer = std::make_shared<std::promise<detail::typed_result<H>>>();
    auto coming = answer->get_future();
    call_async<H>(
        key, argument,
        [answer](detail::typed_result<H> r) {
          answer->set_value(std::move(r));
        },
        std::move(options));
    return coming;
  }

  /// By name, with JSON in and out: `call("ledger", "alice", "deposit",
  /// R"({"cents": 5})")` gives `"5"`.
  call_result<std::string> call(std::string_view app, std::string_view key,
                                std::string_view command,
                                std::string_view json = {},
                                call_options options = {});
  /// The same for a query; the key may be empty for a stateless app.
  call_result<std::string> query(std::string_view app, std::string_view key,
                                 std::string_view name,
                                 std::string_view json = {},
                                 call_options options = {});
  /// By name, with msgpack in and out.
  call_result<std::vector<std::uint8_t>> call_bytes(detail::call_order order) {
    return wait(std::move(order));
  }

  [[nodiscard]] client_counters counters() const;

private:
  explicit client(std::unique_ptr<detail::client_engine> e);
  detail::call_outcome wait(detail::call_order order);
  void start(detail::call_order order, detail::call_done done);

  std::unique_ptr<detail::client_engine> engine_;
};

} // namespace banyan
