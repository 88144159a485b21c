#include "store/detail/threaded_documents.hpp"

namespace banyan::store::detail {

result<std::unique_ptr<threaded_documents>, store_error>
threaded_documents::open(std::unique_ptr<file_system> files,
                         std::unique_ptr<random_source> random,
                         std::string path, std::string aside,
                         std::shared_ptr<worker_thread> worker,
                         post_function post) {
  auto w = std::make_shared<writing>();
  w->files = std::move(files);
  w->random = std::move(random);
  auto file = document_file::open(*w->files, *w->random, std::move(path),
                                  std::move(aside));
  if (!file)
    return failure{file.error()};
  w->file = std::make_unique<document_file>(std::move(*file));
  return std::unique_ptr<threaded_documents>{
      new threaded_documents{std::move(w), std::move(worker), std::move(post)}};
}

threaded_documents::threaded_documents(std::shared_ptr<writing> w,
                                       std::shared_ptr<worker_thread> worker,
                                       post_function post)
    : document_front{*w->file}, writing_{std::move(w)},
      worker_{std::move(worker)}, post_{std::make_shared<loop_poster>(
                                      std::move(post))} {
}

threaded_documents::~threaded_documents() {
  post_->retire();
}

void threaded_documents::put(std::vector<change> changes, done on_done) {
  for (const auto& c : changes)
    BANYAN_ASSERT(c.kind != damage_kind);
  ++waiting_;
  worker_->push([this, w = writing_, post = post_, changes = std::move(changes),
                 on_done = std::move(on_done)]() mutable {
    auto stored = check_changes(changes);
    if (stored)
      stored = w->file->append(changes);
    (*post)([this, stored = std::move(stored), changes = std::move(changes),
             on_done = std::move(on_done)] {
      --waiting_;
      if (stored)
        learn(changes);
      if (on_done)
        on_done(stored);
    });
  });
}

result<void, store_error>
threaded_documents::store_now(std::vector<change> changes) {
  BANYAN_ASSERT(waiting_ == 0);
  auto stored = check_changes(changes);
  if (stored)
    stored = writing_->file->append(changes);
  if (stored)
    learn(changes);
  return stored;
}

} // namespace banyan::store::detail
