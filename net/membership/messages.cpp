#include "net/membership/messages.hpp"

#include <algorithm>
#include <type_traits>

namespace banyan::net {

namespace {

void put(writer& w, const address& a) {
  w.text(a.host).uint(a.port);
}

address take_address(reader& r) {
  address a;
  a.host = std::string{r.text(address::host_bytes_max)};
  a.port = static_cast<std::uint16_t>(r.uint(UINT16_MAX));
  return a;
}

void put(writer& w, const std::vector<node_id>& ids) {
  w.array(ids.size());
  for (const auto& id : ids)
    w.id(id);
}

std::vector<node_id> take_ids(reader& r, std::size_t max) {
  std::vector<node_id> ids(r.array(max));
  for (auto& id : ids)
    r.id(id);
  return ids;
}

void put(writer& w, const range_hashes& hashes) {
  w.array(hashes.size());
  for (const auto h : hashes)
    w.uint(h);
}

void take(reader& r, range_hashes& hashes) {
  if (!r.require(r.array(hashes.size()) == hashes.size()))
    return;
  for (auto& h : hashes)
    h = r.uint();
}

/// What follows the kind, and how many elements that is.
struct packer {
  writer& w;

  void operator()(const unknown_message&) const { BANYAN_ASSERT(false); }
  void operator()(const hello_message& m) const {
    w.array(4).uint(m.kind);
    m.own.encode(w);
    put(w, m.seen);
  }
  void operator()(const news_message& m) const {
    w.array(3).uint(m.kind).array(m.records.size());
    for (const auto& d : m.records)
      d.encode(w);
    w.array(m.reports.size());
    for (const auto& x : m.reports)
      x.encode(w);
  }
  void operator()(const summary_message& m) const {
    w.array(2).uint(m.kind).uint(m.hash);
  }
  void operator()(const digest_message& m) const {
    w.array(4).uint(m.kind).id(m.first).id(m.last).array(m.entries.size());
    for (const auto& e : m.entries) {
      w.array(5).id(e.node).id(e.incarnation).uint(e.number);
      w.uint(e.reports).boolean(e.dead);
    }
  }
  void operator()(const want_message& m) const {
    w.array(3).uint(m.kind);
    put(w, m.records);
    put(w, m.observers);
  }
  void operator()(const own_record_message& m) const {
    w.array(4).uint(m.kind);
    m.own.encode(w);
    put(w, m.seen);
  }
  void operator()(const verdict_message& m) const {
    w.array(2).uint(m.kind).id(m.incarnation);
  }
  void operator()(const dial_back_message& m) const {
    w.array(4).uint(m.kind).uint(m.token);
    put(w, m.at);
  }
  void operator()(const dial_back_result_message& m) const {
    w.array(3).uint(m.kind).uint(m.token).boolean(m.reached);
  }
  void operator()(const root_message& m) const {
    w.array(m.members ? 3 : 2).uint(m.kind).uint(m.hash);
    if (m.members)
      w.uint(*m.members);
  }
  void operator()(const ranges_message& m) const {
    w.array(3).uint(m.kind);
    put(w, m.hashes);
    w.blob(m.moving);
  }
  void operator()(const page_wanted_message& m) const {
    w.array(3).uint(m.kind).uint(m.first);
    if (m.ranges)
      w.blob(*m.ranges);
    else
      w.nil();
  }
  void operator()(const page_message& m) const {
    w.array(5).uint(m.kind).uint(m.first).uint(m.total);
    w.array(m.records.size());
    for (const auto& d : m.records)
      d.encode(w);
    w.array(m.reports.size());
    for (const auto& x : m.reports)
      x.encode(w);
  }
  void operator()(const roll_message& m) const {
    w.array(3).uint(m.kind).uint(m.salt);
    if (m.hashes)
      put(w, *m.hashes);
    else
      w.nil();
  }
  void operator()(const vouch_message& m) const {
    w.array(2).uint(m.kind).array(m.vouchers.size());
    for (const auto& x : m.vouchers)
      x.encode(w);
  }
  void operator()(const name_message& m) const {
    w.array(3).uint(m.kind).boolean(m.asks);
    put(w, m.nodes);
  }
};

/// Reads what follows the kind; the counts are those of `packer`.
struct unpacker {
  reader& r;
  std::size_t& taken; ///< elements of the frame's array, with the kind
  std::size_t elements;

  void operator()(unknown_message&) { taken = 1; }
  void operator()(hello_message& m) {
    taken = 4;
    if (member_document::decode(r, m.own))
      m.seen = take_address(r);
  }
  void operator()(news_message& m) {
    taken = 3;
    for (auto n = r.array(news_records_max); n > 0 && r.ok(); --n)
      if (!member_document::decode(r, m.records.emplace_back()))
        return;
    for (auto n = r.array(news_reports_max); n > 0 && r.ok(); --n)
      if (!report::decode(r, m.reports.emplace_back()))
        return;
  }
  void operator()(summary_message& m) {
    taken = 2;
    m.hash = r.uint();
  }
  void operator()(digest_message& m) {
    taken = 4;
    r.id(m.first);
    r.id(m.last);
    m.entries.resize(r.array(digest_entries_max));
    const node_id* before = nullptr;
    for (auto& e : m.entries) {
      r.require(r.array(5) == 5);
      r.id(e.node);
      r.id(e.incarnation);
      e.number = r.uint();
      e.reports = r.uint();
      e.dead = r.boolean();
      r.require(before == nullptr || *before < e.node);
      before = &e.node;
    }
  }
  void operator()(want_message& m) {
    taken = 3;
    m.records = take_ids(r, want_ids_max);
    m.observers = take_ids(r, want_ids_max);
  }
  void operator()(own_record_message& m) {
    taken = 4;
    if (member_document::decode(r, m.own))
      m.seen = take_address(r);
  }
  void operator()(verdict_message& m) {
    taken = 2;
    r.id(m.incarnation);
  }
  void operator()(dial_back_message& m) {
    taken = 4;
    m.token = r.uint();
    m.at = take_address(r);
  }
  void operator()(dial_back_result_message& m) {
    taken = 3;
    m.token = r.uint();
    m.reached = r.boolean();
  }
  void operator()(root_message& m) {
    taken = elements > 2 ? 3 : 2;
    m.hash = r.uint();
    if (elements > 2)
      m.members = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  }
  void operator()(ranges_message& m) {
    taken = 2;
    take(r, m.hashes);
    if (!r.ok() || elements < 3)
      return;
    taken = 3;
    const auto moving = r.blob(m.moving.size());
    if (r.require(moving.size() == m.moving.size()))
      std::copy(moving.begin(), moving.end(), m.moving.begin());
  }
  void operator()(page_wanted_message& m) {
    taken = 3;
    m.first = static_cast<std::uint32_t>(r.uint(pages_records_max));
    if (r.peek() == reader::kind::nil)
      return r.nil();
    const auto set = r.blob(range_set{}.size());
    if (r.require(set.size() == range_set{}.size()))
      std::copy(set.begin(), set.end(), m.ranges.emplace().begin());
  }
  void operator()(page_message& m) {
    taken = 5;
    m.first = static_cast<std::uint32_t>(r.uint(pages_records_max));
    m.total = static_cast<std::uint32_t>(r.uint(pages_records_max));
    for (auto n = r.array(page_records_max); n > 0 && r.ok(); --n)
      if (!member_document::decode(r, m.records.emplace_back()))
        return;
    for (auto n = r.array(page_reports_max); n > 0 && r.ok(); --n)
      if (!report::decode(r, m.reports.emplace_back()))
        return;
  }
  void operator()(roll_message& m) {
    taken = 3;
    m.salt = r.uint();
    if (r.peek() == reader::kind::nil)
      r.nil();
    else
      take(r, m.hashes.emplace());
  }
  void operator()(vouch_message& m) {
    taken = 2;
    for (auto n = r.array(vouchers_max); n > 0 && r.ok(); --n)
      if (!report::decode(r, m.vouchers.emplace_back()))
        return;
  }
  void operator()(name_message& m) {
    taken = 3;
    m.asks = r.boolean();
    m.nodes = take_ids(r, want_ids_max);
  }
};

template <std::size_t I = 1>
void select(std::uint64_t kind, membership_message& out) {
  if constexpr (I < std::variant_size_v<membership_message>) {
    using candidate = std::variant_alternative_t<I, membership_message>;
    if (kind == candidate::kind)
      out.emplace<candidate>();
    else
      select<I + 1>(kind, out);
  } else {
    out.emplace<unknown_message>();
  }
}

std::uint64_t whole(duration d, duration unit) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(d / unit, 0));
}

/// No duration of a beat is longer than a day: nothing overflows.
constexpr std::uint64_t beat_ms_max = 86'400'000;

constexpr std::size_t elements_max = 16;

} // namespace

bytes encode(const membership_message& m) {
  bytes out;
  writer w{out};
  std::visit(packer{w}, m);
  return out;
}

bool decode(const_bytes in, membership_message& out) {
  if (in.size() > membership_frame_bytes_max)
    return false;
  reader r{in};
  const auto elements = r.array(elements_max);
  if (!r.require(elements > 0))
    return false;
  select(r.uint(), out);
  std::size_t taken = 0;
  std::visit(unpacker{r, taken, elements}, out);
  if (!r.require(taken <= elements))
    return false;
  for (auto i = taken; i < elements; ++i)
    r.skip();
  return r.done();
}

bytes encode(const beat_message& m) {
  bytes out;
  writer w{out};
  w.array(m.needed ? 9 : 8).uint(m.number).uint(m.echo);
  w.uint(std::min<std::uint64_t>(whole(m.echo_delay, 1us), beat_ms_max * 1000));
  w.uint(std::min<std::uint64_t>(whole(m.interval, 1ms), beat_ms_max));
  w.boolean(m.answer).uint(m.leads);
  w.uint(std::min<std::uint64_t>(whole(m.fsync_age, 1ms), beat_ms_max));
  if (m.hears)
    put(w, *m.hears);
  else
    w.nil();
  if (m.needed)
    w.boolean(*m.needed);
  return out;
}

bool decode(const_bytes in, beat_message& out) {
  if (in.size() > membership_frame_bytes_max)
    return false;
  reader r{in};
  const auto elements = r.array(elements_max);
  if (!r.require(elements >= 8))
    return false;
  const auto span = [&r](std::uint64_t max) {
    return static_cast<std::int64_t>(r.uint(max));
  };
  out.number = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  out.echo = static_cast<std::uint32_t>(r.uint(UINT32_MAX));
  out.echo_delay = std::chrono::microseconds{span(beat_ms_max * 1000)};
  out.interval = std::chrono::milliseconds{span(beat_ms_max)};
  out.answer = r.boolean();
  out.leads = r.uint();
  out.fsync_age = std::chrono::milliseconds{span(beat_ms_max)};
  if (r.peek() == reader::kind::nil) {
    r.nil();
    out.hears.reset();
  } else {
    out.hears = take_ids(r, heard_max);
  }
  if (elements > 8)
    out.needed = r.boolean();
  else
    out.needed.reset();
  for (std::size_t i = 9; i < elements; ++i)
    r.skip();
  return r.done();
}

} // namespace banyan::net
