// Frames of the channels membership and beat, and what they are made of.
#include "net/membership/messages.hpp"
#include "tests/fuzz/keys.hpp"

namespace banyan::fuzz {
namespace {

using namespace net;

// Unknown elements of a newer version are dropped by encoding; what is known
// stays as it is.
template <class Message>
bool stable(const_bytes in) {
  return accepts_stable<Message>(
      in, [](const Message& m) { return encode(m); },
      [](const_bytes b, Message& m) { return decode(b, m); });
}

void run(const_bytes in) {
  stable<beat_message>(in);
  membership_message m;
  if (decode(in, m)) {
    if (const auto* n = std::get_if<news_message>(&m)) {
      BANYAN_ASSERT(n->records.size() <= news_records_max);
      BANYAN_ASSERT(n->reports.size() <= news_reports_max);
      for (const auto& d : n->records)
        BANYAN_ASSERT(d.body.size() <= member_record::encoded_bytes_max);
    }
    if (const auto* p = std::get_if<page_message>(&m)) {
      BANYAN_ASSERT(p->records.size() <= page_records_max);
      BANYAN_ASSERT(p->reports.size() <= page_reports_max);
    }
    if (!std::holds_alternative<unknown_message>(m))
      stable<membership_message>(in);
  }
  member_record r;
  if (member_record::decode(in, r)) {
    BANYAN_ASSERT(in.size() <= member_record::encoded_bytes_max);
    BANYAN_ASSERT(valid_label(r.region) && valid_label(r.zone));
    BANYAN_ASSERT(valid_label(r.target));
    bytes once;
    writer w{once};
    r.encode(w);
    member_record again;
    BANYAN_ASSERT(member_record::decode(once, again));
    BANYAN_ASSERT(!again.newer_than(r) && !r.newer_than(again));
    BANYAN_ASSERT(again.capacity == r.capacity && again.address == r.address);
    BANYAN_ASSERT(again.doubts == r.doubts);
    BANYAN_ASSERT(r.doubts.size() <= member_record::doubts_max);
  }
}

std::vector<bytes> seeds() {
  const auto key = identity::from_seed(filled(1));
  const auto other = identity::from_seed(filled(2));
  const mesh_id mesh{std::array<std::uint8_t, 32>{1}};
  member_record r;
  r.node = key.id();
  r.incarnation = incarnation{3};
  r.number = 7;
  r.boot = boot_id{std::array<std::uint8_t, 16>{4}};
  r.address = {"192.0.2.1", 7600};
  r.region = "eu-north";
  r.zone = "a";
  r.target = "x86_64-linux";
  r.tier = 2;
  r.capacity = {8, 100, 16'384, 1U << 20};
  auto own = member_document::make(key, mesh, r);
  own.admitted = admission::make(other, mesh, key.id());
  report down;
  down.observer = key.id();
  down.subject = other.id();
  down.observer_incarnation = incarnation{3};
  down.subject_incarnation = incarnation{9};
  down.down = true;
  down.sign(key, mesh);
  digest_message digest;
  digest.first = key.id();
  digest.last = other.id();
  digest.entries.push_back({key.id(), incarnation{3}, 7, 99, true});
  std::vector<bytes> out;
  for (const membership_message& m :
       {membership_message{hello_message{own, {"10.0.0.1", 7600}}},
        membership_message{news_message{{own}, {down}}},
        membership_message{summary_message{77}}, membership_message{digest},
        membership_message{want_message{{key.id()}, {other.id()}}},
        membership_message{own_record_message{own, {}}},
        membership_message{verdict_message{incarnation{4}}},
        membership_message{dial_back_message{5, {"10.0.0.1", 7600}}},
        membership_message{dial_back_result_message{5, true}},
        membership_message{root_message{78}},
        membership_message{root_message{79, 10'000}},
        membership_message{ranges_message{{1, 0, ~0ULL}}},
        membership_message{page_wanted_message{32, {}}},
        membership_message{page_wanted_message{0, range_set{1, 0, 255}}},
        membership_message{page_message{0, 1, {own}, {down}}},
        membership_message{roll_message{80, {}}},
        membership_message{roll_message{80, range_hashes{1, 0, ~0ULL}}},
        membership_message{vouch_message{{down}}},
        membership_message{name_message{true, {key.id(), other.id()}}}})
    out.push_back(encode(m));
  beat_message b;
  b.number = 4;
  b.echo = 3;
  b.echo_delay = 120us;
  b.interval = 50ms;
  b.leads = 99;
  out.push_back(encode(b));
  b.answer = true;
  b.fsync_age = 3s;
  b.hears = std::vector<node_id>{key.id(), other.id()};
  out.push_back(encode(b));
  b.needed = false;
  out.push_back(encode(b));
  out.push_back(own.body);
  r.doubts = {{{1}, 0}, {{2}, 3}};
  out.push_back(member_document::make(key, mesh, r).body);
  return out;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(membership_frame)
