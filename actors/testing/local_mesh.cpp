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

local_mesh::local_mesh(mesh_options o)
    : engine_{detail::mesh_engine::make(
        {o.nodes, std::move(o.regions), o.with_mesh_file, std::move(o.apps)})} {
}
local_mesh::~local_mesh() = default;

void local_mesh::add_table(const banyan_app_v1* table) {
  engine_->add_table(*table);
}
void local_mesh::deploy(std::string_view app, app_options o) {
  engine_->deploy({std::string{app}, std::move(o.module), o.shards, o.replicas,
                   o.replace_after, o.spread_regions});
}
plain::call_outcome local_mesh::wait(std::size_t node,
                                     plain::call_order order) {
  return engine_->call(node, std::move(order));
}
call_result<std::string> local_mesh::call(std::size_t node,
                                          std::string_view actor,
                                          std::string_view command,
                                          std::string_view json,
                                          call_options options) {
  return plain::json_call(
      order_to(actor, command, false, std::move(options)), json,
      [&](plain::call_order o) { return wait(node, std::move(o)); });
}
call_result<std::string> local_mesh::query(std::size_t node,
                                           std::string_view actor,
                                           std::string_view name,
                                           std::string_view json,
                                           call_options options) {
  return plain::json_call(
      order_to(actor, name, true, std::move(options)), json,
      [&](plain::call_order o) { return wait(node, std::move(o)); });
}

void local_mesh::kill(std::size_t node) {
  engine_->kill(node);
}
void local_mesh::stop(std::size_t node) {
  engine_->stop(node);
}
void local_mesh::restart(std::size_t node) {
  engine_->restart(node);
}
void local_mesh::wipe(std::size_t node) {
  engine_->wipe(node);
}
void local_mesh::freeze(std::size_t node) {
  engine_->freeze(node);
}
void local_mesh::thaw(std::size_t node) {
  engine_->thaw(node);
}
void local_mesh::partition(
    const std::vector<std::vector<std::size_t>>& groups) {
  engine_->partition(groups);
}
void local_mesh::heal() {
  engine_->partition({});
}

std::size_t local_mesh::leader_of(std::string_view app, std::string_view key,
                                  milliseconds patience) {
  return engine_->leader_of(std::string{app}, std::string{key}, patience);
}
std::vector<std::size_t> local_mesh::voters_of(std::string_view app,
                                               std::string_view key) {
  return engine_->voters_of(std::string{app}, std::string{key});
}
void local_mesh::wait_healthy(milliseconds patience) {
  engine_->wait_healthy(patience);
}

std::size_t local_mesh::size() const {
  return engine_->size();
}
bool local_mesh::running(std::size_t node) const {
  return engine_->running(node);
}
std::string local_mesh::address(std::size_t node) const {
  return engine_->address(node);
}
std::vector<std::string> local_mesh::addresses() const {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < size(); ++i)
    out.push_back(address(i));
  return out;
}
std::string local_mesh::id(std::size_t node) const {
  return engine_->id(node);
}
std::string local_mesh::data_directory(std::size_t node) const {
  return engine_->directory(node);
}
std::string local_mesh::client_key_file() const {
  return engine_->client_key_file();
}
std::vector<member> local_mesh::members(std::size_t node) const {
  std::vector<member> out;
  for (auto& m : engine_->members(node))
    out.push_back({std::move(m.node), std::move(m.address), std::move(m.region),
                   std::move(m.state), m.heard});
  return out;
}
std::string local_mesh::fault(std::size_t node) const {
  return engine_->fault(node);
}

} // namespace banyan::testing
