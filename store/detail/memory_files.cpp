#include "store/detail/memory_files.hpp"

#include <algorithm>

namespace banyan::store::detail {
namespace {
constexpr std::size_t sector_bytes = 512;

store_error no_space(const std::string& path) {
  return {store_errc::full, "write to " + path + ": no space left"};
}
} // namespace

struct memory_files::inode {
  struct write {
    std::uint64_t offset;
    bytes before; ///< may be shorter than `after` at the old end
    bytes after;
  };
  bytes content;
  std::vector<write> unsynced;

  void put(std::uint64_t offset, const_bytes b) {
    if (content.size() < offset + b.size())
      content.resize(offset + b.size());
    std::copy(b.begin(), b.end(),
              content.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void crash(random_source& random) {
    for (auto w = unsynced.rbegin(); w != unsynced.rend(); ++w)
      put(w->offset, w->before);
    for (const auto& w : unsynced)
      keep_part(w, random);
    unsynced.clear();
  }

  void keep_part(const write& w, random_source& random) {
    const auto choice = random.below(4);
    const const_bytes all{w.after};
    if (choice == 0)
      return;
    if (choice == 1)
      return put(w.offset, all);
    if (choice == 2)
      return put(w.offset, all.first(random.below(all.size() + 1)));
    for (std::size_t at = 0; at < all.size(); at += sector_bytes)
      if (random.below(2) == 0)
        put(w.offset + at,
            all.from(at).first(std::min(sector_bytes, all.size() - at)));
  }
};

class memory_files::handle final : public file {
public:
  handle(memory_files& owner, std::shared_ptr<inode> node, std::string path)
      : owner_{owner}, node_{std::move(node)}, path_{std::move(path)},
        life_{owner.life_} {}

  outcome write(std::uint64_t offset, const_bytes b) override {
    if (auto alive = check_change(); !alive)
      return alive;
    if (!owner_.faults_wait_ && std::exchange(owner_.fail_write_, false))
      return failure{store_error{store_errc::io, "write to " + path_}};
    if (!owner_.faults_wait_ && !owner_.misdirect_.empty()
        && path_.find(owner_.misdirect_) != std::string::npos)
      offset = elsewhere(offset, b.size());
    const auto end = offset + b.size();
    const auto more =
        end > node_->content.size() ? end - node_->content.size() : 0;
    if (owner_.refuse_writes_ || owner_.used() + more > owner_.quota_)
      return failure{no_space(path_)};
    const auto size = node_->content.size();
    inode::write w{offset, {}, b.copy()};
    if (offset < size) {
      const auto from =
          node_->content.begin() + static_cast<std::ptrdiff_t>(offset);
      w.before.assign(
          from, from
                    + static_cast<std::ptrdiff_t>(
                        std::min<std::uint64_t>(b.size(), size - offset)));
    }
    w.before.resize(b.size()); // what lay past the end reads as zero
    node_->put(offset, b);
    node_->unsynced.push_back(std::move(w));
    return {};
  }

  result<std::size_t, store_error> read(std::uint64_t offset, std::uint8_t* out,
                                        std::size_t size) override {
    if (auto alive = check(); !alive)
      return failure{alive.error()};
    if (offset >= node_->content.size())
      return std::size_t{0};
    const auto n =
        std::min<std::uint64_t>(size, node_->content.size() - offset);
    std::copy_n(node_->content.begin() + static_cast<std::ptrdiff_t>(offset), n,
                out);
    return static_cast<std::size_t>(n);
  }

  outcome sync() override {
    if (auto alive = check_change(); !alive)
      return alive;
    if (!owner_.faults_wait_ && std::exchange(owner_.fail_sync_, false))
      return failure{store_error{store_errc::io, "sync " + path_}};
    ++owner_.syncs_;
    node_->unsynced.clear();
    return {};
  }

  outcome allocate(std::uint64_t size) override {
    if (auto alive = check_change(); !alive)
      return alive;
    if (size <= node_->content.size())
      return {};
    if (owner_.used() + size - node_->content.size() > owner_.quota_)
      return failure{no_space(path_)};
    node_->content.resize(size);
    return {};
  }

  outcome truncate(std::uint64_t size) override {
    if (auto alive = check(); !alive)
      return alive;
    node_->content.resize(size);
    node_->unsynced.clear();
    return {};
  }

  result<std::uint64_t, store_error> size() override {
    if (auto alive = check(); !alive)
      return failure{alive.error()};
    return static_cast<std::uint64_t>(node_->content.size());
  }

private:
  /// Another place for a write of `size` bytes, inside of what there is.
  std::uint64_t elsewhere(std::uint64_t offset, std::uint64_t size) {
    const auto room = node_->content.size();
    if (room < size + sector_bytes)
      return offset;
    owner_.misdirect_.clear();
    const auto places = (room - size) / sector_bytes + 1;
    const auto at = owner_.astray_.below(places) * sector_bytes;
    return at == offset ? (at == 0 ? sector_bytes : at - sector_bytes) : at;
  }
  outcome check_change() {
    if (auto alive = check(); !alive)
      return alive;
    return owner_.change();
  }
  outcome check() const {
    if (life_ != owner_.life_)
      return failure{store_error{store_errc::io, path_ + ": power was cut"}};
    return {};
  }

  memory_files& owner_;
  std::shared_ptr<inode> node_;
  std::string path_;
  std::uint64_t life_;
};

outcome memory_files::change() {
  ++changes_;
  if (faults_wait_)
    return {};
  if (changes_left_ != UINT64_MAX && changes_left_ > 0 && --changes_left_ == 0)
    if (const auto tell = std::exchange(on_cut_, nullptr))
      tell();
  if (changes_left_ == 0)
    return failure{store_error{store_errc::io, "power was cut"}};
  return {};
}

memory_files::memory_files() = default;
memory_files::~memory_files() = default;

result<std::unique_ptr<file>, store_error>
memory_files::open(const std::string& path, bool create) {
  auto found = names_.find(path);
  if (found == names_.end() && !create)
    return std::unique_ptr<file>{};
  if (found == names_.end()) {
    if (auto done = change(); !done)
      return failure{done.error()};
    undo_.push_back(names_);
    found = names_.emplace(path, std::make_shared<inode>()).first;
  }
  return std::unique_ptr<file>{
      std::make_unique<handle>(*this, found->second, path)};
}

result<std::vector<std::string>, store_error>
memory_files::list(const std::string& folder) {
  const auto prefix = folder.empty() ? folder : folder + "/";
  std::vector<std::string> out;
  for (const auto& [path, node] : names_)
    if (path.size() > prefix.size()
        && path.compare(0, prefix.size(), prefix) == 0)
      out.push_back(path.substr(prefix.size()));
  return out;
}

outcome memory_files::rename(const std::string& from, const std::string& to) {
  const auto found = names_.find(from);
  if (found == names_.end())
    return failure{store_error{store_errc::io, "rename " + from}};
  if (auto done = change(); !done)
    return done;
  undo_.push_back(names_);
  auto node = found->second;
  names_.erase(found);
  names_[to] = std::move(node);
  return {};
}

outcome memory_files::remove(const std::string& path) {
  if (names_.count(path) != 0) {
    if (auto done = change(); !done)
      return done;
    undo_.push_back(names_);
    names_.erase(path);
  }
  return {};
}

outcome memory_files::sync_folder(const std::string& /*folder*/) {
  if (auto done = change(); !done)
    return done;
  undo_.clear();
  return {};
}

outcome memory_files::make_folder(const std::string& /*folder*/) {
  return {};
}

std::string memory_files::describe(const std::string& path) const {
  return path;
}

void memory_files::crash(random_source& random) {
  ++life_;
  changes_left_ = UINT64_MAX;
  on_cut_ = nullptr;
  const auto kept = random.below(undo_.size() + 1);
  if (kept < undo_.size())
    names_ = undo_[kept];
  undo_.clear();
  for (auto& [path, node] : names_)
    node->crash(random);
}

void memory_files::kill() {
  ++life_;
  changes_left_ = UINT64_MAX;
  on_cut_ = nullptr;
}

std::unique_ptr<memory_files> memory_files::copy() const {
  auto out = std::make_unique<memory_files>();
  for (const auto& [path, node] : names_) {
    auto fresh = std::make_shared<inode>();
    fresh->content = node->content;
    out->names_.emplace(path, std::move(fresh));
  }
  return out;
}

std::uint64_t memory_files::used() const {
  std::uint64_t sum = 0;
  for (const auto& [path, node] : names_)
    sum += node->content.size();
  return sum;
}

bytes* memory_files::content(const std::string& path) {
  const auto found = names_.find(path);
  return found == names_.end() ? nullptr : &found->second->content;
}

} // namespace banyan::store::detail
