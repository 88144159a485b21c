#include "actors/host/host_frame.hpp"

#include "base/codec.hpp"
#include "base/endian.hpp"

#include <banyan/detail/codec.hpp>

namespace banyan {
namespace {

constexpr std::size_t head_bytes = 5;
constexpr std::size_t run_head_bytes = 10;
constexpr std::size_t name_bytes_max = 255;
constexpr std::size_t handlers_max = 1000;
constexpr std::size_t message_bytes_max = 8192;
constexpr std::size_t path_bytes_max = 4096;

/// Writes the length once the body is there.
class frame_writer {
public:
  frame_writer(bytes& out, host_frame_kind kind) : out_{out}, at_{out.size()} {
    out.resize(at_ + head_bytes);
    out[at_ + 4] = static_cast<std::uint8_t>(kind);
  }
  ~frame_writer() { put_le<4>(out_.data() + at_, out_.size() - at_ - 4); }
  frame_writer(const frame_writer&) = delete;
  frame_writer& operator=(const frame_writer&) = delete;

private:
  bytes& out_;
  std::size_t at_;
};

bool take_text(reader& r, std::size_t max, std::string& out) {
  const auto s = r.text(max);
  r.require(detail::is_utf8(s));
  out = s;
  return r.ok();
}

} // namespace

void put_open(bytes& out, const host_open& m) {
  const frame_writer frame{out, host_frame_kind::open};
  writer{out}
      .array(7)
      .text(m.module)
      .text(m.file)
      .blob(m.config)
      .uint(m.memory_max)
      .text(m.trail)
      .id(m.life)
      .blob(m.secrets);
}

bool read_open(const_bytes body, host_open& out) {
  reader r{body};
  r.require(r.array(7) == 7);
  out.module = r.text(name_bytes_max);
  out.file = r.text(path_bytes_max);
  out.config = r.blob(SIZE_MAX).copy();
  out.memory_max = r.uint();
  out.trail = r.text(path_bytes_max);
  r.id(out.life);
  out.secrets = r.blob(SIZE_MAX).copy();
  return r.done();
}

// number (8), length of the request's name (2), that name, the turn
void put_run(bytes& out, const host_run& m) {
  const frame_writer frame{out, host_frame_kind::run};
  const auto at = out.size();
  const auto named = m.request.size() <= UINT16_MAX ? m.request : const_bytes{};
  out.resize(at + run_head_bytes);
  put_le<8>(out.data() + at, m.number);
  put_le<2>(out.data() + at + 8, named.size());
  append(out, named);
  append(out, m.turn);
}

bool read_run(const_bytes body, host_run& out) {
  if (body.size() < run_head_bytes)
    return false;
  out.number = get_le<8>(body.data());
  const auto named = static_cast<std::size_t>(get_le<2>(body.data() + 8));
  if (body.size() - run_head_bytes < named)
    return false;
  out.request = {body.data() + run_head_bytes, named};
  out.turn = body.from(run_head_bytes + named);
  return true;
}

void put_ready(bytes& out, const module_info& m) {
  const frame_writer frame{out, host_frame_kind::ready};
  writer w{out};
  w.array(3).text(m.app).uint(m.state_version).array(m.handlers.size());
  for (const auto& h : m.handlers)
    w.array(3).text(h.name).boolean(h.query).boolean(h.reply_only);
}

bool read_ready(const_bytes body, module_info& out) {
  reader r{body};
  r.require(r.array(3) == 3);
  take_text(r, name_bytes_max, out.app);
  out.state_version = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  for (std::size_t n = r.array(handlers_max); n > 0 && r.ok(); --n) {
    handler_info h;
    r.require(r.array(3) == 3);
    take_text(r, name_bytes_max, h.name);
    r.require(!h.name.empty() && h.name[0] != '_');
    h.query = r.boolean();
    h.reply_only = r.boolean();
    out.handlers.push_back(std::move(h));
  }
  r.require(out.state_version > 0 && !out.app.empty());
  return r.done();
}

void put_failed(bytes& out, const host_failed& m) {
  const frame_writer frame{out, host_frame_kind::failed};
  writer{out}
      .array(2)
      .uint(static_cast<std::uint64_t>(m.why))
      .text(std::string_view{m.message}.substr(0, message_bytes_max));
}

bool read_failed(const_bytes body, host_failed& out) {
  reader r{body};
  r.require(r.array(2) == 2);
  const auto why = r.uint(static_cast<std::uint64_t>(host_errc::died));
  r.require(why > 0);
  out.why = static_cast<host_errc>(why);
  take_text(r, message_bytes_max, out.message);
  return r.done();
}

void put_ran(bytes& out, const raw_turn& m) {
  const frame_writer frame{out, host_frame_kind::ran};
  const auto at = out.size();
  out.resize(at + 14);
  put_le<8>(out.data() + at, m.number);
  put_le<4>(out.data() + at + 8, static_cast<std::uint32_t>(m.code));
  out[at + 12] = static_cast<std::uint8_t>(m.calls > 1 ? 2 : m.calls);
  out[at + 13] = m.too_large ? 1 : 0;
  append(out, m.data);
}

bool read_ran(const_bytes body, raw_turn& out) {
  if (body.size() < 14 || body[12] > 2 || body[13] > 1)
    return false;
  out.number = get_le<8>(body.data());
  out.code = static_cast<std::int32_t>(get_le<4>(body.data() + 8));
  out.calls = body[12];
  out.too_large = body[13] != 0;
  out.data = body.from(14).copy();
  return !out.too_large || out.data.empty();
}

void host_frames::add(const_bytes piece) {
  if (from_ > 0) {
    buffer_.erase(buffer_.begin(),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(from_));
    from_ = 0;
  }
  append(buffer_, piece);
}

std::optional<host_frames::frame> host_frames::next() {
  const auto left = const_bytes{buffer_}.from(from_);
  if (broken_ || left.size() < 4)
    return std::nullopt;
  const auto size = static_cast<std::size_t>(get_le<4>(left.data()));
  if (size == 0 || size > max_) {
    broken_ = true;
    return std::nullopt;
  }
  if (left.size() - 4 < size)
    return std::nullopt;
  from_ += 4 + size;
  return frame{static_cast<host_frame_kind>(left[4]),
               const_bytes{left.data() + head_bytes, size - 1}};
}

} // namespace banyan
