#include "store/detail/threaded_state.hpp"

#include <future>

namespace banyan::store::detail {
namespace {

/// Frees rows piece by piece while the store thread has nothing else to do.
void clean(const std::weak_ptr<threaded_state::opened>& in,
           worker_thread* worker) {
  if (const auto alive = in.lock();
      alive && alive->store && alive->store->clean_some())
    worker->push_idle([in, worker] { clean(in, worker); });
}

state_error closed(const threaded_state::opened& s) {
  return {s.opening.error->code, s.opening.error->message, {}, {}};
}

} // namespace

threaded_state::threaded_state(std::shared_ptr<worker_thread> worker,
                               post_function post)
    : worker_{std::move(worker)}, post_{std::make_shared<loop_poster>(
                                      std::move(post))} {
}

threaded_state::~threaded_state() {
  post_->retire();
  std::promise<void> closed;
  worker_->push([&] {
    state_.reset();
    closed.set_value();
  });
  closed.get_future().wait();
}

void threaded_state::push(std::function<void()> job) {
  if (opening_)
    worker_->push(std::move(job));
  else
    held_.push_back(std::move(job));
}

void threaded_state::open(std::function<opened()> how) {
  BANYAN_ASSERT(!opening_);
  opening_ = true;
  worker_->push([to = state_.get(), how = std::move(how)] {
    *to = how();
    BANYAN_ASSERT(to->store != nullptr || to->opening.error);
  });
  for (auto& job : held_)
    worker_->push(std::move(job));
  held_.clear();
  clean_later();
}

void threaded_state::on_open(open_handler handler) {
  push([in = state_.get(), post = post_, handler = std::move(handler)] {
    (*post)([opening = in->opening, handler] { handler(opening); });
  });
}

template <class Job, class Done>
void threaded_state::run(Job job, Done on_done) {
  push([in = state_.get(), post = post_, job = std::move(job),
        on_done = std::move(on_done)]() mutable {
    using given = decltype(job(*in->store));
    auto got = std::make_shared<given>(in->store ? job(*in->store)
                                                 : given{failure{closed(*in)}});
    if (on_done)
      (*post)([got = std::move(got), on_done = std::move(on_done)] {
        on_done(std::move(*got));
      });
  });
}

void threaded_state::clean_later() {
  if (!opening_)
    return;
  const std::weak_ptr<opened> in = state_;
  worker_->push_idle([in, worker = worker_.get()] { clean(in, worker); });
}

void threaded_state::commit(std::vector<group_commit> batch,
                            commit_done on_done) {
  push([in = state_.get(), post = post_, batch = std::move(batch),
        on_done = std::move(on_done)]() mutable {
    auto got = std::make_shared<commit_results>();
    if (in->store)
      *got = in->store->commit_each(batch);
    else
      got->assign(batch.size(), failure{closed(*in)});
    if (on_done)
      (*post)([got = std::move(got), on_done = std::move(on_done)] {
        on_done(std::move(*got));
      });
  });
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

void threaded_state::scrub(const group_id& group, bytes from,
                           std::size_t bytes_max, scrub_done on_done) {
  run([group, from = std::move(from),
       bytes_max](lmdb_store& s) { return s.scrub(group, from, bytes_max); },
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
                                  std::optional<state_digest> expected,
                                  finish_done on_done) {
  run([order, meta = std::move(meta), expected](
          lmdb_store& s) { return s.stage_finish(order, meta, expected); },
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
