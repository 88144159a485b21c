#pragma once
#include "net/membership/membership.hpp"
#include "net/membership/messages.hpp"
#include "tests/fuzz/keys.hpp"

#include <string>

/// Members that lie: the whole membership core, under frames that are well
/// formed, signed by keys of members, and wrong. They may be believed about
/// themselves and their friends; they never decide about this node.
namespace banyan::fuzz {

using namespace net;

class liar {
public:
  static constexpr std::size_t liars = 4;
  inline static const mesh_id mesh{std::array<std::uint8_t, 32>{1}};

  /// Besides itself and the liars the node knows so many from an earlier boot:
  /// above 16 its view is one on rings.
  explicit liar(std::size_t crowd = 0)
      : crowd_{crowd}, members_max_{8 + crowd}, core_{config(), random_, now_} {
    core_.start(now_, out_);
    carry_out();
    for (std::size_t n = 1; n <= 2; ++n)
      link_up(n);
  }

  void act(input& i) {
    const auto what = i.u8();
    const auto from = 1 + i.u8() % liars;
    switch (what % (crowd_ > 0 ? 19 : 12)) {
    case 0:
      frame(from, channel::membership, i.piece());
      break;
    case 1:
      frame(from, channel::beat, i.piece());
      break;
    case 2: {
      news_message m;
      m.records.push_back(document(i));
      say(from, m);
      break;
    }
    case 3: {
      news_message m;
      m.reports.push_back(told(i));
      say(from, m);
      break;
    }
    case 4: {
      digest_message m;
      m.first = key_of(i.u8()).id();
      m.last = key_of(i.u8()).id();
      for (auto n = i.u8() % 4; n > 0; --n)
        m.entries.push_back({key_of(i.u8()).id(), incarnation{number(i)},
                             number(i), number(i), i.u8() % 2 == 1});
      say(from, m);
      break;
    }
    case 5:
      say(from, want_message{{key_of(i.u8()).id()}, {key_of(i.u8()).id()}});
      break;
    case 6:
      say(from, verdict_message{incarnation{number(i)}});
      break;
    case 7: {
      own_record_message m{document(i), {}};
      m.own.record.node = key_of(0).id(); // in our name; not with our key
      say(from, m);
      break;
    }
    case 8:
      if (i.u8() % 2 == 0)
        say(from, dial_back_message{number(i), {"10.0.0.77", 7600}});
      else
        say(from, dial_back_result_message{number(i), i.u8() % 2 == 1});
      break;
    case 9: {
      beat_message m;
      m.number = static_cast<std::uint32_t>(number(i));
      m.echo = static_cast<std::uint32_t>(number(i));
      m.echo_delay = std::chrono::microseconds{i.u16()};
      m.interval = std::chrono::milliseconds{i.u16()};
      m.answer = i.u8() % 2 == 1;
      m.hears = std::vector<node_id>{key_of(i.u8()).id()};
      frame(from, channel::beat, encode(m));
      break;
    }
    case 10:
      pass(std::chrono::milliseconds{i.u8() * 8});
      break;
    case 12: {
      root_message m{number(i), {}};
      if (i.u8() % 2 == 0)
        m.members = i.u16();
      say(from, m);
      break;
    }
    case 14: {
      page_wanted_message m;
      m.first = i.u8() % 4 * page_records_max;
      if (i.u8() % 2 == 0)
        m.ranges.emplace().fill(i.u8());
      say(from, m);
      break;
    }
    case 15: {
      page_message m;
      m.first = i.u8() % 4 * page_records_max;
      m.total = i.u16();
      for (auto n = i.u8() % page_records_max; n > 0; --n)
        m.records.push_back(document(i));
      if (i.u8() % 2 == 0)
        m.reports.push_back(told(i));
      say(from, m);
      break;
    }
    case 16: {
      roll_message m{number(i), {}};
      if (i.u8() % 2 == 0)
        m.hashes.emplace()[i.u8()] = number(i);
      say(from, m);
      break;
    }
    case 17: {
      vouch_message m;
      for (auto n = i.u8() % 4; n > 0; --n)
        m.vouchers.push_back(told(i, i.u8() % 8 != 0));
      say(from, m);
      break;
    }
    case 18: {
      name_message m;
      m.asks = i.u8() % 2 == 0;
      for (auto n = i.u8() % 8; n > 0; --n)
        m.nodes.push_back(key_of(i.u8()).id());
      say(from, m);
      break;
    }
    case 13: {
      ranges_message m;
      for (auto n = i.u8() % 8; n > 0; --n)
        m.hashes[i.u8()] = number(i);
      say(from, m);
      break;
    }
    default:
      if (i.u8() % 2 == 0)
        link_up(from);
      else
        core_.on_link_down(info(from), link_end::end_of_stream, now_, out_);
    }
    carry_out();
    check();
  }
  void pass(duration d) {
    const auto end = now_ + d;
    for (int n = 0; n < 200 && core_.deadline() <= end; ++n) {
      now_ = std::max(now_, core_.deadline());
      core_.on_tick(now_, out_);
      carry_out();
    }
    now_ = end;
    core_.on_tick(now_, out_);
    carry_out();
  }

private:
  /// Members that say nothing, let in by this node.
  [[nodiscard]] bytes known() const {
    bytes out;
    writer w{out};
    w.array(2).uint(1).array(crowd_);
    for (std::size_t n = 0; n < crowd_; ++n) {
      const auto key =
          identity::from_seed(filled(static_cast<std::uint8_t>(100 + n)));
      member_record r;
      r.node = key.id();
      r.incarnation = incarnation{1};
      r.address = {"10.0.1." + std::to_string(n), 7600};
      auto d = member_document::make(key, mesh, r);
      d.admitted = admission::make(key_of(0), mesh, key.id());
      d.encode(w);
    }
    return out;
  }
  [[nodiscard]] membership_config config() const {
    membership_config c{key_of(0).clone()};
    c.mesh = mesh;
    c.boot = boot_id{std::array<std::uint8_t, 16>{9}};
    c.disk_incarnation = incarnation{3};
    c.listen = {"10.0.0.1", 7600};
    c.members_max = members_max_;
    if (crowd_ > 0) {
      static const auto crowd = known(); // of one size only
      c.persisted_members = crowd;
    }
    return c;
  }
  static link_info info(std::size_t n) {
    link_info l;
    l.id = link_id{n};
    l.node = key_of(n).id();
    l.incarnation = incarnation{2};
    l.boot =
        boot_id{std::array<std::uint8_t, 16>{static_cast<std::uint8_t>(n)}};
    l.remote = l.listen = {"10.0.0." + std::to_string(n + 1), 7600};
    l.seen_as = {"10.0.0.1", 7600};
    return l;
  }
  void link_up(std::size_t n) {
    core_.on_link_up(info(n), now_, out_);
    carry_out();
  }
  static member_document document(input& i) {
    const auto& key = key_of(1 + i.u8() % 12);
    member_record r;
    r.node = key.id();
    r.incarnation = incarnation{number(i)};
    r.number = number(i);
    r.word = i.u8() % 4 == 0 ? member_word::left : member_word::normal;
    r.boot = boot_id{std::array<std::uint8_t, 16>{i.u8()}};
    r.address = {"10.0.0." + std::to_string(i.u8()), 7600};
    r.capacity.weight = i.u16();
    auto d = member_document::make(key, mesh, r);
    d.admitted = admission::make(key_of(i.u8()), mesh, key.id());
    return d;
  }
  static report told(input& i, bool vouches = false) {
    const auto& key = key_of(1 + i.u8() % 12);
    report r;
    r.observer = key.id();
    r.subject = key_of(i.u8()).id();
    r.observer_incarnation = incarnation{number(i)};
    r.subject_incarnation = incarnation{number(i)};
    r.number = number(i);
    r.down = i.u8() % 4 != 0;
    if (vouches) {
      r.number = 0;
      r.down = false;
    }
    r.sign(key, mesh);
    return r;
  }
  void say(std::size_t from, const membership_message& m) {
    frame(from, channel::membership, encode(m));
  }
  void frame(std::size_t from, channel on, const_bytes payload) {
    core_.on_frame(key_of(from).id(), on, payload, now_, out_);
  }

  void carry_out() {
    while (!out_.empty()) {
      const auto effects = std::move(out_);
      out_.clear();
      for (const auto& e : effects) {
        if (const auto* p = std::get_if<persist_incarnation>(&e)) {
          core_.on_incarnation_persisted(p->value, now_, out_);
        } else if (const auto* f = std::get_if<send_frame>(&e)) {
          BANYAN_ASSERT(f->payload.size() <= membership_frame_bytes_max);
          membership_message m;
          beat_message b;
          BANYAN_ASSERT(f->channel == channel::beat ? decode(f->payload, b)
                                                    : decode(f->payload, m));
        } else if (const auto* probe = std::get_if<probe_address>(&e)) {
          core_.on_probed(probe->token, failure{dial_error::refused}, now_,
                          out_);
        }
        // Only our own signature can say that our disk is old or copied.
        BANYAN_ASSERT(!std::holds_alternative<rolled_back>(e));
        BANYAN_ASSERT(!std::holds_alternative<cloned>(e));
      }
    }
  }
  void check() {
    BANYAN_ASSERT(core_.state_of(key_of(0).id()) == member_state::alive);
    BANYAN_ASSERT(core_.own().word == member_word::normal);
    BANYAN_ASSERT(core_.own().incarnation >= incarnation_);
    incarnation_ = core_.own().incarnation;
    BANYAN_ASSERT(core_.members().size() <= members_max_ + 1);
  }

  std::size_t crowd_;
  std::size_t members_max_;
  seeded_random random_{5};
  time_point now_{1h};
  membership_effects out_;
  membership core_;
  incarnation incarnation_;
};

} // namespace banyan::fuzz
