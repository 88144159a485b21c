#include "actors/pure/version_wire.hpp"

#include "actors/docs/app_documents.hpp"
#include "base/codec.hpp"

#include <algorithm>

namespace banyan {
namespace {

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string one_line(std::string text) {
  text.resize(std::min(text.size(), version_why_bytes_max));
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

std::string take_line(reader& r) {
  std::string line{r.text(version_why_bytes_max)};
  r.require(std::none_of(line.begin(), line.end(), is_control));
  return line;
}

std::uint64_t microseconds(duration d) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(d);
  return us.count() < 0 ? 0 : static_cast<std::uint64_t>(us.count());
}
duration take_microseconds(reader& r) {
  constexpr std::uint64_t day_us = 86'400'000'000;
  return std::chrono::microseconds{r.uint(day_us)};
}

std::uint32_t take_u32(reader& r) {
  return static_cast<std::uint32_t>(r.uint(UINT32_MAX));
}

} // namespace

bool same_word(const version_word& a, const version_word& b) {
  return a.group == b.group && a.term == b.term && a.running == b.running
         && a.state_version == b.state_version
         && a.written.has_value() == b.written.has_value()
         && (!a.written || a.written->state_version == b.written->state_version)
         && a.number == b.number && a.state == b.state && a.why == b.why;
}

void write_body(writer& w, const version_ready& f) {
  w.id(f.app).uint(f.number);
  w.array(3).boolean(f.ready.ok).uint(f.ready.state_version);
  w.text(one_line(f.ready.why));
}

void read_body(reader& r, version_ready& f) {
  r.id(f.app);
  f.number = r.uint();
  r.require(r.array(3) == 3);
  f.ready.ok = r.boolean();
  f.ready.state_version = take_u32(r);
  f.ready.why = take_line(r);
}

void write_body(writer& w, const version_word& f) {
  w.id(f.group.app).uint(f.group.shard);
  w.array(5).id(f.term).uint(f.running).uint(f.state_version);
  w.uint(f.written ? f.written->state_version : 0);
  w.id(f.written ? f.written->index : log_index{});
  w.array(3).uint(f.number).uint(static_cast<std::uint64_t>(f.state));
  w.text(one_line(f.why));
  const auto& h = f.health;
  w.array(5).uint(h.turns).uint(h.failed).uint(h.crashes);
  w.uint(microseconds(h.p50)).uint(microseconds(h.p99));
}

void read_body(reader& r, version_word& f) {
  r.id(f.group.app);
  f.group.shard = static_cast<std::uint32_t>(r.uint(shards_max - 1));
  r.require(r.array(5) == 5);
  r.id(f.term);
  f.running = r.uint();
  f.state_version = take_u32(r);
  state_written written;
  written.state_version = take_u32(r);
  r.id(written.index);
  if (written.index != log_index{})
    f.written = written;
  else
    r.require(written.state_version == 0);
  r.require(r.array(3) == 3);
  f.number = r.uint();
  f.state = static_cast<update_state>(
      r.uint(static_cast<std::uint64_t>(update_state::refused)));
  f.why = take_line(r);
  r.require(r.array(5) == 5);
  f.health.turns = r.uint();
  f.health.failed = r.uint();
  f.health.crashes = r.uint();
  f.health.p50 = take_microseconds(r);
  f.health.p99 = take_microseconds(r);
}

} // namespace banyan
