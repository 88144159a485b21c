#include "store/detail/module_front.hpp"

namespace banyan::store::detail {

void module_front::carry_out(
    cost c, order o,
    std::function<void(const result<void, store_error>&)> learn, done on_done) {
  const auto did = std::make_shared<result<void, store_error>>();
  run(
      c, [files = files_, o = std::move(o), did] { *did = o(*files); },
      [learn = std::move(learn), on_done = std::move(on_done), did] {
        learn(*did);
        if (on_done)
          on_done(std::move(*did)); // last: it may destroy the front
      });
}

void module_front::append(const digest& hash, std::uint64_t offset, bytes piece,
                          done on_done) {
  const auto end = offset + piece.size();
  carry_out(
      cost::write,
      [hash, offset, b = std::make_shared<bytes>(std::move(piece))](
          module_files& f) { return f.append(hash, offset, *b); },
      [this, hash, end](const result<void, store_error>& r) {
        if (r.ok())
          held_[hash] = {end, false};
      },
      std::move(on_done));
}

void module_front::finish(const digest& hash, done on_done) {
  carry_out(
      cost::sync, [hash](module_files& f) { return f.finish(hash); },
      [this, hash](const result<void, store_error>& r) {
        if (r.ok())
          held_[hash].whole = true;
        else if (r.error().code == store_errc::mismatch)
          held_.erase(hash);
      },
      std::move(on_done));
}

void module_front::check(const digest& hash, done on_done) {
  carry_out(
      cost::read, [hash](module_files& f) { return f.check(hash); },
      [this, hash](const result<void, store_error>& r) {
        if (!r.ok()
            && (r.error().code == store_errc::damaged
                || r.error().code == store_errc::stale))
          held_.erase(hash);
      },
      std::move(on_done));
}

void module_front::drop(const digest& hash, done on_done) {
  carry_out(
      cost::sync, [hash](module_files& f) { return f.drop(hash); },
      [this, hash](const result<void, store_error>& r) {
        if (r.ok())
          held_.erase(hash);
      },
      std::move(on_done));
}

void module_front::read(const digest& hash, std::uint64_t offset,
                        std::size_t size, read_done on_read) {
  const auto got = std::make_shared<result<bytes, store_error>>(bytes{});
  run(
      cost::read,
      [files = files_, hash, offset, size, got] {
        *got = files->read(hash, offset, size);
      },
      [on_read = std::move(on_read), got] { on_read(std::move(*got)); });
}

} // namespace banyan::store::detail
