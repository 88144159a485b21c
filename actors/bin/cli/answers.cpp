#include "actors/bin/cli/answers.hpp"

#include "actors/bin/cli/text.hpp"

#include <algorithm>
#include <cstdio>

namespace banyan::cli {
namespace {

constexpr std::size_t voters_max = 7;             ///< of one group
constexpr std::size_t instances_named_max = 4096; ///< secrets are for

bool read_replica(const value& v, bool stateless, replica_ref& out) {
  bytes raw;
  return parse_id(v["node"].text(), out.node)
         && from_hex(v["replica"].text(), raw)
         && replica_id::from(raw, out.replica)
         && out.replica.is_none() == stateless;
}

std::string mebibytes(const value& bytes_read) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f MiB",
                static_cast<double>(bytes_read.uint()) / (1 << 20));
  return text;
}

} // namespace

bool read_prepared(const value& plan, prepared_app& out, bool stateless) {
  bytes nonce;
  if (!from_hex(plan["nonce"].text(), nonce) || nonce.size() != 16)
    return false;
  std::copy(nonce.begin(), nonce.end(), out.nonce.begin());
  const auto& shards = plan["voters"].items();
  if (shards.empty() || shards.size() > shards_max)
    return false;
  for (const auto& shard : shards) {
    auto& voters = out.voters.emplace_back();
    if (shard.items().empty()
        || shard.items().size()
               > (stateless ? instances_named_max : voters_max))
      return false;
    for (const auto& v : shard.items())
      if (!read_replica(v, stateless, voters.emplace_back()))
        return false;
  }
  return true;
}

bytes with_app(const_bytes answer, std::string_view id) {
  bytes out;
  reader r{answer};
  writer w{out};
  const auto n = r.map(r.left());
  w.map(n);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    const auto name = r.text(r.left());
    const auto content = r.raw();
    w.text(name);
    if (name == "app")
      w.text(id);
    else
      w.raw(content);
  }
  return r.done() ? out : answer.copy();
}

std::string verify_progress(const value& v) {
  return printable(v["state"].text() + ": group " + v["groups_read"].shown()
                   + " of " + v["groups"].shown() + ", " + v["rows"].shown()
                   + " rows, " + mebibytes(v["state_bytes"]) + " of state, "
                   + mebibytes(v["log_bytes"]) + " of log, "
                   + v["found"].shown() + " damaged, " + v["open"].shown()
                   + " to mend");
}

std::string verify_report(const value& v) {
  std::string out;
  table t{{"READ", v["rows"].shown() + " rows of "
                       + counted(v["groups"].uint(), "group") + ", "
                       + mebibytes(v["state_bytes"]) + " of state, "
                       + mebibytes(v["log_bytes"]) + " of log"}};
  t.row({"compared", "the states of "
                         + counted(v["digests_compared"].uint(), "group")
                         + " with other voters'"});
  const auto line = [&](const char* what, const char* found,
                        const char* mended) {
    t.row({what,
           v[found].shown() + " damaged, " + v[mended].shown() + " mended"});
  };
  line("rows", "rows_damaged", "rows_mended");
  line("states", "states_wrong", "states_rebuilt");
  line("logs", "logs_damaged", "logs_replaced");
  out += t.text();
  for (const auto& f : v["findings"].items())
    out += "\n" + printable(f.text());
  return out;
}

} // namespace banyan::cli
