// Whom the router counts calls to, in front of groups that nobody answers for.
#include "actors/node/router.hpp"
#include "tests/unit/routing/gateway_fixture.hpp"

namespace banyan::actors {
namespace {

class router_door : public gateway {
protected:
  router_door() {
    on_loop(l, [this] {
      auto former = std::exchange(
          ctx.router, caf::actor_cast<caf::actor>(
                          system.get().spawn(router_actor, &ctx)));
      caf::anon_send_exit(former, caf::exit_reason::user_shutdown);
    });
  }
  /// Asks; who is refused is told at once.
  void open_session(const std::string& client) {
    call_in in;
    in.request.app = "ledger";
    in.request.key = "alice";
    in.request.kind = request_kind::open_session;
    in.request.deadline = 1h;
    in.client = client;
    in.answer = [this](const reply& a, std::uint32_t) {
      refused += a.status == reply_status::overloaded ? 1 : 0;
    };
    caf::anon_send(ctx.router, std::move(in));
  }
  std::size_t refused = 0;
};

// What a client asks for itself is a call of its own, whatever it is.
TEST_F(router_door, sessions_that_a_client_opens_count_as_its_calls) {
  on_loop(l, [&] {
    for (std::size_t i = 0; i < admission_options{}.client_max; ++i)
      open_session("here");
  });
  on_loop(l, [&] {
    EXPECT_EQ(refused, 0U);
    open_session("here");
    open_session("there");
  });
  on_loop(l, [&] { EXPECT_EQ(refused, 1U); });
}

// Those that the router opens are a part of calls that were counted.
TEST_F(router_door, sessions_of_nobody_take_no_place) {
  on_loop(l, [&] {
    for (int i = 0; i < 10'000; ++i)
      open_session({});
  });
  on_loop(l, [&] { EXPECT_EQ(refused, 0U); });
}

} // namespace
} // namespace banyan::actors
