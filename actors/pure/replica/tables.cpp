#include "actors/pure/replica/tables.hpp"

#include "base/planted.hpp"

namespace banyan::replica {
namespace {

shared_bytes share(bytes b) {
  return shared_bytes{std::move(b)};
}

hash16 hash_in(const_bytes key) {
  hash16 h{};
  if (key.size() == 1 + h.size())
    std::copy(key.begin() + 1, key.end(), h.begin());
  return h;
}

} // namespace

bool group_tables::apply(const_bytes key,
                         const std::optional<shared_bytes>& value,
                         log_index index) {
  key_reader k{key};
  switch (kind_of(key)) {
  case row_kind::actor:
  case row_kind::table:
    return true;
  case row_kind::session: {
    const auto id = k.u64();
    std::uint64_t floor = 0;
    duration used{};
    if (!k.done() || (value && !decode_session(value->view(), floor, used)))
      return false;
    if (value)
      sessions.put_session(id, floor, used, index);
    else
      sessions.erase_session(id);
    return true;
  }
  case row_kind::answer: {
    const auto id = k.u64();
    const auto number = k.u64();
    if (!k.done())
      return false;
    if (value)
      sessions.put_answer(id, number, {index, *value});
    else
      sessions.erase_answer(id, number);
    return true;
  }
  case row_kind::idempotency: {
    if (k.rest().size() != sizeof(hash16))
      return false;
    idempotency_table::kept kept;
    if (!value) {
      idempotency.erase(hash_in(key));
      return true;
    }
    if (!decode_kept(value->view(), kept))
      return false;
    kept.index = index;
    idempotency.put(hash_in(key), std::move(kept));
    return true;
  }
  case row_kind::outbox: {
    const auto to = k.group();
    const auto number = k.u64();
    if (!k.done())
      return false;
    if (!value) {
      streams.erase_message(to, number);
      return true;
    }
    stream_table::waiting m;
    reader in{value->view()};
    if (!banyan::decode(in, m.message) || !in.done()
        || m.message.number != number)
      return false;
    m.index = index;
    m.size = value->size();
    streams.put_message(to, std::move(m));
    return true;
  }
  case row_kind::stream_out: {
    const auto to = k.group();
    std::uint64_t next = 0;
    std::uint64_t acknowledged = 0;
    if (!k.done() || (value && !decode_out(value->view(), next, acknowledged)))
      return false;
    if (value)
      streams.put_out(to, next, acknowledged, index);
    else
      streams.erase_out(to);
    return true;
  }
  case row_kind::stream_in: {
    stream_table::source from;
    from.first = k.group();
    std::uint64_t applied = 0;
    if (!lineage_id::from(k.take(lineage_id::size), from.second) || !k.done()
        || (value && !decode_in(value->view(), applied)))
      return false;
    if (value)
      streams.put_in(from, applied, index);
    else
      streams.erase_in(from);
    return true;
  }
  case row_kind::timer: {
    timer_table::timer t;
    t.actor = to_text(k.take(k.u8()));
    t.id = k.rest().copy();
    t.set_at = index;
    if (!k.ok() || (value && !decode(value->view(), t.value)))
      return false;
    if (value)
      timers.put(key, std::move(t));
    else
      timers.erase(key);
    return true;
  }
  case row_kind::poison: {
    if (!value) {
      poison_.erase(k.rest().copy());
      return true;
    }
    poisoned p;
    p.index = index;
    if (!decode(value->view(), p.records))
      return false;
    poison_[k.rest().copy()] = std::move(p);
    return true;
  }
  case row_kind::group:
    return apply_group(key, value, index);
  }
  return false;
}

bool group_tables::apply_group(const_bytes key,
                               const std::optional<shared_bytes>& value,
                               log_index index) {
  if (key == const_bytes{stopped_row()}) {
    stopped = value.has_value();
    stopped_index_ = index;
    return true;
  }
  ++version_changes;
  if (key == const_bytes{features_row()}) {
    feature_bits bits = 0;
    if (value && !decode_bits(value->view(), bits))
      return false;
    features = bits;
    features_index_ = index;
  } else if (key == const_bytes{version_row()}) {
    group_versions v;
    if (value && !decode(value->view(), v))
      return false;
    versions.reset();
    if (value)
      versions = std::move(v);
    versions_index_ = index;
  } else if (key == const_bytes{written_row()}) {
    state_written s;
    if (value && !decode(value->view(), s))
      return false;
    written.reset();
    if (value)
      written = s;
    written_index_ = index;
  }
  return true; // or one of a later version
}

std::optional<group_tables::raw_row>
group_tables::get_group(const_bytes key) const {
  if (stopped && key == const_bytes{stopped_row()})
    return raw_row{share(bytes{1}), stopped_index_};
  if (features != 0 && key == const_bytes{features_row()})
    return raw_row{share(encode_bits(features)), features_index_};
  if (versions && key == const_bytes{version_row()})
    return raw_row{share(encode(*versions)), versions_index_};
  if (written && key == const_bytes{written_row()})
    return raw_row{share(encode(*written)), written_index_};
  return std::nullopt;
}

std::optional<group_tables::raw_row> group_tables::get(const_bytes key) const {
  key_reader k{key};
  switch (kind_of(key)) {
  case row_kind::actor:
  case row_kind::table:
    return std::nullopt;
  case row_kind::session:
    if (const auto* s = sessions.find(k.u64()))
      return raw_row{share(encode_session(s->floor, s->last_used)),
                     s->row_index};
    return std::nullopt;
  case row_kind::answer: {
    const auto* s = sessions.find(k.u64());
    if (!s)
      return std::nullopt;
    const auto a = s->answers.find(k.u64());
    if (a == s->answers.end())
      return std::nullopt;
    return raw_row{a->second.value, a->second.index};
  }
  case row_kind::idempotency:
    if (const auto* i = idempotency.find(hash_in(key)))
      return raw_row{share(encode_kept(i->body, i->at, i->value.view())),
                     i->index};
    return std::nullopt;
  case row_kind::outbox: {
    const auto* s = streams.out(k.group());
    if (!s)
      return std::nullopt;
    const auto m = s->messages.find(k.u64());
    if (m == s->messages.end())
      return std::nullopt;
    bytes value;
    writer w{value};
    banyan::encode(w, m->second.message);
    return raw_row{share(std::move(value)), m->second.index};
  }
  case row_kind::stream_out: {
    const auto* s = streams.out(k.group());
    if (!s || !s->has_row)
      return std::nullopt;
    return raw_row{share(encode_out(s->next, s->acknowledged)), s->row_index};
  }
  case row_kind::stream_in: {
    stream_table::source from;
    from.first = k.group();
    if (!lineage_id::from(k.take(lineage_id::size), from.second))
      return std::nullopt;
    const auto* s = streams.in(from);
    if (!s)
      return std::nullopt;
    return raw_row{share(encode_in(s->applied)), s->row_index};
  }
  case row_kind::timer:
    if (const auto* t = timers.find(key))
      return raw_row{share(encode(t->value)), t->set_at};
    return std::nullopt;
  case row_kind::poison: {
    const auto it = poison_.find(k.rest().copy());
    if (it == poison_.end())
      return std::nullopt;
    return raw_row{share(encode(it->second.records)), it->second.index};
  }
  case row_kind::group:
    return get_group(key);
  }
  return std::nullopt;
}

const std::vector<poison_record>*
group_tables::poison(const bytes& request) const {
  if (poison_.empty())
    return nullptr;
  const auto it = poison_.find(request);
  return it == poison_.end() ? nullptr : &it->second.records;
}

namespace {

struct deriver {
  const entry& e;
  log_index index;
  const group_tables& t;
  std::vector<store::row_change>& out;

  void put(bytes key, shared_bytes value) const {
    out.push_back({std::move(key), std::move(value), index});
  }
  void erase(bytes key) const {
    out.push_back({std::move(key), std::nullopt, index});
  }

  void close(const std::vector<std::uint64_t>& sessions) const {
    for (auto id : sessions) {
      const auto* s = t.sessions.find(id);
      if (!s)
        continue;
      for (const auto& [number, kept] : s->answers)
        erase(answer_row(id, number));
      erase(session_row(id));
    }
  }

  void asked(const turn_entry& turn, const bytes& answer) const {
    if (const auto* s = std::get_if<by_session>(&turn.by)) {
      const auto* known = t.sessions.find(s->session);
      auto floor = std::max(s->floor, std::uint64_t{1});
      if (known) {
        floor = std::max(floor, known->floor);
        for (const auto& [number, kept] : known->answers) {
          if (number >= floor)
            break;
          erase(answer_row(s->session, number));
        }
      }
      put(session_row(s->session), share(encode_session(floor, e.log_time)));
      if (s->number >= floor)
        put(answer_row(s->session, s->number), share(answer));
    } else if (const auto* i = std::get_if<by_idempotency>(&turn.by)) {
      put(idempotency_row(i->key),
          share(encode_kept(i->body, e.log_time, answer)));
    } else if (const auto* f = std::get_if<by_stream>(&turn.by)) {
      put(stream_in_row(f->from, f->lineage),
          share(encode_in(planted(planted_bug::take_a_message_twice)
                              ? f->number - 1
                              : f->number)));
    } else if (const auto* timer = std::get_if<by_timer>(&turn.by)) {
      erase(timer_row(turn.actor, timer->id));
    }
  }

  void operator()(const turn_entry& turn) const {
    if (turn.idempotency_floor != log_index{}) {
      std::vector<hash16> old;
      t.idempotency.up_to(turn.idempotency_floor, old);
      for (const auto& key : old)
        erase(idempotency_row(key));
    }
    asked(turn, encode(turn.answer));
    if (turn.first_of_state_version != 0)
      put(written_row(),
          share(encode(state_written{turn.first_of_state_version, index})));
    const auto request = request_key(turn.by, turn.actor);
    if (!request.empty() && t.poison(request))
      erase(poison_row(request));
    if (turn.removed) {
      erase(actor_row(turn.actor));
      for (auto& row : t.timers.of_actor(turn.actor))
        erase(std::move(row));
    } else if (turn.state) {
      put(actor_row(turn.actor), *turn.state);
    }
    for (const auto& r : turn.rows)
      out.push_back({table_row(turn.actor, r.key), r.value, index});
    for (const auto& c : turn.cancelled)
      erase(timer_row(turn.actor, c));
    std::uint32_t unnamed = 0;
    for (const auto& s : turn.timers)
      put(timer_row(turn.actor,
                    s.id.empty() ? timer_unnamed(index, unnamed++) : s.id),
          share(encode(s.value)));
    std::map<group_id, std::uint64_t> next;
    for (const auto& s : turn.sends) {
      bytes value;
      writer w{value};
      banyan::encode(w, s.message);
      put(outbox_row(s.to, s.message.number), share(std::move(value)));
      next[s.to] = s.message.number + 1;
    }
    for (const auto& [to, n] : next) {
      const auto* known = t.streams.out(to);
      put(stream_out_row(to),
          share(encode_out(known ? std::max(n, known->next) : n,
                           known ? known->acknowledged : 0)));
    }
  }
  void operator()(const open_session_entry& o) const {
    close(o.closed);
    put(session_row(index.value()), share(encode_session(1, e.log_time)));
  }
  void operator()(const close_sessions_entry& c) const { close(c.closed); }
  void operator()(const poison_entry& p) const {
    for (const auto& i : p.items)
      put(poison_row(i.request), share(encode(i.records)));
  }
  void operator()(const stream_ack_entry& a) const {
    for (const auto& i : a.items) {
      const auto* known = t.streams.out(i.to);
      if (!known)
        continue;
      for (const auto& [number, m] : known->messages) {
        if (number > i.acknowledged)
          break;
        erase(outbox_row(i.to, number));
      }
      put(stream_out_row(i.to),
          share(encode_out(known->next,
                           std::max(known->acknowledged, i.acknowledged))));
    }
  }
  void operator()(const stop_entry& s) const {
    if (s.stopped)
      put(stopped_row(), share(bytes{1}));
    else
      erase(stopped_row());
  }
  void operator()(const checkpoint_entry&) const {}
  void operator()(const features_entry& f) const {
    put(features_row(), share(encode_bits(f.bits)));
  }
  void operator()(const version_entry& v) const {
    put(version_row(), share(encode(v.versions)));
    if (v.written)
      put(written_row(),
          share(encode(state_written{v.versions.now.state_version, index})));
  }
};

} // namespace

void derive(const entry& e, log_index index, const group_tables& t,
            std::vector<store::row_change>& out) {
  std::visit(deriver{e, index, t, out}, e.body);
}

std::string_view touched_actor(const entry& e) {
  const auto* turn = std::get_if<turn_entry>(&e.body);
  if (!turn || (!turn->state && !turn->removed && turn->rows.empty()))
    return {};
  return turn->actor;
}

} // namespace banyan::replica
