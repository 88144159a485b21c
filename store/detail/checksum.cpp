#include "store/detail/checksum.hpp"

#include "crypto/hash.hpp"
#include "store/log.hpp"

namespace banyan::store {

digest chain_hash(const digest& previous, const log_entry& entry) {
  std::array<std::uint8_t, 17> head{};
  detail::put_le<8>(head.data(), entry.term.value());
  detail::put_le<8>(head.data() + 8, entry.index.value());
  head[16] = static_cast<std::uint8_t>(entry.kind);
  hasher h;
  h.update(previous.view()).update(head).update(entry.data.view());
  return h.finish();
}

namespace detail {

checksum checksum_of(std::initializer_list<const_bytes> parts) {
  hasher h;
  for (const auto part : parts)
    h.update(part);
  const auto full = h.finish();
  checksum out{};
  std::copy_n(full.view().begin(), out.size(), out.begin());
  return out;
}

} // namespace detail
} // namespace banyan::store
