// Damage to what a simulated disk holds, as it happens at rest.
#include "store/detail/virtual_disk_impl.hpp"

namespace banyan::store {
namespace {

using detail::virtual_rows;

/// One bit of the `size` bytes from `from` on.
void flip(random_source& random, bytes& b, std::size_t from, std::size_t size) {
  b[from + random.below(size)] ^=
      static_cast<std::uint8_t>(1U << random.below(8));
}

std::size_t used_bytes(const bytes& b) {
  auto end = b.size();
  while (end > 0 && b[end - 1] == 0)
    --end;
  return end;
}

using place = std::pair<virtual_rows::group*, bytes>;
std::vector<place> rows_of(virtual_rows& all) {
  std::vector<place> out;
  for (auto& [id, g] : all.groups)
    for (auto& [key, r] : g.rows)
      if (!r.rotten && !r.misnamed)
        out.emplace_back(&g, key);
  return out;
}

} // namespace

bool virtual_disk::rot_log() {
  auto names = impl_->files->list("log");
  if (!names)
    return false;
  std::vector<bytes*> segments;
  for (const auto& name : *names)
    if (name.size() > 4 && name.substr(name.size() - 4) == ".seg")
      segments.push_back(impl_->files->content("log/" + name));
  if (segments.empty())
    return false;
  auto& b = *segments[impl_->random.below(segments.size())];
  const auto end = used_bytes(b);
  if (end <= detail::segment_header_bytes)
    return false;
  flip(impl_->random, b, detail::segment_header_bytes,
       end - detail::segment_header_bytes);
  return true;
}

bool virtual_disk::rot_log(const group_id& group) {
  if (impl_->engine == nullptr)
    return false;
  const auto places = impl_->engine->entry_places(group);
  if (places.empty())
    return false;
  const auto& one = places[impl_->random.below(places.size())];
  auto* b = impl_->files->content(one.path);
  BANYAN_ASSERT(b != nullptr && one.offset + one.bytes <= b->size());
  flip(impl_->random, *b, one.offset, one.bytes);
  return true;
}

bool virtual_disk::rot_documents() {
  auto* b = impl_->files->content("documents");
  if (b == nullptr)
    return false;
  const auto end = used_bytes(*b);
  if (end == 0)
    return false;
  flip(impl_->random, *b, 0, end);
  return true;
}

bool virtual_disk::rot_module() {
  const auto names = impl_->files->list("modules");
  if (!names || names->empty())
    return false;
  auto* b = impl_->files->content(
      "modules/" + (*names)[impl_->random.below(names->size())]);
  if (b->empty())
    return false;
  flip(impl_->random, *b, 0, b->size());
  return true;
}

bool virtual_disk::rot_row() {
  const auto all = rows_of(impl_->rows);
  if (all.empty())
    return false;
  const auto& [group, key] = all[impl_->random.below(all.size())];
  group->rows.at(key).rotten = true;
  return true;
}

bool virtual_disk::rot_row(const group_id& group, const_bytes key) {
  const auto found = impl_->rows.groups.find(group);
  if (found == impl_->rows.groups.end())
    return false;
  const auto at = found->second.rows.find(scan_key(key));
  if (at == found->second.rows.end())
    return false;
  at->second.rotten = true;
  return true;
}

bool virtual_disk::rot_key() {
  const auto all = rows_of(impl_->rows);
  if (all.empty())
    return false;
  const auto& [group, key] = all[impl_->random.below(all.size())];
  if (key.empty())
    return false;
  auto other = key;
  flip(impl_->random, other, 0, other.size());
  auto node = group->rows.extract(key);
  node.key() = other;
  node.mapped().misnamed = true;
  group->rows.erase(other); // two of one name: the table has one of them
  group->rows.insert(std::move(node));
  return true;
}

bool virtual_disk::lose_row() {
  const auto all = rows_of(impl_->rows);
  if (all.empty())
    return false;
  const auto& [group, key] = all[impl_->random.below(all.size())];
  group->rows.erase(key);
  return true;
}

bool virtual_disk::rot_meta() {
  auto& groups = impl_->rows.groups;
  if (groups.empty())
    return false;
  auto at = groups.begin();
  std::advance(at, impl_->random.below(groups.size()));
  return rot_meta(at->first);
}

/// What runs has read the meta at its start, and writes it anew with the next
/// commit.
bool virtual_disk::rot_meta(const group_id& group) {
  const auto found = impl_->rows.groups.find(group);
  if (found == impl_->rows.groups.end())
    return false;
  found->second.rotten = true;
  return true;
}

bool virtual_disk::rot_state() {
  if (impl_->rows.groups.empty())
    return false;
  impl_->rows.torn = true;
  return true;
}

} // namespace banyan::store
