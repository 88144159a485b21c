#include "actors/client/json_call.hpp"
#include "actors/testing/mesh_engine.hpp"

#include <banyan/testing.hpp>

namespace banyan::testing {
namespace {

namespace plain = banyan::detail;

/// `ledger/alice`
plain::call_order order_to(std::string_view actor, std::string_view command,
                           bool query, call_options options) {
  const auto slash = actor.find('/');
  plain::call_order o;
  o.app = std::string{actor.substr(0, slash)};
  if (slash != std::string_view::npos)
    o.key = std::string{actor.substr(slash + 1)};
  o.command = std::string{command};
  o.query = query;
  o.options = std::move(options);
  return o;
}

} // namespace

mesh::mesh(std::unique_ptr<detail::mesh_engine> e) : engine_{std::move(e)} {
}
mesh::~mesh() = default;

void mesh::add_table(const banyan_app_v1* table) {
  engine_->add_table(*table);
}
void mesh::deploy(std::string_view app, app_options o) {
  engine_->deploy({std::string{app}, std::move(o.module), o.shards, o.replicas,
                   o.replace_after, o.spread_regions, o.stateless,
                   o.instances});
}
plain::call_outcome mesh::wait(std::size_t node, plain::call_order order) {
  return engine_->call(node, std::move(order));
}
call_result<std::string> mesh::call(std::size_t node, std::string_view actor,
                                    std::string_view command,
                                    std::string_view json,
                                    call_options options) {
  return plain::json_call(
      order_to(actor, command, false, std::move(options)), json,
      [&](plain::call_order o) { return wait(node, std::move(o)); });
}
call_result<std::string> mesh::query(std::size_t node, std::string_view actor,
                                     std::string_view name,
                                     std::string_view json,
                                     call_options options) {
  return plain::json_call(
      order_to(actor, name, true, std::move(options)), json,
      [&](plain::call_order o) { return wait(node, std::move(o)); });
}

void mesh::kill(std::size_t node) {
  engine_->kill(node);
}
void mesh::stop(std::size_t node) {
  engine_->stop(node);
}
void mesh::restart(std::size_t node) {
  engine_->restart(node);
}
void mesh::wipe(std::size_t node) {
  engine_->wipe(node);
}
void mesh::freeze(std::size_t node) {
  engine_->freeze(node);
}
void mesh::thaw(std::size_t node) {
  engine_->thaw(node);
}
void mesh::partition(const std::vector<std::vector<std::size_t>>& groups) {
  engine_->partition(groups);
}
void mesh::heal() {
  engine_->partition({});
}

std::size_t mesh::leader_of(std::string_view app, std::string_view key,
                            milliseconds patience) {
  return engine_->leader_of(std::string{app}, std::string{key}, patience);
}
std::vector<std::size_t> mesh::voters_of(std::string_view app,
                                         std::string_view key) {
  return engine_->voters_of(std::string{app}, std::string{key});
}
void mesh::wait_healthy(milliseconds patience) {
  engine_->wait_healthy(patience);
}

void mesh::run_for(milliseconds d) {
  engine_->run_for(d);
}

std::size_t mesh::size() const {
  return engine_->size();
}
bool mesh::running(std::size_t node) const {
  return engine_->running(node);
}
std::string mesh::address(std::size_t node) const {
  return engine_->address(node);
}
std::vector<std::string> mesh::addresses() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < size(); ++i)
    out.push_back(address(i));
  return out;
}
std::string mesh::id(std::size_t node) const {
  return engine_->id(node);
}
std::vector<member> mesh::members(std::size_t node) const {
  std::vector<member> out;
  for (auto& m : engine_->members(node))
    out.push_back({std::move(m.node), std::move(m.address), std::move(m.region),
                   std::move(m.state), m.heard});
  return out;
}
std::string mesh::fault(std::size_t node) const {
  return engine_->fault(node);
}

} // namespace banyan::testing
