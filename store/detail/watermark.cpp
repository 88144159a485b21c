#include "store/detail/watermark.hpp"

#include "store/detail/checksum.hpp"

namespace banyan::store::detail {
namespace {
constexpr std::size_t slot_stride = 512;
constexpr std::size_t numbers_bytes = 16;
constexpr std::size_t slot_bytes = numbers_bytes + sizeof(checksum);
} // namespace

result<watermark, store_error>
watermark::open(file_system& files, const std::string& path, room needs) {
  auto f = files.open(path, true);
  if (!f)
    return failure{f.error()};
  auto size = (*f)->size();
  if (!size)
    return failure{size.error()};
  if (*size < 2 * slot_stride)
    if (auto done = (*f)->allocate(2 * slot_stride);
        !done
        && (needs == room::required || done.error().code != store_errc::full))
      return failure{done.error()};
  watermark out{std::move(*f)};
  if (auto loaded = out.load(); !loaded)
    return failure{loaded.error()};
  // What says that bytes were lost must not be lost itself while they are dealt
  // with.
  if (auto synced = out.file_->sync(); !synced)
    return failure{synced.error()};
  return out;
}

outcome watermark::load() {
  for (unsigned slot = 0; slot < 2; ++slot) {
    std::array<std::uint8_t, slot_bytes> b{};
    auto got = file_->read(slot * slot_stride, b.data(), b.size());
    if (!got)
      return failure{got.error()};
    const const_bytes numbers{b.data(), numbers_bytes};
    const auto sum = checksum_of({numbers});
    if (*got != b.size()
        || const_bytes{b}.from(numbers_bytes) != const_bytes{sum})
      continue;
    const mark m{get_le<8>(b.data()), get_le<8>(b.data() + 8)};
    if (last_ < m) {
      last_ = m;
      slot_ = 1 - slot;
    }
  }
  return {};
}

result<watermark::mark, store_error> watermark::read(file_system& files,
                                                     const std::string& path) {
  auto f = files.open(path, false);
  if (!f)
    return failure{f.error()};
  if (*f == nullptr)
    return mark{};
  watermark there{std::move(*f)};
  if (auto loaded = there.load(); !loaded)
    return failure{loaded.error()};
  return there.last();
}

void watermark::set(mark m) {
  std::array<std::uint8_t, slot_bytes> b{};
  put_le<8>(b.data(), m.number);
  put_le<8>(b.data() + 8, m.length);
  const auto sum = checksum_of({const_bytes{b.data(), numbers_bytes}});
  std::copy(sum.begin(), sum.end(), b.begin() + numbers_bytes);
  last_ = m;
  if (file_->write(slot_ * slot_stride, b).ok())
    slot_ = 1 - slot_;
}

} // namespace banyan::store::detail
