#include "actors/client/client_engine.hpp"
#include "actors/client/json_call.hpp"

#include <banyan/client.hpp>

#include <future>

namespace banyan {

call_result<client> client::connect(client_options options) {
  auto made = detail::client_engine::connect(
      options.peers, options.client_key_file, options.connect_timeout);
  if (!made.ok())
    return made.error();
  return client{std::move(*made)};
}

client::client(std::unique_ptr<detail::client_engine> e)
    : engine_{std::move(e)} {
}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

void client::start(detail::call_order order, detail::call_done done) {
  engine_->start(std::move(order), std::move(done));
}

detail::call_outcome client::wait(detail::call_order order) {
  auto answer = std::make_shared<std::promise<detail::call_outcome>>();
  auto coming = answer->get_future();
  start(std::move(order),
        [answer](detail::call_outcome o) { answer->set_value(std::move(o)); });
  return coming.get();
}

call_result<std::string> client::call(std::string_view app,
                                      std::string_view key,
                                      std::string_view command,
                                      std::string_view json,
                                      call_options options) {
  return detail::json_call(
      {std::string{app},
       std::string{key},
       std::string{command},
       {},
       false,
       std::move(options)},
      json, [this](detail::call_order o) { return wait(std::move(o)); });
}

call_result<std::string>
client::query(std::string_view app, std::string_view key, std::string_view name,
              std::string_view json, call_options options) {
  return detail::json_call(
      {std::string{app},
       std::string{key},
       std::string{name},
       {},
       true,
       std::move(options)},
      json, [this](detail::call_order o) { return wait(std::move(o)); });
}

client_counters client::counters() const {
  const auto c = engine_->counters();
  return {c.calls, c.repeated, c.sessions, c.refused, c.links_lost, c.linked};
}

} // namespace banyan
