#pragma once
// The apps that this shared object (or program) knows, filled by BANYAN_APP
// before main or while the module is loaded. Hidden: each shared object has its
// own, so two versions of one app can be loaded side by side.
#include <banyan/detail/handler.hpp>
#include <banyan/module.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#define BANYAN_HIDDEN __attribute__((visibility("hidden")))

namespace banyan::detail {

struct turn;

struct handler_record {
  std::string name;
  std::uint32_t flags = 0;
  void (*run)(turn&) = nullptr;
  const void* tag = nullptr;
};

struct app_record {
  std::string name;
  std::vector<handler_record> handlers;
  std::map<std::string, std::size_t, std::less<>> by_name;
  std::vector<banyan_handler_v1> listed;
  banyan_app_v1 table{};
};

struct handler_place {
  const app_record* app = nullptr;
  const handler_record* handler = nullptr;
};

struct registry {
  std::vector<std::unique_ptr<app_record>> apps;
  std::map<const void*, handler_place> by_tag;
  std::vector<const banyan_app_v1*> tables;
  banyan_module_v1 module{BANYAN_TABLE_VERSION, 0, nullptr};
};

/// Never destroyed: handlers may run until the process is gone.
BANYAN_HIDDEN inline registry& this_module() {
  static auto* r = new registry;
  return *r;
}

/// Null when BANYAN_APP doesn't list the handler.
BANYAN_HIDDEN inline handler_place find_handler(const void* tag) {
  const auto& known = this_module().by_tag;
  const auto at = known.find(tag);
  return at == known.end() ? handler_place{} : at->second;
}

BANYAN_HIDDEN inline app_record& add_app(std::string_view name,
                                         std::uint32_t state_version,
                                         std::vector<handler_record> handlers) {
  registry& r = this_module();
  auto& app = *r.apps.emplace_back(std::make_unique<app_record>());
  app.name = std::string{name};
  app.handlers = std::move(handlers);
  for (std::size_t i = 0; i < app.handlers.size(); ++i) {
    const auto& h = app.handlers[i];
    app.by_name.emplace(h.name, i);
    app.listed.push_back({h.name.c_str(), h.flags});
    r.by_tag.emplace(h.tag, handler_place{&app, &h});
  }
  app.table.table_version = BANYAN_TABLE_VERSION;
  app.table.state_version = state_version;
  app.table.name = app.name.c_str();
  app.table.handler_count = static_cast<std::uint32_t>(app.listed.size());
  app.table.handlers = app.listed.data();
  r.tables.push_back(&app.table);
  r.module = {BANYAN_TABLE_VERSION, static_cast<std::uint32_t>(r.tables.size()),
              r.tables.data()};
  return app;
}

} // namespace banyan::detail

/// What the peer looks up in a module; see module.h. (`used`: nobody calls it
/// inside the module.)
extern "C"
    __attribute__((visibility("default"), used)) inline const banyan_module_v1*
    banyan_module() {
  return &banyan::detail::this_module().module;
}
