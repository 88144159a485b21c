#include "actors/host/module.hpp"

#include "base/target.hpp"

#include <banyan/detail/codec.hpp>
#include <dlfcn.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <fstream>

namespace banyan {

const handler_info* module_info::find(std::string_view name) const noexcept {
  for (const auto& h : handlers)
    if (h.name == name)
      return &h;
  return nullptr;
}

const char* to_string(host_errc e) noexcept {
  switch (e) {
  case host_errc::not_found:
    return "not_found";
  case host_errc::not_a_module:
    return "not_a_module";
  case host_errc::table_version:
    return "table_version";
  case host_errc::name_mismatch:
    return "name_mismatch";
  case host_errc::refused:
    return "refused";
  case host_errc::hung:
    return "hung";
  case host_errc::died:
    return "died";
  }
  return "?";
}

namespace {

constexpr std::uint32_t handlers_max = 1000;
constexpr std::uint32_t apps_max = 1000;

failure<host_failed> fail(host_errc why, std::string message) {
  return failure<host_failed>{{why, std::move(message), {}}};
}

/// The loader's own words for it name neither target.
std::string target_of(const std::string& file) {
  std::array<char, library_head_bytes> head{};
  std::ifstream in{file, std::ios::binary};
  in.read(head.data(), head.size());
  return target_of_library(
      as_bytes({head.data(), static_cast<std::size_t>(in.gcount())}));
}

bool is_name(const char* s) {
  if (s == nullptr)
    return false;
  const std::size_t n = ::strnlen(s, 256);
  return n > 0 && n < 256 && s[0] != '_' && detail::is_utf8({s, n});
}

result<loaded_module, host_failed> check_app(const banyan_app_v1& t,
                                             const std::string& from) {
  const bool whole =
      is_name(t.name) && t.state_version > 0 && t.handler_count <= handlers_max
      && (t.handlers != nullptr || t.handler_count == 0) && t.open != nullptr
      && t.close != nullptr && t.run != nullptr
      && ((t.extras & BANYAN_APP_SECRETS) == 0 || t.secrets != nullptr);
  if (!whole)
    return fail(host_errc::not_a_module, from + ": its table is malformed");
  loaded_module m;
  m.table = &t;
  m.info.app = t.name;
  m.info.state_version = t.state_version;
  for (std::uint32_t i = 0; i < t.handler_count; ++i) {
    const banyan_handler_v1& h = t.handlers[i];
    if (!is_name(h.name))
      return fail(host_errc::not_a_module,
                  from + ": its table has a handler with a bad name");
    m.info.handlers.push_back({h.name, (h.flags & BANYAN_HANDLER_QUERY) != 0,
                               (h.flags & BANYAN_HANDLER_REPLY) != 0});
  }
  return m;
}

/// What the sink collects: one result, bounded before it is copied.
struct collected {
  bytes data;
  unsigned calls = 0;
  bool too_large = false;
};

void collect(void* context, const std::uint8_t* data, std::size_t size) {
  auto& out = *static_cast<collected*>(context);
  if (out.calls++ > 0)
    return;
  if (size > turn_limits::result_bytes_max)
    out.too_large = true;
  else if (size > 0)
    out.data.assign(data, data + size);
}

} // namespace

result<loaded_module, host_failed> check_table(const banyan_module_v1* module,
                                               const std::string& from,
                                               const std::string& name) {
  if (module == nullptr)
    return fail(host_errc::not_a_module, from + ": banyan_module gave nothing");
  if (module->table_version != BANYAN_TABLE_VERSION)
    return fail(host_errc::table_version,
                from + " was built for module table version "
                    + std::to_string(module->table_version)
                    + ", this peer speaks version "
                    + std::to_string(BANYAN_TABLE_VERSION)
                    + ": rebuild it with this peer's <banyan/app.hpp>");
  if (module->app_count > apps_max
      || (module->app_count > 0 && module->apps == nullptr))
    return fail(host_errc::not_a_module, from + ": its table is malformed");
  std::string has;
  for (std::uint32_t i = 0; i < module->app_count; ++i) {
    const banyan_app_v1* app = module->apps[i];
    if (app == nullptr || !is_name(app->name))
      return fail(host_errc::not_a_module, from + ": its table is malformed");
    if (app->name == name)
      return check_app(*app, from);
    has += (has.empty() ? "`" : ", `") + std::string{app->name} + "`";
  }
  if (has.empty())
    return fail(host_errc::not_a_module,
                from + " holds no app: it has no BANYAN_APP(...) list");
  return fail(host_errc::name_mismatch,
              from + " holds the app " + has + ", not `" + name
                  + "`: a module is named like its app's struct");
}

result<loaded_module, host_failed> load_module(const std::string& file,
                                               const std::string& name) {
  struct ::stat s {};
  if (::stat(file.c_str(), &s) != 0)
    return fail(host_errc::not_found,
                "no module file " + file
                    + ": build it there or name its folder with --apps");
  const auto target = target_of(file);
  if (!target.empty() && target != target_here())
    return fail(host_errc::not_a_module,
                file + " is compiled for " + target + ", this peer for "
                    + target_here()
                    + ": name one for each in the spec's "
                      "[module]");
  // A name without a slash would be looked for in the system's folders.
  const std::string path =
      file.find('/') == std::string::npos ? "./" + file : file;
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = ::dlerror(); // NOLINT(concurrency-mt-unsafe): per thread
    return fail(host_errc::not_a_module,
                "can't load " + file + ": "
                    + (why != nullptr ? why : "unknown reason"));
  }
  void* symbol = ::dlsym(handle, BANYAN_MODULE_SYMBOL);
  if (symbol == nullptr)
    return fail(host_errc::not_a_module,
                file + " is no Banyan module: it doesn't export "
                    + BANYAN_MODULE_SYMBOL
                    + "; build it from a source with BANYAN_APP(...)");
  banyan_module_function_v1 get = nullptr;
  static_assert(sizeof get == sizeof symbol);
  std::memcpy(&get, &symbol, sizeof get);
  return check_table(get(), file, name);
}

result<loaded_module, host_failed>
host_catalog::find(const std::string& name) const {
  const auto at = tables_.find(name);
  if (at == tables_.end())
    return fail(host_errc::not_found,
                "no app `" + name + "` is linked into this program");
  const banyan_app_v1* apps[] = {at->second};
  const banyan_module_v1 module{at->second->table_version, 1, apps};
  return check_table(&module, "the app `" + name + "`", name);
}

result<module_runner, host_failed>
module_runner::open(const loaded_module& module, const_bytes config,
                    const_bytes secrets) {
  collected why;
  void* instance =
      module.table->open(config.data(), config.size(), &collect, &why);
  if (instance == nullptr) {
    const bool said = !why.data.empty() && why.data.size() <= 4096
                      && detail::is_utf8(as_text(why.data));
    return fail(host_errc::refused,
                module.info.app + " refused its configuration: "
                    + (said ? to_text(why.data) : "it didn't say why"));
  }
  if (!secrets.empty() && (module.table->extras & BANYAN_APP_SECRETS) != 0)
    module.table->secrets(instance, secrets.data(), secrets.size());
  return module_runner{module.table, instance};
}

raw_turn module_runner::call(const_bytes turn) {
  collected got;
  raw_turn out;
  out.code = table_->run(instance_, turn.data(), turn.size(), &collect, &got);
  out.calls = got.calls;
  out.too_large = got.too_large;
  out.data = std::move(got.data);
  return out;
}

turn_result module_runner::run(const turn_order& order) {
  if (auto refused = refuse_turn(order))
    return std::move(*refused);
  return judge_turn(claim_of(order), call(encode_turn(order)));
}

} // namespace banyan
