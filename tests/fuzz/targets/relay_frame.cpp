// Frames of the channel relay, and both machines that read them.
#include "net/link/relay_ends.hpp"
#include "net/link/relay_forwarder.hpp"
#include "tests/fuzz/keys.hpp"

namespace banyan::fuzz {
namespace {

using namespace net;

node_id node(std::uint8_t n) {
  std::array<std::uint8_t, node_id::size> id{};
  id.fill(n);
  return node_id{id};
}

bytes packed(const relay_frame& f) {
  bytes out;
  writer w{out};
  encode(f, w);
  return out;
}

/// The input is a course of frames, each behind two bytes: who says it (of
/// three), and its size.
void run(const_bytes in) {
  relay_frame f;
  if (decode(in, f)) {
    BANYAN_ASSERT(f.data.size() <= relay_data_max && !f.far.is_none());
    const auto once = packed(f);
    relay_frame again;
    BANYAN_ASSERT(decode(once, again) && packed(again) == once);
  }
  relay_limits limits;
  limits.window = 512;
  limits.streams_max = 8;
  limits.streams_per_opener = 4;
  limits.ends_max = 4;
  relay_counters counters;
  std::size_t out = 0;
  relay_forwarder forwarder{limits,
                            node(9),
                            {[&](const node_id&, const relay_frame& x) {
                               BANYAN_ASSERT(x.forwarded);
                               ++out;
                               return true;
                             },
                             [](const node_id&) { return true; },
                             [](const node_id&) { return true; }},
                            counters};
  relay_ends ends{limits,
                  [&](const node_id&, const relay_frame& x) {
                    BANYAN_ASSERT(!x.forwarded);
                    return true;
                  },
                  counters};
  ends.begin_at(1);
  const auto own = ends.open(node(1), node(2));
  ends.write(own, bytes(2000, 'x'));
  time_point now{1h};
  std::size_t frames = 0;
  for (const_bytes rest = in; rest.size() >= 2; ++frames) {
    const auto from = node(static_cast<std::uint8_t>(rest[0] % 3 + 1));
    const auto size = std::min<std::size_t>(rest[1], rest.size() - 2);
    const auto one = rest.from(2).first(size);
    rest = rest.from(2 + size);
    now += 1ms;
    forwarder.on_time(now);
    ends.on_time(now);
    if (!decode(one, f))
      continue;
    if (f.forwarded)
      ends.on_frame(from, f);
    else
      forwarder.on_frame(from, f, now);
    while (auto e = ends.take_event())
      BANYAN_ASSERT(is_relayed(e->id));
    BANYAN_ASSERT(forwarder.streams() <= limits.streams_max);
  }
  for (std::uint8_t n = 1; n <= 3; ++n) {
    forwarder.link_gone(node(n), now);
    ends.link_gone(node(n));
  }
  BANYAN_ASSERT(forwarder.streams() == 0 && ends.unsent(own) == 0);
}

std::vector<bytes> seeds() {
  std::vector<bytes> all;
  bytes course;
  const auto add = [&](std::uint8_t from, const relay_frame& f) {
    all.push_back(packed(f));
    course.push_back(static_cast<std::uint8_t>(from - 1));
    course.push_back(static_cast<std::uint8_t>(all.back().size()));
    append(course, all.back());
  };
  const auto text = to_bytes("sealed bytes");
  for (const bool forwarded : {false, true}) {
    relay_frame f;
    f.forwarded = forwarded;
    f.far = node(2);
    f.stream = 5;
    f.by_opener = true;
    f.word = relay_word::open;
    add(1, f);
    f.word = relay_word::data;
    f.data = text;
    add(1, f);
    f.number = text.size();
    add(1, f);
    f.data = {};
    f.far = node(1);
    f.by_opener = false;
    f.word = relay_word::credit;
    add(2, f);
    f.word = relay_word::close;
    f.number = 1;
    add(2, f);
  }
  all.push_back(course);
  return all;
}

} // namespace
} // namespace banyan::fuzz

BANYAN_FUZZ_TARGET(relay_frame)
