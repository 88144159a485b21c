#include "net/io/signals.hpp"

#include "net/io/detail/asio_context.hpp"

#include <boost/asio/signal_set.hpp>

namespace banyan::io {

struct signals::state : std::enable_shared_from_this<state> {
  state(asio_loop& l, std::function<void(int)> h)
      : loop{l}, set{detail::context(l)}, handler{std::move(h)} {}

  void await() {
    set.async_wait(
        [self = shared_from_this()](boost::system::error_code e, int number) {
          if (e || !self->handler)
            return;
          self->await();
          self->loop.measured("signal", [&] { self->handler(number); });
        });
  }

  asio_loop& loop;
  boost::asio::signal_set set;
  std::function<void(int)> handler;
};

signals::signals(asio_loop& l, std::initializer_list<int> numbers,
                 std::function<void(int)> handler)
    : state_{std::make_shared<state>(l, std::move(handler))} {
  for (const auto n : numbers)
    state_->set.add(n);
  state_->await();
}

signals::~signals() {
  state_->handler = nullptr;
  boost::system::error_code ignored;
  state_->set.cancel(ignored);
  state_->set.clear(ignored);
}

} // namespace banyan::io
