// The members that an earlier boot kept, as the disk gives them back: rotten,
// old, or made by somebody who has the disk and keys of members.
#include "net/membership/membership.hpp"
#include "tests/fuzz/keys.hpp"

#include <string>

namespace banyan::fuzz {
namespace {

using namespace net;

constexpr std::size_t members_max = 8;
const mesh_id mesh{std::array<std::uint8_t, 32>{1}};

bytes made(input& i) {
  const std::size_t n = i.u8() % (2 * members_max);
  bytes out;
  writer w{out};
  w.array(2).uint(i.u8() % 8 == 0 ? 2 : 1).array(n);
  for (std::size_t k = 0; k < n; ++k) {
    const auto& key = key_of(i.u8());
    member_record r;
    r.node = key.id();
    // Nobody was ever born so often that there is no next time.
    r.incarnation = incarnation{std::min(number(i), UINT64_MAX - 1)};
    r.number = number(i);
    r.word = i.u8() % 4 == 0 ? member_word::left : member_word::normal;
    r.address = {"10.0.0." + std::to_string(i.u8()), 7600};
    auto d = member_document::make(key, mesh, r);
    if (i.u8() % 2 == 0)
      d.admitted = admission::make(key_of(i.u8()), mesh, key.id());
    d.encode(w);
  }
  return out;
}

/// One boot with those bytes; what it would keep of them, if it says.
bytes boot(bytes kept) {
  membership_config c{key_of(0).clone()};
  c.mesh = mesh;
  c.boot = boot_id{std::array<std::uint8_t, 16>{9}};
  c.disk_incarnation = incarnation{3};
  c.listen = {"10.0.0.1", 7600};
  c.members_max = members_max;
  c.persisted_members = std::move(kept);
  seeded_random random{5};
  time_point now{1h};
  membership core{std::move(c), random, now};
  membership_effects out;
  bytes kept_next;
  bool ready = false;
  core.start(now, out);
  for (int step = 0; step < 20; ++step) {
    const auto effects = std::exchange(out, {});
    for (const auto& e : effects) {
      if (const auto* p = std::get_if<persist_incarnation>(&e)) {
        BANYAN_ASSERT(p->value > incarnation{3});
        core.on_incarnation_persisted(p->value, now, out);
      } else if (const auto* m = std::get_if<persist_members>(&e)) {
        kept_next = m->encoded;
      } else if (std::holds_alternative<incarnation_ready>(e)) {
        ready = true;
      }
      BANYAN_ASSERT(!std::holds_alternative<cloned>(e));
    }
    now = std::max(now, std::min(core.deadline(), now + 200ms));
    core.on_tick(now, out);
  }
  BANYAN_ASSERT(ready);
  BANYAN_ASSERT(core.state_of(key_of(0).id()) == member_state::alive);
  BANYAN_ASSERT(core.own().word == member_word::normal);
  BANYAN_ASSERT(core.members().size() <= members_max + 1);
  return kept_next;
}

void run(const_bytes in) {
  input i{in};
  const auto kept = boot(i.u8() % 2 == 0 ? i.rest().copy() : made(i));
  if (!kept.empty()) // what it keeps it can read, and is kept again
    BANYAN_ASSERT(!boot(kept).empty());
}

std::vector<bytes> seeds() {
  bytes one{2, 1, 1, 5, 1, 1, 7, 0, 1, 2, 1, 9, 1, 8, 1, 1};
  bytes own{1, 1, 0, 9, 1, 1, 7, 0, 1};
  input i{one};
  return {tagged(1, one), tagged(1, own), tagged(0, made(i)),
          tagged(0, bytes{0x92, 1, 0x90})};
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(members_file)
