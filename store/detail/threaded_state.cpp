#include "store/detail/threaded_state.hpp"

#include <future>

namespace banyan::store::detail {
namespace {

/// Frees rows piece by piece while the store thread has nothing else to do.
void clean(const std::weak_ptr<lmdb_store>& store, worker_thread* worker) {
  if (const auto alive = store.lock(); alive && alive->clean_some())
    worker->push_idle([store, worker] { clean(store, worker); });
}

} // namespace

threaded_state::threaded_state(std::unique_ptr<lmdb_store> store,
                               std::shared_ptr<worker_thread> worker,
                               post_function post)
    : store_{std::move(store)}, worker_{std::move(worker)},
      post_{std::make_shared<loop_poster>(std::move(post))} {
  clean_later();
}

threaded_state::~threaded_state() {
  post_->retire();
  std::promise<void> closed;
  worker_->push([&] {
    store_.reset();
    closed.set_value();
  });
  closed.get_future().wait();
}

template <class Job, class Done>
void threaded_state::run(Job job, Done on_done) {
  worker_->push([store = store_.get(), post = post_, job = std::move(job),
                 on_done = std::move(on_done)]() mutable {
    auto got = std::make_shared<decltype(job(*store))>(job(*store));
    if (on_done)
      (*post)([got = std::move(got), on_done = std::move(on_done)] {
        on_done(std::move(*got));
      });
  });
}

void threaded_state::clean_later() {
  const std::weak_ptr<lmdb_store> store = store_;
  worker_->push_idle([store, worker = worker_.get()] { clean(store, worker); });
}

void threaded_state::commit(std::vector<group_commit> batch, done on_done) {
  run([batch = std::move(batch)](lmdb_store& s) { return s.commit(batch); },
      std::move(on_done));
}

void threaded_state::read(const group_id& group, bytes key, read_done on_done) {
  run([group,
       key = std::move(key)](lmdb_store& s) { return s.read(group, key); },
      std::move(on_done));
}

void threaded_state::scan(const group_id& group, scan_request request,
                          scan_done on_done) {
  run([group, request = std::move(request)](
          lmdb_store& s) { return s.scan(group, request); },
      std::move(on_done));
}

void threaded_state::stage_begin(order_id order, done on_done) {
  run([order](lmdb_store& s) { return s.stage_begin(order); },
      std::move(on_done));
  clean_later();
}

void threaded_state::stage_put(order_id order, std::vector<row_change> rows,
                               done on_done) {
  run([order, rows = std::move(rows)](
          lmdb_store& s) { return s.stage_put(order, rows); },
      std::move(on_done));
}

void threaded_state::stage_finish(order_id order, applied_meta meta,
                                  done on_done) {
  run([order, meta = std::move(meta)](
          lmdb_store& s) { return s.stage_finish(order, meta); },
      std::move(on_done));
  clean_later();
}

void threaded_state::stage_abort(order_id order, done on_done) {
  run([order](lmdb_store& s) { return s.stage_abort(order); },
      std::move(on_done));
  clean_later();
}

void threaded_state::drop(order_id order, done on_done) {
  run([order](lmdb_store& s) { return s.drop(order); }, std::move(on_done));
  clean_later();
}

} // namespace banyan::store::detail
