#include "net/link/address.hpp"
#include "net/link/detail/rations.hpp"

#include <gtest/gtest.h>

namespace banyan::net {
namespace {

TEST(Address, TextFormsGoBothWays) {
  for (const char* text : {"127.0.0.1:7600", "[::1]:80", "example.org:1",
                           "[2001:db8::7]:65535", "h-1_x:0"}) {
    const auto a = parse_address(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(to_string(*a), text);
  }
  EXPECT_EQ(to_string(address{}), "");
}

TEST(Address, AnythingElseIsRefused) {
  for (const char* text :
       {"", ":", "host", "host:", ":80", "host:65536", "host:-1", "host:8x",
        "::1:80", "[::1]", "[::1:80", "::1]:80", "[]:80", "[host]:80",
        "ho st:80", "host/:80", "[1.2.3.4]:80", "host:000080", "[::1%lo]:1"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string(254, 'a') + ":1"));
}

TEST(Address, LiteralsAreRead) {
  EXPECT_EQ(ip_bytes("10.0.255.1"), (bytes{10, 0, 255, 1}));
  for (const char* bad :
       {"10.0.0", "10.0.0.256", "10.0.0.1.2", "a.b.c.d", "10..0.1", ".10.0.0.1",
        "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::2", ":1",
        "1:", "12345::", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "g::"})
    EXPECT_TRUE(ip_bytes(bad).empty()) << bad;
  bytes one(16);
  one[15] = 1;
  EXPECT_EQ(ip_bytes("::1"), one);
  EXPECT_EQ(ip_bytes("0:0:0:0:0:0:0:1"), one);
  EXPECT_EQ(ip_bytes("::"), bytes(16));
  EXPECT_EQ(to_hex(ip_bytes("2001:DB8::ff00:42:8329")),
            "20010db8000000000000ff0000428329");
  EXPECT_EQ(to_hex(ip_bytes("::ffff:10.1.2.3")),
            "00000000000000000000ffff0a010203");
}

TEST(Address, LoopbackWildcardAndPrefix) {
  for (const char* host :
       {"127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"})
    EXPECT_TRUE((address{host, 1}.is_loopback())) << host;
  for (const char* host : {"128.0.0.1", "::2", "example.org", "::", "0.0.0.0"})
    EXPECT_FALSE((address{host, 1}.is_loopback())) << host;
  EXPECT_TRUE((address{"0.0.0.0", 1}.is_wildcard()));
  EXPECT_TRUE((address{"::", 1}.is_wildcard()));
  EXPECT_FALSE((address{"", 1}.is_wildcard()));
  const auto prefix = [](const char* host) {
    return address{host, 1}.prefix();
  };
  EXPECT_EQ(prefix("10.1.2.3"), prefix("10.1.2.250"));
  EXPECT_EQ(prefix("10.1.2.3"), prefix("::ffff:10.1.2.9"));
  EXPECT_NE(prefix("10.1.2.3"), prefix("10.1.3.3"));
  EXPECT_EQ(prefix("2001:db8:1:ff00::1"), prefix("2001:db8:1:ff99::2"));
  EXPECT_NE(prefix("2001:db8:1:ff00::1"), prefix("2001:db8:1:fe00::1"));
}

TEST(Rations, StrangersGetHalfOfTheSlotsAndKnownAddressesTheRest) {
  ration_config config;
  config.half_open_max = 10;
  config.prefix_burst = 1000;
  rations r{config};
  r.set_known({{"10.9.9.9", 1}});
  const time_point now{1h};
  int strangers = 0;
  for (int i = 0; i < 20; ++i)
    strangers += r.admit({"10.0." + std::to_string(i) + ".1", 1}, now) ? 1 : 0;
  EXPECT_EQ(strangers, 5);
  int known = 0;
  for (int i = 0; i < 20; ++i)
    known += r.admit({"10.9.9.9", 1}, now) ? 1 : 0;
  EXPECT_EQ(known, 5);
  r.release(false);
  EXPECT_TRUE(r.admit({"10.0.77.1", 1}, now));
  EXPECT_FALSE(r.admit({"10.0.78.1", 1}, now));
}

TEST(Rations, APrefixHasABudgetOfItsOwn) {
  ration_config config;
  config.prefix_burst = 3;
  config.prefix_per_second = 1;
  rations r{config};
  time_point now{1h};
  const auto admit = [&](const char* host) {
    const bool in = r.admit({host, 1}, now);
    if (in)
      r.release(r.is_known({host, 1}));
    return in;
  };
  EXPECT_TRUE(admit("10.0.0.1") && admit("10.0.0.2") && admit("10.0.0.3"));
  EXPECT_FALSE(admit("10.0.0.4"));
  EXPECT_TRUE(admit("10.0.1.1"));
  r.set_known({{"10.0.0.5", 7600}});
  EXPECT_TRUE(admit("10.0.0.5"));
  now += 1s;
  EXPECT_TRUE(admit("10.0.0.4"));
  EXPECT_FALSE(admit("10.0.0.4"));
}

TEST(Rations, HalfOfTheTotalBudgetIsKeptForKnownAddresses) {
  ration_config config;
  config.handshakes_burst = 10;
  config.handshakes_per_second = 1;
  rations r{config};
  r.set_known({{"10.9.9.9", 1}});
  const time_point now{1h};
  const auto count = [&](bool known) {
    int n = 0;
    for (int i = 0; i < 30; ++i) {
      const address from{
          known ? "10.9.9.9" : "10.0." + std::to_string(i) + ".1", 1};
      if (r.admit(from, now)) {
        r.release(known);
        ++n;
      }
    }
    return n;
  };
  EXPECT_EQ(count(false), 6);
  EXPECT_EQ(count(true), 4);
}

TEST(Rations, MemoryForPrefixesIsBounded) {
  ration_config config;
  config.prefixes_max = 4;
  config.prefix_burst = 1;
  config.handshakes_burst = 1e6;
  rations r{config};
  const time_point now{1h};
  for (int i = 0; i < 200; ++i) {
    if (r.admit({"10.0." + std::to_string(i) + ".1", 1}, now))
      r.release(false);
  }
  EXPECT_FALSE(r.admit({"10.0.199.1", 1}, now)); // remembered
  EXPECT_TRUE(r.admit({"10.0.1.1", 1}, now));    // forgotten
}

TEST(Rations, EphemeralsAreSeenOnceAndMemoryIsBounded) {
  seen_ephemerals seen{100};
  const auto key = [](int i) {
    noise::dh_public k{};
    k[0] = static_cast<std::uint8_t>(i);
    k[1] = static_cast<std::uint8_t>(i >> 8);
    return k;
  };
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(key(i)));
    EXPECT_FALSE(seen.insert(key(i)));
    EXPECT_FALSE(seen.insert(key(std::max(0, i - 50))));
  }
}

} // namespace
} // namespace banyan::net
