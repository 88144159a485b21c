#include "actors/bin/cli/secrets.hpp"

#include "actors/docs/spec_file.hpp"
#include "crypto/key_file.hpp"

#include <algorithm>

namespace banyan::cli {
namespace {

failure<problem> usage(std::string why) {
  return failure{problem{exit_code::usage, std::move(why)}};
}

outcome take(secret_values& out, const app_spec& spec, const std::string& name,
             const_bytes value) {
  if (std::find(spec.secrets.begin(), spec.secrets.end(), name)
      == spec.secrets.end())
    return usage("'" + printable(name)
                 + "' is not among the spec's secrets; "
                   "add it there: secrets = [\""
                 + printable(name) + "\"]");
  if (value.empty() || value.size() > secret_value_bytes_max)
    return usage("the value of secret '" + printable(name) + "' has "
                 + std::to_string(value.size())
                 + " bytes; it must be 1 to 16384");
  out.put(name, value);
  return {};
}

outcome read_one(secret_values& out, const app_spec& spec,
                 const std::string& given) {
  const auto sign = given.find('=');
  if (sign == std::string::npos || sign == 0 || sign + 1 == given.size())
    return usage("--secret '" + printable(given.substr(0, 64))
                 + "': write NAME=FILE; a value on the command line would be "
                   "seen by others");
  auto content = key_file::read(given.substr(sign + 1));
  if (!content.ok())
    return usage(content.error().message);
  auto value = const_bytes{*content};
  if (!value.empty() && value[value.size() - 1] == '\n')
    value = value.first(value.size() - 1);
  const auto done = take(out, spec, given.substr(0, sign), value);
  wipe(*content);
  return done;
}

// A parser's own copies of the values can't be wiped: the process ends soon.
outcome read_all(secret_values& out, const app_spec& spec,
                 const std::string& file) {
  auto content = key_file::read(file);
  if (!content.ok())
    return usage(content.error().message);
  auto parsed = parse_secrets(as_text(*content), file);
  wipe(*content);
  if (!parsed.ok())
    return usage(parsed.error().message);
  for (auto& [name, value] : *parsed) {
    const auto done = take(out, spec, name, as_bytes(value));
    wipe(value);
    if (!done.ok())
      return done;
  }
  return {};
}

} // namespace

result<secret_values, problem> read_secrets(const deploy_options& o,
                                            const app_spec& spec) {
  secret_values out;
  for (const auto& name : spec.secrets)
    if (!is_secret_name(name))
      return usage("secrets: '" + printable(name)
                   + "' is no name: 1 to 63 letters, digits, _, - and .");
  if (!o.secrets_file.empty())
    if (auto done = read_all(out, spec, o.secrets_file); !done.ok())
      return failure{done.error()};
  for (const auto& given : o.secrets)
    if (auto done = read_one(out, spec, given); !done.ok())
      return failure{done.error()};
  return out;
}

outcome put_secrets(app_spec& spec, const std::array<std::uint8_t, 16>& nonce,
                    const secret_values& given, const app_spec* old,
                    const std::set<node_id>& nodes, random_source& random) {
  const auto refuse = [](std::string why) {
    return failure{problem{exit_code::failed, std::move(why)}};
  };
  if (spec.secrets.empty())
    return {};
  if (given.empty()) {
    for (const auto& name : spec.secrets)
      if (old == nullptr || old->secret_box.empty()
          || std::find(old->secrets.begin(), old->secrets.end(), name)
                 == old->secrets.end())
        return refuse(no_value_for(name));
    spec.secret_box = old->secret_box;
    spec.secret_keys = old->secret_keys;
    return {};
  }
  if (const auto name = missing_secret(spec, given); !name.empty())
    return refuse(no_value_for(name)
                  + (old == nullptr || old->secret_box.empty()
                         ? ""
                         : " (whoever changes one gives all of them: nobody "
                           "but the voters can read the others)"));
  if (auto why = seal_secrets(spec, nonce, given, nodes, random); !why.empty())
    return refuse(std::move(why));
  return {};
}

} // namespace banyan::cli
