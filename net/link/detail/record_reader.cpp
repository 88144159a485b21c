#include "net/link/detail/record_reader.hpp"

#include <algorithm>

namespace banyan::net {
namespace {

bool is_known(channel c) noexcept {
  switch (c) {
  case channel::link:
  case channel::membership:
  case channel::beat:
  case channel::raft:
  case channel::group:
  case channel::relay:
  case channel::request:
  case channel::reply:
  case channel::outbox:
  case channel::bulk:
  case channel::module:
    return true;
  }
  return false;
}

std::size_t big_endian_16(const_bytes b) {
  return (std::size_t{b[0]} << 8) | b[1];
}

} // namespace

void frame_batch::reset(std::size_t plaintext) {
  frames_.clear();
  large_.clear();
  used_ = 0;
  if (arena_.size() < plaintext)
    arena_.resize(plaintext);
}

result<void, read_errc> record_reader::feed(const_bytes data,
                                            frame_batch& batch) {
  if (!partial_.empty()) {
    // First the header, then the body that it announces.
    const auto want = [this] {
      return partial_.size() < record_header_bytes
                 ? record_header_bytes
                 : record_header_bytes + big_endian_16(partial_);
    };
    while (!data.empty() && partial_.size() < want()) {
      const auto n = std::min(want() - partial_.size(), data.size());
      append(partial_, data.first(n));
      data = data.from(n);
    }
    if (partial_.size() < record_header_bytes || partial_.size() < want())
      return {};
    const auto opened =
        open(const_bytes{partial_}.from(record_header_bytes), batch);
    partial_.clear();
    if (!opened)
      return opened;
  }
  while (data.size() >= record_header_bytes) {
    const auto size = big_endian_16(data);
    if (size <= record_tag_bytes)
      return failure{read_errc::bad_record};
    if (data.size() < record_header_bytes + size)
      break;
    if (auto opened = open(data.from(record_header_bytes).first(size), batch);
        !opened)
      return opened;
    data = data.from(record_header_bytes + size);
  }
  append(partial_, data);
  return {};
}

result<void, read_errc> record_reader::open(const_bytes body,
                                            frame_batch& batch) {
  if (body.size() <= record_tag_bytes)
    return failure{read_errc::bad_record};
  BANYAN_ASSERT(batch.used_ + body.size() - record_tag_bytes
                <= batch.arena_.size());
  auto* const at = batch.arena_.data() + batch.used_;
  const auto opened = opener_.open(body, at);
  if (!opened)
    return failure{read_errc::bad_record};
  batch.used_ += *opened;
  return parse({at, *opened}, batch);
}

result<void, read_errc> record_reader::parse(const_bytes plaintext,
                                             frame_batch& batch) {
  while (!plaintext.empty()) {
    if (plaintext.size() < fragment_header_bytes)
      return failure{read_errc::bad_fragment};
    const auto c = static_cast<channel>(plaintext[0]);
    const auto flags = plaintext[1];
    const auto size = big_endian_16(plaintext.from(2));
    plaintext = plaintext.from(fragment_header_bytes);
    const bool more = flags == fragment_more;
    if ((flags != 0 && !more) || size > plaintext.size() || (more && size == 0))
      return failure{read_errc::bad_fragment};
    if (auto added = add(c, more, plaintext.first(size), batch); !added)
      return added;
    plaintext = plaintext.from(size);
  }
  return {};
}

result<void, read_errc> record_reader::add(channel c, bool more,
                                           const_bytes piece,
                                           frame_batch& batch) {
  if (role_ == link_role::client && c != channel::link && !client_may_use(c))
    return failure{read_errc::forbidden};
  auto& u = unfinished_[static_cast<std::size_t>(lane_of(c))];
  if (u.any && u.channel != c)
    return failure{read_errc::bad_fragment};
  if (!u.any && !more) {
    if (is_known(c))
      batch.frames_.push_back({c, piece});
    else
      ++unknown_;
    return {};
  }
  if (u.payload.size() + piece.size() > frame_bytes_max)
    return failure{read_errc::bad_fragment};
  u.any = true;
  u.channel = c;
  append(u.payload, piece);
  if (more)
    return {};
  u.any = false;
  if (is_known(c)) {
    batch.large_.push_back(std::move(u.payload));
    batch.frames_.push_back({c, batch.large_.back()});
  } else {
    ++unknown_;
  }
  u.payload = {};
  return {};
}

} // namespace banyan::net
