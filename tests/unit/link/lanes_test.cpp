#include "crypto/noise/primitives.hpp"
#include "net/link/detail/lanes.hpp"
#include "net/link/detail/record_reader.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

namespace banyan::net::test {
namespace {

using out_frame = std::pair<channel, bytes>;

void put(lanes& l, channel c, const bytes& payload) {
  append(l.begin(c), payload);
  ASSERT_TRUE(l.end().ok());
}

/// Seals what the lanes hold, and opens it again, at most `step` bytes at once.
class loopback {
public:
  explicit loopback(link_role role = link_role::peer)
      : sealer{keys()}, reader{keys(), role} {}

  static noise::cipher_state keys() {
    return noise::cipher_state{noise::chacha_poly, fixed_secret(9)};
  }
  bytes seal(const_bytes plaintext) {
    bytes out;
    EXPECT_TRUE(sealer.seal(plaintext, out).ok());
    return out;
  }
  bytes seal_all(lanes& l) {
    bytes out;
    while (!l.empty()) {
      bytes plain;
      l.take(plain, record_plaintext_max);
      EXPECT_LE(plain.size(), record_plaintext_max);
      append(out, seal(plain));
    }
    return out;
  }
  result<void, read_errc> feed(const_bytes data, std::size_t step = SIZE_MAX) {
    while (!data.empty()) {
      const auto n = std::min(step, data.size());
      batch.reset(n + record_plaintext_max);
      const auto fed = reader.feed(data.first(n), batch);
      for (const auto& f : batch.frames())
        frames.emplace_back(f.channel, f.payload.copy());
      if (!fed)
        return fed;
      data = data.from(n);
    }
    return {};
  }

  record_sealer sealer;
  record_reader reader;
  frame_batch batch;
  std::vector<out_frame> frames;
};

bytes fragment(std::uint8_t c, std::uint8_t flags, std::size_t size,
               const bytes& payload) {
  bytes out{c, flags, static_cast<std::uint8_t>(size >> 8),
            static_cast<std::uint8_t>(size & 0xFF)};
  append(out, payload);
  return out;
}

TEST(Lanes, ManySmallFramesShareOneRecord) {
  lanes l{link_limits{}};
  for (int i = 0; i < 500; ++i)
    put(l, channel::raft, bytes(64, static_cast<std::uint8_t>(i)));
  loopback link;
  const auto sealed = link.seal_all(l);
  EXPECT_EQ(link.sealer.counter(), 1U);
  EXPECT_EQ(sealed.size(), 500 * 68 + record_overhead_bytes);
  ASSERT_TRUE(link.feed(sealed).ok());
  ASSERT_EQ(link.frames.size(), 500U);
  EXPECT_EQ(link.frames[300].second, bytes(64, 300 & 0xFF));
}

TEST(Lanes, ControlBeforeRequestsBeforeBulk) {
  lanes l{link_limits{}};
  put(l, channel::bulk, {3});
  put(l, channel::request, {2});
  put(l, channel::beat, {1});
  put(l, channel::reply, {4});
  put(l, channel::membership, {5});
  loopback link;
  ASSERT_TRUE(link.feed(link.seal_all(l)).ok());
  std::vector<int> order;
  for (const auto& f : link.frames)
    order.push_back(f.second[0]);
  EXPECT_EQ(order, (std::vector<int>{1, 5, 2, 4, 3}));
}

TEST(Lanes, AControlFrameOvertakesASnapshotInTheMiddleOfAFrame) {
  lanes l{link_limits{}};
  put(l, channel::bulk, bytes(1024 * 1024, 7));
  loopback link;
  bytes sealed;
  bytes plain;
  l.take(plain, record_plaintext_max); // the first record is all bulk
  append(sealed, link.seal(plain));
  put(l, channel::beat, {1});
  append(sealed, link.seal_all(l));
  ASSERT_TRUE(link.feed(sealed).ok());
  ASSERT_EQ(link.frames.size(), 2U);
  EXPECT_EQ(link.frames[0].first, channel::beat);
  EXPECT_EQ(link.frames[1].first, channel::bulk);
  EXPECT_EQ(link.frames[1].second, bytes(1024 * 1024, 7));
}

TEST(Lanes, BulkGetsATenthWhileTheOthersNeverEnd) {
  lanes l{link_limits{}};
  for (const auto busy : {channel::raft, channel::request}) {
    std::size_t bulk = 0;
    std::size_t all = 0;
    for (int i = 0; i < 400; ++i) {
      while (l.queued(lane_of(busy)) < 256 * 1024)
        put(l, busy, bytes(200, 1));
      while (l.queued(lane::bulk) < 256 * 1024)
        put(l, channel::bulk, bytes(9000, 2));
      bytes plain;
      l.take(plain, record_plaintext_max);
      loopback link;
      ASSERT_TRUE(link.feed(link.seal(plain)).ok());
      for (const auto& f : link.frames)
        bulk += f.first == channel::bulk ? f.second.size() + 4 : 0;
      all += plain.size();
    }
    const auto share = static_cast<double>(bulk) / static_cast<double>(all);
    EXPECT_GE(share, 0.099);
    EXPECT_LE(share, 0.12);
  }
}

TEST(Lanes, AFullQueueIsATypedErrorAndChangesNothing) {
  link_limits limits;
  limits.bulk_queue_max = 10'000;
  lanes l{limits};
  int taken = 0;
  for (;; ++taken) {
    append(l.begin(channel::bulk), bytes(996, 1));
    const auto queued = l.end();
    if (!queued) {
      EXPECT_EQ(queued.error(), send_errc::overloaded);
      break;
    }
  }
  EXPECT_EQ(taken, 10);
  EXPECT_EQ(l.queued(lane::bulk), 10'000U);
  put(l, channel::beat, {1}); // another lane has room
  EXPECT_FALSE(l.became_writable(lane::bulk));
  bytes plain;
  l.take(plain, 6'000);
  EXPECT_TRUE(l.became_writable(lane::bulk));
  EXPECT_FALSE(l.became_writable(lane::bulk)); // said once
  loopback link;
  ASSERT_TRUE(link.feed(link.seal(plain)).ok());
  ASSERT_TRUE(link.feed(link.seal_all(l)).ok());
  EXPECT_EQ(link.frames.size(), 11U);
}

TEST(Lanes, AnEmptyQueueTakesOneFrameOfAnySize) {
  link_limits limits;
  limits.request_queue_max = 1000;
  lanes l{limits};
  put(l, channel::request, bytes(frame_bytes_max, 1));
  append(l.begin(channel::request), bytes(1, 1));
  EXPECT_EQ(l.end().error(), send_errc::overloaded);
  bytes plain;
  while (!l.empty())
    l.take(plain, record_plaintext_max);
  append(l.begin(channel::request), bytes(frame_bytes_max + 1, 1));
  EXPECT_EQ(l.end().error(), send_errc::too_large);
  EXPECT_TRUE(l.empty());
}

TEST(Lanes, FramesOfEverySizeSurviveEverySplitOfTheStream) {
  seeded_random random{5};
  lanes l{link_limits{}};
  std::vector<out_frame> sent;
  const std::size_t sizes[] = {0,
                               1,
                               fragment_bytes_max - 1,
                               fragment_bytes_max,
                               fragment_bytes_max + 1,
                               2 * fragment_bytes_max,
                               2 * fragment_bytes_max + 1,
                               record_plaintext_max,
                               frame_bytes_max};
  for (const auto size : sizes) {
    bytes payload(size);
    random.fill(payload.data(), payload.size());
    put(l, channel::request, payload);
    sent.emplace_back(channel::request, std::move(payload));
  }
  loopback first;
  const auto sealed = first.seal_all(l);
  ASSERT_TRUE(first.feed(sealed).ok());
  EXPECT_EQ(first.frames, sent);
  for (const std::size_t step : {1U, 2U, 17U, 1000U, 65537U, 100000U}) {
    loopback other;
    ASSERT_TRUE(other.feed(sealed, step).ok());
    EXPECT_EQ(other.frames, sent) << "step " << step;
  }
}

TEST(Lanes, RandomFramesOnAllLanesKeepTheirOrderWithinALane) {
  seeded_random random{6};
  lanes l{link_limits{}};
  std::map<lane, std::vector<out_frame>> sent;
  std::map<lane, std::vector<out_frame>> came;
  loopback link;
  const channel channels[] = {channel::raft, channel::beat, channel::request,
                              channel::outbox, channel::bulk};
  for (int round = 0; round < 300; ++round) {
    const auto c = channels[random.below(5)];
    bytes payload(random.below(random.chance(0.1) ? 60'000 : 300));
    random.fill(payload.data(), payload.size());
    put(l, c, payload);
    sent[lane_of(c)].emplace_back(c, std::move(payload));
    if (random.chance(0.3)) {
      bytes plain;
      l.take(plain, 1 + random.below(record_plaintext_max));
      if (!plain.empty()) {
        ASSERT_TRUE(link.feed(link.seal(plain), 1 + random.below(70'000)).ok());
      }
    }
  }
  ASSERT_TRUE(link.feed(link.seal_all(l)).ok());
  for (const auto& f : link.frames)
    came[lane_of(f.first)].push_back(f);
  EXPECT_EQ(came, sent);
}

TEST(RecordReader, RefusesEveryBadFragment) {
  const auto refused = [](std::initializer_list<bytes> fragments) {
    bytes plain;
    for (const auto& f : fragments)
      append(plain, f);
    loopback link;
    const auto fed = link.feed(link.seal(plain));
    return !fed.ok() && fed.error() == read_errc::bad_fragment;
  };
  EXPECT_TRUE(refused({{1}})); // no whole header
  EXPECT_TRUE(refused({{1, 0, 0}}));
  EXPECT_TRUE(refused({fragment(1, 0, 2, {0})})); // beyond the record
  EXPECT_TRUE(refused({fragment(1, 2, 1, {0})})); // unknown flag
  EXPECT_TRUE(refused({fragment(1, 3, 1, {0})}));
  EXPECT_TRUE(refused({fragment(1, 1, 0, {})}));  // goes on with nothing
  EXPECT_TRUE(refused({fragment(3, 1, 1, {0}),    // another channel
                       fragment(2, 0, 1, {0})})); // of the same lane
  EXPECT_FALSE(refused({fragment(3, 1, 1, {0}), fragment(16, 0, 1, {0}),
                        fragment(3, 0, 1, {0})}));
  // A frame above the limit, however it is cut.
  loopback link;
  bytes piece = fragment(32, 1, 60'000, bytes(60'000, 1));
  std::size_t n = 0;
  while (link.feed(link.seal(piece)).ok())
    ++n;
  EXPECT_EQ(n, frame_bytes_max / 60'000);
  EXPECT_TRUE(link.frames.empty());
}

TEST(RecordReader, RefusesBadRecords) {
  for (const std::size_t size : {0U, 1U, 15U, 16U}) {
    loopback link;
    bytes data{0, static_cast<std::uint8_t>(size)};
    data.resize(2 + size);
    EXPECT_FALSE(link.feed(data).ok()) << size;
    loopback slow;
    EXPECT_FALSE(slow.feed(data, 1).ok() && size > 0) << size;
  }
  loopback link;
  const auto first = link.seal(fragment(1, 0, 1, {1}));
  const auto second = link.seal(fragment(1, 0, 1, {2}));
  EXPECT_EQ(link.feed(second).error(), read_errc::bad_record); // out of order
  EXPECT_FALSE(link.feed(first).ok()); // and nothing works afterwards
  EXPECT_TRUE(link.frames.empty());
}

TEST(RecordReader, UnknownChannelsOfANewerPeerAreSkipped) {
  loopback link;
  bytes plain = fragment(9, 0, 3, {1, 2, 3});
  append(plain, fragment(200, 1, 2, {1, 2}));
  append(plain, fragment(200, 0, 1, {3}));
  append(plain, fragment(1, 0, 1, {4}));
  ASSERT_TRUE(link.feed(link.seal(plain)).ok());
  ASSERT_EQ(link.frames.size(), 1U);
  EXPECT_EQ(link.reader.unknown(), 2U);
}

TEST(RecordReader, AClientLinkCarriesCallsAlone) {
  for (int c = 0; c < 256; ++c) {
    loopback link{link_role::client};
    const auto fed = link.feed(
        link.seal(fragment(static_cast<std::uint8_t>(c), 0, 1, {0x80})));
    const bool may = c == 0 || c == 16 || c == 17;
    EXPECT_EQ(fed.ok(), may) << c;
    if (!may) {
      EXPECT_EQ(fed.error(), read_errc::forbidden);
    }
  }
}

TEST(RecordReader, AnyFlippedByteEndsTheLink) {
  const auto plain = fragment(1, 0, 20, bytes(20, 5));
  const auto sealed = loopback{}.seal(plain);
  for (std::size_t i = 2; i < sealed.size(); ++i) {
    auto bad = sealed;
    bad[i] ^= 1;
    loopback link;
    EXPECT_FALSE(link.feed(bad).ok());
    EXPECT_TRUE(link.frames.empty());
  }
  // A flipped length makes the record another one.
  for (std::size_t bit = 0; bit < 16; ++bit) {
    auto bad = sealed;
    bad[bit / 8] = static_cast<std::uint8_t>(bad[bit / 8] ^ (1U << (bit % 8)));
    bad.resize(70'000);
    loopback link;
    EXPECT_FALSE(link.feed(bad).ok());
    EXPECT_TRUE(link.frames.empty());
  }
}

TEST(RecordReader, RandomBytesNeverGetThrough) {
  seeded_random random{7};
  for (int i = 0; i < 100'000; ++i) {
    loopback link;
    bytes data(1 + random.below(60));
    random.fill(data.data(), data.size());
    if (random.chance(0.8) && data.size() > 2) {
      data[0] = 0; // a length that is there
      data[1] = static_cast<std::uint8_t>(data.size() - 2);
    }
    const auto fed = link.feed(data);
    ASSERT_TRUE(link.frames.empty());
    if (data.size() > 2 && data[0] == 0 && data[1] == data.size() - 2) {
      ASSERT_FALSE(fed.ok());
    }
  }
}

/// An honest key and hostile plaintext: what a bad member can send.
TEST(RecordReader, RandomPlaintextIsFramesOrAnErrorWithinBounds) {
  seeded_random random{8};
  loopback link;
  std::size_t errors = 0;
  for (int i = 0; i < 100'000; ++i) {
    bytes plain(1 + random.below(40));
    random.fill(plain.data(), plain.size());
    if (random.chance(0.7) && plain.size() >= 4) {
      plain[0] = static_cast<std::uint8_t>(plain[0] % 40);
      plain[1] &= 1;
      plain[2] = 0;
      plain[3] = static_cast<std::uint8_t>(plain.size() - 4);
    }
    link.frames.clear();
    if (!link.feed(link.seal(plain)).ok())
      ++errors;
    ASSERT_LE(link.frames.size(), plain.size() / 4 + 1);
  }
  EXPECT_GT(errors, 10'000U);
}

} // namespace
} // namespace banyan::net::test
