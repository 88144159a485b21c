#include "store/raft/messages.hpp"

#include <utility>

namespace banyan::raft {
namespace {

// A message is [kind, from, to, term, body]; the kind is the place of the body
// in `message_body`, and a body is a map with small integer keys. Places and
// keys are on the wire: new ones are only added behind the last.
static_assert(std::variant_size_v<message_body> == 18);

struct body_writer {
  writer& out;

  void operator()(const pre_vote& b) const {
    out.map(4).uint(0).uint(b.campaign).uint(1).id(b.next_term);
    out.uint(2).id(b.last_index).uint(3).id(b.last_term);
  }
  void operator()(const pre_vote_answer& b) const {
    out.map(2).uint(0).uint(b.campaign).uint(1).boolean(b.granted);
  }
  void operator()(const vote& b) const {
    out.map(3).uint(0).uint(b.campaign).uint(1).id(b.last_index);
    out.uint(2).id(b.last_term);
  }
  void operator()(const vote_answer& b) const {
    out.map(2).uint(0).uint(b.campaign).uint(1).boolean(b.granted);
  }
  void operator()(const raft::append& b) const {
    out.map(4).uint(0).id(b.prev_index).uint(1).id(b.prev_term);
    out.uint(2).id(b.committed).uint(3).array(b.entries.size());
    for (const auto& e : b.entries) {
      out.array(3).id(e.term).uint(static_cast<std::uint64_t>(e.kind));
      out.blob(e.data.view());
    }
  }
  void operator()(const append_answer& b) const {
    out.map(4).uint(0).id(b.index).uint(1).boolean(b.refused);
    out.uint(2).id(b.hint_index).uint(3).id(b.hint_term);
  }
  void operator()(const beat& b) const { out.map(1).uint(0).id(b.committed); }
  void operator()(const beat_answer&) const { out.map(0); }
  void operator()(const round_question& b) const {
    out.map(1).uint(0).uint(b.round);
  }
  void operator()(const round_answer& b) const {
    out.map(1).uint(0).uint(b.round);
  }
  void operator()(const confirm_question& b) const {
    out.map(1).uint(0).uint(b.number);
  }
  void operator()(const confirm_answer& b) const {
    out.map(2).uint(0).uint(b.number).uint(1).id(b.index);
  }
  void operator()(const timeout_now&) const { out.map(0); }
  void operator()(const stopped_leading& b) const {
    out.map(2).uint(0).id(b.led).uint(1).boolean(b.handed);
  }
  void operator()(const probe&) const { out.map(0); }
  void operator()(const raft::sleep& b) const {
    out.map(2).uint(0).id(b.last).uint(1).id(b.incarnation);
  }
  void operator()(const sleep_answer&) const { out.map(0); }
  void operator()(const no_such_replica& b) const {
    out.map(1).uint(0).id(b.asked);
  }
};

/// Reads a map; `take(key)` reads the value of a key that it knows, or returns
/// false. Unknown keys are skipped, those below `needed` must all be there.
template <class F>
void each_field(reader& in, std::int64_t needed, F take) {
  std::int64_t key = -1;
  std::int64_t found = 0;
  for (auto n = in.map(64); n > 0 && in.ok(); --n) {
    key = in.key(key);
    if (!in.ok())
      return;
    if (key < needed)
      ++found;
    if (!take(key))
      in.skip();
  }
  in.require(found == needed);
}

template <class... Fields>
void read_fields(reader& in, Fields... fields) {
  each_field(in, sizeof...(fields), [&](std::int64_t key) {
    std::int64_t place = 0;
    return ((place++ == key ? (fields(), true) : false) || ...);
  });
}

auto number(reader& in, std::uint64_t& v) {
  return [&in, &v] { v = in.uint(); };
}
auto flag(reader& in, bool& v) {
  return [&in, &v] { v = in.boolean(); };
}
template <class Id>
auto id(reader& in, Id& v) {
  return [&in, &v] { in.id(v); };
}

void read_entries(reader& in, std::vector<log_entry>& out) {
  const auto n = in.array(append_entries_max);
  out.reserve(n);
  for (std::size_t i = 0; i < n && in.ok(); ++i) {
    log_entry e;
    in.require(in.array(3) == 3);
    in.id(e.term);
    e.kind = static_cast<entry_kind>(
        in.uint(static_cast<std::uint64_t>(entry_kind::configuration)));
    const auto data = in.blob(entry_bytes_max);
    if (!data.empty())
      e.data = shared_bytes{data.copy()};
    out.push_back(std::move(e));
  }
}

struct body_reader {
  reader& in;

  void operator()(pre_vote& b) const {
    read_fields(in, number(in, b.campaign), id(in, b.next_term),
                id(in, b.last_index), id(in, b.last_term));
  }
  void operator()(pre_vote_answer& b) const {
    read_fields(in, number(in, b.campaign), flag(in, b.granted));
  }
  void operator()(vote& b) const {
    read_fields(in, number(in, b.campaign), id(in, b.last_index),
                id(in, b.last_term));
  }
  void operator()(vote_answer& b) const {
    read_fields(in, number(in, b.campaign), flag(in, b.granted));
  }
  void operator()(raft::append& b) const {
    read_fields(in, id(in, b.prev_index), id(in, b.prev_term),
                id(in, b.committed), [&] { read_entries(in, b.entries); });
    // Indexes follow from the place; none may wrap around.
    in.require(b.prev_index.value() < UINT64_MAX - append_entries_max);
    auto index = b.prev_index;
    for (auto& e : b.entries)
      e.index = index = index.next();
  }
  void operator()(append_answer& b) const {
    read_fields(in, id(in, b.index), flag(in, b.refused), id(in, b.hint_index),
                id(in, b.hint_term));
  }
  void operator()(beat& b) const { read_fields(in, id(in, b.committed)); }
  void operator()(beat_answer&) const { read_fields(in); }
  void operator()(round_question& b) const {
    read_fields(in, number(in, b.round));
  }
  void operator()(round_answer& b) const {
    read_fields(in, number(in, b.round));
  }
  void operator()(confirm_question& b) const {
    read_fields(in, number(in, b.number));
  }
  void operator()(confirm_answer& b) const {
    read_fields(in, number(in, b.number), id(in, b.index));
  }
  void operator()(timeout_now&) const { read_fields(in); }
  void operator()(stopped_leading& b) const {
    read_fields(in, id(in, b.led), flag(in, b.handed));
  }
  void operator()(probe&) const { read_fields(in); }
  void operator()(raft::sleep& b) const {
    read_fields(in, id(in, b.last), id(in, b.incarnation));
  }
  void operator()(sleep_answer&) const { read_fields(in); }
  void operator()(no_such_replica& b) const {
    read_fields(in, id(in, b.asked));
  }
};

template <std::size_t... I>
bool emplace_body(message_body& body, std::uint64_t kind,
                  std::index_sequence<I...>) {
  return ((I == kind ? (body.template emplace<I>(), true) : false) || ...);
}

} // namespace

void encode(writer& out, const message& m) {
  out.array(5).uint(m.body.index()).id(m.from.replica).id(m.to.replica);
  out.id(m.term);
  std::visit(body_writer{out}, m.body);
}

bytes encode(const message& m) {
  bytes out;
  writer w{out};
  encode(w, m);
  return out;
}

result<message, decode_errc> decode_message(const_bytes in, const node_id& far,
                                            const node_id& self) {
  reader r{in};
  message m;
  m.from.node = far;
  m.to.node = self;
  r.require(r.array(5) == 5);
  const auto kind = r.uint(std::variant_size_v<message_body> - 1);
  r.id(m.from.replica);
  r.id(m.to.replica);
  r.id(m.term);
  if (!r.ok()
      || !emplace_body(
          m.body, kind,
          std::make_index_sequence<std::variant_size_v<message_body>>{}))
    return failure{decode_errc::malformed};
  std::visit(body_reader{r}, m.body);
  if (!r.done())
    return failure{decode_errc::malformed};
  return m;
}

message no_such_replica_answer(const message& to) {
  BANYAN_ASSERT(!std::holds_alternative<no_such_replica>(to.body));
  return {to.to, to.from, {}, no_such_replica{to.to.replica}};
}

const char* name_of(const message_body& body) {
  static constexpr const char* names[] = {
      "pre_vote",     "pre_vote_answer",  "vote",
      "vote_answer",  "append",           "append_answer",
      "beat",         "beat_answer",      "round_question",
      "round_answer", "confirm_question", "confirm_answer",
      "timeout_now",  "stopped_leading",  "probe",
      "sleep",        "sleep_answer",     "no_such_replica"};
  static_assert(std::size(names) == std::variant_size_v<message_body>);
  return names[body.index()];
}

} // namespace banyan::raft
