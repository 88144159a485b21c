#include "store/virtual_disk.hpp"

#include "base/random.hpp"
#include "store/detail/document_front.hpp"
#include "store/detail/log_engine.hpp"
#include "store/detail/log_front.hpp"
#include "store/detail/memory_files.hpp"
#include "store/detail/virtual_state.hpp"
#include "store/detail/virtual_worker.hpp"

#include <algorithm>

namespace banyan::store {

struct virtual_disk::impl {
  impl(options h, schedule_function s, std::function<time_point()> n)
      : how{h}, schedule{std::move(s)}, now{std::move(n)}, random{h.seed} {}

  duration sync_time() {
    return random.between(how.sync_low, how.sync_high) + sync_delay;
  }
  duration read_time() { return random.between(how.read_low, how.read_high); }
  void end_instance() {
    *alive = false;
    alive = std::make_shared<bool>(false);
  }

  options how;
  schedule_function schedule;
  std::function<time_point()> now;
  seeded_random random;
  std::unique_ptr<detail::memory_files> files =
      std::make_unique<detail::memory_files>();
  /// Disks that were wiped under an instance that may still hold them.
  std::vector<std::unique_ptr<detail::memory_files>> old_files;
  detail::virtual_rows rows;
  duration sync_delay{0};
  detail::life alive = std::make_shared<bool>(false);
};

namespace {

using detail::life;

/// The real log engine; its write and its sync happen at different times.
class virtual_log final : public log {
public:
  virtual_log(std::shared_ptr<virtual_disk::impl> disk,
              std::unique_ptr<detail::log_engine> engine)
      : disk_{std::move(disk)}, engine_{std::move(engine)}, front_{disk_->now},
        alive_{disk_->alive} {
    more_ = engine_->tidy();
  }
  virtual_log(const virtual_log&) = delete;
  virtual_log& operator=(const virtual_log&) = delete;
  ~virtual_log() override {
    *mine_ = false;
    if (!*alive_)
      return;
    std::vector<log_done> done; // a clean stop writes what was submitted
    if (engine_->has_batch())
      engine_->finish(done);
    while (!queue_.empty()) {
      engine_->begin(queue_);
      if (engine_->has_batch())
        engine_->finish(done);
      engine_->tidy();
    }
  }

  void on_done(done_handler handler) override {
    front_.on_done(std::move(handler));
  }
  void submit(log_write write) override {
    const auto group = write.order.group;
    push(front_.stamp(std::move(write), group));
  }
  void cut(const group_id& group, const replica_id& replica,
           log_index index) override {
    push({detail::log_cut{group, replica, index}, 0});
  }
  void drop(order_id order) override {
    const auto group = order.group;
    push(front_.stamp(detail::log_drop{order}, group));
  }
  [[nodiscard]] time_point oldest_pending() const override {
    return front_.oldest_pending();
  }

private:
  void push(detail::log_order order) {
    queue_.push_back(std::move(order));
    if (!busy_)
      later(duration{0}, &virtual_log::begin);
    busy_ = true;
  }
  void later(duration d, void (virtual_log::*step)()) {
    disk_->schedule(d, [this, step, alive = alive_, mine = mine_] {
      if (*alive && *mine)
        (this->*step)();
    });
  }
  void begin() {
    engine_->begin(queue_);
    later(engine_->has_batch() ? disk_->sync_time() : duration{0},
          &virtual_log::finish);
  }
  void finish() {
    std::vector<log_done> done;
    if (engine_->has_batch())
      engine_->finish(done);
    more_ = engine_->tidy();
    busy_ = more_ || !queue_.empty();
    if (busy_)
      later(duration{0}, &virtual_log::begin);
    front_.deliver(done); // last: it may destroy this
  }

  std::shared_ptr<virtual_disk::impl> disk_;
  std::unique_ptr<detail::log_engine> engine_;
  detail::log_front front_;
  life alive_;
  life mine_ = std::make_shared<bool>(true);
  std::deque<detail::log_order> queue_;
  bool busy_ = false;
  bool more_ = false;
};

class virtual_documents final : public detail::document_front {
public:
  virtual_documents(std::shared_ptr<virtual_disk::impl> disk,
                    detail::document_file file)
      : document_front{file}, disk_{std::move(disk)}, file_{std::move(file)},
        worker_{disk_->schedule, disk_->alive} {}

  void put(std::vector<change> changes, done on_done) override {
    for (const auto& c : changes)
      BANYAN_ASSERT(c.kind != detail::damage_kind);
    worker_.push(
        [this] { return disk_->sync_time(); },
        [this, changes = std::move(changes), on_done = std::move(on_done)] {
          auto stored = write(changes);
          if (on_done)
            on_done(std::move(stored));
        });
  }

protected:
  result<void, store_error> store_now(std::vector<change> changes) override {
    BANYAN_ASSERT(worker_.idle());
    return write(changes);
  }

private:
  result<void, store_error> write(const std::vector<change>& changes) {
    auto stored = detail::check_changes(changes);
    if (stored)
      stored = file_.append(changes);
    if (stored)
      learn(changes);
    return stored;
  }

  std::shared_ptr<virtual_disk::impl> disk_;
  detail::document_file file_;
  detail::virtual_worker worker_;
};

/// Keeps the disk alive for as long as the state refers to it.
class owned_state final : public state {
public:
  explicit owned_state(const std::shared_ptr<virtual_disk::impl>& disk)
      : disk_{disk}, inner_{disk->rows,
                            disk->schedule,
                            disk->alive,
                            {[d = disk.get()] { return d->sync_time(); },
                             [d = disk.get()] { return d->read_time(); }}} {}

  void commit(std::vector<group_commit> batch, done on_done) override {
    inner_.commit(std::move(batch), std::move(on_done));
  }
  void read(const group_id& group, bytes key, read_done on_done) override {
    inner_.read(group, std::move(key), std::move(on_done));
  }
  void scan(const group_id& group, scan_request request,
            scan_done on_done) override {
    inner_.scan(group, std::move(request), std::move(on_done));
  }
  void stage_begin(order_id order, done on_done) override {
    inner_.stage_begin(order, std::move(on_done));
  }
  void stage_put(order_id order, std::vector<row_change> rows,
                 done on_done) override {
    inner_.stage_put(order, std::move(rows), std::move(on_done));
  }
  void stage_finish(order_id order, applied_meta meta, done on_done) override {
    inner_.stage_finish(order, std::move(meta), std::move(on_done));
  }
  void stage_abort(order_id order, done on_done) override {
    inner_.stage_abort(order, std::move(on_done));
  }
  void drop(order_id order, done on_done) override {
    inner_.drop(order, std::move(on_done));
  }

private:
  std::shared_ptr<virtual_disk::impl> disk_;
  detail::virtual_state inner_;
};

} // namespace

virtual_disk::virtual_disk(options how, schedule_function schedule,
                           std::function<time_point()> now)
    : impl_{std::make_shared<impl>(how, std::move(schedule), std::move(now))} {
}

virtual_disk::~virtual_disk() {
  impl_->end_instance();
}

disk virtual_disk::open() {
  auto& d = *impl_;
  d.end_instance();
  *d.alive = true;
  disk out;
  auto file =
      detail::document_file::open(*d.files, d.random, "documents", "aside");
  BANYAN_ASSERT(file.ok()); // memory fails only when told to
  out.documents = std::make_unique<virtual_documents>(impl_, std::move(*file));
  detail::log_options log_options;
  log_options.segment_bytes = d.how.segment_bytes;
  auto engine = detail::log_engine::open(*d.files, d.random, log_options,
                                         out.recovered_logs);
  BANYAN_ASSERT(engine.ok());
  out.log = std::make_unique<virtual_log>(impl_, std::move(*engine));
  out.state = std::make_unique<owned_state>(impl_);
  for (const auto& [id, g] : d.rows.groups)
    out.recovered_states.push_back({id, g.replica, g.meta, false});
  return out;
}

void virtual_disk::crash() {
  impl_->end_instance();
  impl_->files->crash(impl_->random);
}

void virtual_disk::kill() {
  impl_->end_instance();
  impl_->files->kill();
}

void virtual_disk::wipe() {
  impl_->end_instance();
  impl_->files->kill();
  impl_->old_files.push_back(std::move(impl_->files));
  impl_->files = std::make_unique<detail::memory_files>();
  impl_->rows = {};
}

void virtual_disk::set_sync_delay(duration more) {
  impl_->sync_delay = more;
}

void virtual_disk::set_full(bool full) {
  impl_->rows.full = full;
  impl_->files->set_quota(full ? impl_->files->used() : UINT64_MAX);
}

void virtual_disk::fail_next_sync() {
  impl_->files->fail_next_sync();
}

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
  auto end = b.size();
  while (end > 0 && b[end - 1] == 0)
    --end;
  if (end <= detail::segment_header_bytes)
    return false;
  const auto span = end - detail::segment_header_bytes;
  b[detail::segment_header_bytes + impl_->random.below(span)] ^=
      static_cast<std::uint8_t>(1U << impl_->random.below(8));
  return true;
}

bool virtual_disk::rot_row() {
  std::vector<detail::virtual_rows::stored*> all;
  for (auto& [id, g] : impl_->rows.groups)
    for (auto& [key, r] : g.rows)
      if (!r.rotten)
        all.push_back(&r);
  if (all.empty())
    return false;
  all[impl_->random.below(all.size())]->rotten = true;
  return true;
}

std::uint64_t virtual_disk::syncs() const {
  return impl_->files->syncs();
}

} // namespace banyan::store
