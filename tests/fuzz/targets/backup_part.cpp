// What an opened part of a backup makes of a shard: pieces of one input, one
// after the other.
#include "actors/pure/backup/image.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace banyan::fuzz {
namespace {

const group_id group{app_id{std::array<std::uint8_t, 32>{1}}, 0};

bytes tagged_part(std::uint8_t kind, const bytes& payload) {
  bytes out{kind};
  append(out, payload);
  return out;
}

bytes with_size(const bytes& part) {
  bytes out{static_cast<std::uint8_t>(part.size()),
            static_cast<std::uint8_t>(part.size() >> 8)};
  append(out, part);
  return out;
}

void run(const_bytes in) {
  input i{in};
  backup::shard_image image{group};
  while (!i.empty())
    if (!image.add(i.take(i.u16())).empty())
      return;
  static_cast<void>(image.finish());
  static_cast<void>(image.size() + image.actors());
}

std::vector<bytes> seeds() {
  replica::snapshot_chunk c;
  c.applied = log_index{4};
  c.rows.push_back({replica::actor_row("alice"),
                    shared_bytes{to_bytes("state")}, log_index{3}});
  c.hash = replica::hash_rows(c.rows);
  replica::snapshot_entries e;
  replica::entry stop;
  stop.body = replica::stop_entry{true};
  e.entries.push_back({term{1}, log_index{5}, entry_kind::command,
                       shared_bytes{replica::encode(stop)}});
  e.meta.emplace();
  e.meta->index = log_index{5};
  e.meta->opaque = replica::encode(replica::meta_opaque{});
  e.digest.emplace();
  auto all = with_size(tagged_part(backup::part_rows, replica::encode(c)));
  const auto rows = all;
  append(all, with_size(tagged_part(backup::part_entries, replica::encode(e))));
  return {rows, all};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(backup_part)
