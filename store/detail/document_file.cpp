#include "store/detail/document_file.hpp"

#include "base/codec.hpp"
#include "store/detail/checksum.hpp"

#include <algorithm>

namespace banyan::store::detail {
namespace {

constexpr std::size_t sector = 512;
constexpr std::string_view file_magic = "BANYDOC1";
constexpr std::string_view record_magic = "DOCR";
constexpr std::size_t record_head = 48;
constexpr std::size_t header_checked = sector - sizeof(checksum);
/// Kept allocated behind the end, so that a node can still raise its
/// incarnation on a full disk.
constexpr std::uint64_t spare_bytes = std::uint64_t{256} << 10;
constexpr std::uint64_t rewrite_above = std::uint64_t{256} << 10;
constexpr std::size_t changes_max = 100'000;

std::uint64_t cost(const bytes& name, std::size_t content) {
  return name.size() + content + sector;
}

void encode(bytes& out, const std::vector<documents::change>& changes) {
  writer w{out};
  w.array(changes.size());
  for (const auto& c : changes) {
    w.array(3).uint(c.kind).blob(c.name);
    if (c.content)
      w.blob(*c.content);
    else
      w.nil();
  }
}

bool decode(reader& r, std::vector<documents::change>& out) {
  const auto n = r.array(changes_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    documents::change c;
    r.require(r.array(3) == 3);
    c.kind = static_cast<std::uint8_t>(r.uint(255));
    c.name = r.blob(documents::name_bytes_max).copy();
    if (r.peek() == reader::kind::nil)
      r.nil();
    else
      c.content = r.blob(documents::content_bytes_max).copy();
    out.push_back(std::move(c));
  }
  return r.ok();
}

struct file_header {
  std::uint64_t number = 0;
  std::uint64_t length = 0;
  std::array<std::uint8_t, 16> salt{};
};

bytes encode(const file_header& h) {
  bytes out(sector);
  std::copy(file_magic.begin(), file_magic.end(), out.begin());
  put_le<8>(out.data() + 8, h.number);
  put_le<8>(out.data() + 16, h.length);
  std::copy(h.salt.begin(), h.salt.end(), out.begin() + 24);
  const auto sum = checksum_of({const_bytes{out}.first(header_checked)});
  std::copy(sum.begin(), sum.end(), out.begin() + header_checked);
  return out;
}

bool decode(const_bytes all, file_header& h) {
  if (all.size() < sector
      || all.first(file_magic.size()) != as_bytes(file_magic))
    return false;
  const auto sum = checksum_of({all.first(header_checked)});
  if (all.first(sector).from(header_checked) != const_bytes{sum})
    return false;
  h.number = get_le<8>(all.data() + 8);
  h.length = get_le<8>(all.data() + 16);
  std::copy_n(all.data() + 24, h.salt.size(), h.salt.begin());
  return true;
}

} // namespace

outcome check_changes(const std::vector<documents::change>& changes) {
  bool fits = changes.size() <= changes_max;
  std::size_t sum = 0;
  for (const auto& c : changes) {
    fits = fits && c.name.size() <= documents::name_bytes_max
           && (!c.content || c.content->size() <= documents::content_bytes_max);
    sum += c.name.size() + (c.content ? c.content->size() : 0);
  }
  if (!fits || sum > 2 * documents::content_bytes_max)
    return failure{store_error{store_errc::too_large,
                               "a document is over the size limit"}};
  return {};
}

document_file::document_file(file_system& files, random_source& random,
                             std::string path, std::string aside,
                             watermark synced)
    : files_{&files}, random_{&random}, path_{std::move(path)},
      aside_{std::move(aside)}, synced_{std::move(synced)} {
}

result<document_file, store_error> document_file::open(file_system& files,
                                                       random_source& random,
                                                       std::string path,
                                                       std::string aside) {
  auto mark =
      watermark::open(files, path + ".synced", watermark::room::required);
  if (!mark)
    return failure{mark.error()};
  document_file out{files, random, std::move(path), std::move(aside),
                    std::move(*mark)};
  bool damaged = false;
  if (auto loaded = out.load(damaged); !loaded)
    return failure{loaded.error()};
  if (damaged) {
    if (auto kept = out.keep_aside(); !kept)
      return failure{kept.error()};
    out.apply({damage_kind, to_bytes("damaged"), bytes{1}});
  }
  if (damaged || out.file_ == nullptr)
    if (auto made = out.rewrite(); !made)
      return failure{made.error()};
  return out;
}

outcome document_file::load(bool& damaged) {
  const auto mark = synced_.last();
  auto f = files_->open(path_, false);
  if (!f)
    return failure{f.error()};
  if (*f == nullptr) { // a new node, or the file is lost
    damaged = mark.number > 0;
    number_ = mark.number;
    return {};
  }
  auto all = read_all(**f);
  if (!all)
    return failure{all.error()};
  file_header header;
  if (!decode(*all, header)) {
    damaged = true; // it was synced before it got its name
    number_ = mark.number;
    return {};
  }
  salt_ = header.salt;
  number_ = std::max(header.number, mark.number);
  auto synced = header.length;
  if (mark.number == header.number)
    synced = std::max(synced, mark.length);
  damaged = mark.number > header.number;
  std::uint64_t offset = sector;
  while (offset < all->size()) {
    std::vector<documents::change> changes;
    if (const auto size = record_at(*all, offset, changes); size > 0) {
      for (const auto& c : changes)
        apply(c);
      offset += size;
      continue;
    }
    auto next = offset + sector;
    while (next < all->size() && record_at(*all, next, changes) == 0)
      next += sector;
    if (next >= all->size())
      break;
    damaged = true; // a later record proves that this one was synced
    offset = next;
  }
  damaged = damaged || offset < synced;
  if (damaged)
    return {};
  end_ = offset;
  file_ = std::move(*f);
  // The last record may have been written but not synced: now it counts.
  if (auto done = file_->sync(); !done)
    return done;
  synced_.set({number_, end_});
  return {};
}

/// Bytes of the whole record at `offset`, or zero.
std::uint64_t
document_file::record_at(const_bytes all, std::uint64_t offset,
                         std::vector<documents::change>& out) const {
  const auto b = all.from(static_cast<std::size_t>(offset));
  if (b.size() < record_head
      || b.first(record_magic.size()) != as_bytes(record_magic))
    return 0;
  const auto size = get_le<4>(b.data() + 4) * sector;
  if (size == 0 || size > b.size() || get_le<8>(b.data() + 8) != offset)
    return 0;
  const auto whole = b.first(static_cast<std::size_t>(size));
  const auto sum =
      checksum_of({salt_, whole.first(32), whole.from(record_head)});
  if (whole.from(32).first(sum.size()) != const_bytes{sum})
    return 0;
  reader r{whole.from(record_head)};
  std::vector<documents::change> changes;
  if (!decode(r, changes))
    return 0;
  out = std::move(changes);
  return size;
}

bytes document_file::seal(bytes record, std::uint64_t offset) const {
  record.resize((record.size() + sector - 1) / sector * sector);
  std::copy(record_magic.begin(), record_magic.end(), record.begin());
  put_le<4>(record.data() + 4, record.size() / sector);
  put_le<8>(record.data() + 8, offset);
  const const_bytes whole{record};
  const auto sum =
      checksum_of({salt_, whole.first(32), whole.from(record_head)});
  std::copy(sum.begin(), sum.end(), record.begin() + 32);
  return record;
}

void document_file::apply(const documents::change& c) {
  auto key = std::make_pair(c.kind, c.name);
  if (const auto found = content_.find(key); found != content_.end()) {
    live_bytes_ -= cost(c.name, found->second.size());
    content_.erase(found);
  }
  if (c.content) {
    live_bytes_ += cost(c.name, c.content->size());
    content_.emplace(std::move(key), shared_bytes{*c.content});
  }
}

outcome document_file::append(const std::vector<documents::change>& changes) {
  if (failed_)
    return failure{store_error{store_errc::io, path_ + " failed before"}};
  bytes record(record_head);
  encode(record, changes);
  record = seal(std::move(record), end_);
  if (auto written = file_->write(end_, record); !written) {
    if (written.error().code == store_errc::full)
      (void)file_->write(end_, bytes(sector)); // never found whole later
    else
      failed_ = true;
    return written;
  }
  if (auto synced = file_->sync(); !synced) {
    failed_ = true;
    return synced;
  }
  end_ += record.size();
  synced_.set({number_, end_});
  for (const auto& c : changes)
    apply(c);
  const bool long_enough = end_ > rewrite_above && end_ / 2 > live_bytes_;
  if (!long_enough || !rewrite()) // full: later; the old file is still good
    (void)file_->allocate(end_ + spare_bytes);
  return {};
}

/// A new file with what is live takes the place of the old one.
outcome document_file::rewrite() {
  const auto fresh_path = path_ + ".new";
  if (auto gone = files_->remove(fresh_path); !gone)
    return gone;
  auto fresh = files_->open(fresh_path, true);
  if (!fresh)
    return failure{fresh.error()};
  const auto old_salt = salt_;
  salt_ = random_->array<16>();
  bytes all(sector);
  for (const auto& [key, content] : content_) {
    bytes record(record_head);
    encode(record, {{key.first, key.second, content.view().copy()}});
    banyan::append(all, seal(std::move(record), all.size()));
  }
  const auto header = encode(file_header{number_ + 1, all.size(), salt_});
  std::copy(header.begin(), header.end(), all.begin());
  auto done = (*fresh)->write(0, all);
  if (done)
    done = (*fresh)->sync();
  if (done)
    done = files_->rename(fresh_path, path_);
  if (!done) {
    salt_ = old_salt;
    (void)files_->remove(fresh_path);
    return done;
  }
  file_ = std::move(*fresh);
  ++number_;
  end_ = all.size();
  if (auto synced = files_->sync_folder(""); !synced) {
    failed_ = true;
    return synced;
  }
  synced_.set({number_, end_});
  (void)file_->allocate(end_ + spare_bytes);
  return {};
}

outcome document_file::keep_aside() {
  if (auto made = files_->make_folder(aside_); !made)
    return made;
  auto old = files_->open(path_, false);
  if (!old)
    return failure{old.error()};
  if (*old == nullptr)
    return {};
  auto names = files_->list(aside_);
  if (!names)
    return failure{names.error()};
  const auto kept = aside_ + "/" + path_ + "-" + std::to_string(names->size());
  auto all = read_all(**old);
  if (!all)
    return failure{all.error()};
  // A copy: the old name stays until the rewritten file takes it.
  auto copy = files_->open(kept, true);
  if (!copy)
    return failure{copy.error()};
  if (auto written = (*copy)->write(0, *all); !written)
    return written;
  if (auto synced = (*copy)->sync(); !synced)
    return synced;
  return files_->sync_folder(aside_);
}

} // namespace banyan::store::detail
