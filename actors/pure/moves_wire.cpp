#include "actors/pure/moves_wire.hpp"

#include "actors/docs/app_documents.hpp"

#include <algorithm>

namespace banyan {
namespace {

bool is_control(char c) noexcept {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

std::string one_line(std::string text) {
  text.resize(std::min(text.size(), operator_text_bytes_max));
  std::replace_if(text.begin(), text.end(), is_control, '?');
  return text;
}

std::string read_line(reader& r) {
  const auto text = r.text(operator_text_bytes_max);
  r.require(std::none_of(text.begin(), text.end(), is_control));
  return std::string{text};
}

/// Nothing, or a number.
void write(writer& w, const std::optional<std::uint32_t>& n) {
  if (n)
    w.array(1).uint(*n);
  else
    w.array(0);
}

} // namespace

void write(writer& w, const drain_notice& f) {
  w.boolean(f.on).boolean(f.done).uint(f.leaderships).uint(f.replicas);
  write(w, f.eta_s);
  const auto n = std::min(f.blocked.size(), drain_blocked_max);
  w.array(n);
  for (std::size_t i = 0; i < n; ++i)
    w.text(one_line(f.blocked[i]));
}

void write(writer& w, const operator_order& f) {
  w.uint(f.token).uint(f.what).id(f.group.app).uint(f.group.shard);
  w.id(f.from).id(f.to).boolean(f.force);
}

void write(writer& w, const operator_answer& f) {
  w.uint(f.token).uint(static_cast<std::uint64_t>(f.progress));
  w.uint(static_cast<std::uint64_t>(f.status)).uint(f.permille);
  w.text(one_line(f.message));
}

void read(reader& r, drain_notice& f) {
  f.on = r.boolean();
  f.done = r.boolean();
  f.leaderships = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  f.replicas = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  if (r.array(1) == 1)
    f.eta_s = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  const auto n = r.array(drain_blocked_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i)
    f.blocked.push_back(read_line(r));
}

void read(reader& r, operator_order& f) {
  f.token = r.uint();
  f.what = static_cast<std::uint8_t>(r.uint(UINT8_MAX));
  r.id(f.group.app);
  f.group.shard = static_cast<std::uint32_t>(r.uint(shards_max - 1));
  r.id(f.from);
  r.id(f.to);
  f.force = r.boolean();
}

void read(reader& r, operator_answer& f) {
  f.token = r.uint();
  f.progress = static_cast<operator_progress>(
      r.uint(static_cast<std::uint64_t>(operator_progress::done)));
  f.status = static_cast<reply_status>(
      r.uint(static_cast<std::uint64_t>(reply_status::forbidden)));
  f.permille = static_cast<std::uint16_t>(r.uint(1000));
  f.message = read_line(r);
}

} // namespace banyan
