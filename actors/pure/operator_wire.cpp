#include "actors/pure/operator_wire.hpp"

#include "actors/docs/app_documents.hpp"
#include "base/codec.hpp"

#include <algorithm>

namespace banyan {
namespace {

constexpr std::size_t event_elements = 8;
constexpr std::size_t line_elements = 5;
/// Numbers are milliseconds times 1,024: in JSON they stay exact.
constexpr std::uint64_t number_max = std::uint64_t{1} << 53U;

bool is_plain(char c) noexcept {
  return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f;
}

std::string read_app(reader& r) {
  const auto name = r.text(app_name_bytes_max);
  r.require(is_app_name(name));
  return std::string{name};
}

} // namespace

void write_body(writer& w, const logs_wanted& f) {
  w.uint(f.token).text(f.app).uint(f.after).sint(f.since_ms);
}

void read_body(reader& r, logs_wanted& f) {
  f.token = r.uint();
  f.app = read_app(r);
  f.after = r.uint();
  f.since_ms = r.sint();
}

void write_body(writer& w, const logs_held& f) {
  w.uint(f.token).array(f.lines.size());
  for (const auto& l : f.lines) {
    w.array(line_elements).uint(l.number).sint(l.at_unix_ms);
    w.uint(static_cast<std::uint64_t>(l.source)).text(l.actor).text(l.text);
  }
  w.boolean(f.more);
}

void read_body(reader& r, logs_held& f) {
  f.token = r.uint();
  const auto n = r.array(log_lines_max);
  for (std::size_t i = 0; i < n && r.ok(); ++i) {
    log_line l;
    r.require(r.array(line_elements) == line_elements);
    l.number = r.uint(number_max);
    r.require(f.lines.empty() || f.lines.back().number < l.number);
    l.at_unix_ms = r.sint();
    l.source = static_cast<log_source>(
        r.uint(static_cast<std::uint64_t>(log_source::log)));
    l.actor = r.text(log_line::actor_bytes_max);
    l.text = r.text(log_line::text_bytes_max);
    f.lines.push_back(std::move(l));
  }
  f.more = r.boolean();
}

void write_body(writer& w, const event_told& f) {
  const auto& e = f.what;
  w.array(event_elements).uint(e.number).sint(e.at_unix_ms).id(e.node);
  w.text(e.kind).text(e.app);
  if (e.shard)
    w.uint(*e.shard);
  else
    w.nil();
  w.blob(e.about ? e.about->view() : const_bytes{}).text(e.text);
}

void read_body(reader& r, event_told& f) {
  auto& e = f.what;
  r.require(r.array(event_elements) == event_elements);
  e.number = r.uint(number_max);
  e.at_unix_ms = r.sint();
  r.id(e.node);
  e.kind = r.text(mesh_event::kind_bytes_max);
  r.require(is_event_kind(e.kind));
  e.app = r.text(app_name_bytes_max);
  r.require(e.app.empty() || is_app_name(e.app));
  if (r.peek() == reader::kind::nil)
    r.nil();
  else
    e.shard = static_cast<std::uint32_t>(r.uint(shards_max - 1));
  const auto about = r.blob(node_id::size);
  node_id id;
  if (!about.empty() && r.require(node_id::from(about, id)))
    e.about = id;
  e.text = r.text(mesh_event::text_bytes_max);
  r.require(std::all_of(e.text.begin(), e.text.end(), is_plain));
}

void write_body(writer& w, const secret_wanted& f) {
  w.id(f.app).uint(f.number);
}

void read_body(reader& r, secret_wanted& f) {
  r.id(f.app);
  f.number = r.uint();
}

void write_body(writer& w, const secret_key& f) {
  w.id(f.app).uint(f.number).id(f.key);
}

void read_body(reader& r, secret_key& f) {
  r.id(f.app);
  f.number = r.uint();
  r.id(f.key);
}

} // namespace banyan
