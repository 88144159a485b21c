#include "store/virtual_disk.hpp"

#include "store/detail/document_front.hpp"
#include "store/detail/log_front.hpp"
#include "store/detail/module_front.hpp"
#include "store/detail/virtual_disk_impl.hpp"

#include <algorithm>

namespace banyan::store {

namespace {

using detail::life;

/// The real log engine; its write and its sync happen at different times.
class virtual_log final : public log {
public:
  virtual_log(std::shared_ptr<virtual_disk::impl> disk,
              std::unique_ptr<detail::log_engine> engine)
      : disk_{std::move(disk)}, engine_{std::move(engine)}, front_{disk_->now},
        alive_{disk_->alive} {
    disk_->engine = engine_.get();
    more_ = engine_->tidy();
  }
  virtual_log(const virtual_log&) = delete;
  virtual_log& operator=(const virtual_log&) = delete;
  ~virtual_log() override {
    *mine_ = false;
    if (disk_->engine == engine_.get())
      disk_->engine = nullptr;
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
  void scrub(log_place from, std::size_t bytes_max,
             scrub_done on_done) override {
    scrubs_.push_back({from, bytes_max, std::move(on_done)});
    if (!busy_)
      later(disk_->read_time(), &virtual_log::begin);
    busy_ = true;
  }

private:
  struct scrub_order {
    log_place from;
    std::size_t bytes_max;
    scrub_done on_done;
  };
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
    if (!scrubs_.empty()) {
      const auto order = std::move(scrubs_.front());
      scrubs_.pop_front();
      const auto found = engine_->scrub(order.from, order.bytes_max);
      later(duration{0}, &virtual_log::begin);
      return order.on_done(found); // last: it may destroy this
    }
    engine_->begin(queue_);
    if (!*alive_)
      return;
    later(engine_->has_batch() ? disk_->sync_time() : duration{0},
          &virtual_log::finish);
  }
  void finish() {
    std::vector<log_done> done;
    if (engine_->has_batch())
      engine_->finish(done);
    more_ = engine_->tidy();
    if (!*alive_)
      return; // the power went meanwhile
    busy_ = more_ || !queue_.empty() || !scrubs_.empty();
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
  std::deque<scrub_order> scrubs_;
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
    worker_.push([this] { return disk_->sync_time(); },
                 [this, alive = disk_->alive, changes = std::move(changes),
                  on_done = std::move(on_done)] {
                   auto stored = write(changes);
                   if (on_done && *alive)
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

class virtual_aside final : public aside {
public:
  explicit virtual_aside(std::shared_ptr<virtual_disk::impl> disk)
      : disk_{std::move(disk)}, worker_{disk_->schedule, disk_->alive} {}

  void list(listed on_listed) override {
    worker_.push([this] { return disk_->read_time(); },
                 [this, on_listed = std::move(on_listed)] {
                   std::vector<item> out;
                   if (auto names = disk_->files->list("aside"))
                     for (auto& name : *names) {
                       const auto* b = disk_->files->content("aside/" + name);
                       out.push_back({name, b == nullptr ? 0 : b->size()});
                     }
                   for (const auto& [name, groups] : disk_->rows.aside)
                     out.push_back({name, groups.size()});
                   on_listed(std::move(out));
                 });
  }
  void drop(std::string name, done on_done) override {
    worker_.push([this] { return disk_->sync_time(); },
                 [this, name = std::move(name), on_done = std::move(on_done)] {
                   auto gone = result<void, store_error>{};
                   if (disk_->rows.aside.erase(name) == 0)
                     gone = disk_->files->remove("aside/" + name);
                   if (on_done)
                     on_done(std::move(gone));
                 });
  }

private:
  std::shared_ptr<virtual_disk::impl> disk_;
  detail::virtual_worker worker_;
};

class virtual_modules final : public detail::module_front {
public:
  virtual_modules(std::shared_ptr<virtual_disk::impl> disk,
                  std::shared_ptr<detail::module_files> files,
                  std::map<digest, held> found)
      : module_front{std::move(files), std::move(found)},
        disk_{std::move(disk)}, worker_{disk_->schedule, disk_->alive} {}

protected:
  void run(cost c, std::function<void()> work,
           std::function<void()> then) override {
    worker_.push(
        [this, c] {
          return c == cost::sync ? disk_->sync_time() : disk_->read_time();
        },
        [work = std::move(work), then = std::move(then), alive = disk_->alive] {
          work();
          if (*alive) // the power may have gone meanwhile
            then();
        });
  }

private:
  std::shared_ptr<virtual_disk::impl> disk_;
  detail::virtual_worker worker_;
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
  d.files->faults_wait(true); // this disk answers; what it answers may be bad
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
  d.files->faults_wait(false);
  out.log = std::make_unique<virtual_log>(impl_, std::move(*engine));
  detail::virtual_state::times times;
  times.sync = [&d] { return d.sync_time(); };
  times.read = [&d] { return d.read_time(); };
  times.change = [&d] { return d.files->other_change(); };
  if (d.how.check_high > duration{0})
    times.check = d.random.between(d.how.check_low, d.how.check_high);
  auto state = std::make_unique<detail::virtual_state>(
      impl_, d.rows, d.schedule, d.alive, std::move(times));
  out.recovered_states = state->opening().groups;
  out.state = std::move(state);
  out.aside = std::make_unique<virtual_aside>(impl_);
  auto modules = std::make_shared<detail::module_files>(*d.files, "modules");
  auto held = modules->look();
  BANYAN_ASSERT(held.ok());
  out.modules = std::make_unique<virtual_modules>(impl_, std::move(modules),
                                                  std::move(*held));
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
  impl_->put_in(std::make_unique<detail::memory_files>(), {});
}

void virtual_disk::crash_at_change(std::uint64_t n,
                                   std::function<void()> on_cut) {
  BANYAN_ASSERT(n > 0);
  impl_->files->cut_power_after(
      n,
      [d = impl_.get(), on_cut = std::move(on_cut)] { d->cut_power(on_cut); });
}

void virtual_disk::set_check_time(duration low, duration high) {
  impl_->how.check_low = low;
  impl_->how.check_high = high;
}

void virtual_disk::set_sync_delay(duration more) {
  impl_->sync_delay = more;
}

void virtual_disk::set_full(bool full) {
  impl_->rows.full = full;
  impl_->files->set_quota(full ? impl_->files->used() : UINT64_MAX);
}

void virtual_disk::refuse_writes(bool refuse) {
  impl_->files->refuse_writes(refuse);
}

void virtual_disk::fail_next_sync() {
  impl_->files->fail_next_sync();
}
void virtual_disk::fail_next_write() {
  impl_->files->fail_next_write();
}
void virtual_disk::fail_next_commit() {
  impl_->rows.failing_commits = 1;
}
void virtual_disk::fail_next_read() {
  impl_->rows.failing_reads = 1;
}
void virtual_disk::fail_nothing() {
  impl_->files->fail_nothing();
  impl_->rows.failing_commits = impl_->rows.failing_reads = 0;
}
void virtual_disk::misdirect_next_batch() {
  impl_->files->misdirect_next_write(".seg");
}
void virtual_disk::misdirect_next_row() {
  impl_->rows.misdirect = true;
}

class virtual_disk::image {
public:
  std::unique_ptr<detail::memory_files> files;
  detail::virtual_rows rows;
};

std::shared_ptr<const virtual_disk::image> virtual_disk::copy() const {
  auto out = std::make_shared<image>();
  out->files = impl_->files->copy();
  out->rows = impl_->rows;
  return out;
}

void virtual_disk::restore(const std::shared_ptr<const image>& old) {
  impl_->put_in(old->files->copy(), old->rows);
}

std::uint64_t virtual_disk::syncs() const {
  return impl_->files->syncs() + impl_->rows.commits;
}

std::uint64_t virtual_disk::changes() const {
  return impl_->files->changes();
}

void virtual_disk::on_state_commit(commit_observer f) {
  impl_->rows.on_commit = std::move(f);
}

std::optional<virtual_disk::synced_log>
virtual_disk::log_synced(const group_id& group) const {
  if (impl_->engine != nullptr) {
    const auto end = impl_->engine->synced_log(group);
    if (!end)
      return std::nullopt;
    return synced_log{end->replica, end->base, end->last};
  }
  const auto found = impl_->at_end.find(group);
  if (found == impl_->at_end.end())
    return std::nullopt;
  return found->second;
}

std::optional<digest> virtual_disk::log_hash(const group_id& group,
                                             log_index index) const {
  return impl_->engine == nullptr ? std::nullopt
                                  : impl_->engine->synced_hash(group, index);
}

std::optional<bool> virtual_disk::digest_holds(const group_id& group) const {
  const auto found = impl_->rows.groups.find(group);
  if (found == impl_->rows.groups.end() || found->second.rotten)
    return std::nullopt;
  const auto& rows = found->second.rows;
  return std::none_of(rows.begin(), rows.end(),
                      [](const auto& r) { return r.second.misnamed; })
         && detail::sum_of(found->second) == found->second.digest;
}

} // namespace banyan::store
