#include "actors/pure/backup/file.hpp"

#include "base/codec.hpp"
#include "base/endian.hpp"

namespace banyan::backup {
namespace {

enum kind : std::uint8_t {
  kind_header = 1,
  kind_begin = 2,
  kind_part = 3,
  kind_given_up = 4,
  kind_end = 5,
};
constexpr auto head_bytes = frame_head_bytes; // size, kind
constexpr std::size_t sum_bytes = 16;
constexpr std::size_t name_max = 63;
constexpr std::size_t text_max = 4096;
constexpr std::size_t shards_most = 1024;

digest checksum(const_bytes head, const_bytes payload) {
  hasher h;
  h.update(head).update(payload);
  return h.finish();
}

struct payload_of {
  bytes& out;
  writer w{out};

  std::uint8_t operator()(const header& h) {
    w.array(10).text(h.mesh_name).id(h.mesh).text(h.app).id(h.id);
    w.id(h.lineage).uint(h.shards).sint(h.at_unix_ms).blob(h.number);
    w.blob(h.papers).text(h.version);
    return kind_header;
  }
  std::uint8_t operator()(const stream_begin& b) {
    w.array(6).uint(b.shard).uint(b.attempt).id(b.lineage).id(b.node);
    w.boolean(b.led).id(b.key);
    return kind_begin;
  }
  std::uint8_t operator()(const part& p) {
    w.array(3).uint(p.shard).uint(p.attempt).blob(p.sealed);
    return kind_part;
  }
  std::uint8_t operator()(const given_up& g) {
    w.array(1).text(std::string_view{g.why}.substr(0, text_max));
    return kind_given_up;
  }
  std::uint8_t operator()(const end& e) {
    w.array(3).uint(e.frames).uint(e.size).id(e.hash);
    return kind_end;
  }
};

std::uint32_t small(reader& r, std::uint64_t max) {
  return static_cast<std::uint32_t>(r.uint(max));
}

bool read(reader& r, header& h) {
  r.require(r.array(10) == 10);
  h.mesh_name = r.text(name_max);
  r.id(h.mesh);
  h.app = r.text(name_max);
  r.id(h.id);
  r.id(h.lineage);
  h.shards = small(r, shards_most);
  h.at_unix_ms = r.sint();
  const auto number = r.blob(h.number.size());
  if (r.require(number.size() == h.number.size()))
    std::copy(number.begin(), number.end(), h.number.begin());
  h.papers = r.blob(papers_bytes_max).copy();
  h.version = r.text(name_max);
  return r.done() && h.shards > 0;
}
bool read(reader& r, stream_begin& b) {
  r.require(r.array(6) == 6);
  b.shard = small(r, shards_most - 1);
  b.attempt = small(r, UINT32_MAX);
  r.id(b.lineage);
  r.id(b.node);
  b.led = r.boolean();
  r.id(b.key);
  return r.done();
}
bool read(reader& r, part& p) {
  r.require(r.array(3) == 3);
  p.shard = small(r, shards_most - 1);
  p.attempt = small(r, UINT32_MAX);
  p.sealed = r.blob(payload_max).copy();
  return r.done();
}
bool read(reader& r, given_up& g) {
  r.require(r.array(1) == 1);
  g.why = r.text(text_max);
  return r.done();
}
bool read(reader& r, end& e) {
  r.require(r.array(3) == 3);
  e.frames = r.uint();
  e.size = r.uint();
  r.id(e.hash);
  return r.done();
}

template <class T>
std::optional<frame> decoded(const_bytes payload) {
  reader r{payload};
  T out;
  if (!read(r, out))
    return std::nullopt;
  return frame{std::move(out)};
}

} // namespace

bool decode(const_bytes payload, part& out) {
  reader r{payload};
  return read(r, out);
}

bytes stream_context(const app_id& app, std::uint32_t shard,
                     const std::array<std::uint8_t, 16>& number) {
  bytes out = to_bytes("banyan backup 1");
  append(out, app.view());
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(shard >> shift));
  append(out, number);
  return out;
}

// ---- writing

void file_writer::add(std::uint8_t kind, const bytes& payload, bytes& out) {
  BANYAN_ASSERT(payload.size() <= payload_max);
  std::array<std::uint8_t, head_bytes> head{};
  put_le<4>(head.data(), payload.size());
  head[4] = kind;
  const auto sum = checksum(head, payload);
  append(out, head);
  append(out, payload);
  append(out, sum.view().first(sum_bytes));
}

bytes file_writer::put(const frame& f) {
  bytes out;
  if (size_ == 0)
    out = to_bytes(file_magic);
  bytes payload;
  const auto kind = std::visit(payload_of{payload}, f);
  add(kind, payload, out);
  all_.update(out);
  size_ += out.size();
  ++frames_;
  return out;
}

bytes file_writer::finish() {
  bytes payload;
  const auto kind = payload_of{payload}(end{frames_, size_, all_.finish()});
  bytes out;
  add(kind, payload, out);
  return out;
}

// ---- reading

void file_reader::add(const_bytes piece) {
  if (used_ > 0) {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(used_));
    used_ = 0;
  }
  append(in_, piece);
}

std::optional<frame> file_reader::refuse(std::string why) {
  bad_ = fault{at_, std::move(why)};
  return std::nullopt;
}

std::optional<frame> file_reader::next() {
  if (bad_)
    return std::nullopt;
  auto rest = const_bytes{in_}.from(used_);
  if (!begun_) {
    const auto magic = as_bytes(file_magic);
    const auto n = std::min(magic.size(), rest.size());
    if (rest.first(n) != magic.first(n))
      return refuse("this is no backup of Banyan's: it does not begin with "
                    + std::string{file_magic});
    if (n < magic.size())
      return std::nullopt;
    begun_ = true;
    all_.update(magic);
    at_ = magic.size();
    used_ += magic.size();
    rest = rest.from(magic.size());
  }
  if (rest.empty())
    return std::nullopt;
  if (ended_)
    return refuse("something follows the end of the backup");
  if (rest.size() < head_bytes)
    return std::nullopt;
  const auto size = static_cast<std::size_t>(get_le<4>(rest.data()));
  if (size > payload_max)
    return refuse("a frame is said to have " + std::to_string(size)
                  + " bytes: a byte was changed here; take the file from "
                    "another copy");
  const auto whole = head_bytes + size + sum_bytes;
  if (rest.size() < whole)
    return std::nullopt;
  const auto payload = rest.from(head_bytes).first(size);
  if (checksum(rest.first(head_bytes), payload).view().first(sum_bytes)
      != rest.from(head_bytes + size).first(sum_bytes))
    return refuse("a byte was changed in the " + std::to_string(whole)
                  + " bytes from here on: the checksum is wrong; take the file "
                    "from another copy");
  auto f = take(rest[4], payload);
  if (!f)
    return bad_ ? std::nullopt
                : refuse("this frame makes no sense: was the file made by a "
                         "later version?");
  if (!ended_)
    all_.update(rest.first(whole));
  offset_ = at_;
  payload_ = size;
  at_ += whole;
  used_ += whole;
  ++frames_;
  return f;
}

std::optional<frame> file_reader::take(std::uint8_t kind, const_bytes payload) {
  if ((kind == kind_header) != (frames_ == 0))
    return refuse(frames_ == 0 ? "the file does not begin with its header"
                               : "a second header: two files were joined");
  switch (kind) {
  case kind_header:
    return decoded<header>(payload);
  case kind_begin:
    return decoded<stream_begin>(payload);
  case kind_part:
    return decoded<part>(payload);
  case kind_given_up: {
    auto f = decoded<given_up>(payload);
    if (f)
      return refuse("the backup was not finished: " + std::get<given_up>(*f).why
                    + "; take another one");
    return f;
  }
  case kind_end: {
    auto f = decoded<end>(payload);
    if (!f)
      return f;
    const auto& e = std::get<end>(*f);
    if (e.frames != frames_ || e.size != at_ || e.hash != all_.finish())
      return refuse("the hash over the whole file is wrong: frames are missing "
                    "or were put elsewhere; take the file from another copy");
    ended_ = true;
    return f;
  }
  default:
    return std::nullopt;
  }
}

bool file_reader::finish() {
  if (bad_)
    return false;
  if (ended_)
    return true;
  const auto have = at_ + (in_.size() - used_);
  bad_ = fault{at_, "the file is cut short: it ends at byte "
                        + std::to_string(have)
                        + ", inside the frame that begins here or before the "
                          "end; take the file from another copy, or another "
                          "backup"};
  return false;
}

} // namespace banyan::backup
