// Groups that are closed: of apps that are being restored, or that were removed
// and whose data is kept for 7 days of this peer's running time.
#include "actors/node/names.hpp"
#include "actors/node/supervisor.hpp"
#include "base/codec.hpp"

#include <caf/all.hpp>

namespace banyan::actors {
namespace {

constexpr duration drop_retry = 200ms;

bytes app_name_of(const app_id& id) {
  return id.view().copy();
}

} // namespace

bool group_supervisor::closed(const group_id& g) const {
  const auto at = apps_.find(g.app);
  return at == apps_.end() || at->second.deleted
         || !at->second.version.spec.restoring.empty()
         || ctx_.lineage_conflicts.count(g) != 0;
}

void group_supervisor::refresh_closed(const app_record& a) {
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s)
    ctx_.tell_replica({a.id, s}, closing_in{closed({a.id, s})});
}

/// Not another one that bore its name.
void group_supervisor::forget_removed(const app_record& a) {
  if (const auto at = ctx_.removed.find(a.genesis.name);
      at != ctx_.removed.end() && at->second.id == a.id)
    ctx_.removed.erase(at);
}

/// It is an app again, or one still: its replicas here go on where they are.
void group_supervisor::reopen(const app_record& a) {
  forget_removed(a);
  // The next removal has seven days of its own.
  if (ctx_.disk.documents->find(
          static_cast<std::uint8_t>(document_kind::removed), a.id.view()))
    put_documents(
        {document(document_kind::removed, app_name_of(a.id), std::nullopt)},
        nullptr);
  refresh_closed(a);
}

duration group_supervisor::kept_for(const app_id& app) const {
  const auto found = ctx_.disk.documents->find(
      static_cast<std::uint8_t>(document_kind::removed), app.view());
  if (!found)
    return {};
  reader r{found->view()};
  const auto ms = r.uint(std::uint64_t{1} << 40);
  return std::chrono::milliseconds{static_cast<std::int64_t>(ms)};
}

bool group_supervisor::is_over(const app_id& app) const {
  return ctx_.settings.removed.over(kept_for(app));
}

void group_supervisor::count_removed(time_point now) {
  if (removed_counted_at_ == never)
    removed_counted_at_ = now;
  const auto& keep = ctx_.settings.removed;
  const auto passed = now - removed_counted_at_;
  if (passed < keep.step())
    return;
  removed_counted_at_ = now;
  for (const auto& [id, a] : apps_) {
    if (!a.deleted)
      continue;
    const auto before = kept_for(id);
    if (keep.over(before))
      continue;
    // From its first count on: what passed before the removal is not of it.
    const bool begun =
        ctx_.disk.documents
            ->find(static_cast<std::uint8_t>(document_kind::removed), id.view())
            .has_value();
    const auto kept = begun ? keep.counted(before, passed) : duration{};
    bytes content;
    writer{content}.uint(static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(kept).count()));
    put_documents(
        {document(document_kind::removed, app_name_of(id), std::move(content))},
        nullptr);
    if (const auto at = ctx_.removed.find(a.genesis.name);
        at != ctx_.removed.end() && at->second.id == id)
      at->second.left = keep.left(kept);
    if (keep.over(kept))
      drop_data(a);
  }
}

void group_supervisor::drop_data(const app_record& a) {
  ctx_.log(log_level::info, "the data of the removed app " + a.genesis.name
                                + " was kept for 7 days and is dropped");
  forget_removed(a);
  forget_base(a.id);
  for (std::uint32_t s = 0; s < a.genesis.shards(); ++s) {
    const group_id g{a.id, s};
    if (replicas_.count(g) != 0) {
      forget_replica(g);
      continue;
    }
    const auto name = shard_name(a.id.view(), s);
    const auto id =
        read_replica(*ctx_.disk.documents, document_kind::replica, name);
    if (!id)
      continue;
    ctx_.disk.state->drop({g, *id, {}, 0},
                          [](const result<void, store::state_error>&) {});
    drops_[g] = {*id, drop_retry};
    drop_log(g, *id);
    put_documents({document(document_kind::replica, name, std::nullopt)},
                  nullptr);
  }
}

} // namespace banyan::actors
