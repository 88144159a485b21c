// The short text forms: ids, addresses, join targets, durations, names.
#include "actors/docs/app_documents.hpp"
#include "actors/docs/key_files.hpp"
#include "actors/docs/peer_config.hpp"
#include "net/membership/record.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

void run(const_bytes in) {
  const auto text = as_text(in);
  bytes raw;
  if (from_base32(text, raw))
    BANYAN_ASSERT(to_base32(raw) == text);
  raw.clear();
  if (from_hex(text, raw))
    BANYAN_ASSERT(raw.size() * 2 == text.size());
  node_id node;
  if (parse_id(text, node))
    BANYAN_ASSERT(to_string(node) == text);

  if (const auto a = net::parse_address(text)) {
    BANYAN_ASSERT(a->host.size() <= net::address::host_bytes_max);
    BANYAN_ASSERT(!a->host.empty());
    BANYAN_ASSERT(net::parse_address(to_string(*a)) == a);
    BANYAN_ASSERT(!a->prefix().empty());
    (void)a->is_loopback();
    (void)a->is_wildcard();
  }
  const auto ip = net::ip_bytes(text);
  BANYAN_ASSERT(ip.empty() || ip.size() == 4 || ip.size() == 16);
  join_target join;
  if (parse_join(text, join))
    BANYAN_ASSERT(join.at.port != 0 && !join.at.is_wildcard());
  duration d{};
  if (parse_duration(text, d))
    BANYAN_ASSERT(d >= duration::zero() && d <= 24h * 365);
  if (is_mesh_name(text))
    BANYAN_ASSERT(is_app_name(text) && text.size() <= app_name_bytes_max);
  if (net::valid_label(text))
    BANYAN_ASSERT(text.size() <= net::member_record::label_bytes_max);
}

std::vector<bytes> seeds() {
  std::vector<bytes> out;
  const auto id = to_string(node_id{std::array<std::uint8_t, 32>{7, 8, 9}});
  for (const auto& t :
       {std::string{"127.0.0.1:7600"}, std::string{"[::1]:0"},
        std::string{"[fe80::1:2]:65535"}, std::string{"peer-1.example:80"},
        std::string{"::ffff:10.0.0.1"}, id + "@10.0.0.7:7600",
        std::string{"500ms"}, std::string{"365d"}, std::string{"2s"},
        std::string{"8760h"}, std::string{"ledger-2"}, std::string{"00ff7f"},
        id})
    out.push_back(to_bytes(t));
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(texts)
