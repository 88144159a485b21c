#include "actors/pure/replica/entry_codec.hpp"

#include "crypto/hash.hpp"

namespace banyan::replica {
namespace {

constexpr std::uint64_t entry_version = 1;
constexpr std::uint64_t first_versions_kind = 8;
constexpr std::uint64_t last_kind = 9;
constexpr std::size_t value_max = std::size_t{8} << 20;
constexpr std::size_t list_max = 20'000;
constexpr std::size_t sessions_listed_max = 1 << 16;

std::uint64_t nanos(duration d) {
  return d.count() < 0 ? 0 : static_cast<std::uint64_t>(d.count());
}
duration take_nanos(reader& in) {
  return duration{static_cast<duration::rep>(in.uint(INT64_MAX))};
}
void put(writer& w, const group_id& g) {
  w.id(g.app).uint(g.shard);
}
void take(reader& in, group_id& g) {
  in.id(g.app);
  g.shard = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
}
void take(reader& in, hash16& h) {
  const auto b = in.blob(h.size());
  if (in.require(b.size() == h.size()))
    std::copy(b.begin(), b.end(), h.begin());
}
shared_bytes shared(const_bytes b) {
  return shared_bytes{b.copy()};
}

void put(writer& w, const answer& a) {
  w.array(4).uint(static_cast<std::uint64_t>(a.status)).blob(a.result);
  w.text(a.code).text(a.message);
}
void take(reader& in, answer& a) {
  in.require(in.array(4) == 4);
  a.status = static_cast<reply_status>(
      in.uint(static_cast<std::uint64_t>(reply_status::forbidden)));
  a.result = in.blob(value_max).copy();
  a.code = std::string{in.text(message_text_bytes_max)};
  a.message = std::string{in.text(message_text_bytes_max)};
}

void put(writer& w, const timer_value& t) {
  w.array(3).uint(nanos(t.due)).text(t.command).blob(t.argument);
}
void take(reader& in, timer_value& t) {
  in.require(in.array(3) == 3);
  t.due = take_nanos(in);
  t.command = std::string{in.text(name_bytes_max)};
  t.argument = in.blob(value_max).copy();
}

void put(writer& w, const turn_by& by) {
  if (const auto* s = std::get_if<by_session>(&by)) {
    w.array(4).uint(1).uint(s->session).uint(s->number).uint(s->floor);
  } else if (const auto* i = std::get_if<by_idempotency>(&by)) {
    w.array(3).uint(2).blob(i->key).blob(i->body);
  } else if (const auto* f = std::get_if<by_stream>(&by)) {
    put(w.array(5).uint(3), f->from);
    w.id(f->lineage).uint(f->number);
  } else if (const auto* t = std::get_if<by_timer>(&by)) {
    w.array(3).uint(4).blob(t->id).id(t->set_at);
  } else {
    w.array(1).uint(0);
  }
}
void take(reader& in, turn_by& by) {
  const auto n = in.array(5);
  const auto kind = in.uint(4);
  constexpr std::size_t sizes[] = {1, 4, 3, 5, 3};
  if (!in.require(n == sizes[kind]))
    return;
  switch (kind) {
  case 1: {
    by_session s;
    s.session = in.uint();
    s.number = in.uint();
    s.floor = in.uint();
    by = s;
    break;
  }
  case 2: {
    by_idempotency i;
    take(in, i.key);
    take(in, i.body);
    by = i;
    break;
  }
  case 3: {
    by_stream f;
    take(in, f.from);
    in.id(f.lineage);
    f.number = in.uint();
    by = f;
    break;
  }
  case 4: {
    by_timer t;
    t.id = in.blob(512).copy();
    in.id(t.set_at);
    by = std::move(t);
    break;
  }
  default:
    by = std::monostate{};
  }
}

void put(writer& w, const turn_entry& t) {
  w.array(10);
  put(w, t.by);
  w.text(t.actor);
  put(w, t.answer);
  if (t.removed)
    w.boolean(true);
  else if (t.state)
    w.blob(t.state->view());
  else
    w.nil();
  w.array(t.rows.size());
  for (const auto& r : t.rows) {
    w.array(2).blob(r.key);
    if (r.value)
      w.blob(r.value->view());
    else
      w.nil();
  }
  w.array(t.sends.size());
  for (const auto& s : t.sends) {
    put(w.array(3), s.to);
    banyan::encode(w, s.message);
  }
  w.array(t.timers.size());
  for (const auto& s : t.timers) {
    w.array(2).blob(s.id);
    put(w, s.value);
  }
  w.array(t.cancelled.size());
  for (const auto& c : t.cancelled)
    w.blob(c);
  w.id(t.idempotency_floor);
  if (t.first_of_state_version == 0)
    w.nil();
  else
    w.uint(t.first_of_state_version);
}

void take(reader& in, turn_entry& t) {
  in.require(in.array(10) == 10);
  take(in, t.by);
  t.actor = std::string{in.text(actor_key_bytes_max)};
  take(in, t.answer);
  if (in.peek() == reader::kind::boolean)
    in.require(t.removed = in.boolean());
  else if (in.peek() == reader::kind::nil)
    in.nil();
  else
    t.state = shared(in.blob(value_max));
  for (auto n = in.array(list_max); n > 0 && in.ok(); --n) {
    auto& r = t.rows.emplace_back();
    in.require(in.array(2) == 2);
    r.key = in.blob(turn_limits::row_key_bytes_max).copy();
    if (in.peek() == reader::kind::nil)
      in.nil();
    else
      r.value = shared(in.blob(value_max));
  }
  for (auto n = in.array(list_max); n > 0 && in.ok(); --n) {
    auto& s = t.sends.emplace_back();
    in.require(in.array(3) == 3);
    take(in, s.to);
    in.require(banyan::decode(in, s.message));
  }
  for (auto n = in.array(list_max); n > 0 && in.ok(); --n) {
    auto& s = t.timers.emplace_back();
    in.require(in.array(2) == 2);
    s.id = in.blob(512).copy();
    take(in, s.value);
  }
  for (auto n = in.array(list_max); n > 0 && in.ok(); --n)
    t.cancelled.push_back(in.blob(512).copy());
  in.id(t.idempotency_floor);
  if (in.peek() == reader::kind::nil)
    return in.nil();
  t.first_of_state_version = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
  in.require(t.first_of_state_version != 0);
}

void put_list(writer& w, const std::vector<std::uint64_t>& v) {
  w.array(v.size());
  for (auto x : v)
    w.uint(x);
}
void take_list(reader& in, std::vector<std::uint64_t>& v) {
  for (auto n = in.array(sessions_listed_max); n > 0 && in.ok(); --n)
    v.push_back(in.uint());
}

void put(writer& w, const std::vector<poison_record>& records) {
  w.array(records.size());
  for (const auto& r : records)
    w.array(2).id(r.node).id(r.incarnation);
}
void take(reader& in, std::vector<poison_record>& records) {
  for (auto n = in.array(64); n > 0 && in.ok(); --n) {
    auto& r = records.emplace_back();
    in.require(in.array(2) == 2);
    in.id(r.node);
    in.id(r.incarnation);
  }
}

struct put_body {
  writer& w;
  void operator()(const turn_entry& t) const { put(w.uint(1), t); }
  void operator()(const open_session_entry& o) const {
    put_list(w.uint(2), o.closed);
  }
  void operator()(const close_sessions_entry& c) const {
    put_list(w.uint(3), c.closed);
  }
  void operator()(const poison_entry& p) const {
    w.uint(4).array(p.items.size());
    for (const auto& i : p.items) {
      w.array(2).blob(i.request);
      put(w, i.records);
    }
  }
  void operator()(const stream_ack_entry& a) const {
    w.uint(5).array(a.items.size());
    for (const auto& i : a.items) {
      put(w.array(3), i.to);
      w.uint(i.acknowledged);
    }
  }
  void operator()(const stop_entry& s) const { w.uint(6).boolean(s.stopped); }
  void operator()(const checkpoint_entry&) const { w.uint(7).nil(); }
  void operator()(const features_entry& f) const { w.uint(8).uint(f.bits); }
  void operator()(const version_entry& v) const {
    banyan::put(w.uint(9).array(2), v.versions);
    w.boolean(v.written);
  }
};

bool take_body(reader& in, entry_body& out) {
  switch (in.uint(UINT8_MAX)) {
  case 1:
    take(in, out.emplace<turn_entry>());
    break;
  case 2:
    take_list(in, out.emplace<open_session_entry>().closed);
    break;
  case 3:
    take_list(in, out.emplace<close_sessions_entry>().closed);
    break;
  case 4: {
    auto& p = out.emplace<poison_entry>();
    for (auto n = in.array(list_max); n > 0 && in.ok(); --n) {
      auto& i = p.items.emplace_back();
      in.require(in.array(2) == 2);
      i.request = in.blob(1024).copy();
      take(in, i.records);
    }
    break;
  }
  case 5: {
    auto& a = out.emplace<stream_ack_entry>();
    for (auto n = in.array(list_max); n > 0 && in.ok(); --n) {
      auto& i = a.items.emplace_back();
      in.require(in.array(3) == 3);
      take(in, i.to);
      i.acknowledged = in.uint();
    }
    break;
  }
  case 6:
    out.emplace<stop_entry>().stopped = in.boolean();
    break;
  case 7:
    out.emplace<checkpoint_entry>();
    in.nil();
    break;
  case 8:
    in.require((out.emplace<features_entry>().bits = in.uint()) != 0);
    break;
  case 9: {
    auto& v = out.emplace<version_entry>();
    in.require(in.array(2) == 2);
    banyan::take(in, v.versions);
    v.written = in.boolean();
    break;
  }
  default:
    in.fail();
  }
  return in.ok();
}

hash16 first_16(const digest& d) {
  hash16 h;
  std::copy_n(d.array().begin(), h.size(), h.begin());
  return h;
}

} // namespace

bytes encode(const answer& a) {
  bytes out;
  writer w{out};
  put(w, a);
  return out;
}
bool decode(const_bytes bytes_in, answer& out) {
  reader in{bytes_in};
  take(in, out);
  return in.done();
}
bytes encode(const timer_value& t) {
  bytes out;
  writer w{out};
  put(w, t);
  return out;
}
bool decode(const_bytes bytes_in, timer_value& out) {
  reader in{bytes_in};
  take(in, out);
  return in.done();
}
bytes encode(const std::vector<poison_record>& records) {
  bytes out;
  writer w{out};
  put(w, records);
  return out;
}
bool decode(const_bytes bytes_in, std::vector<poison_record>& out) {
  reader in{bytes_in};
  out.clear();
  take(in, out);
  return in.done();
}
bytes encode(const meta_opaque& m) {
  bytes out;
  writer{out}.array(2).uint(1).uint(nanos(m.log_time));
  return out;
}
bool decode(const_bytes bytes_in, meta_opaque& out) {
  reader in{bytes_in};
  in.require(in.array(2) == 2 && in.uint() == 1);
  out.log_time = take_nanos(in);
  return in.done();
}

bytes encode(const entry& e) {
  bytes out;
  if (const auto* t = std::get_if<turn_entry>(&e.body))
    out.reserve(160 + (t->state ? t->state->size() : 0)
                + t->answer.result.size());
  writer w{out};
  w.array(4).uint(entry_version).uint(nanos(e.log_time));
  std::visit(put_body{w}, e.body);
  return out;
}
bool decode(const_bytes bytes_in, entry& out) {
  reader in{bytes_in};
  in.require(in.array(4) == 4 && in.uint() == entry_version);
  out.log_time = take_nanos(in);
  return take_body(in, out.body) && in.done();
}

bool is_later(const_bytes bytes_in, feature_bits known) {
  reader in{bytes_in};
  const auto n = in.array(64);
  const auto version = in.uint();
  if (!in.ok() || n < 2)
    return false;
  if (version != entry_version)
    return version > entry_version;
  in.skip(); // its log time
  const auto kind = in.uint();
  if (!in.ok() || n != 4)
    return false;
  if (kind > last_kind)
    return true;
  if (kind < first_versions_kind)
    return false;
  const auto bits = kind == 8 ? in.uint() : feature_bits{0};
  return in.ok() && !knows(known, bits | feature::versions);
}

bytes encode(const state_written& s) {
  bytes out;
  writer{out}.array(2).uint(s.state_version).id(s.index);
  return out;
}
bool decode(const_bytes bytes_in, state_written& out) {
  reader in{bytes_in};
  in.require(in.array(2) == 2);
  out.state_version = static_cast<std::uint32_t>(in.uint(UINT32_MAX));
  in.id(out.index);
  return in.done();
}
bytes encode_bits(feature_bits bits) {
  bytes out;
  writer{out}.uint(bits);
  return out;
}
bool decode_bits(const_bytes bytes_in, feature_bits& out) {
  reader in{bytes_in};
  out = in.uint();
  return in.require(out != 0) && in.done();
}

bytes request_key(const turn_by& by, std::string_view actor) {
  bytes out;
  writer w{out};
  if (const auto* s = std::get_if<by_session>(&by)) {
    w.array(3).uint(1).uint(s->session).uint(s->number);
  } else if (const auto* i = std::get_if<by_idempotency>(&by)) {
    w.array(2).uint(2).blob(i->key);
  } else if (const auto* f = std::get_if<by_stream>(&by)) {
    put(w.array(5).uint(3), f->from);
    w.id(f->lineage).uint(f->number);
  } else if (const auto* t = std::get_if<by_timer>(&by)) {
    w.array(4).uint(4).text(actor).blob(t->id).id(t->set_at);
  }
  return out;
}

hash16 idempotency_key_hash(std::string_view actor, std::string_view key) {
  return first_16(hash_of(
      {as_bytes("banyan idempotency key"), as_bytes(actor), as_bytes(key)}));
}
hash16 body_hash(std::string_view command, const_bytes argument) {
  return first_16(hash_of(
      {as_bytes("banyan idempotency body"), as_bytes(command), argument}));
}

} // namespace banyan::replica
