#include "net/link/detail/lanes.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

constexpr std::size_t kept_capacity = 256 * 1024;
constexpr std::size_t bulk_credit_max = 4 * fragment_bytes_max;

void put_header(std::uint8_t* at, channel c, bool more, std::size_t size) {
  at[0] = static_cast<std::uint8_t>(c);
  at[1] = more ? fragment_more : 0;
  at[2] = static_cast<std::uint8_t>(size >> 8);
  at[3] = static_cast<std::uint8_t>(size & 0xFF);
}

} // namespace

lanes::lanes(const link_limits& limits) {
  queue(lane::control).max = limits.control_queue_max;
  queue(lane::request).max = limits.request_queue_max;
  queue(lane::bulk).max = limits.bulk_queue_max;
}

bytes& lanes::begin(channel c) {
  BANYAN_ASSERT(!open_);
  open_ = true;
  open_channel_ = c;
  auto& q = queue(lane_of(c));
  open_start_ = q.data.size();
  q.data.resize(open_start_ + fragment_header_bytes);
  return q.data;
}

result<void, send_errc> lanes::end() {
  BANYAN_ASSERT(open_);
  open_ = false;
  auto& q = queue(lane_of(open_channel_));
  BANYAN_ASSERT(q.data.size() >= open_start_ + fragment_header_bytes);
  const auto size = q.data.size() - open_start_ - fragment_header_bytes;
  if (size > frame_bytes_max) {
    q.data.resize(open_start_);
    return failure{send_errc::too_large};
  }
  if (q.size() > q.max && open_start_ != q.head) {
    q.data.resize(open_start_);
    q.refused = true;
    return failure{send_errc::overloaded};
  }
  if (size <= fragment_bytes_max)
    put_header(q.data.data() + open_start_, open_channel_, false, size);
  else
    split(q.data, open_start_, open_channel_);
  ++frames_;
  return {};
}

/// Makes room for the headers in between, from the last fragment backwards.
void lanes::split(bytes& data, std::size_t start, channel c) {
  const auto payload = start + fragment_header_bytes;
  const auto size = data.size() - payload;
  const auto last = (size - 1) / fragment_bytes_max;
  data.resize(data.size() + last * fragment_header_bytes);
  for (auto i = last + 1; i-- > 0;) {
    const auto from = i * fragment_bytes_max;
    const auto n = std::min(fragment_bytes_max, size - from);
    auto* const header =
        data.data() + start + i * (fragment_header_bytes + fragment_bytes_max);
    std::memmove(header + fragment_header_bytes, data.data() + payload + from,
                 n);
    put_header(header, c, i != last, n);
  }
}

std::size_t lanes::fragments::front() const noexcept {
  if (head == data.size())
    return 0;
  return fragment_header_bytes + (std::size_t{data[head + 2]} << 8)
         + data[head + 3];
}

void lanes::fragments::take(bytes& out, std::size_t n) {
  append(out, const_bytes{data}.from(head).first(n));
  head += n;
  if (head == data.size()) {
    if (data.capacity() > kept_capacity)
      bytes{}.swap(data);
    data.clear();
    head = 0;
  } else if (head > kept_capacity && head > data.size() / 2) {
    data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(head));
    head = 0;
  }
}

lanes::fragments* lanes::next() {
  auto& bulk = queue(lane::bulk);
  if (bulk.size() != 0 && bulk_credit_ >= bulk.front())
    return &bulk;
  for (auto& q : queues_) {
    if (q.size() != 0)
      return &q;
  }
  return nullptr;
}

void lanes::take(bytes& out, std::size_t room) {
  BANYAN_ASSERT(!open_);
  auto& bulk = queue(lane::bulk);
  std::size_t used = 0;
  while (auto* q = next()) {
    const auto n = q->front();
    if (used != 0 && used + n > room)
      return;
    q->take(out, n);
    used += n;
    if (q == &bulk)
      bulk_credit_ -= std::min(bulk_credit_, n);
    else if (bulk.size() != 0)
      bulk_credit_ = std::min(bulk_credit_ + n / 9 + 1, bulk_credit_max);
    if (bulk.size() == 0)
      bulk_credit_ = 0;
  }
}

bool lanes::empty() const noexcept {
  return std::all_of(queues_.begin(), queues_.end(),
                     [](const auto& q) { return q.size() == 0; });
}

bool lanes::became_writable(lane l) {
  auto& q = queue(l);
  if (!q.refused || q.size() > q.max / 2)
    return false;
  q.refused = false;
  return true;
}

bool lanes::any_refused() const noexcept {
  return std::any_of(queues_.begin(), queues_.end(),
                     [](const auto& q) { return q.refused; });
}

} // namespace banyan::net
